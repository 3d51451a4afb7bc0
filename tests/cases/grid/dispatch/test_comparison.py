from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.history import History
from steward.cases.grid.dispatch.comparison import (
    CLOCK,
    KNOWN_DAY,
    LIMIT,
    NAIVE,
    NO_BATTERY,
    Comparison,
    compare,
    ratio,
    weights_by_week,
)
from steward.cases.grid.dispatch.courses import Course
from steward.cases.grid.dispatch.references import Market
from steward.errors import ContractError

MONDAY = date(2024, 1, 15)
DAYS = [MONDAY + timedelta(days=n) for n in range(28)]


@pytest.fixture(scope="module")
def market(region: History) -> Market:
    return Market.of(region, "price_eur_mwh")


@pytest.fixture(scope="module")
def comparison(market: Market) -> Comparison:
    return compare(market, DAYS, Battery(), {"knows the day": market.day}, known_until=MONDAY)


def test_the_ways_are_in_their_order_and_their_money_is_that_of_the_market(
    comparison: Comparison, market: Market
) -> None:
    rows = {row.name: row for row in comparison.standings}
    assert list(rows) == [NO_BATTERY, "knows the day", CLOCK, NAIVE, KNOWN_DAY, LIMIT]
    assert rows[NO_BATTERY].eur == 0.0
    assert rows[CLOCK].eur == market.planned_eur(DAYS, Battery(), market.by_the_clock(MONDAY))
    assert rows[LIMIT].eur == market.limit_eur(DAYS, Battery())
    assert max(rows.values(), key=lambda row: row.eur).name == LIMIT


def test_a_share_is_of_the_limit_and_lies_in_its_interval(comparison: Comparison) -> None:
    row, limit = comparison.standing("knows the day"), comparison.standing(LIMIT)
    assert row.capture_pct is not None
    assert row.capture_pct.value == pytest.approx(100 * row.eur / limit.eur)
    assert row.capture_pct.low < row.capture_pct.value < row.capture_pct.high
    assert row.eur_per_mw_year.value == pytest.approx(row.eur / 10 / 28 * 365.25)


def test_paired_differences_are_known_better_than_the_ways_themselves(comparison: Comparison) -> None:
    gain = comparison.gain_eur_per_mw_year("knows the day", over=CLOCK)
    alone = comparison.standing("knows the day").eur_per_mw_year
    assert gain.low < gain.value < gain.high
    assert gain.high - gain.low < alone.high - alone.low
    assert comparison.gain_points(LIMIT, over=LIMIT).high == 0.0


def test_a_plan_of_a_day_that_does_better_than_knowing_the_day_is_a_leak(
    comparison: Comparison, market: Market
) -> None:
    assert comparison.leaks == []
    limit = comparison.courses[LIMIT]
    seen = {KNOWN_DAY: comparison.courses[KNOWN_DAY], "seen": replace(limit, gross_eur=limit.gross_eur - 1.0)}
    assert Comparison(limit, seen).leaks == ["seen"]


def test_wear_is_taken_off_every_way_and_the_limit_knows_it_too(market: Market) -> None:
    worn = compare(market, DAYS, Battery(wear_eur_mwh=5.0), {}, known_until=MONDAY)
    row, limit = worn.standing(CLOCK), worn.standing(LIMIT)
    assert row.wear_eur == pytest.approx(5.0 * worn.courses[CLOCK].throughput_mwh.sum())
    assert row.eur == pytest.approx(worn.courses[CLOCK].gross_eur.sum() - row.wear_eur)
    assert row.eur < limit.eur < compare(market, DAYS, Battery(), {}, known_until=MONDAY).standing(LIMIT).eur


def test_a_hurdle_makes_our_plans_shy_but_no_yardstick(market: Market) -> None:
    bold, shy = (
        compare(market, DAYS, Battery(hurdle_eur_mwh=hurdle), {"ours": market.naive}, known_until=MONDAY)
        for hurdle in (0.0, 15.0)
    )
    assert shy.standing("ours").cycles < bold.standing("ours").cycles
    for yardstick in (CLOCK, NAIVE, LIMIT):
        assert shy.standing(yardstick).eur == bold.standing(yardstick).eur


def test_no_spread_no_share() -> None:
    flat = Course.at(Battery(), DAYS, [np.zeros(24)] * 28, [np.full(24, 50.0)] * 28)
    assert Comparison(flat, {}).standing(LIMIT).capture_pct is None


def test_other_days_and_other_batteries_are_refused(comparison: Comparison) -> None:
    limit = comparison.courses[LIMIT]
    fewer = Course.at(Battery(), DAYS[:7], [np.zeros(24)] * 7, [np.zeros(24)] * 7)
    for other in (fewer, replace(limit, battery=Battery(power_mw=20.0))):
        with pytest.raises(ContractError, match="of the limit"):
            Comparison(limit, {"other": other})


def test_weeks_are_drawn_whole_and_a_part_of_a_week_is_a_block_of_its_own() -> None:
    days = [MONDAY + timedelta(days=n) for n in range(-2, 16)]  # Saturday and Sunday, two weeks, Monday and Tuesday
    weights = weights_by_week(days, draws=200)
    for part in (weights[:, :2], weights[:, 2:9], weights[:, 9:16], weights[:, 16:]):
        assert (part == part[:, :1]).all()
    assert set(weights[:, [0, 2, 9, 16]].sum(axis=1)) == {4.0}
    assert (weights == weights_by_week(days, draws=200)).all()
    assert not (weights == weights_by_week(days, draws=200, seed=8)).all()


def test_the_interval_holds_what_it_says() -> None:
    """Of means of seeded weekly noise, nine in ten intervals hold the truth, 0; give or take."""
    chance = np.random.default_rng(3)
    days = [MONDAY + timedelta(days=n) for n in range(7 * 40)]
    weights, inside = weights_by_week(days, draws=400), 0
    for _ in range(200):
        weekly = np.repeat(chance.normal(size=40), 7)
        found = ratio(weekly, np.ones(280), weights)
        inside += found.low <= 0.0 <= found.high
    assert 165 <= inside <= 192
