"""Which days will have been the year's highest: the chance of a day, and what a call kept for later is worth.

It is a problem of the secretary's kind: a day must be called before it is seen, calls are few, and a day's rank is
known only when the year is over. Years are simulated from blocks of past days, from now to the end of the season.
They tell how high a day must come out to be among the highest, hence the chance that tomorrow is; and what chances are
still to come, hence what a call is worth if it is kept (Derman, Lieberman, Ross, A sequential stochastic assignment
problem, Management Science 18, 1972). A day is called if its chance is worth at least that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Final

import numpy as np
from msgspec import Struct

from steward.cases.grid.data.history import Floats
from steward.cases.grid.forecasting.quantiles import Quantiles
from steward.cases.grid.response.day_peaks import LEVELS, chance_above
from steward.errors import ContractError

_BLOCK_DAYS = 14
_HARDLY: Final = 0.02
"""Below this chance no day is worth a call, and none is reckoned with."""
_YEAR_DAYS = 365


class PastDay(Struct, frozen=True, kw_only=True):
    """A day that years are made of: its peak, and what had been forecast of it at the noon before.

    Example:
        >>> PastDay(day=date(2013, 3, 12), peak_mw=8897.0, level=8.97, spread=-2.5).peak_mw
        8897.0
    """

    day: date
    peak_mw: float
    level: float
    spread: float


@dataclass(frozen=True)
class Weighed:
    """A day to come, weighed.

    Attributes:
        chance: That it will have been among the highest of the season.
        price: What a call is worth if it is kept for later: the chance of a day that it would go to.
    """

    chance: float
    price: float

    @property
    def worth_a_call(self) -> bool:
        """Whether it should be called."""
        return self.chance >= max(self.price, _HARDLY)


@dataclass(frozen=True)
class Season:
    """A stretch of days of which the highest count.

    Args:
        first: Its first day.
        until: The day after its last.
        top: How many days count.
        calls: How many may be called.

    Raises:
        ContractError: The dates are no stretch, or nothing counts.

    Example:
        >>> Season(date(2014, 1, 1), date(2015, 1, 1)).days
        365
    """

    first: date
    until: date
    top: int = 10
    calls: int = 15

    def __post_init__(self) -> None:
        """Refuse what is no season."""
        if self.days <= self.top or self.top < 1 or self.calls < 0:
            raise ContractError(
                f"{self.first} to {self.until} is no season with {self.top} highest days and {self.calls} calls",
                field="season",
            )

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.until - self.first).days


@dataclass(frozen=True)
class Climate:
    """Past days, of which years are simulated in blocks of a fortnight from the same time of some year.

    Args:
        days: The past days.
        residuals: How far off their forecasts were, in spreads, at each of the quantiles' levels.
        years: How many are simulated.
        level_sd: How far years lie from each other as a whole: the standard deviation of a factor.
        seed: Of chance.
    """

    days: tuple[PastDay, ...] = field(repr=False)
    residuals: tuple[float, ...] = field(repr=False)
    years: int = 200
    level_sd: float = 0.03
    seed: int = 1

    def weigh(
        self, tomorrow: Quantiles, day: date, season: Season, *, highest_mw: Sequence[float], calls_left: int
    ) -> Weighed:
        """Weigh a day to come, from what is known at noon of the day before.

        Args:
            tomorrow: The quantiles of its peak, one step.
            day: The day.
            season: What counts.
            highest_mw: The highest peaks of the season so far; as many as count, or all there were.
            calls_left: How many days may still be called.
        """
        if calls_left < 1:
            return Weighed(0.0, 1.0)
        gone = (day - season.first).days
        others = self._others(season, gone, highest_mw)
        # As high as this a day must come out, in each simulated year, to be among the highest of it.
        enough_mw = np.sort(np.partition(others, -season.top, axis=1)[:, -season.top])
        chance = float(chance_above(tomorrow, enough_mw).mean())
        if chance < _HARDLY:
            return Weighed(chance, _HARDLY)
        return Weighed(chance, self._price(season, gone, enough_mw, calls_left))

    def _others(self, season: Season, gone: int, highest_mw: Sequence[float]) -> Floats:
        """Return the peaks that the day competes with, in each simulated year."""
        peaks = self._simulated(season).peaks_mw
        past = np.sort(np.asarray(highest_mw, dtype=np.float64))[::-1][: season.top]
        # The day before is not over at its noon, so it is simulated, too.
        today = peaks[:, max(gone - 1, 0) : gone]
        seen = np.broadcast_to(past, (self.years, len(past)))
        others = np.concatenate((seen, today, peaks[:, gone + 1 :]), axis=1)
        short = season.top - others.shape[1]
        return others if short <= 0 else np.pad(others, ((0, 0), (0, short)))

    def _price(self, season: Season, gone: int, enough_mw: Floats, calls_left: int) -> float:
        """Return what the last of the calls that are left would be worth from the day after on."""
        chances = self._simulated(season).chances(gone + 1, np.quantile(enough_mw, (0.1, 0.3, 0.5, 0.7, 0.9)))
        worth = np.zeros(calls_left + 1)
        for column in range(chances.shape[1] - 1, -1, -1):
            called = chances[:, column, None] + worth[:-1]
            worth[1:] = np.maximum(worth[1:], called).mean(axis=0)
        return float(worth[-1] - worth[-2])

    def _simulated(self, season: Season) -> _Years:
        years = self._kept.get(season)
        if years is None:
            years = self._kept[season] = _simulate(self, season)
        return years

    @cached_property
    def _kept(self) -> dict[Season, _Years]:
        return {}


@dataclass(frozen=True, eq=False)
class _Years:
    """Simulated years: each day's peak, and what would be forecast of it at the noon before."""

    peaks_mw: Floats
    level: Floats
    spread: Floats
    residuals: Floats

    def chances(self, first: int, enough_mw: Floats) -> Floats:
        """Return the chance of each later day that it comes out high enough, as it would be forecast."""
        total = np.zeros_like(self.level[:, first:])
        for limit in np.maximum(enough_mw, 1.0).tolist():
            off = (np.log(limit) - self.level[:, first:]) / self.spread[:, first:]
            total += 1.0 - np.interp(off, self.residuals, LEVELS, left=0.0, right=1.0)
        return np.asarray(total / len(enough_mw))


