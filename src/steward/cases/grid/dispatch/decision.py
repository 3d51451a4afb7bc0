"""The declared decision ``grid.battery-dispatch``, in loop order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from msgspec import Struct

from steward.cases.grid import streams
from steward.cases.grid.battery import Battery, State
from steward.cases.grid.data.history import Floats
from steward.cases.grid.data.local_days import LocalDays
from steward.cases.grid.dispatch.plan import program_for
from steward.cases.grid.dispatch.plant import SimulatedPlant, hour_of
from steward.cases.grid.dispatch.ranking import MERIT_MODEL, SHAPE_MODEL, ranked
from steward.cases.grid.forecasting import forecast
from steward.cases.grid.forecasting.forecast import AHEAD_DAYS, PAST_DAYS, KnownThen
from steward.cases.grid.forecasting.training import LOAD_MODEL, PRICE_MODEL
from steward.cases.grid.streams import HOLD, DispatchDue, MeteredInterval, Setpoint
from steward.decision.action import Action, Call
from steward.decision.choice import Choice
from steward.decision.decision import Decision
from steward.decision.economics import Economics
from steward.decision.feature import Feature, Features, days, hours, minutes
from steward.decision.gate import Gate, impact_above
from steward.decision.model import Models, Pipeline, Skill, Then
from steward.decision.risk import Risk
from steward.decision.schedule import Every
from steward.decision.steps import Check, Steps
from steward.decision.stream import WindowFeature
from steward.records import Prediction, Receipt

NAME = "grid.battery-dispatch"
PRICE_SERIES, LOAD_SERIES, TEMPERATURE_SERIES = (
    "price_eur_mwh_until_day",
    "load_mw_until_plan",
    "temperature_c_until_plan",
)
AHEAD = "ahead_"
"""How the names of published series begin."""
_KEPT = 4
_ANSWER_WITHIN = minutes(10)
_DAY_FACTS = ("zone", "local_day", "soc_at_day_start_mwh", "power_limit_mw", "energy_limit_mwh", "round_trip",
              "daily_withdrawal_limit_mwh", "wear_eur_mwh", "hurdle_eur_mwh")  # fmt: skip


class LoadForecast(Struct, frozen=True):
    """The load of each hour of a local day, as forecast at noon of the day before.

    Example:
        >>> LoadForecast((24_000.0, 23_500.0)).load_mw[0]
        24000.0
    """

    load_mw: tuple[float, ...]


class DayForecast(Struct, frozen=True):
    """Price and, if known, load of each hour of a local day.

    Example:
        >>> DayForecast((45.0, 44.0)).load_mw is None
        True
    """

    price_eur_mwh: tuple[float, ...]
    load_mw: tuple[float, ...] | None = None


class DispatchPlan(Struct, frozen=True, kw_only=True):
    """The plan of a local day, with the forecasts it was made from; one value for each hour.

    Attributes:
        power_mw: Positive feeds the grid.
        price_eur_mwh: Forecast prices.
        load_mw: Forecast loads, if load is known.
        expected_eur: What the plan earns after wear if the prices come true.

    Example:
        >>> DispatchPlan(power_mw=(-10.0, 9.0), price_eur_mwh=(20.0, 60.0), expected_eur=340.0).expected_eur
        340.0
    """

    power_mw: tuple[float, ...]
    price_eur_mwh: tuple[float, ...]
    load_mw: tuple[float, ...] | None = None
    expected_eur: float


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


# Skills: forecast the load, forecast the price, plan the battery


def forecast_load(features: Features, models: Models) -> LoadForecast:
    """Forecast the load of every hour of the local day."""
    return LoadForecast(_rounded(forecast.loads(_known(features), models[LOAD_MODEL])))


def forecast_price(features: Features, models: Models) -> DayForecast:
    """Forecast the price of every hour of the local day."""
    return DayForecast(_rounded(forecast.prices(_known(features), models[PRICE_MODEL])))


def forecast_price_after_load(features: Features, ahead: LoadForecast, models: Models) -> DayForecast:
    """Forecast the price and carry the load along."""
    return DayForecast(forecast_price(features, models).price_eur_mwh, ahead.load_mw)


def plan_battery(features: Features, ahead: DayForecast) -> DispatchPlan:
    """Plan the day that earns the most at the forecast prices, and keep what the battery can hold of it."""
    return planned_at(ahead.price_eur_mwh, features, ahead)


def plan_ranked_hours(features: Features, ahead: DayForecast, models: Models) -> DispatchPlan:
    """Plan as above, but of hours that cost much the same prefer those that are surer to be worth their energy."""
    prices = ranked(_known(features), np.array(ahead.price_eur_mwh), models[SHAPE_MODEL], models[MERIT_MODEL])
    return planned_at(_rounded(prices), features, ahead)


def planned_at(prices_eur_mwh: Sequence[float], features: Features, ahead: DayForecast) -> DispatchPlan:
    """Return the day's best plan at the prices given, with what it earns if the forecast comes true."""
    battery = _battery(features)
    soc_mwh = min(features.number("soc_at_day_start_mwh"), battery.energy_mwh)
    wanted = program_for(battery, (len(prices_eur_mwh),)).solve(prices_eur_mwh, soc_mwh=soc_mwh)
    power, _ = battery.follow_day(wanted.tolist(), soc_mwh)
    prices = ahead.price_eur_mwh
    earned = sum(p * price - battery.wear_eur_mwh * abs(p) for p, price in zip(power, prices, strict=True))
    return DispatchPlan(
        power_mw=tuple(power), price_eur_mwh=prices, load_mw=ahead.load_mw, expected_eur=round(earned, 2)
    )


