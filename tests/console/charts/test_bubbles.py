"""Bubbles, read back from what is drawn."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.console.charts.reading import classed, parse, texts

from steward.console.charts.bubbles import draw_bubbles, equal_money, place
from steward.console.charts.figures import Bubble, Bubbles
from steward.console.charts.marks import NARROW_PX, ROOMY_PX
from steward.console.charts.scales import LogScale

ABOVE_ZERO = st.floats(min_value=1e-3, max_value=1e9)
BUBBLES = st.lists(
    st.builds(
        Bubble, label=st.sampled_from(["Refund", "Battery dispatch"]), x=ABOVE_ZERO, y=ABOVE_ZERO, size=ABOVE_ZERO
    ),
    max_size=12,
)


def chart(*bubbles: Bubble) -> Bubbles:
    return Bubbles(
        name="b", title="Inventory", x_label="a day", y_label="EUR each", bubbles=bubbles, product="EUR a day"
    )


@given(BUBBLES.filter(bool))
def test_equal_ratios_are_equal_distances(bubbles: list[Bubble]) -> None:
    across, up = LogScale.over(each.x for each in bubbles), LogScale.over(each.y for each in bubbles)
    circles = [each for each in parse(draw_bubbles(chart(*bubbles))).iter("circle")]
    ordered = sorted(bubbles, key=lambda each: -each.size)
    for bubble, circle in zip(ordered, circles, strict=True):
        right = (math.log10(bubble.x) - across.low) / (across.high - across.low)
        assert float(circle.get("cx", "").rstrip("%")) == pytest.approx(100 * right, abs=0.006)
        down = 1 - (math.log10(bubble.y) - up.low) / (up.high - up.low)
        assert float(circle.get("cy", "")) == pytest.approx(34 + 270 * down, abs=0.051)


def test_areas_are_as_large_as_the_sizes() -> None:
    root = parse(draw_bubbles(chart(Bubble(label="a", x=1, y=1, size=100), Bubble(label="b", x=9, y=9, size=25))))
    assert [float(each.get("r", "")) for each in root.iter("circle")] == [23, 11.5]


@given(ABOVE_ZERO, ABOVE_ZERO, ABOVE_ZERO, ABOVE_ZERO)
def test_lines_of_equal_money_go_where_the_product_is_the_same(a: float, b: float, c: float, d: float) -> None:
    across, up = LogScale.over([a, b]), LogScale.over([c, d])
    found = list(equal_money(across, up))
    assert len(found) <= 5
    assert found or across.high - across.low + up.high - up.low < 1 + 1e-9
    for amount, *ends in found:
        for right, above in ends:
            assert -1e-9 <= right <= 1 + 1e-9
            assert -1e-9 <= above <= 1 + 1e-9
            x = across.low + right * (across.high - across.low)
            y = up.low + above * (up.high - up.low)
            assert x + y == pytest.approx(math.log10(amount), abs=1e-6)


@given(BUBBLES)
def test_labels_lie_on_no_label_and_on_no_bubble(bubbles: list[Bubble]) -> None:
    across, up = LogScale.over(each.x for each in bubbles), LogScale.over(each.y for each in bubbles)
    placed = place(bubbles, across, up)
    for width, shown in (
        (ROOMY_PX, [each for each in placed if each.side]),
        (NARROW_PX, [p for p in placed if p.on_phones]),
    ):
        taken = [each.box(each.side, width) for each in shown]
        for at, (left, top, right, bottom) in enumerate(taken):
            assert not any(a < right and left < c and b < bottom and top < d for a, b, c, d in taken[:at])
            for other in placed:
                near_x, near_y = min(max(other.right * width, left), right), min(max(other.y, top), bottom)
                is_own = other is shown[at]
                assert is_own or math.hypot(other.right * width - near_x, other.y - near_y) >= other.radius


def test_what_has_no_place_on_the_axes_is_named() -> None:
    drawing = draw_bubbles(
        chart(
            Bubble(label="Refund", x=3, y=2, size=1),
            Bubble(label="Never <asked>", x=0, y=2, size=1),
            Bubble(label="Loss", x=2, y=-5, size=1),
            Bubble(label="Unknown", x=math.nan, y=math.inf, size=1),
        )
    )
    root = parse(drawing)
    assert len(list(root.iter("circle"))) == 1
    assert "Never <asked>, Loss, Unknown." in "".join(classed(root, "left-out")[0].itertext())


def test_links_can_be_followed_by_keyboard_and_say_what_they_are() -> None:
    bubble = Bubble(label="Refund & more", x=30, y=2.5, size=1, group="low risk", link='/inventory?q="a"&b=<c>')
    root = parse(draw_bubbles(chart(bubble)))
    (link,) = list(root.iter("a"))
    assert link.get("href") == bubble.link
    assert link.get("aria-label") == "Refund & more: 30 a day, 2.5 EUR each, low risk"
    assert classed(root, "plot")[0].get("role") == "group"
    assert classed(parse(draw_bubbles(chart(Bubble(label="a", x=1, y=1, size=1)))), "plot")[0].get("role") == "img"


def test_groups_are_told_once_in_the_legend() -> None:
    several = [Bubble(label=f"n{at}", x=10.0**at, y=1, size=1, group="low risk") for at in range(3)]
    legend = classed(parse(draw_bubbles(chart(*several))), "legend")[0]
    assert texts(legend) == ["low risk", "equal money (EUR a day)"]


def test_where_no_line_of_equal_money_passes_none_is_explained() -> None:
    near = parse(draw_bubbles(chart(Bubble(label="a", x=1.1, y=1.1, size=1), Bubble(label="b", x=1.9, y=1.9, size=1))))
    assert [each.get("d") for each in classed(near, "money")] == [""]
    assert not classed(near, "legend")


def test_without_bubbles_it_says_so() -> None:
    root = parse(draw_bubbles(chart()))
    assert "Nothing to show yet" in texts(root)
    assert not classed(root, "legend")


@given(st.floats(), st.floats(), st.floats())
def test_any_figures_are_drawn_or_named(x: float, y: float, size: float) -> None:
    drawing = draw_bubbles(chart(Bubble(label="a", x=x, y=y, size=size), Bubble(label="b", x=1, y=1, size=1)))
    parse(drawing)
    assert "nan" not in drawing
    assert "inf" not in drawing


def test_text_is_escaped_everywhere() -> None:
    evil = '"><script>alert(1)</script>'
    drawing = draw_bubbles(
        Bubbles(
            name=evil,
            title=evil,
            x_label=evil,
            y_label=evil,
            product=evil,
            bubbles=[Bubble(label=evil, x=1, y=1, size=1, group=evil, link=evil), Bubble(label=evil, x=0, y=1, size=1)],
        )
    )
    assert "<script" not in drawing
    parse(drawing)
