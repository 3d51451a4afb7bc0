"""Ticks: round, exact, and around all values."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.console.charts.scales import LogScale, Scale, nice_step, power_of_ten, short_number

FINITE = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False)
VALUES = st.lists(FINITE, min_size=1, max_size=20)


def mantissa(step: Fraction) -> Fraction:
    return step / Fraction(10) ** math.floor(math.log10(step) + 1e-9)


@given(st.floats(min_value=1e-200, max_value=1e200), st.integers(1, 12))
def test_a_step_is_1_2_or_5_times_a_power_of_ten_and_the_least_that_divides_so_far(span: float, ticks: int) -> None:
    step = nice_step(span, ticks)
    assert mantissa(step) in (1, 2, 5)
    assert Fraction(span) / step <= ticks * Fraction(1002, 1000)
    smaller = step * (Fraction(2, 5) if mantissa(step) == 5 else Fraction(1, 2))
    assert Fraction(span) / smaller > ticks


@given(VALUES, st.integers(1, 8), st.booleans())
def test_a_scale_holds_all_values_between_two_of_its_ticks(values: list[float], ticks: int, zero: bool) -> None:
    scale = Scale.over(values, ticks=ticks, zero=zero)
    assert scale.low == scale.ticks[0] <= min(values)
    assert scale.high == scale.ticks[-1] >= max(values)
    assert list(scale.ticks) == sorted(set(scale.ticks))
    assert 2 <= len(scale.ticks) <= ticks + 3
    assert scale.share(scale.low) == 0
    assert scale.share(scale.high) == 1
    if zero:
        assert 0.0 in scale.ticks


@given(VALUES, st.integers(1, 8), st.booleans())
def test_ticks_are_the_nearest_floats_to_the_round_values(values: list[float], ticks: int, zero: bool) -> None:
    scale = Scale.over(values, ticks=ticks, zero=zero)
    step = nice_step(scale.ticks[1] - scale.ticks[0], 1)
    assert all(tick == float(round(Fraction(tick) / step) * step) for tick in scale.ticks)


@given(st.lists(st.floats(min_value=-1e9, max_value=1e9).map(lambda value: round(value, 3)), min_size=1), st.booleans())
def test_labels_tell_ticks_apart_and_say_what_they_are(values: list[float], zero: bool) -> None:
    scale = Scale.over(values, ticks=5, zero=zero)
    labels = scale.labels()
    assert len(set(labels)) == len(labels)
    if max(map(abs, scale.ticks)) < 1e6:
        told = [float(label.replace("−", "-").replace(",", "")) for label in labels]
        assert told == pytest.approx(scale.ticks, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("values", [[], [None], [math.nan, math.inf, -math.inf], [1e301]])
def test_without_values_there_is_still_an_axis(values: list[float | None]) -> None:
    assert Scale.over(values, ticks=2).ticks == (0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("values", "zero"), [([0.0], True), ([42.0] * 3, False), ([-7.0], True), ([1e300, -1e300], True), ([5e-324], True)]
)
def test_flat_and_extreme_values_have_an_axis(values: list[float], zero: bool) -> None:
    scale = Scale.over(values, ticks=4, zero=zero)
    assert scale.low <= min(values) <= max(values) <= scale.high
    assert all(math.isfinite(scale.share(value)) for value in values)


@pytest.mark.parametrize(
    ("ticks", "labels"),
    [
        ((0.0, 5.0, 10.0), ["0", "5", "10"]),
        ((-0.05, 0.0, 0.05), ["−0.05", "0", "0.05"]),
        ((0.0, 500_000.0, 1_000_000.0), ["0", "0.5\xa0M", "1.0\xa0M"]),
        ((0.0, 2e9), ["0", "2\xa0bn"]),
        ((1_000_000.0, 1_000_000.5), ["1,000,000.0", "1,000,000.5"]),
        ((0.0, 1e15), ["0", "1e15"]),
        ((0.0, 5e-9), ["0", "5e−9"]),
    ],
)
def test_labels_of_one_axis_have_one_unit(ticks: tuple[float, ...], labels: list[str]) -> None:
    assert Scale(ticks[0], ticks[-1], ticks).labels() == labels


@given(st.lists(st.floats(min_value=1e-6, max_value=1e12), min_size=1, max_size=20))
def test_a_logarithmic_scale_holds_all_values_and_its_ticks_are_round(values: list[float]) -> None:
    scale = LogScale.over(values)
    assert -1e-4 <= scale.share(min(values)) <= scale.share(max(values)) <= 1 + 1e-4
    assert len(scale.ticks) >= 2
    assert all(mantissa(Fraction(tick).limit_denominator(10**9)) in (1, 2, 5) for tick in scale.ticks if tick >= 1e-4)
    assert all(-1e-9 <= scale.share(tick) <= 1 + 1e-9 for tick in scale.ticks)


def test_equal_ratios_are_equal_lengths() -> None:
    scale = LogScale.over([1.0, 1e6])
    assert scale.share(100) - scale.share(10) == pytest.approx(scale.share(1e6) - scale.share(1e5))


def test_many_decades_are_ticked_by_several() -> None:
    assert len(LogScale.over([1e-6, 1e30]).ticks) <= 9


def test_short_numbers() -> None:
    assert [short_number(10.0**power) for power in range(-5, 10, 2)] == [
        "1e−5", "0.001", "0.1", "10", "1,000", "100,000", "10\xa0M", "1\xa0bn",
    ]  # fmt: skip
    assert power_of_ten(-3e20) == "−3e20"