# Policy, gate, economics


def follow_plan_inside_limits(features: Features, plan: Prediction[DispatchPlan]) -> Choice[Setpoint]:
    """Follow the day's plan, kept inside what the battery can do now."""
    hour, battery = int(features.number("hour_of_day")), _battery(features)
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
    ranks: bool = False,
    approve_above_eur: float = 750.0,
    answer_within: timedelta = _ANSWER_WITHIN,
) -> Decision[DispatchDue, DispatchPlan, Setpoint]:
    """Declare the decision for a plant and the columns that are known.

    Args:
        plant: Takes the set-points.
        has_load: Whether load is read; without it the case dispatches on price alone.
        has_temperature: Whether temperature is read.
        ahead: Columns that are published a day ahead.
        ranks: Whether the hours are ranked by models of their own before the plan is made.
        approve_above_eur: An hour with more money at stake needs a person.
        answer_within: How long that person has.

    Example:
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
        features=(*_windows(has_load=has_load, has_temperature=has_temperature, ahead=ahead), *ROWS),
        predict=_pipeline(has_load=has_load, has_temperature=has_temperature, ahead=ahead, ranks=ranks),
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
    *(Feature[DispatchDue](name) for name in ("soc_mwh", "withdrawn_mwh", *_DAY_FACTS[2:])),
)


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


def _pipeline(*, has_load: bool, has_temperature: bool, ahead: Sequence[str], ranks: bool) -> Pipeline[DispatchPlan]:
    for_price = ("zone", "local_day", PRICE_SERIES, *(AHEAD + column for column in ahead))
    for_load = ("zone", "local_day", LOAD_SERIES, *((TEMPERATURE_SERIES,) if has_temperature else ()))
    plan: Then[DayForecast, DispatchPlan] = plan_battery
    if ranks:
        models, inputs = (SHAPE_MODEL, MERIT_MODEL), (*for_price, *_DAY_FACTS[2:])
        ranking: Skill[DayForecast, DispatchPlan] = Skill(plan_ranked_hours, models=models, inputs=inputs, reuse=_KEPT)
        plan = ranking
    if not has_load:
        alone = Skill(forecast_price, models=(PRICE_MODEL,), inputs=for_price, reuse=_KEPT)
        return Pipeline(alone, plan)
    return Pipeline(
        Skill(forecast_load, models=(LOAD_MODEL,), inputs=for_load, reuse=_KEPT),
        Skill(forecast_price_after_load, models=(PRICE_MODEL,), inputs=for_price, reuse=_KEPT),
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


def _battery(features: Features) -> Battery:
    return Battery(
        power_mw=features.number("power_limit_mw"),
        energy_mwh=features.number("energy_limit_mwh"),
        round_trip=features.number("round_trip"),
        daily_withdrawal_mwh=features.number("daily_withdrawal_limit_mwh"),
        wear_eur_mwh=features.number("wear_eur_mwh"),
        hurdle_eur_mwh=features.number("hurdle_eur_mwh"),
    )


def _known(features: Features) -> KnownThen:
    local, day = LocalDays(features.text("zone")), date.fromisoformat(features.text("local_day"))
    return KnownThen(
        local,
        day,
        price=_floats(features, PRICE_SERIES),
        load=_floats(features, LOAD_SERIES) if LOAD_SERIES in features else None,
        temperature=_floats(features, TEMPERATURE_SERIES) if TEMPERATURE_SERIES in features else None,
        ahead={name.removeprefix(AHEAD): _floats(features, name) for name in features if name.startswith(AHEAD)},
    )


def _floats(features: Features, name: str) -> Floats:
    """Return a series as an array; nothing where the skill was not given it."""
    return np.array(features.series(name) if name in features else (), dtype=np.float64)


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)