def _simulate(climate: Climate, season: Season) -> _Years:
    chance = np.random.default_rng(climate.seed)
    starts = range(0, season.days, _BLOCK_DAYS)
    places = np.array([one.day.timetuple().tm_yday for one in climate.days])
    years = np.array([one.day.year for one in climate.days])
    which = np.unique(years)
    by_year = [np.flatnonzero(years == year) for year in which]
    rows = np.empty((climate.years, season.days), dtype=np.int64)
    for start in starts:
        length = min(_BLOCK_DAYS, season.days - start)
        year = chance.integers(len(which), size=climate.years)
        # A block may as well have come a fortnight earlier or later.
        shift = chance.integers(-1, 2, size=climate.years) * _BLOCK_DAYS
        first = (season.first.timetuple().tm_yday - 1 + start + shift) % _YEAR_DAYS + 1
        for number in range(climate.years):
            source = by_year[year[number]]
            at = np.searchsorted(places[source], (first[number] + np.arange(length) - 1) % _YEAR_DAYS + 1)
            rows[number, start : start + length] = source[np.minimum(at, len(source) - 1)]
    factor = chance.normal(0.0, climate.level_sd, size=(climate.years, 1))
    peaks = np.array([one.peak_mw for one in climate.days])
    level = np.array([one.level for one in climate.days])
    spread = np.exp(np.array([one.spread for one in climate.days]))
    return _Years(peaks[rows] * np.exp(factor), level[rows] + factor, spread[rows], np.array(climate.residuals))
