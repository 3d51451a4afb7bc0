"""The declared decision ``grid.battery-dispatch``, in loop order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from steward.cases.grid import streams
from steward.cases.grid.battery import State
from steward.cases.grid.dispatch.plant import SimulatedPlant, hour_of
from steward.cases.grid.dispatch.skills import (
    AHEAD,
    DAY_FACTS,
    KEPT,
    LOAD_SERIES,
    NEWEST_SERIES,
    PRICE_SERIES,
    TEMPERATURE_SERIES,
    DispatchPlan,
    Plan,
    battery_of,
    forecast_load,
    forecast_price,
    forecast_price_after_load,
    inputs_of_price,
    plan_battery,
)
from steward.cases.grid.forecasting.forecast import AHEAD_DAYS, PAST_DAYS
from steward.cases.grid.forecasting.training import LOAD_MODEL, PRICE_MODEL
from steward.cases.grid.streams import HOLD, DispatchDue, MeteredInterval, Setpoint
from steward.decision.action import Action, Call
from steward.decision.choice import Choice
from steward.decision.decision import Decision
from steward.decision.economics import Economics
from steward.decision.feature import Feature, Features, days, hours, minutes
from steward.decision.gate import Gate, impact_above
from steward.decision.model import Pipeline, Skill
from steward.decision.risk import Risk
from steward.decision.schedule import Every
from steward.decision.steps import Check, Steps
from steward.decision.stream import WindowFeature
from steward.records import Prediction, Receipt

NAME = "grid.battery-dispatch"
_ANSWER_WITHIN = minutes(10)


# Features: functions of the event


def local_day(event: DispatchDue) -> str:
    """The local day as in ISO 8601."""
    return event.day.isoformat()


def interval_start(event: DispatchDue) -> str:
    """The hour decided for."""
    return event.at.isoformat()


def hour_of_day(event: DispatchDue) -> int:
    """Which hour of the local day it is, from 0; not the wall clock's where clocks change."""
    return (event.at - event.day_start) // hours(1)


# Policy, gate, economics


def follow_plan_inside_limits(features: Features, plan: Prediction[DispatchPlan]) -> Choice[Setpoint]:
    """Follow the day's plan, kept inside what the battery can do now."""
    hour, battery = int(features.number("hour_of_day")), battery_of(features)
    state = State(soc_mwh=features.number("soc_mwh"), withdrawn_mwh=features.number("withdrawn_mwh"))
    planned, price = plan.value.power_mw[hour], plan.value.price_eur_mwh[hour]
    power = battery.feasible(planned, state)
    if abs(power - planned) > 0.001:
        reason = f"the plan says {planned:+.2f} MW, but only {power:+.2f} MW fit a store of {state.soc_mwh:.1f} MWh"
        return Choice(Setpoint(power_mw=power), reasons=(reason,), rule="limited")
    if power == 0.0:
        return Choice(HOLD, reasons=(f"the plan holds at a forecast of {price:.2f} EUR/MWh",), rule="hold")
    verb, rule = ("feeds the grid", "discharge") if power > 0 else ("charges", "charge")
    reason = f"the day's plan {verb} with {abs(power):.2f} MW at a forecast of {price:.2f} EUR/MWh"
    return Choice(Setpoint(power_mw=power), reasons=(reason,), rule=rule)


def impact_eur(features: Features, plan: Prediction[DispatchPlan], choice: Setpoint) -> float:
    """The money that changes hands in this hour, by the forecast price."""
    return abs(round(choice.power_mw * _forecast_price(features, plan), 2))


def expected_eur(features: Features, plan: Prediction[DispatchPlan], choice: Setpoint) -> float:
    """What the set-point earns in this hour at the forecast price, after wear; charging costs."""
    wear = features.number("wear_eur_mwh") * abs(choice.power_mw)
    return round(choice.power_mw * _forecast_price(features, plan) - wear, 2)


def earned_eur(features: Features, choice: Setpoint, outcome: MeteredInterval) -> float:
    """What the meter's energy earned at the true price, after wear."""
    wear = features.number("wear_eur_mwh") * abs(outcome.energy_mwh)
    return outcome.energy_mwh * outcome.price_eur_mwh - wear


def no_battery(features: Features, outcome: MeteredInterval) -> float:
    """Without a battery nothing is bought or sold."""
    return 0.0


def make_decision(
    plant: SimulatedPlant,
    *,
    has_load: bool = True,
    has_temperature: bool = False,
    ahead: Sequence[str] = (),
    plan: Plan = plan_battery,
    approve_above_eur: float = 750.0,
    answer_within: timedelta = _ANSWER_WITHIN,
) -> Decision[DispatchDue, DispatchPlan, Setpoint]:
    """Declare the decision for a plant and the columns that are known.

    Args:
        plant: Takes the set-points.
        has_load: Whether load is read; without it the case dispatches on price alone.
        has_temperature: Whether temperature is read.
        ahead: Columns that are published a day ahead.
        plan: How the battery is planned once the price is forecast; see :mod:`steward.cases.grid.dispatch.skills`. The
            prices of the day so far are read if it names them among its inputs.
        approve_above_eur: An hour with more money at stake needs a person.
        answer_within: How long that person has.

    Example:
        >>> from steward.cases.grid.battery import Battery
        >>> from steward.cases.grid.data.local_days import LocalDays
        >>> plant = SimulatedPlant("es", LocalDays("Europe/Madrid"), Battery())
        >>> make_decision(plant, has_load=False).predict.name
        'forecast_price > plan_battery'
    """
    return Decision(
        name=NAME,
        owner="grid-operations",
        purpose="Charge or discharge the battery for the next hour",
        risk=Risk.HIGH,
        event=DispatchDue,
        features=_features(plan, has_load=has_load, has_temperature=has_temperature, ahead=ahead),
        predict=_pipeline(has_load=has_load, has_temperature=has_temperature, ahead=ahead, plan=plan),
        policy=follow_plan_inside_limits,
        gate=Gate(
            needed=impact_above(approve_above_eur),
            impact=impact_eur,
            approvers="grid-desk",
            within=answer_within,
            otherwise=HOLD,
            escalate_to="duty-manager",
        ),
        action=_dispatch(plant),
        economics=Economics(
            outcome=MeteredInterval,
            key=("site", "at"),
            sticky=("site", "day"),
            within=hours(2),
            value=earned_eur,
            baseline=no_battery,
            unit="EUR",
            expected=expected_eur,
            per_month=720,
        ),
        schedule=Every(hours(1), make=plant.due, offset=plant.local.past_the_hour),
    )


