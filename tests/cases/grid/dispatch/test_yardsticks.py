from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from steward.cases.grid.battery import Battery, earned_eur
from steward.cases.grid.data.history import History
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.dispatch.yardsticks import Yardsticks, best_powers

FIRST = date(2024, 3, 25)  # the clock changes on its last day but one
DAYS = [FIRST + timedelta(days=n) for n in range(8)]


@pytest.fixture
def market(region: History) -> Market:
    return Market.of(region, "price_eur_mwh")


def test_the_rule_is_the_plan_by_the_clock_whichever_day_is_asked_first(market: Market) -> None:
    whole = market.planned_eur(DAYS, Battery(), market.by_the_clock(FIRST))
    for order in (DAYS, DAYS[::-1]):
        yardsticks = Yardsticks(market, Battery(), FIRST)
        assert sum(yardsticks.rule_eur(day) for day in order) == pytest.approx(whole)


def test_the_rule_knows_nothing_of_the_days_played(region: History) -> None:
    other = {name: values.copy() for name, values in region.columns.items()}
    other["price_eur_mwh"][region.index(region.local.start(FIRST)) :] += 100.0
    changed = History(region.local, region.start, region.step, other)
    one, two = (
        Yardsticks(Market.of(history, "price_eur_mwh"), Battery(), FIRST).rule(DAYS[3]) for history in (region, changed)
    )
    assert np.array_equal(one, two)


async def test_the_naive_plan_is_that_of_the_market(market: Market) -> None:
    compared = await Yardsticks(market, Battery(), FIRST).compared(DAYS[0], DAYS[-1])
    assert compared.naive_eur == pytest.approx(market.planned_eur(DAYS, Battery(), market.naive), abs=0.01)
    assert compared.naive_eur < compared.limit_eur


async def test_wear_is_paid_by_every_way(market: Market) -> None:
    spared, worn = [
        await Yardsticks(market, battery, FIRST).compared(DAYS[0], DAYS[-1])
        for battery in (Battery(), Battery(wear_eur_mwh=4.0))
    ]
    assert worn.limit_eur == pytest.approx(market.limit_eur(DAYS, Battery(wear_eur_mwh=4.0)), abs=0.01)
    assert worn.limit_eur < spared.limit_eur
    assert worn.naive_eur == pytest.approx(market.planned_eur(DAYS, Battery(wear_eur_mwh=4.0), market.naive), abs=0.01)


def test_before_the_first_day_there_is_no_rule(market: Market) -> None:
    yardsticks = Yardsticks(market, Battery(), FIRST)
    assert yardsticks.rule(FIRST - timedelta(days=1)).size == 0
    assert yardsticks.rule_eur(FIRST - timedelta(days=1)) == 0.0


async def test_the_limit_is_that_of_the_market_and_nobody_passes_it(market: Market) -> None:
    yardsticks = Yardsticks(market, Battery(), FIRST)
    compared = await yardsticks.compared(DAYS[0], DAYS[-1])
    assert compared.days == len(DAYS)
    assert compared.limit_eur == pytest.approx(market.limit_eur(DAYS, Battery()), abs=0.01)
    assert compared.rule_eur <= compared.limit_eur
    assert await yardsticks.compared(DAYS[0], DAYS[-1]) is compared
    assert (await yardsticks.compared(DAYS[0], DAYS[-1], 20.0)).limit_eur > compared.limit_eur


def test_the_best_day_from_a_store_that_holds_something_earns_more(market: Market) -> None:
    prices = market.day(DAYS[1])
    empty, full = (earned_eur(best_powers(Battery(), prices, soc), prices) for soc in (0.0, 40.0))  # type: ignore[arg-type]  # arrays do
    assert full > empty > 0
