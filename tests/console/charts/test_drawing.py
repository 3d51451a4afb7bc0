"""What holds for every drawing: it is well-formed, has a name, no style of its own, and is always the same."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest
from markupsafe import Markup
from tests.console.charts.reading import parse

from steward.console import made_up
from steward.console.charts import drawing as draw
from steward.console.zones import UTC_ZONE, Zone


def everything() -> dict[str, Markup]:
    """Draw all that ``/dev/components`` shows."""
    drawn = {
        "day": draw.chart(made_up.day(), Zone("site", "Europe/Madrid")),
        "rate": draw.chart(made_up.rate(), UTC_ZONE),
        "bubbles": draw.chart(made_up.bubbles(), UTC_ZONE),
        "no-bubbles": draw.chart(made_up.bubbles(empty=True), UTC_ZONE),
        "contributions": draw.contributions(made_up.CONTRIBUTIONS, "Why"),
        "versus": draw.versus(made_up.VERSUS, "Saved"),
        "losses": draw.versus(made_up.LOSSES, "Lost"),
        "path": draw.path(made_up.STAGES, "The way"),
        "tree": draw.tree(**made_up.proof(5, 8), title="Proof"),
    }
    drawn |= {figure.name: draw.chart(figure, UTC_ZONE) for figure in made_up.edges()}
    drawn |= {f"spark {at}": draw.spark(values, "Spark") for at, values in enumerate(made_up.SPARKS)}
    drawn |= {f"interval {at}": draw.interval(*values) for at, values in enumerate(made_up.INTERVALS)}
    return drawn


DRAWN = everything()


def hidden(root: Element) -> set[Element]:
    return {inner for each in root.iter() if each.get("aria-hidden") == "true" for inner in each.iter()}


@pytest.mark.parametrize("name", DRAWN)
def test_every_picture_has_a_name_or_is_left_out_for_screen_readers(name: str) -> None:
    root = parse(DRAWN[name])
    inside = {inner for each in root.iter("svg") for inner in each.iter() if inner is not each}
    outermost = [each for each in root.iter("svg") if each not in inside and each not in hidden(root)]
    lists = [each for tag in ("ul", "ol") for each in root.iter(tag) if each.get("aria-label")]
    assert outermost or lists
    assert all(each.get("role") in ("img", "group") and each.get("aria-label") for each in outermost)


@pytest.mark.parametrize("name", DRAWN)
def test_it_has_no_style_script_or_id_of_its_own(name: str) -> None:
    for each in parse(DRAWN[name]).iter():
        assert each.tag not in {"style", "script", "image", "use", "foreignObject"}
        assert not {"style", "id"} & each.attrib.keys()
        assert not any(attribute.startswith("on") for attribute in each.attrib)
        assert not {"fill", "stroke"} & each.attrib.keys(), "colours are the theme's"


def test_the_same_is_drawn_the_same() -> None:
    assert everything() == DRAWN


def test_a_day_in_four_panels_is_light() -> None:
    assert len(DRAWN["day"].encode()) < 16_000
