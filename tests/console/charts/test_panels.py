"""Panels, read back from what is drawn: everything stands where its value says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.console.charts.reading import boxes, classed, parse, points, shape, texts

from steward.console.charts.figures import Band, Bars, Figure, Line, Mark, Panel, Series, Tone
from steward.console.charts.marks import TENTHS, WIDE
from steward.console.charts.panels import Across, draw_figure
from steward.console.zones import UTC_ZONE, Zone

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
MADRID = Zone("site", "Europe/Madrid")
HEIGHT = 100
VALUES = st.lists(st.floats(min_value=-9e4, max_value=9e4).map(lambda value: round(value, 2)), min_size=2, max_size=12)
TROUBLE = st.one_of(st.none(), st.floats(), st.integers())


def hourly(count: int) -> list[datetime]:
    return [NOON + timedelta(hours=at) for at in range(count)]


def figure(x: list[datetime] | list[str], *series: Series, now: datetime | None = None, zero: bool = True) -> Figure:
    panel = Panel(label="Load (MW)", height=HEIGHT, series=series, zero=zero)
    return Figure(name="load", title="Load of the day", x=x, panels=[panel], now=now)


def draw(x: list[datetime] | list[str], *series: Series, **options: object) -> Element:
    return parse(draw_figure(figure(x, *series, **options), UTC_ZONE))  # type: ignore[arg-type]  # options are figure's


def axis(root: Element) -> tuple[float, float]:
    """Return the values at the bottom and at the top, read from the labels."""
    (scale,) = classed(root, "scale")
    told = [(float(each.get("y", "")), float((each.text or "").replace("−", "-").replace(",", ""))) for each in scale]
    (low_y, low), (high_y, high) = max(told), min(told)
    assert low_y - high_y == HEIGHT
    return low, high


def value_at(y: float, low: float, high: float) -> float:
    return high - (high - low) * y / (TENTHS * HEIGHT)


def off_by_a_tenth(low: float, high: float) -> float:
    return (high - low) / (TENTHS * HEIGHT) * 0.51 + 1e-9


@given(VALUES)
def test_a_line_goes_through_its_values_and_the_labels_say_so(values: list[float]) -> None:
    root = draw(hourly(len(values)), Line(name="load", values=values), zero=False)
    low, high = axis(root)
    found = points(shape(root, "line", "c1").get("d", ""))
    assert [x for x, _ in found] == [round(WIDE * at / (len(values) - 1)) for at in range(len(values))]
    assert [value_at(y, low, high) for _, y in found] == pytest.approx(values, abs=off_by_a_tenth(low, high))


@given(VALUES)
def test_bars_are_as_high_as_their_values_and_stand_on_each_other(values: list[float]) -> None:
    names = [f"n{at}" for at in range(len(values))]
    halves = [value / 2 for value in values]
    root = draw(names, Bars(name="a", values=values), Bars(name="b", values=halves, tone=Tone.SECOND))
    low, high = axis(root)
    slack = 2.1 * off_by_a_tenth(low, high)
    first = boxes(shape(root, "fill", "c1").get("d", ""))
    second = boxes(shape(root, "fill", "c2").get("d", ""))
    there = [value for value in values if value]
    assert len(first) == len(second) == len(there)
    for value, one, two in zip(there, first, second, strict=True):
        ends = (one[1], one[3]) if value > 0 else (one[3], one[1])
        assert value_at(ends[0], low, high) == pytest.approx(value, abs=slack)
        assert value_at(ends[1], low, high) == pytest.approx(0, abs=slack)
        outer, inner = (two[1], two[3]) if value > 0 else (two[3], two[1])
        assert inner == ends[0]
        assert value_at(outer, low, high) == pytest.approx(1.5 * value, abs=slack)
        assert (one[0], one[2]) == (two[0], two[2])


def test_gains_and_losses_of_one_name_stand_on_both_sides_of_zero() -> None:
    root = draw(["a"], Bars(name="gain", values=[3], tone=Tone.GOOD), Bars(name="loss", values=[-1], tone=Tone.BAD))
    (gain,), (loss,) = (boxes(shape(root, "fill", tone).get("d", "")) for tone in ("pos", "neg"))
    assert gain[3] == loss[1]
    assert gain[3] - gain[1] == pytest.approx(3 * (loss[3] - loss[1]), abs=2)


@pytest.mark.parametrize("series", [Bars(name="a", values=[40, 50]), Line(name="a", values=[40, 50], filled=True)])
def test_what_is_read_by_its_height_stands_on_zero_whatever_is_asked(series: Series) -> None:
    assert axis(draw(hourly(2), series, zero=False))[0] == 0


@pytest.mark.parametrize("values", [[1, 0, None], [0, 0, 0], [3, 2, 1]])
def test_counts_have_no_ticks_between_whole_numbers(values: list[int | None]) -> None:
    (scale,) = classed(draw(["a", "b", "c"], Bars(name="n", values=values)), "scale")
    assert all("." not in (each.text or "") for each in scale)
    assert any("." in (each.text or "") for each in classed(draw(["a"], Bars(name="n", values=[1.0])), "scale")[0])


def test_a_bar_lies_in_the_time_that_it_counts() -> None:
    root = draw(hourly(4), Bars(name="a", values=[1, 1, 1, 1]))
    found = boxes(shape(root, "fill", "c1").get("d", ""))
    for at, (left, _, right, _) in enumerate(found):
        assert WIDE * at / 4 < left < right < WIDE * (at + 1) / 4
        assert left - WIDE * at / 4 == pytest.approx(WIDE * (at + 1) / 4 - right, abs=1)


def test_moments_stand_where_they_are_even_at_odd_distances() -> None:
    x = [NOON, NOON + timedelta(minutes=6), NOON + timedelta(hours=1)]
    root = draw(x, Line(name="a", values=[1, 2, 3]))
    assert [at for at, _ in points(shape(root, "line").get("d", ""))] == [0, 1_000, 10_000]


def test_steps_hold_until_the_next_one() -> None:
    root = draw(hourly(2), Line(name="a", values=[0, 10], steps=True))
    assert points(shape(root, "line").get("d", "")) == [
        (0, 1_000), (5_000, 1_000), (5_000, 0), (10_000, 0),
    ]  # fmt: skip


def test_a_gap_parts_the_line_the_area_and_the_band_and_a_value_alone_is_a_dot() -> None:
    values = [1.0, 2.0, None, 4.0, float("nan"), 2.0, 1.0]
    band = Band(name="interval", low=values, high=[None if v is None else v + 1 for v in values], tone=Tone.SECOND)
    root = draw(hourly(7), Line(name="a", values=values, filled=True), band)
    assert shape(root, "line", "c1").get("d", "").count("M") == 2
    assert shape(root, "area", "c1").get("d", "").count("z") == 2
    assert shape(root, "band", "c2").get("d", "").count("z") == 3
    assert points(shape(root, "dot", "c1").get("d", ""))[0][0] == 5_000


@given(VALUES)
def test_a_band_lies_between_its_bounds(values: list[float]) -> None:
    high = [value + 1e5 for value in values]
    root = draw(hourly(len(values)), Band(name="interval", low=values, high=high), Line(name="m", values=values))
    corners = points(shape(root, "band").get("d", ""))
    line = points(shape(root, "line", "c1").get("d", ""))
    above, below = corners[: len(values)], corners[len(values) :]
    assert below == line[::-1]
    assert all(y1 < y2 for (_, y1), (_, y2) in zip(above, reversed(below), strict=True))


def test_an_area_reaches_down_to_zero() -> None:
    root = draw(hourly(3), Line(name="a", values=[-5, 10, 5], filled=True))
    zero = next(y for _, y in points(shape(root, "axis").get("d", "")))
    assert points(shape(root, "area").get("d", ""))[-2:] == [(10_000, zero), (0, zero)]


def test_panels_share_left_and_right_and_lie_below_each_other() -> None:
    series = Line(name="a", values=[1, 2, 3])
    panels = [Panel(label=f"Panel {at}", series=[series], height=60 + at) for at in range(4)]
    drawing = draw_figure(
        Figure(name="f", title="F", x=hourly(3), panels=panels, now=NOON + timedelta(hours=1)), MADRID
    )
    root = parse(drawing)
    planes = classed(root, "plane")
    assert [each.get("height") for each in planes] == ["60", "61", "62", "63"]
    ends = [int(each.get("y", "")) + int(each.get("height", "")) for each in planes]
    assert all(end < int(each.get("y", "")) for end, each in zip(ends, planes[1:], strict=False))
    assert {each.get("viewBox", "").split()[2] for each in planes} == {str(WIDE)}
    assert [(each.get("x1"), each.get("x2")) for each in classed(root, "now")] == [("50%", "50%")] * 4


@pytest.mark.parametrize("now", [NOON - timedelta(minutes=1), NOON + timedelta(hours=3), None])
def test_the_present_has_a_line_only_where_it_is_on_the_axis(now: datetime | None) -> None:
    assert not classed(draw(hourly(3), Line(name="a", values=[1, 2, 3]), now=now), "now")


def test_ticks_are_in_the_viewers_zone_and_tell_it() -> None:
    drawing = draw_figure(figure(hourly(7), Line(name="a", values=[1] * 7)), MADRID)
    found = texts(parse(drawing))
    assert "14:00" in found
    assert "Wed 1 Jul 2026 · CEST" in found


def test_a_legend_is_there_as_soon_as_there_are_two_things_to_tell_apart() -> None:
    assert not classed(draw(hourly(2), Line(name="a", values=[1, 2])), "legend")
    root = draw(hourly(2), Line(name="a", values=[1, 2]), Band(name="b", low=[1, 1], high=[2, 2]))
    assert texts(classed(root, "legend")[0]) == ["a", "b"]


@given(st.lists(TROUBLE, max_size=6), st.sampled_from(["line", "steps", "bars", "band"]), st.booleans())
def test_whatever_the_values_are_there_is_a_chart_of_finite_numbers(
    values: list[float | None], kind: str, is_time: bool
) -> None:
    x: list[datetime] | list[str] = hourly(len(values)) if is_time else [f"n{at}" for at in range(len(values))]
    series: Series = Line(name="a", values=values, steps=kind == "steps", filled=True)
    if kind == "bars":
        series = Bars(name="a", values=values)
    elif kind == "band":
        series = Band(name="a", low=values, high=values[::-1])
    root = draw(x, series)
    for path in classed(root, "plane")[0].iter("path"):
        assert all(-1 <= y <= TENTHS * HEIGHT + 1 for _, y in points(path.get("d", "")))
    assert not {"nan", "inf", "None"} & set(" ".join(str(each.attrib) for each in root.iter()).split())


def test_without_values_it_says_so() -> None:
    assert "No values in this time" in texts(draw(hourly(3), Line(name="a", values=[None] * 3)))
    assert "No values in this time" in texts(draw([], Line(name="a", values=[])))


def test_one_moment_stands_in_the_middle() -> None:
    root = draw(hourly(1), Line(name="a", values=[3]))
    assert points(shape(root, "dot").get("d", ""))[0][0] == WIDE / 2


def test_many_names_are_thinned_out_and_long_ones_shortened() -> None:
    names = [f"A very long name of number {at}" for at in range(40)]
    drawing = draw(names, Bars(name="a", values=[1.0] * 40))
    shown = classed(drawing, "tick")
    assert 2 <= len(shown) < 15
    assert all((each.text or "").endswith("…") for each in shown)


def test_few_names_are_all_there() -> None:
    names = ["Rule schedule", "Steward", "Perfect foresight", "A name without end " * 9, "Holdout"]
    shown = [each.text or "" for each in classed(draw(names, Bars(name="a", values=[1.0] * 5)), "tick")]
    assert len(shown) == 5
    assert all(name.startswith(text.rstrip("…")) for name, text in zip(names, shown, strict=True))


def test_places_for_the_script_are_where_the_values_are() -> None:
    root = draw(["a", "b"], Bars(name="n", values=[1, 2]))
    (drawn,) = classed(root, "drawn")
    assert (drawn.get("data-x"), drawn.get("data-slot")) == ("0 5000", "5000")
    assert Across.of(figure(["a", "b"])).places == (0.25, 0.75)


def test_text_is_escaped_everywhere() -> None:
    evil = '"><script>alert(1)</script>'
    panel = Panel(label=evil, series=[Line(name=evil, values=[1, 2]), Line(name="b", values=[1, 2])])
    drawing = draw_figure(Figure(name=evil, title=evil, x=[evil, "b"], panels=[panel]), UTC_ZONE)
    assert "<script" not in drawing
    root = parse(drawing)
    assert classed(root, "plot")[0].get("aria-label") == evil
    assert evil in texts(root)


def test_an_axis_holds_what_it_is_to_reach() -> None:
    line = Line(name="Charge", values=[0.0, 5.0])
    for reach, top in ((None, 5.0), (100.0, 100.0)):
        panel = Panel(label="State of charge (%)", height=HEIGHT, series=[line], reach=reach)
        drawn = parse(draw_figure(Figure(name="f", title="F", x=hourly(2), panels=[panel]), UTC_ZONE))
        assert axis(drawn) == (0.0, top)


def test_what_happened_is_marked_where_it_was_in_every_panel() -> None:
    values = [float(at) for at in range(11)]
    marks = [
        Mark(at=NOON + timedelta(hours=2), until=NOON + timedelta(hours=5), label="Outage", tone=Tone.BAD),
        Mark(at=NOON + timedelta(hours=8), label="Call <1>"),
        Mark(at=NOON + timedelta(hours=8, minutes=30), until=NOON + timedelta(hours=30), label="Long"),
        Mark(at=NOON + timedelta(hours=20), label="Elsewhere"),
    ]
    panels = [Panel(label=name, series=[Line(name=name, values=values)]) for name in ("a", "b")]
    drawn = parse(draw_figure(Figure(name="f", title="F", x=hourly(11), panels=panels, marks=marks), UTC_ZONE))
    stripes = [(each.get("x"), each.get("width")) for each in classed(drawn, "stripe")]
    assert stripes == [("20%", "30%"), ("85%", "15%")] * 2
    assert [each.get("x1") for each in classed(drawn, "mark")] == ["20%", "80%", "85%"] * 2
    told = [each.text for each in classed(drawn, "happened")]
    assert told == ["Outage", "Call <1>"]  # the third would lie on the second
    by_name = Figure(name="f", title="F", x=("a", "b"), panels=panels, marks=marks)
    assert not classed(parse(draw_figure(by_name, UTC_ZONE)), "mark")
