"""Yardsticks: what a fixed plan by the clock, and perfect foresight, would have made of the same battery and days."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from msgspec import Struct

from steward.cases.grid.battery import Battery, earned_eur
from steward.cases.grid.data.history import Floats
from steward.cases.grid.dispatch.plan import DispatchProgram, program_for
from steward.cases.grid.dispatch.references import Market

_DAY = timedelta(days=1)
_KEPT = 64


class Compared(Struct, frozen=True):
    """What two other ways would have earned over whole local days; both ends included.

    Example:
        >>> Compared(since=date(2026, 1, 1), until=date(2026, 1, 2), rule_eur=800.0, limit_eur=1000.0).days
        2
    """

    since: date
    until: date
    rule_eur: float
    limit_eur: float

    @property
    def days(self) -> int:
        """How many days these are."""
        return (self.until - self.since).days + 1


class Yardsticks:
    """The rule and the limit of a simulated market, day after day; both are computed once.

    The rule plans every day with the mean prices of its month, wall hour and weekend, as they were known when the
    models had been trained, and carries its store over. The limit knows the true prices of all days beforehand.

    Args:
        market: True prices.
        battery: The battery that all of them have.
        first: The first day played; the rule knows only the prices before it.

    Example:
        >>> from datetime import UTC, datetime
        >>> from steward.cases.grid.data.history import History
        >>> from steward.cases.grid.data.local_days import HOUR, LocalDays
        >>> start = datetime(2017, 12, 31, 23, tzinfo=UTC)
        >>> prices = {"eur": np.tile([20.0] * 12 + [60.0] * 12, 7)}
        >>> market = Market.of(History(LocalDays("Europe/Madrid"), start, HOUR, prices), "eur")
        >>> yardsticks = Yardsticks(market, Battery(), date(2018, 1, 3))
        >>> asyncio.run(yardsticks.compared(date(2018, 1, 3), date(2018, 1, 4))).limit_eur
        2867.13
    """

    def __init__(self, market: Market, battery: Battery, first: date) -> None:
        self.market, self.battery, self.first = market, battery, first
        self._guess = market.by_the_clock(first)
        self._soc_mwh = 0.0
        self._powers: list[Floats] = []
        self._compared: dict[tuple[date, date, float], Compared] = {}

    def rule(self, day: date) -> Floats:
        """Return the power of each hour of a day by the clock; of a day before the first, no hours."""
        if day < self.first:
            return np.empty(0)
        while len(self._powers) <= (day - self.first).days:
            guessed = self._guess(self.first + len(self._powers) * _DAY)
            wanted = program_for(self.battery, (guessed.size,)).solve(guessed, soc_mwh=self._soc_mwh)
            held, self._soc_mwh = self.battery.follow_day(wanted.tolist(), self._soc_mwh)
            self._powers.append(np.array(held))
        return self._powers[(day - self.first).days]

    def rule_eur(self, day: date) -> float:
        """Return what the rule earned on a day."""
        return earned_eur(self.rule(day).tolist(), self.market.day(day).tolist()) if day >= self.first else 0.0

    async def compared(self, since: date, until: date, soc_mwh: float = 0.0) -> Compared:
        """Return what both earned over whole days; the limit starts with what the store held at their beginning.

        The limit over many days is solved beside the event loop: over a year it takes a quarter of a second.
        """
        key = (since, until, soc_mwh)
        if key not in self._compared:
            days = [since + n * _DAY for n in range((until - since).days + 1)]
            prices = [self.market.day(day) for day in days]
            limit = await _limit_eur(self.battery, prices, soc_mwh)
            rule = sum(self.rule_eur(day) for day in days)
            while len(self._compared) >= _KEPT:
                del self._compared[next(iter(self._compared))]
            self._compared[key] = Compared(since, until, round(rule, 2), round(limit, 2))
        return self._compared[key]


def best_powers(battery: Battery, prices: Floats, soc_mwh: float) -> Floats:
    """Return the power of each hour of the day that earns the most at true prices, from what the store held."""
    return program_for(battery, (prices.size,)).solve(prices, soc_mwh=min(soc_mwh, battery.energy_mwh))


async def _limit_eur(battery: Battery, prices: Sequence[Floats], soc_mwh: float) -> float:
    program = DispatchProgram(battery, tuple(day.size for day in prices))
    true = np.concatenate(prices)
    powers = await asyncio.to_thread(program.solve, true, soc_mwh=min(soc_mwh, battery.energy_mwh))
    return float(powers @ true)
