"""The skills of the battery's dispatch: forecasts of load and price, and the ways to plan with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np
from msgspec import Struct

from steward.cases.grid.battery import Battery, State
from steward.cases.grid.data.history import Floats
from steward.cases.grid.data.local_days import LocalDays
from steward.cases.grid.dispatch.intraday import rest_of_day, revised
from steward.cases.grid.dispatch.plan import program_for
from steward.cases.grid.dispatch.ranking import MERIT_MODEL, SHAPE_MODEL, ranked
from steward.cases.grid.dispatch.references import ClockMeans
from steward.cases.grid.forecasting import forecast
from steward.cases.grid.forecasting.forecast import KnownThen
from steward.cases.grid.forecasting.training import LOAD_MODEL, PRICE_MODEL
from steward.decision.feature import Features
from steward.decision.model import Models, Skill, Then

PRICE_SERIES, LOAD_SERIES, TEMPERATURE_SERIES = (
    "price_eur_mwh_until_day",
    "load_mw_until_plan",
    "temperature_c_until_plan",
)
NEWEST_SERIES: Final = "price_eur_mwh_until_now"
AHEAD: Final = "ahead_"
"""How the names of published series begin."""
DAY_FACTS: Final = ("soc_at_day_start_mwh", "power_limit_mw", "energy_limit_mwh", "round_trip",
                    "daily_withdrawal_limit_mwh", "wear_eur_mwh", "hurdle_eur_mwh")  # fmt: skip
_NOW: Final = (*DAY_FACTS, NEWEST_SERIES, "hour_of_day", "soc_mwh", "withdrawn_mwh")
KEPT: Final = 4
"""How many results of a skill are kept for equal inputs: they are the same all day."""


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


Plan = Then[DayForecast, DispatchPlan]
"""The step of the pipeline that makes a plan from the forecast."""


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


def inputs_of_price(ahead: Sequence[str]) -> tuple[str, ...]:
    """Return the features that a price forecast reads where these columns are published a day ahead."""
    return ("zone", "local_day", PRICE_SERIES, *(AHEAD + column for column in ahead))


def ranked_plan(ahead: Sequence[str]) -> Skill[DayForecast, DispatchPlan]:
    """Return the plan that ranks the hours before it is made, where these columns are published a day ahead."""
    inputs = (*inputs_of_price(ahead), *DAY_FACTS)
    return Skill(plan_ranked_hours, models=(SHAPE_MODEL, MERIT_MODEL), inputs=inputs, reuse=KEPT)


def ranked_replan(ahead: Sequence[str]) -> Skill[DayForecast, DispatchPlan]:
    """Return the plan that ranks the hours and is made anew in each of them."""
    return Skill(plan_ranked_rest, models=(SHAPE_MODEL, MERIT_MODEL), inputs=(*inputs_of_price(ahead), *_NOW))


def replan() -> Skill[DayForecast, DispatchPlan]:
    """Return the plan that is made anew each hour."""
    return Skill(plan_rest_of_day, inputs=_NOW)


def clock_plan(means: ClockMeans) -> Plan:
    """Return the fixed rule: the plan by the mean prices of month, weekend and hour, whatever is forecast."""

    def plan_by_the_clock(features: Features, ahead: DayForecast) -> DispatchPlan:
        prices = means(date.fromisoformat(features.text("local_day")))
        return planned_at(_rounded(prices), features, ahead)

    return plan_by_the_clock


def plan_ranked_hours(features: Features, ahead: DayForecast, models: Models) -> DispatchPlan:
    """Plan the day, and of hours that cost much the same prefer those that are surer to be worth their energy."""
    return planned_at(_rounded(_ranked(features, ahead, models)), features, ahead)


def plan_rest_of_day(features: Features, ahead: DayForecast, models: Models) -> DispatchPlan:
    """Plan the hours that are left, from what the meter said last and the newest prices that are known."""
    return rest_planned_at(np.array(ahead.price_eur_mwh), features, ahead)


def plan_ranked_rest(features: Features, ahead: DayForecast, models: Models) -> DispatchPlan:
    """Plan the hours that are left, and of those that cost much the same prefer the surer ones."""
    return rest_planned_at(_ranked(features, ahead, models), features, ahead)


def planned_at(prices_eur_mwh: Sequence[float], features: Features, ahead: DayForecast) -> DispatchPlan:
    """Return the day's best plan at the prices given, with what it earns if the forecast comes true."""
    battery = battery_of(features)
    soc_mwh = min(features.number("soc_at_day_start_mwh"), battery.energy_mwh)
    wanted = program_for(battery, (len(prices_eur_mwh),)).solve(prices_eur_mwh, soc_mwh=soc_mwh)
    power, _ = battery.follow_day(wanted.tolist(), soc_mwh)
    prices = ahead.price_eur_mwh
    earned = sum(p * price - battery.wear_eur_mwh * abs(p) for p, price in zip(power, prices, strict=True))
    return DispatchPlan(
        power_mw=tuple(power), price_eur_mwh=prices, load_mw=ahead.load_mw, expected_eur=round(earned, 2)
    )


def rest_planned_at(prices_eur_mwh: Floats, features: Features, ahead: DayForecast) -> DispatchPlan:
    """Return the best plan of the hours left at the prices given, all revised by what the forecast has missed so far.

    The hours that are over have no power, and their prices are what became known.
    """
    battery, hour = battery_of(features), int(features.number("hour_of_day"))
    over, left = np.split(np.array(ahead.price_eur_mwh), [hour])
    known = _floats(features, NEWEST_SERIES)[-hour:] if hour else over
    soc_mwh = min(features.number("soc_mwh"), battery.energy_mwh)
    state = State(soc_mwh=soc_mwh, withdrawn_mwh=features.number("withdrawn_mwh"))
    power = rest_of_day(battery, revised(prices_eur_mwh[hour:], known - over), state)
    expected = revised(left, known - over)
    earned = sum(p * x - battery.wear_eur_mwh * abs(p) for p, x in zip(power, expected.tolist(), strict=True))
    return DispatchPlan(
        power_mw=(0.0,) * hour + tuple(power),
        price_eur_mwh=_rounded(np.concatenate((np.where(np.isfinite(known), known, over), expected))),
        load_mw=ahead.load_mw,
        expected_eur=round(earned, 2),
    )


def _ranked(features: Features, ahead: DayForecast, models: Models) -> Floats:
    return ranked(_known(features), np.array(ahead.price_eur_mwh), models[SHAPE_MODEL], models[MERIT_MODEL])


def battery_of(features: Features) -> Battery:
    """Return the battery that a question is about."""
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
