"""A season of calls, quickly: the same forecasts and the same rule as the declared decision, without the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import DAY
from steward.cases.grid.forecasting.quantiles import Quantiles
from steward.cases.grid.response.day_peaks import LEVELS, KnownAtNoon, peak_of
from steward.cases.grid.response.learning import Learned
from steward.cases.grid.response.top_days import Climate, Season

Forecast = Callable[[date], Quantiles]
"""The quantiles of a day's peak, from what is known at noon of the day before."""


@dataclass(frozen=True)
class Called:
    """What came of a season.

    Attributes:
        days: The days that were called.
        highest: The days that will have counted.

    Example:
        >>> Called((date(2014, 1, 14), date(2014, 1, 27)), (date(2014, 1, 14), date(2014, 1, 28))).hits
        1
    """

    days: tuple[date, ...]
    highest: tuple[date, ...]

    @property
    def hits(self) -> int:
        """How many of the highest days were called."""
        return len(set(self.days) & set(self.highest))


def play(climate: Climate, season: Season, peaks_mw: Mapping[date, float], forecast: Forecast) -> Called:
    """Go through a season day by day.

    Args:
        climate: Weighs each day.
        season: What counts.
        peaks_mw: The true peaks; of a day only those until two days before are looked at.
        forecast: Tells of each day.
    """
    called: list[date] = []
    days = [season.first + n * DAY for n in range(season.days)]
    for day in days:
        left = season.calls - len(called)
        if not left:
            break
        highest = highest_so_far(peaks_mw, day, season)
        if climate.weigh(forecast(day), day, season, highest_mw=highest, calls_left=left).worth_a_call:
            called.append(day)
    return Called(tuple(called), highest_days({day: peaks_mw[day] for day in days}, season.top))


def highest_so_far(peaks_mw: Mapping[date, float], day: date, season: Season) -> tuple[float, ...]:
    """Return the season's highest peaks as they are known at noon of the day before ``day``."""
    over = (peaks_mw[season.first + n * DAY] for n in range(max((day - season.first).days - 1, 0)))
    return tuple(sorted(over, reverse=True)[: season.top])


def highest_days(peaks_mw: Mapping[date, float], top: int) -> tuple[date, ...]:
    """Return the days with the highest peaks, in their order.

    Example:
        >>> highest_days({date(2014, 1, 1): 5.0, date(2014, 1, 2): 7.0, date(2014, 1, 3): 6.0}, 2)
        (datetime.date(2014, 1, 2), datetime.date(2014, 1, 3))
    """
    return tuple(sorted(sorted(peaks_mw, key=lambda day: -peaks_mw[day])[:top]))


def day_peaks(history: History, first: date, until: date) -> dict[date, float]:
    """Return the peak of each whole local day."""
    return {day: peak_of(history, day) for day in history.days(first, until)}


def forecast_of(history: History, learned: Learned) -> Forecast:
    """Return the forecast of what was learned, over a history."""
    models = learned.models

    def forecast(day: date) -> Quantiles:
        known = KnownAtNoon.of(history, day, with_weather=learned.outlook.with_weather)
        return learned.outlook.quantiles(known, models)

    return forecast


def perfect(peaks_mw: Mapping[date, float]) -> Forecast:
    """Return the forecast that knows every day's peak, for the limit of the rule alone."""

    def forecast(day: date) -> Quantiles:
        return Quantiles(LEVELS, np.full((1, len(LEVELS)), peaks_mw[day]))

    return forecast
