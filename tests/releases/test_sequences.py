"""Confidence sequences: they hold at every look, they narrow, and they tell what is there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.releases.sequences import Happened, Moments, difference_interval, ratio_interval

amounts = st.lists(st.floats(-1e6, 1e6), max_size=30)


@pytest.mark.parametrize(("share", "rate"), [(0.05, 0.02), (0.5, 0.3), (0.2, 0.001)])
def test_the_true_ratio_is_hardly_ever_outside_however_often_one_looks(share: float, rate: float) -> None:
    chance, left = np.random.default_rng(7), 0
    for _ in range(150):
        canary = champion = 0
        for _ in range(40):
            number = int(chance.binomial(500, share))
            canary += int(chance.binomial(number, rate))
            champion += int(chance.binomial(500 - number, rate))
            low, high = ratio_interval([Happened(share, canary, champion)], alpha=0.05)
            if not low <= 1 <= high:
                left += 1
                break
    assert left / 150 <= 0.05


def test_a_rate_that_changes_with_the_hour_in_both_arms_alike_is_no_difference() -> None:
    chance, left = np.random.default_rng(8), 0
    for _ in range(100):
        stages = list[Happened]()
        for hour, share in enumerate([0.05] * 20 + [0.4] * 20):
            rate = 0.3 if hour % 3 else 0.01
            number = int(chance.binomial(500, share))
            stages.append(Happened(share, int(chance.binomial(number, rate)), int(chance.binomial(500 - number, rate))))
        low, high = ratio_interval(stages, alpha=0.05)
        left += not low <= 1 <= high
    assert left <= 5


def test_more_of_the_same_narrows_it_around_the_truth() -> None:
    widths = []
    for times in (1, 10, 100, 1000):
        low, high = ratio_interval([Happened(0.2, canary=8 * times, champion=16 * times)], alpha=0.05)
        assert low < 2 < high
        widths.append(high / low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 1.2


def test_one_share_in_two_parts_is_one_share() -> None:
    whole = ratio_interval([Happened(0.1, 40, 200)], 0.05)
    parts = ratio_interval([Happened(0.1, 15, 150), Happened(0.1, 25, 50)], 0.05)
    assert parts == pytest.approx(whole)


@pytest.mark.parametrize(("canary", "champion"), [(0, 0), (0, 40), (40, 0), (1, 0)])
def test_what_never_happened_in_an_arm_bounds_one_side_only(canary: int, champion: int) -> None:
    low, high = ratio_interval([Happened(0.5, canary, champion)], 0.05)
    assert (low > 0) == (canary > 0)
    assert math.isfinite(high) == (champion > 0)
    assert low <= high


@given(amounts, amounts)
def test_moments_of_parts_are_those_of_the_whole(first: list[float], second: list[float]) -> None:
    whole, parts = Moments.of(first + second), Moments.of(first).plus(Moments.of(second))
    assert parts.n == whole.n
    assert parts.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
    assert parts.m2 == pytest.approx(whole.m2, rel=1e-6, abs=1e-3)


def test_the_true_difference_of_skewed_amounts_is_hardly_ever_outside() -> None:
    chance, left = np.random.default_rng(9), 0
    for _ in range(150):
        canary, champion = Moments(), Moments()
        for _ in range(40):
            canary = canary.plus(Moments.of(chance.exponential(5.0, 50).tolist()))
            champion = champion.plus(Moments.of(chance.exponential(4.0, 450).tolist()))
            low, high = difference_interval(canary, champion, 0.05, planned=20_000)
            if not low <= 1 <= high:
                left += 1
                break
    assert left / 150 <= 0.05


def test_few_amounts_tell_nothing() -> None:
    few, many = Moments(n=99, mean=1.0, m2=1.0), Moments(n=10_000, mean=1.0, m2=1.0)
    assert difference_interval(few, many, 0.05, planned=100) == (-math.inf, math.inf)
    assert difference_interval(many, few, 0.05, planned=100) == (-math.inf, math.inf)


def test_equal_amounts_without_spread_differ_by_nothing() -> None:
    same = Moments(n=1000, mean=3.0, m2=0.0)
    assert difference_interval(same, same, 0.05, planned=1000) == (0.0, 0.0)
