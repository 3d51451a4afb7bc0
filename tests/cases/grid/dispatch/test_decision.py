from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.local_days import LocalDays
from steward.cases.grid.dispatch import decision as grid
from steward.cases.grid.dispatch.decision import make_decision
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.dispatch.skills import (
    PRICE_SERIES,
    DayForecast,
    DispatchPlan,
    plan_battery,
    planned_at,
    ranked_plan,
)
from steward.cases.grid.streams import HOLD, MeteredInterval, Setpoint, published, slug
from steward.decision.choice import Choice
from steward.decision.feature import Features
from steward.records import FeatureValue, Prediction

MADRID = LocalDays("Europe/Madrid")
DUE = SimulatedPlant("es", MADRID, Battery()).due(MADRID.start(date(2018, 1, 1)) + timedelta(hours=2))
PLAN = DispatchPlan(power_mw=(-10.0, 0.0, 10.0), price_eur_mwh=(20.0, 40.0, 90.0), expected_eur=700.0)


def features(**changed: FeatureValue) -> Features:
    given: dict[str, FeatureValue] = {
        "hour_of_day": 2,
        "soc_mwh": 20.0,
        "withdrawn_mwh": 0.0,
        "soc_at_day_start_mwh": 0.0,
        "power_limit_mw": 10.0,
        "energy_limit_mwh": 40.0,
        "round_trip": 0.9,
        "daily_withdrawal_limit_mwh": 40.0,
        "wear_eur_mwh": 0.0,
        "hurdle_eur_mwh": 0.0,
    }
    return Features({**given, **changed})


def choose(**changed: FeatureValue) -> Choice[Setpoint]:
    return grid.follow_plan_inside_limits(features(**changed), Prediction(value=PLAN))


@pytest.mark.parametrize(
    ("changed", "power_mw", "rule"),
    [
        ({}, 10.0, "discharge"),
        ({"hour_of_day": 0}, -10.0, "charge"),
        ({"hour_of_day": 1}, 0.0, "hold"),
        ({"soc_mwh": 0.0}, 0.0, "limited"),
        ({"withdrawn_mwh": 40.0}, 0.0, "limited"),
        ({"hour_of_day": 0, "soc_mwh": 40.0}, 0.0, "limited"),
    ],
)
def test_the_policy_follows_the_plan_inside_the_limits(
    changed: dict[str, FeatureValue], power_mw: float, rule: str
) -> None:
    choice = choose(**changed)
    assert (choice.value.power_mw, choice.rule) == (power_mw, rule)
    assert all(choice.reasons)


def test_impact_and_expectation_are_the_hours_money_at_the_forecast_price() -> None:
    discharge, charge = Setpoint(power_mw=10.0), Setpoint(power_mw=-10.0)
    plan = Prediction(value=PLAN)
    assert grid.expected_eur(features(), plan, discharge) == 900.0
    assert grid.expected_eur(features(hour_of_day=0), plan, charge) == -200.0
    assert grid.impact_eur(features(hour_of_day=0), plan, charge) == 200.0


def test_value_is_energy_at_the_true_price_against_nothing() -> None:
    metered = MeteredInterval(site="es", at=datetime(2018, 1, 1, tzinfo=UTC), energy_mwh=-10.0, price_eur_mwh=33.0)
    assert grid.earned_eur(features(), Setpoint(power_mw=-10.0), metered) == -330.0
    assert grid.no_battery(features(), metered) == 0.0


def test_wear_is_part_of_what_is_expected_and_earned_but_not_of_the_money_at_stake() -> None:
    worn, plan, charge = features(hour_of_day=0, wear_eur_mwh=2.0), Prediction(value=PLAN), Setpoint(power_mw=-10.0)
    metered = MeteredInterval(site="es", at=datetime(2018, 1, 1, tzinfo=UTC), energy_mwh=-10.0, price_eur_mwh=33.0)
    assert grid.expected_eur(worn, plan, charge) == -220.0
    assert grid.earned_eur(worn, charge, metered) == -350.0
    assert grid.impact_eur(worn, plan, charge) == 200.0


