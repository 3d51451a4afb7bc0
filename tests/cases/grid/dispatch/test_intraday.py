from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from steward.cases.grid.battery import Battery, State
from steward.cases.grid.data.generator import COLUMNS
from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.data.local_days import LocalDays
from steward.cases.grid.dispatch.decision import make_decision
from steward.cases.grid.dispatch.intraday import replanned, rest_of_day, revised
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.dispatch.skills import (
    NEWEST_SERIES,
    DayForecast,
    plan_battery,
    plan_rest_of_day,
    ranked_replan,
)
from steward.decision.feature import Features
from steward.records import FeatureValue

MONDAY = date(2024, 1, 15)
DAYS = [MONDAY + timedelta(days=n) for n in range(14)]
AHEAD = DayForecast((20.0, 30.0, 40.0, 60.0))


def features(hour: int, newest: list[float | None], **changed: FeatureValue) -> Features:
    given: dict[str, FeatureValue] = {
        "hour_of_day": hour,
        "soc_mwh": 0.0,
        "withdrawn_mwh": 0.0,
        "soc_at_day_start_mwh": 0.0,
        "power_limit_mw": 10.0,
        "energy_limit_mwh": 40.0,
        "round_trip": 0.9,
        "daily_withdrawal_limit_mwh": 40.0,
        "wear_eur_mwh": 0.0,
        "hurdle_eur_mwh": 0.0,
        NEWEST_SERIES: tuple([None] * (25 - len(newest)) + newest),
    }
    return Features({**given, **changed})


def test_the_last_miss_that_is_known_moves_the_rest_and_fades() -> None:
    left = np.array([50.0, 50.0])
    assert revised(left, np.array([9.0, 4.0, np.nan]), memory=0.5).tolist() == [51.0, 50.5]
    assert revised(left, np.array([np.nan]), memory=0.5).tolist() == [50.0, 50.0]
    assert revised(left, np.array([]), memory=0.5).tolist() == [50.0, 50.0]


def test_the_rest_of_a_day_remembers_what_was_given_already() -> None:
    prices = np.array([90.0, 80.0])
    fresh = rest_of_day(Battery(), prices, State(soc_mwh=40.0))
    spent = rest_of_day(Battery(), prices, State(soc_mwh=40.0, withdrawn_mwh=35.0))
    assert fresh == pytest.approx([10.0, 10.0])
    assert spent == pytest.approx([5.0 * Battery().one_way, 0.0], abs=1e-6)


def test_at_the_days_start_it_is_the_plan_of_the_day() -> None:
    whole, fresh = plan_battery(features(0, []), AHEAD), plan_rest_of_day(features(0, []), AHEAD, {})
    assert fresh == whole


def test_what_was_missed_changes_the_plan_of_the_hours_left() -> None:
    dear = plan_rest_of_day(features(2, [20.0, 130.0], soc_mwh=19.0), AHEAD, {})
    assert dear.power_mw[:2] == (0.0, 0.0)
    assert dear.price_eur_mwh[:2] == (20.0, 130.0)
    assert dear.price_eur_mwh[2] == pytest.approx(40.0 + 100.0 * 0.95)
    as_foreseen = plan_rest_of_day(features(2, [20.0, 30.0], soc_mwh=19.0), AHEAD, {})
    assert as_foreseen.price_eur_mwh == AHEAD.price_eur_mwh
    unknown = plan_rest_of_day(features(2, [20.0, None], soc_mwh=19.0), AHEAD, {})
    assert unknown.price_eur_mwh == AHEAD.price_eur_mwh


def test_a_plan_made_anew_starts_from_the_meter() -> None:
    empty, full = (plan_rest_of_day(features(3, [20.0, 30.0, 40.0], soc_mwh=soc), AHEAD, {}) for soc in (0.0, 40.0))
    assert empty.power_mw[3] == 0.0
    assert full.power_mw[3] == 10.0


@pytest.fixture(scope="module")
def market(region: History) -> Market:
    return Market.of(region, "price_eur_mwh")


def test_knowing_nothing_new_it_does_what_the_days_plan_does(market: Market) -> None:
    guess = market.by_the_clock(MONDAY)
    anew = replanned(market, DAYS[:4], Battery(), guess, market.day)  # the forecast missed nothing
    assert anew.total_eur == pytest.approx(market.planned_eur(DAYS[:4], Battery(), guess), abs=0.5)


def test_news_of_the_day_earn_more_than_the_forecast_of_the_day_before(market: Market) -> None:
    guess = market.naive
    anew = replanned(market, DAYS, Battery(), guess, guess)
    assert anew.total_eur > market.planned_eur(DAYS, Battery(), guess)


def test_no_hour_knows_its_own_price_or_a_later_one(market: Market) -> None:
    day = DAYS[0]
    row = market.history.index(market.history.local.start(day)) + 12
    spoiled = market.filled.copy()
    spoiled[row:] = spoiled[row:][::-1]
    other = Market(market.history, market.price, spoiled)

    def guess(_: date) -> Floats:
        return market.naive(day)

    one, two = (replanned(each, [day], Battery(), guess, guess).powers_mw[0] for each in (market, other))
    assert one[:13].tolist() == two[:13].tolist()
    assert one[13:].tolist() != two[13:].tolist()


def test_it_is_the_same_decision_with_another_pipeline() -> None:
    plant = SimulatedPlant("es", LocalDays("Europe/Madrid"), Battery())
    day_ahead = make_decision(plant, ahead=COLUMNS.ahead)
    anew = make_decision(plant, ahead=COLUMNS.ahead, plan=ranked_replan(COLUMNS.ahead))
    assert anew.predict is not None
    assert anew.predict.name.endswith("> plan_ranked_rest")
    assert (anew.name, anew.event, anew.economics) == (day_ahead.name, day_ahead.event, day_ahead.economics)
    assert NEWEST_SERIES not in {window.name for window in day_ahead.windows}
    newest = {window.name: window.at for window in anew.windows}[NEWEST_SERIES]
    assert newest == "at"
