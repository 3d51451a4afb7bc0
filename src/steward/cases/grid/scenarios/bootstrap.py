"""Years that could have been: blocks of days that were, joined where season, weekday and weather agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.data.local_days import HOUR
from steward.errors import ContractError, DeclarationError

_DAY = timedelta(days=1)
_YEAR_DAYS = 365.25
_WEATHERS = 3
"""Cold, usual and warm for the season."""


@dataclass(frozen=True)
class Bootstrap:
    """Draws days from a history (block bootstrap): all columns of a day stay together, and days in their blocks.

    A block goes on for another day with probability ``1 - 1 / block_days``. The next one begins with a day of the same
    weekday, at most ``season_days`` away in the year, whose weather is like that of the day that would have followed.

    Args:
        history: Hourly.
        days: The local days that may be drawn: whole ones, rising.
        weather: The column that tells the weather; without it season and weekday alone decide.
        block_days: The mean length of a block.
        season_days: How far away in the year a block may come from.

    Raises:
        DeclarationError: Blocks or seasons are shorter than a day.
        ContractError: There is less than a year to draw from.

    Example:
        >>> from steward.cases.grid.data.generator import synthetic_region
        >>> region = synthetic_region("Europe/Madrid", date(2017, 1, 1), 730)
        >>> source = Bootstrap(region, region.days(date(2017, 1, 1), date(2019, 1, 1)), weather="temperature_c")
        >>> drawn = source.draw([date(2018, 7, 1) + n * _DAY for n in range(100)], np.random.default_rng(1))
        >>> len(drawn), {day.weekday() for day in drawn[::7]}
        (100, {6})
    """

    history: History
    days: Sequence[date]
    weather: str | None = None
    block_days: float = 7.0
    season_days: int = 21

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from."""
        if self.block_days < 1 or self.season_days < 1:
            raise DeclarationError("blocks and seasons last a day at least", field="block_days")
        if len(self.days) < _YEAR_DAYS - 1:
            raise ContractError(
                f"{len(self.days)} days are less than a year",
                why="each season needs days to draw from",
                fix="give a longer history, or train on less of it",
                field="days",
            )

    def draw(self, calendar: Sequence[date], chance: np.random.Generator) -> list[date]:
        """Return a day of the history for each day of a calendar."""
        drawn, last = list[int](), None
        for day in calendar:
            following = None if last is None else last + 1
            is_over = following is None or following >= len(self.days) or chance.random() < 1 / self.block_days
            if following is None or is_over or self.days[following] != self.days[following - 1] + _DAY:
                following = self._begin(day, following, chance)
            drawn.append(following)
            last = following
        return [self.days[place] for place in drawn]

    def year(self, calendar: Sequence[date], chance: np.random.Generator) -> History:
        """Return the hours of consecutive days as drawn; where clocks change, hours go by the wall clock."""
        local, drawn = self.history.local, self.draw(calendar, chance)
        rows = np.concatenate([self._rows(target, source) for target, source in zip(calendar, drawn, strict=True)])
        columns = {name: values[rows] for name, values in self.history.columns.items()}
        return History(local, local.start(calendar[0]), HOUR, columns)

    def _begin(self, day: date, following: int | None, chance: np.random.Generator) -> int:
        """Return where the next block begins; the weather is given up before the season."""
        # The day that would have followed is none of them: the old block would only go on.
        season = self._near(day) & (np.arange(len(self.days)) != following)
        weekday = season & (self._weekdays == day.weekday())
        alike = weekday
        if following is not None and following < len(self.days):
            alike = weekday & (self._weathers == self._weathers[following])
        among = next((each for each in (alike, weekday, season) if each.any()), self._near(day))
        return int(chance.choice(np.flatnonzero(among)))

    def _near(self, day: date) -> NDArray[np.bool_]:
        apart = np.abs(self._days_of_year - day.timetuple().tm_yday)
        return np.asarray(np.minimum(apart, _YEAR_DAYS - apart) <= self.season_days)

    def _rows(self, target: date, source: date) -> NDArray[np.int64]:
        local = self.history.local
        first = self.history.index(local.start(source))
        hours = local.hours_at_wall(source)
        return np.array([first + hours[wall] for wall in local.wall_hours(target)])

    @cached_property
    def _weekdays(self) -> NDArray[np.int64]:
        return np.array([day.weekday() for day in self.days])

    @cached_property
    def _days_of_year(self) -> Floats:
        return np.array([float(day.timetuple().tm_yday) for day in self.days])

    @cached_property
    def _weathers(self) -> NDArray[np.int64]:
        """The weather of each day: by its mean, among the days of its season."""
        if self.weather is None:
            return np.zeros(len(self.days), dtype=np.int64)
        local, filled = self.history.local, self.history.filled(self.weather)
        firsts = [self.history.index(local.start(day)) for day in self.days]
        means = np.array([filled[first : first + 24].mean() for first in firsts])
        ranks = [float((means[self._near(day)] < mean).mean()) for day, mean in zip(self.days, means, strict=True)]
        return np.minimum((np.array(ranks) * _WEATHERS).astype(np.int64), _WEATHERS - 1)
