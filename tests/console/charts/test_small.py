"""Small pictures, read back from what is drawn."""

from __future__ import annotations

import math
from itertools import pairwise
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.console.charts.reading import classed, parse, points, texts

from steward.console.charts.marks import width_px
from steward.console.charts.small import contributions, interval, spark, spread, versus

AMOUNTS = st.floats(min_value=-1e9, max_value=1e9, allow_subnormal=False)
TROUBLE = st.one_of(st.none(), st.floats())


def share_of(each: Element, name: str) -> float:
    told = each.get(name, "")
    assert told.endswith("%")
    return float(told[:-1])


@given(st.lists(AMOUNTS, min_size=2, max_size=30))
def test_a_spark_goes_through_its_values(values: list[float]) -> None:
    root = parse(spark(values, "Load"))
    found = points(classed(root, "line")[0].get("d", ""))
    assert len(found) == len(values)
    assert [x for x, _ in found] == sorted(x for x, _ in found)
    assert all(0 <= x <= 84 and 2.9 <= y <= 22.1 for x, y in found)
    (dot,) = classed(root, "fill")
    assert (float(dot.get("cx", "")), float(dot.get("cy", ""))) == found[-1]
    if max(values) - min(values) > 1:
        assert found[values.index(max(values))][1] == 3
        assert found[values.index(min(values))][1] == 22


@given(st.lists(TROUBLE, max_size=8))
def test_a_spark_stands_any_value(values: list[float | None]) -> None:
    (picture,) = list(parse(spark(values, "Load & <more>")))
    assert (picture.get("width"), picture.get("height")) == ("84", "26")
    assert picture.get("aria-label") == "Load & <more>"
    assert "nan" not in str(spark(values, "")) + str(spark(values, "", "c2"))


@given(AMOUNTS, AMOUNTS, AMOUNTS, st.one_of(st.none(), AMOUNTS))
def test_an_interval_keeps_the_order_and_the_distances_of_its_values(
    one: float, other: float, expected: float, otherwise: float | None
) -> None:
    low, high = sorted((one, other))
    root = parse(interval(low, high, expected, otherwise))
    (band,), (dot,) = classed(root, "band"), classed(root, "fill")
    left, width = float(band.get("x", "")), float(band.get("width", ""))
    places = {low: left, expected: float(dot.get("cx", ""))}
    if width > 4:
        places[high] = left + width
    if otherwise is not None:
        places[otherwise] = points(classed(root, "otherwise")[0].get("d", ""))[0][0]
    values = [low, high, expected, *([] if otherwise is None else [otherwise])]
    extent = (max(values) - min(values)) * 1.12 or 2.0
    for a, x in places.items():
        for b, y in places.items():
            assert x - y == pytest.approx((a - b) / extent * 244, abs=0.31)
    assert all(8 <= x <= 252 for x in places.values())


def test_an_interval_says_its_values_as_it_is_told_to() -> None:
    drawing = interval(2_650, 5_400, 4_180, 1_890, "In EUR", lambda value: f"€{value:,.0f}")
    assert texts(parse(drawing)) == ["otherwise €1,890", "€4,180 expected", "€2,650", "€5,400"]
    assert parse(drawing)[0].get("aria-label") == "In EUR"


def test_what_is_done_otherwise_gets_a_row_of_its_own_only_where_it_must() -> None:
    assert parse(interval(2_650, 5_400, 4_180, 1_890))[0].get("height") == "74"
    crowded = parse(interval(7, 7, 7, 7))
    assert crowded[0].get("height") == "90"
    assert texts(crowded) == ["7 expected", "7", "otherwise 7"]


def test_an_interval_without_a_title_is_told_by_its_values() -> None:
    picture = parse(interval(1, 3, 2))[0]
    assert picture.get("aria-label") == "expected 2, from 1, to 3"
    assert parse(interval(math.nan, 3, math.inf))[0].get("aria-label") == "to 3"


@given(
    st.lists(st.tuples(st.floats(0, 260), st.sampled_from(["€1", "€2,650", "otherwise €9"]), st.just("")), max_size=3)
)
def test_labels_keep_out_of_each_others_way(row: list[tuple[float, str, str]]) -> None:
    edges = []
    for x, text, _ in spread(row):
        half = width_px(text, 12.5) / 2
        edges.append((x - half, x + half))
    assert all(right < left for (_, right), (left, _) in pairwise(edges))
    assert all(left >= -1e-6 and right <= 260 + 1e-6 for left, right in edges)


@given(st.lists(AMOUNTS, min_size=1, max_size=8))
def test_contributions_are_as_long_as_they_are_large_on_their_side_of_zero(values: list[float]) -> None:
    root = parse(contributions([(f"n{at}", str(at), value) for at, value in enumerate(values)], "Why"))
    extent = max(0.0, *values) - min(0.0, *values)
    lines = [share_of(each, "x1") for each in classed(root, "axis")]
    assert len(set(lines)) == 1
    bars = [each for each in classed(root, "fill")]
    largest = max(share_of(bar, "width") for bar in bars)
    for value, bar in zip(values, bars, strict=True):
        expected = abs(value) / max(map(abs, values)) * largest if any(values) else 0
        assert share_of(bar, "width") == pytest.approx(expected, abs=0.02)
        start, end = share_of(bar, "x"), share_of(bar, "x") + share_of(bar, "width")
        assert (end if value < 0 else start) == pytest.approx(lines[0], abs=0.03)
        assert -0.01 <= start <= end <= 100.01
        assert {"pos", "neg"} & set(bar.get("class", "").split()) == {"neg" if value < 0 else "pos"}
    assert extent >= 0


def test_contributions_are_told_in_text_and_to_screen_readers() -> None:
    root = parse(contributions([("Price", "171 €/MWh", 118.0), ("Wear", "9", -38.25), ("New", "–", None)], "Why & how"))
    assert texts(root) == ["Price", "171 €/MWh", "+118", "Wear", "9", "−38.25", "New", "–", "–"]
    assert [each.get("aria-label") for each in classed(root, "bar")] == ["+118", "−38.25", "–"]
    assert root.find(".//ul").get("aria-label") == "Why & how"  # type: ignore[union-attr]  # it would fail here


@given(st.lists(st.one_of(AMOUNTS, TROUBLE), max_size=6))
def test_versus_compares_any_amounts(amounts: list[float | None]) -> None:
    root = parse(versus([(f"n{at}", amount, f"€{at}", "c1") for at, amount in enumerate(amounts)], "Saved"))
    there = [each for each in amounts if each is not None and abs(each) <= 1e300]
    bars = classed(root, "fill")
    assert len(bars) == len(there)
    extent = (max([0.0, *there]) - min([0.0, *there])) or 1.0
    for amount, bar in zip(there, bars, strict=True):
        assert share_of(bar, "width") == pytest.approx(100 * abs(amount) / extent, abs=0.01)
        assert -0.01 <= share_of(bar, "x") <= 100.01
    assert [text for text in texts(root) if text.startswith("€")] == [f"€{at}" for at in range(len(amounts))]


def test_what_people_write_is_escaped() -> None:
    evil = '"><script>alert(1)</script>'
    for drawing in (
        spark([1, 2], evil),
        interval(1, 2, 1, title=evil, label=lambda value: evil),
        contributions([(evil, evil, 1.0)], evil),
        versus([(evil, 1.0, evil, "pos")], evil),
    ):
        assert "<script" not in drawing
        parse(drawing)
