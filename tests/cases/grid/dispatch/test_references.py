from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.dispatch.references import Market

MONDAY = date(2024, 1, 15)
DAYS = [MONDAY + timedelta(days=n) for n in range(10)]


@pytest.fixture
def market(region: History) -> Market:
    return Market.of(region, "price_eur_mwh")


def test_knowing_every_price_a_day_ahead_comes_close_to_the_limit_and_never_above(market: Market) -> None:
    limit, day_by_day = market.limit_eur(DAYS, Battery()), market.planned_eur(DAYS, Battery(), market.day)
    assert 0.9 * limit < day_by_day <= limit + 1e-6


def test_worse_guesses_earn_less(market: Market) -> None:
    battery = Battery()
    clock = market.planned_eur(DAYS, battery, market.by_the_clock(MONDAY))
    wrong = market.planned_eur(DAYS, battery, lambda day: -market.day(day))
    assert wrong < 0 < clock < market.planned_eur(DAYS, battery, market.day)


def test_the_clock_is_the_mean_of_month_wall_hour_and_weekend_before_the_test() -> None:
    local, start = LocalDays("UTC"), datetime(2024, 1, 1, tzinfo=UTC)
    prices = np.arange(24.0 * 60)
    market = Market.of(History(local, start, HOUR, {"eur": prices}), "eur")
    guess = market.by_the_clock(date(2024, 1, 22))  # three whole weeks are known
    weekdays = [n for n in range(21) if n % 7 < 5]
    assert guess(date(2024, 1, 23))[5] == pytest.approx(np.mean([24 * n + 5 for n in weekdays]))
    assert guess(date(2024, 1, 27))[5] == pytest.approx(np.mean([24 * n + 5 for n in range(21) if n % 7 >= 5]))
    assert guess(date(2024, 2, 6)).tolist() == guess(date(2024, 1, 23)).tolist()  # February was never seen


def test_the_clock_knows_nothing_of_the_test_days(market: Market) -> None:
    spoiled = market.filled.copy()
    spoiled[market.history.index(market.history.local.start(MONDAY)) :] = 1e6
    other = Market.of(replace(market.history, columns={"price_eur_mwh": spoiled}), "price_eur_mwh")
    assert market.by_the_clock(MONDAY)(MONDAY).tolist() == other.by_the_clock(MONDAY)(MONDAY).tolist()


@pytest.mark.parametrize(("weekday", "back"), [(0, 7), (1, 1), (4, 1), (5, 7), (6, 7)])
def test_the_naive_guess_is_yesterday_or_last_week(market: Market, weekday: int, back: int) -> None:
    day = MONDAY + timedelta(days=weekday)
    assert market.naive(day).tolist() == market.day(day - timedelta(days=back)).tolist()


def test_days_of_other_lengths_are_guessed_by_the_wall_clock(market: Market) -> None:
    spring, autumn = date(2024, 3, 31), date(2023, 10, 29)
    assert market.naive(spring).size == market.by_the_clock(MONDAY)(spring).size == market.day(spring).size == 23
    assert market.naive(autumn).size == market.day(autumn).size == 25
    week_before = market.day(spring - timedelta(days=7)).tolist()
    assert market.naive(spring).tolist() == week_before[:2] + week_before[3:]


def test_a_missing_price_is_bridged_for_settlement(region: History) -> None:
    holed = region.columns["price_eur_mwh"].copy()
    holed[100] = np.nan
    market = Market.of(replace(region, columns={"price_eur_mwh": holed}), "price_eur_mwh")
    assert market.at(region.start + 100 * HOUR) == pytest.approx((holed[99] + holed[101]) / 2)