def test_the_hurdle_keeps_the_plan_from_cycles_that_hardly_pay() -> None:
    ahead = DayForecast((30.0, 30.0, 40.0, 40.0))
    assert plan_battery(features(), ahead).expected_eur > 0
    assert plan_battery(features(hurdle_eur_mwh=4.0), ahead).power_mw == (0.0,) * 4


def test_the_plan_is_made_at_the_prices_given_and_promises_by_the_forecast() -> None:
    ahead, tight = DayForecast((20.0, 21.0, 60.0)), features(energy_limit_mwh=5.0, hurdle_eur_mwh=1.0)
    plain = plan_battery(tight, ahead)
    ranked = planned_at((22.0, 20.0, 60.0), tight, ahead)
    assert plain.power_mw[1] == ranked.power_mw[0] == 0.0
    assert ranked.price_eur_mwh == plain.price_eur_mwh
    assert ranked.expected_eur < plain.expected_eur


def test_the_plan_can_be_held_even_where_negative_prices_would_burn_energy() -> None:
    plan = plan_battery(features(), DayForecast((-50.0, -50.0, -50.0, -50.0, -50.0, -50.0, -50.0, 60.0)))
    held, _ = Battery().follow_day(plan.power_mw, 0.0)
    assert held == list(plan.power_mw)
    assert plan.expected_eur > 2_000


def test_rows_of_the_event_are_those_of_its_day() -> None:
    assert grid.local_day(DUE) == "2018-01-01"
    assert grid.hour_of_day(DUE) == 2
    assert grid.interval_start(DUE) == "2018-01-01T01:00:00+00:00"


def plant() -> SimulatedPlant:
    return SimulatedPlant("es", MADRID, Battery())


def test_it_reads_only_the_columns_that_are_known() -> None:
    whole = make_decision(plant(), has_temperature=True, ahead=("wind_forecast_mw",))
    assert [window.at for window in whole.windows] == ["day_start", "plan_at", "plan_at", "day_end"]
    assert whole.predict is not None
    assert whole.predict.name == "forecast_load > forecast_price_after_load > plan_battery"
    ranked = make_decision(plant(), has_load=False, plan=ranked_plan(()))
    assert ranked.predict is not None
    assert ranked.predict.name == "forecast_price > plan_ranked_hours"
    alone = make_decision(plant(), has_load=False)
    assert [window.name for window in alone.windows] == [PRICE_SERIES]
    assert [model.name for model in alone.models] == ["grid-price"]


def test_another_policy_makes_a_challenger_with_another_fingerprint() -> None:
    def always_hold(features: Features, plan: Prediction[Any]) -> Choice[Setpoint]:
        return Choice(HOLD, reasons=("for comparison",))

    champion = make_decision(plant())
    assert champion.fingerprint == make_decision(plant()).fingerprint
    assert replace(champion, policy=always_hold).fingerprint != champion.fingerprint


def test_the_gate_holds_when_nobody_answers() -> None:
    gate = make_decision(plant(), approve_above_eur=500.0).gate
    assert gate is not None
    assert gate.otherwise == HOLD
    assert gate.needed(501.0)
    assert not gate.needed(500.0)


def test_ticks_fall_on_the_hours_of_the_local_clock() -> None:
    india = SimulatedPlant("in", LocalDays("Asia/Kolkata"), Battery())
    schedule = make_decision(india, has_load=False).schedule
    assert schedule is not None
    assert schedule.next_after(datetime(2024, 1, 1, tzinfo=UTC)) == datetime(2024, 1, 1, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(("column", "topic"), [("Wind Forecast [MW]", "wind-forecast-mw"), ("§", "column")])
def test_columns_become_topics(column: str, topic: str) -> None:
    assert slug(column) == topic
    assert published(column).name == f"grid.published.{topic}"
