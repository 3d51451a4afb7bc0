"""Tomorrow's peak as quantiles, from what is known at noon: what it depends on, and two linear models of it.

One model gives the level of the peak's logarithm, the other how far off it tends to be. Linear, because the days that
count are hotter than any that was seen: trees would stop where their training stopped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Protocol

import numpy as np

from steward.cases.grid.data.day_kinds import is_free
from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.data.local_days import DAY, HOUR, LocalDays
from steward.cases.grid.forecasting.quantiles import Quantiles
from steward.errors import ContractError

PAST: Final = timedelta(hours=36)
"""How far back from noon is looked."""
LEVEL, SPREAD = "day-peak-level", "day-peak-spread"
"""The names of the two models in the registry."""
LEVELS: Final = tuple(round(0.01 * n, 2) for n in range(1, 100))
SPREAD_INPUTS: Final = ("year_cos", "year_sin", "warm", "hot", "free")
_HALF_DAY = timedelta(hours=12)


class Answering(Protocol):
    """What both models can do."""

    def predict_one(self, row: Sequence[float]) -> float:
        """Return the answer for one row."""
        ...


@dataclass(frozen=True, eq=False)
class KnownAtNoon:
    """What is known of a local day at noon of the day before.

    Attributes:
        local: The zone of the days.
        day: The day to come.
        step: The length of an interval.
        load_mw: The load of the last :data:`PAST` before that noon.
        temperature_c: The temperature then.
        ahead_c: The forecast temperature from that noon to the end of the day; empty where there is none.
    """

    local: LocalDays
    day: date
    step: timedelta
    load_mw: Floats
    temperature_c: Floats
    ahead_c: Floats

    @classmethod
    def of(cls, history: History, day: date, *, with_weather: bool) -> KnownAtNoon:
        """Return what a history knew at noon of the day before.

        Args:
            history: With the columns ``load_mw`` and ``temperature_c``.
            day: The day to come.
            with_weather: Whether measured temperature stands in for a forecast of it.
        """
        noon, end = history.local.plan_at(day), history.local.start(day + DAY)
        past = {name: history.between(name, noon - PAST, noon) for name in ("load_mw", "temperature_c")}
        ahead = history.between("temperature_c", noon, end if with_weather else noon)
        return cls(history.local, day, history.step, past["load_mw"], past["temperature_c"], ahead)

    @property
    def today_c(self) -> Floats:
        """The forecast for what is left of the day before."""
        return self.ahead_c[: (self.local.start(self.day) - self.local.plan_at(self.day)) // self.step]

    @property
    def day_c(self) -> Floats:
        """The forecast for the day."""
        return self.ahead_c[(self.local.start(self.day) - self.local.plan_at(self.day)) // self.step :]


@dataclass(frozen=True)
class Seen:
    """The warmest noon and night of the years that were learned from, but for one day in a hundred.

    Without a forecast, what lies beyond is taken for this: after a night warmer than any other, nobody knows whether
    the heat stays or breaks.

    Example:
        >>> Seen(noon_c=33.0, night_c=22.5).noon_c
        33.0
    """

    noon_c: float
    night_c: float


def inputs(known: KnownAtNoon, seen: Seen) -> dict[str, float]:
    """Return what the level of a day's peak depends on, by name.

    Raises:
        ContractError: Too little is known of load or temperature.
    """
    per_hour = round(HOUR / known.step)
    load, temperature = known.load_mw[-2 * per_hour :], known.temperature_c[-round(_HALF_DAY / known.step) :]
    if not (np.isfinite(load).any() and np.isfinite(temperature).any() and np.isfinite(known.ahead_c).all()):
        raise ContractError(
            f"the peak of {known.day} cannot be forecast",
            why="load or temperature is not known until the noon before",
            field="load_mw",
        )
    country, before = known.local.country, is_free(known.local.country, known.day - DAY)
    morning_gw = float(np.nanmean(load)) / 1000
    free = is_free(country, known.day)
    return {
        **_calendar(known.day, free=free),
        "after_work_gw": 0.0 if before else morning_gw,
        "after_rest_gw": morning_gw if before else 0.0,
        "after_rest": float(before),
        **(_of_forecast(known, free=free) if known.ahead_c.size else _of_noon(temperature, seen)),
    }


def _calendar(day: date, *, free: bool) -> dict[str, float]:
    year = 2 * math.pi * day.timetuple().tm_yday / 365.25
    weekday = {f"weekday_{n}": float(day.weekday() == n and not (free and n < 5)) for n in range(1, 7)}
    turn_of_year = (day.month, day.day) >= (12, 22) or (day.month, day.day) <= (1, 12)
    return {
        "year_cos": math.cos(year),
        "year_sin": math.sin(year),
        "half_year_cos": math.cos(2 * year),
        "half_year_sin": math.sin(2 * year),
        **weekday,
        "holiday": float(free and day.weekday() < 5),
        "free": float(free),
        "turn_of_year": float(turn_of_year),
    }


def _of_noon(temperature_c: Floats, seen: Seen) -> dict[str, float]:
    noon = min(float(temperature_c[np.isfinite(temperature_c)][-1]), seen.noon_c)
    night = min(float(np.nanmin(temperature_c)), seen.night_c)
    return {
        "warm": _over(noon, 18),
        "warmer": _over(noon, 24),
        "hot": _over(noon, 26),
        "warm_night": _over(night, 15),
        "cold": _over(15, float(np.nanmean(temperature_c))),
    }


def _of_forecast(known: KnownAtNoon, *, free: bool) -> dict[str, float]:
    day, today = known.day_c, np.concatenate((known.temperature_c[-round(_HALF_DAY / known.step) :], known.today_c))
    top, low, mean, top_today = float(day.max()), float(day.min()), float(day.mean()), float(np.nanmax(today))
    work = 0.0 if free else 1.0
    return {
        "mild": _over(top, 20),
        "warm": _over(top, 25),
        "hot": _over(top, 30),
        "scorching": _over(top, 35),
        "warm_night": _over(low, 15),
        "hot_night": _over(low, 20),
        "warm_mean": _over(mean, 20),
        "hot_mean": _over(mean, 25),
        "warm_at_work": work * _over(top, 25),
        "hot_at_work": work * _over(top, 30),
        "cold": _over(16, mean),
        "warm_today": _over(top_today, 25),
        "heat_wave": _over(top, 28) * _over(top_today, 28) / 10,
    }


def _over(value: float, limit: float) -> float:
    return max(value - limit, 0.0)


def outlook(row: Mapping[str, float], level: Answering, spread: Answering, residuals: Sequence[float]) -> Quantiles:
    """Return the quantiles of a day's peak (MW), one step.

    Args:
        row: What the peak depends on.
        level: Answers with the peak's logarithm.
        spread: Answers with the logarithm of how far off that is.
        residuals: How far off, in spreads, at each of :data:`LEVELS`.
    """
    middle = level.predict_one(list(row.values()))
    width = math.exp(spread.predict_one([row[name] for name in SPREAD_INPUTS]))
    return Quantiles(LEVELS, np.exp(middle + width * np.array([residuals])))


def chance_above(quantiles: Quantiles, limits_mw: Floats) -> Floats:
    """Return the chance that a peak lies above each limit; beyond the outermost quantiles it is sure.

    Example:
        >>> chance_above(Quantiles((0.1, 0.5, 0.9), np.array([[80.0, 100.0, 120.0]])), np.array([90.0, 110.0])).round(2)
        array([0.7, 0.3])
    """
    return np.asarray(1.0 - np.interp(limits_mw, quantiles.values[0], quantiles.levels, left=0.0, right=1.0))


def peak_of(history: History, day: date) -> float:
    """Return the highest load of a local day, NaN if any of it is missing."""
    return float(np.max(history.between("load_mw", history.local.start(day), history.local.start(day + DAY))))