ROWS: tuple[Feature[DispatchDue], ...] = (
    *(Feature[DispatchDue](name) for name in ("site", "zone")),
    Feature(local_day),
    Feature(interval_start),
    Feature(hour_of_day),
    *(Feature[DispatchDue](name) for name in ("soc_mwh", "withdrawn_mwh", *DAY_FACTS)),
)

NEWEST = streams.price.series("price_eur_mwh", over=hours(25), step=hours(1), at="at", name=NEWEST_SERIES)
"""The prices of the day so far; the longest day has 25 hours."""


def _features(
    plan: Plan, *, has_load: bool, has_temperature: bool, ahead: Sequence[str]
) -> tuple[Feature[DispatchDue] | WindowFeature, ...]:
    newest = (NEWEST,) if isinstance(plan, Skill) and NEWEST_SERIES in plan.inputs else ()
    return (*_windows(has_load=has_load, has_temperature=has_temperature, ahead=ahead), *newest, *ROWS)


def _windows(*, has_load: bool, has_temperature: bool, ahead: Sequence[str]) -> tuple[WindowFeature, ...]:
    past, hour = days(PAST_DAYS), hours(1)
    windows = [streams.price.series("price_eur_mwh", over=past, step=hour, at="day_start", name=PRICE_SERIES)]
    if has_load:
        windows.append(streams.load.series("load_mw", over=past, step=hour, at="plan_at", name=LOAD_SERIES))
    if has_temperature:
        series = streams.temperature.series
        windows.append(series("temperature_c", over=past, step=hour, at="plan_at", name=TEMPERATURE_SERIES))
    for column in ahead:
        series = streams.published(column).series
        windows.append(series("value", over=days(AHEAD_DAYS), step=hour, at="day_end", name=AHEAD + column))
    return tuple(windows)


def _pipeline(*, has_load: bool, has_temperature: bool, ahead: Sequence[str], plan: Plan) -> Pipeline[DispatchPlan]:
    for_price = inputs_of_price(ahead)
    if not has_load:
        return Pipeline(Skill(forecast_price, models=(PRICE_MODEL,), inputs=for_price, reuse=KEPT), plan)
    for_load = ("zone", "local_day", LOAD_SERIES, *((TEMPERATURE_SERIES,) if has_temperature else ()))
    return Pipeline(
        Skill(forecast_load, models=(LOAD_MODEL,), inputs=for_load, reuse=KEPT),
        Skill(forecast_price_after_load, models=(PRICE_MODEL,), inputs=for_price, reuse=KEPT),
        plan,
    )


def _dispatch(plant: SimulatedPlant) -> Steps[Setpoint]:
    """Look, take control, write the set-point, and look whether it stands; on failure everything is given back."""

    def hour_is_ahead(choice: Setpoint, call: Call) -> str | None:
        return plant.obstacle(hour_of(call))

    def take_control(choice: Setpoint, call: Call) -> Receipt:
        return plant.take_control(hour_of(call), key=call.key)

    def release_control(choice: Setpoint, call: Call) -> Receipt:
        return plant.release_control(hour_of(call), key=call.undoes or call.key)

    def has_control(choice: Setpoint, call: Call) -> Receipt | None:
        return plant.has_control(hour_of(call), key=call.key)

    def write_setpoint(choice: Setpoint, call: Call) -> Receipt:
        return plant.take(choice, at=hour_of(call), key=call.key)

    def restore_hold(choice: Setpoint, call: Call) -> Receipt:
        return plant.forget(hour_of(call), key=call.undoes or call.key)

    def read_back(choice: Setpoint, call: Call) -> Receipt | None:
        return plant.read_back(hour_of(call), key=call.key)

    def setpoint_stands(choice: Setpoint, call: Call) -> str | None:
        written = call.results["write_setpoint"]
        if plant.obstacle(hour_of(call)) is not None or plant.standing(hour_of(call)) == written:
            return None
        return f"the battery does not hold what was written: {written}"

    return Steps(
        Check(hour_is_ahead),
        Action(do=take_control, undo=release_control, verify=has_control, timeout=minutes(1)),
        Action(do=write_setpoint, undo=restore_hold, verify=read_back, timeout=minutes(1)),
        Check(setpoint_stands),
        name="dispatch",
    )


def _forecast_price(features: Features, plan: Prediction[DispatchPlan]) -> float:
    return plan.value.price_eur_mwh[int(features.number("hour_of_day"))]
