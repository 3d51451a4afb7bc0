"""What a battery's earnings are compared with: the limit, a plan by the clock, and a naive plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from math import isfinite

import numpy as np

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.dispatch.courses import Course
from steward.cases.grid.dispatch.plan import DispatchProgram, program_for

_DAY = timedelta(days=1)
_NAIVE_YESTERDAY = (1, 2, 3, 4)
"""Tuesday to Friday look like the day before; the others like the same day a week before."""
_SATURDAY = 5
Guess = Callable[[date], Floats]
"""A day's hourly prices, guessed from what was known at noon of the day before."""
Planner = Callable[[date, float], Floats]
"""The power wanted in each hour of a day, from what the store holds at its start; fixed at noon of the day before."""


@dataclass(frozen=True)
class ClockMeans:
    """A guess of prices by month, weekend and wall hour: what a fixed timetable is made from.

    Attributes:
        local: The zone whose days count.
        eur_mwh: The mean price, month after month; in each the 24 hours of its weekdays, then of its weekends.

    Example:
        >>> from steward.cases.grid.data.local_days import LocalDays
        >>> means = ClockMeans(LocalDays("Europe/Madrid"), tuple(float(n) for n in range(576)))
        >>> means(date(2018, 2, 3))[:2].tolist()  # a Saturday
        [72.0, 73.0]
    """

    local: LocalDays
    eur_mwh: tuple[float, ...]

    def __call__(self, day: date) -> Floats:
        """Return the mean prices of a day's hours."""
        first = ((day.month - 1) * 2 + (day.weekday() >= _SATURDAY)) * 24
        return np.array([self.eur_mwh[first + wall] for wall in self.local.wall_hours(day)])


@dataclass(frozen=True)
class Market:
    """True prices over the test days, with gaps bridged: what everything is settled at.

    Attributes:
        history: Hourly.
        price: Which column.
        filled: Its values without gaps.

    Example:
        >>> from datetime import UTC
        >>> from steward.cases.grid.data.local_days import LocalDays
        >>> start = datetime(2017, 12, 31, 23, tzinfo=UTC)
        >>> history = History(LocalDays("Europe/Madrid"), start, HOUR, {"eur": np.tile([20.0] * 12 + [60.0] * 12, 7)})
        >>> market = Market.of(history, "eur")
        >>> round(market.limit_eur([date(2018, 1, 1)], Battery()))
        1434
    """

    history: History
    price: str
    filled: Floats

    @classmethod
    def of(cls, history: History, price: str) -> Market:
        """Return the market of an hourly history."""
        return cls(history, price, history.filled(price))

    def at(self, hour: datetime) -> float:
        """Return the true price of an hour."""
        return float(self.filled[self.history.index(hour)])

    def day(self, day: date) -> Floats:
        """Return the true prices of a local day."""
        local = self.history.local
        return self.filled[self.history.index(local.start(day)) : self.history.index(local.start(day + _DAY))]

    def limit(self, days: Sequence[date], battery: Battery) -> Course:
        """Return what perfect foresight does, solved over all of the consecutive days at once, starting empty."""
        sizes = [self.history.local.hours(day) for day in days]
        prices = [self.day(day) for day in days]
        sure = replace(battery, hurdle_eur_mwh=0.0)  # whoever knows every price needs no margin for error
        powers = DispatchProgram(sure, tuple(sizes)).solve(np.concatenate(prices), soc_mwh=0.0)
        return Course.at(battery, days, np.split(powers, np.cumsum(sizes)[:-1]), prices)

    def limit_eur(self, days: Sequence[date], battery: Battery) -> float:
        """Return the most that could be earned over consecutive days with perfect foresight, starting empty."""
        return self.limit(days, battery).total_eur

    def followed(self, days: Sequence[date], battery: Battery, planner: Planner) -> Course:
        """Return what a battery does that follows each day's plan as far as it can; the store is carried over."""
        soc_mwh, powers = 0.0, []
        for day in days:
            held, soc_mwh = battery.follow_day(planner(day, soc_mwh).tolist(), soc_mwh)
            powers.append(held)
        return Course.at(battery, days, powers, [self.day(day) for day in days])

    def planned(self, days: Sequence[date], battery: Battery, guess: Guess) -> Course:
        """Return what daily plans made from guessed prices do."""
        return self.followed(days, battery, planner_of(guess, battery))

    def planned_eur(self, days: Sequence[date], battery: Battery, guess: Guess) -> float:
        """Return what daily plans made from guessed prices earn at the true ones; the store is carried over."""
        return self.planned(days, battery, guess).total_eur

    def by_the_clock(self, until: date) -> ClockMeans:
        """Return the guess that prices are the mean of their month, wall hour and weekend before ``until``."""
        known = self.history.columns[self.price][: max(self.history.index(self.history.local.start(until)), 0)]
        tz = self.history.local.tz
        moments = [(self.history.start + row * HOUR).astimezone(tz) for row in range(known.size)]
        by_month = _means([_key(moment.date(), moment.hour) for moment in moments], known)
        # A month that training never saw is guessed by all months together.
        by_hour = _means([_key(moment.date(), moment.hour)[1:] for moment in moments], known)
        keys = [(month, hour, free) for month in range(1, 13) for free in (False, True) for hour in range(24)]
        means = (by_month.get(key, by_hour.get(key[1:], 0.0)) for key in keys)
        return ClockMeans(self.history.local, tuple(means))

    def naive(self, day: date) -> Floats:
        """Guess the prices of yesterday (Tuesday to Friday) or of the same day last week, by wall hour."""
        local, model = self.history.local, day - (_DAY if day.weekday() in _NAIVE_YESTERDAY else 7 * _DAY)
        hours = local.hours_at_wall(model)
        values = self.day(model) if self.history.index(local.start(model)) >= 0 else np.zeros(24)
        return np.array([values[hours[wall]] for wall in local.wall_hours(day)])


def planner_of(guess: Guess, battery: Battery) -> Planner:
    """Return the planner that earns the most on each day if the guessed prices come true."""

    def plan(day: date, soc_mwh: float) -> Floats:
        prices = guess(day)
        return program_for(battery, (prices.size,)).solve(prices, soc_mwh=soc_mwh)

    return plan


def _key(day: date, wall_hour: int) -> tuple[int, ...]:
    return day.month, wall_hour, day.weekday() >= _SATURDAY


def _means(keys: Sequence[tuple[int, ...]], values: Floats) -> dict[tuple[int, ...], float]:
    totals: dict[tuple[int, ...], list[float]] = {}
    for key, value in zip(keys, values.tolist(), strict=True):
        if isfinite(value):
            totals.setdefault(key, []).append(value)
    return {key: sum(there) / len(there) for key, there in totals.items()}
