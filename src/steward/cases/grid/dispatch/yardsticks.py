"""Yardsticks: what plans by the clock, by the last prices and by foresight make of the same battery and days."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
from msgspec import Struct

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.history import Floats
from steward.cases.grid.dispatch.plan import DispatchProgram, program_for
from steward.cases.grid.dispatch.references import Guess, Market

_DAY = timedelta(days=1)
_KEPT = 64


class Compared(Struct, frozen=True):
    """What other ways would have earned over whole local days, after wear; both ends included.

    Attributes:
        since: The first day.
        until: The last one.
        rule_eur: By the clock.
        naive_eur: By yesterday's prices, or those of a week ago.
        limit_eur: By all prices, known beforehand.

    Example:
        >>> first, last = date(2026, 1, 1), date(2026, 1, 2)
        >>> Compared(since=first, until=last, rule_eur=800.0, naive_eur=850.0, limit_eur=1000.0).days
        2
    """

    since: date
    until: date
    rule_eur: float
    naive_eur: float
    limit_eur: float

    @property
    def days(self) -> int:
        """How many days these are."""
        return (self.until - self.since).days + 1


class Yardsticks:
    """The rule, the naive plan and the limit of a simulated market, day after day; each is computed once.

    The rule plans every day with the mean prices of its month, wall hour and weekend, as they were known when the
    models had been trained; the naive plan with the prices of the day before or of a week before. Both carry their
    store over. The limit knows the true prices of all days beforehand.

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
        self._rule = _Carried(market.by_the_clock(first), battery, first)
        self._naive = _Carried(market.naive, battery, first)
        self._compared: dict[tuple[date, date, float], Compared] = {}

    def rule(self, day: date) -> Floats:
        """Return the power of each hour of a day by the clock; of a day before the first, no hours."""
        return self._rule.powers(day)

    def naive(self, day: date) -> Floats:
        """Return the power of each hour of a day by the last prices; of a day before the first, no hours."""
        return self._naive.powers(day)

    def rule_eur(self, day: date) -> float:
        """Return what the rule earned on a day."""
        return self._eur(self._rule, day)

    async def compared(self, since: date, until: date, soc_mwh: float = 0.0) -> Compared:
        """Return what each earned over whole days; the limit starts with what the store held at their beginning.

        The limit over many days is solved beside the event loop: over a year it takes a quarter of a second.
        """
        key = (since, until, soc_mwh)
        if key not in self._compared:
            days = [since + n * _DAY for n in range((until - since).days + 1)]
            prices = [self.market.day(day) for day in days]
            limit = await _limit_eur(self.battery, prices, soc_mwh)
            rule, naive = (sum(self._eur(way, day) for day in days) for way in (self._rule, self._naive))
            while len(self._compared) >= _KEPT:
                del self._compared[next(iter(self._compared))]
            self._compared[key] = Compared(since, until, round(rule, 2), round(naive, 2), round(limit, 2))
        return self._compared[key]

    def _eur(self, way: _Carried, day: date) -> float:
        return net_eur(self.battery, way.powers(day), self.market.day(day)) if day >= self.first else 0.0


class _Carried:
    """Day after day the plan of a guess, as far as the battery can follow; what the store holds is carried over."""

    def __init__(self, guess: Guess, battery: Battery, first: date) -> None:
        self._guess, self._battery, self._first = guess, battery, first
        self._soc_mwh = 0.0
        self._powers: list[Floats] = []

    def powers(self, day: date) -> Floats:
        if day < self._first:
            return np.empty(0)
        while len(self._powers) <= (day - self._first).days:
            guessed = self._guess(self._first + len(self._powers) * _DAY)
            wanted = program_for(self._battery, (guessed.size,)).solve(guessed, soc_mwh=self._soc_mwh)
            held, self._soc_mwh = self._battery.follow_day(wanted.tolist(), self._soc_mwh)
            self._powers.append(np.array(held))
        return self._powers[(day - self._first).days]


def net_eur(battery: Battery, powers_mw: Floats, prices_eur_mwh: Floats) -> float:
    """Return what hourly powers earn after wear.

    Example:
        >>> net_eur(Battery(wear_eur_mwh=2.0), np.array([-10.0, 9.0]), np.array([20.0, 60.0]))
        302.0
    """
    return float(powers_mw @ prices_eur_mwh - battery.wear_eur_mwh * np.abs(powers_mw).sum())


def best_powers(battery: Battery, prices: Floats, soc_mwh: float) -> Floats:
    """Return the power of each hour of the day that earns the most at true prices, from what the store held."""
    return program_for(_sure(battery), (prices.size,)).solve(prices, soc_mwh=min(soc_mwh, battery.energy_mwh))


async def _limit_eur(battery: Battery, prices: Sequence[Floats], soc_mwh: float) -> float:
    program = DispatchProgram(_sure(battery), tuple(day.size for day in prices))
    true = np.concatenate(prices)
    powers = await asyncio.to_thread(program.solve, true, soc_mwh=min(soc_mwh, battery.energy_mwh))
    return net_eur(battery, powers, true)


def _sure(battery: Battery) -> Battery:
    """Return a battery without a margin for error: whoever knows every price needs none."""
    return replace(battery, hurdle_eur_mwh=0.0)
