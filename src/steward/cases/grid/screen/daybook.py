"""A local day of the battery as people read it: what it saved, from what, and how good its forecasts were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from math import isfinite, nan
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from steward.cases.grid.data.history import Floats
from steward.cases.grid.data.local_days import DAY, HOUR
from steward.cases.grid.dispatch.yardsticks import Compared, Yardsticks, best_powers, net_eur
from steward.cases.grid.screen.bands import Banding, Bands
from steward.cases.grid.screen.happened import Chronicle, Happening
from steward.cases.grid.screen.recorded import Hour, Place, Recorded, within
from steward.cases.grid.screen.sources import Sources, sources_of
from steward.records import Money

UNIT: Final = "EUR"
_WEEK: Final = 7 * DAY


class Stretch(Struct, frozen=True, kw_only=True):
    """Neighbouring hours in which the battery was charged, or fed the grid, or was not let, and what they brought.

    Attributes:
        hours: In order.
        energy_mwh: What was measured, positive into the grid; of hours in which it was not done, what was proposed.
        saving: What that was worth.
        missed: Why it was not done; empty if it was.

    Example:
        >>> Stretch(hours=(), energy_mwh=-20.0, saving=Money.of_minor(-60_000, "EUR")).mean_eur_mwh
        30.0
    """

    hours: tuple[Hour, ...]
    energy_mwh: float
    saving: Money
    missed: str = ""

    @property
    def mean_eur_mwh(self) -> float | None:
        """The mean price of its energy."""
        return float(self.saving.amount) / self.energy_mwh if self.energy_mwh and not self.missed else None


class Quality(Struct, frozen=True, kw_only=True):
    """How far the day-ahead forecasts were from the truth, beside "as a week ago", over the same hours.

    Attributes:
        hours: How many hours are known, of the last 24.
        load_mape: Mean error of the load relative to the truth (0..1).
        naive_load_mape: That of the load a week before.
        price_mae_eur_mwh: Mean error of the price.
        naive_price_mae_eur_mwh: That of the price a week before.

    Example:
        >>> Quality(hours=24, load_mape=0.03, naive_load_mape=0.04).skill
        0.25
    """

    hours: int
    load_mape: float | None = None
    naive_load_mape: float | None = None
    price_mae_eur_mwh: float | None = None
    naive_price_mae_eur_mwh: float | None = None

    @property
    def skill(self) -> float | None:
        """By how much the load's error is smaller than the naive one (1 is perfect, below 0 is worse)."""
        if self.load_mape is None or not self.naive_load_mape:
            return None
        return 1 - self.load_mape / self.naive_load_mape


class DayBook(Struct, frozen=True, kw_only=True):
    """Everything that the page tells of a day.

    Attributes:
        place: Where the battery is.
        day: The local day.
        now: When it was looked at.
        first: The first day with a decision.
        hours: The decided hours, in order.
        loads: The measured load of the day's hours, as far as known (MW).
        prices: The true prices of the day's hours, as far as known (EUR/MWh).
        quality: Of the forecasts, over the 24 hours before ``now`` or before the day's end.
        bands: In which nine of ten values are to lie.
        happened: Calls, peaks, emergencies and drills, in order.
        rule_eur: What the rule earned in the hours that are metered, if it is known.
        naive_eur: What the plan by the last prices earned in them, if it is known.
        limit_eur: What the best plan of the whole day earned in those hours, if all prices are known.
        whole: The yardsticks over the whole days before the present one, if they are known.
        whole_saved: What was saved in those days.
        whole_refused: How many hours of those days were not done as nobody agreed.

    Example:
        >>> "rule_eur" in DayBook.__struct_fields__
        True
    """

    place: Place
    day: date
    now: datetime
    first: date
    hours: tuple[Hour, ...]
    loads: Mapping[datetime, float]
    prices: Mapping[datetime, float]
    quality: Quality
    bands: Bands = Bands()
    happened: tuple[Happening, ...] = ()
    rule_eur: float | None = None
    naive_eur: float | None = None
    limit_eur: float | None = None
    whole: Compared | None = None
    whole_saved: Money | None = None
    whole_refused: int = 0

    @property
    def start(self) -> datetime:
        """The day's first instant."""
        return self.place.local.start(self.day)

    @property
    def moments(self) -> list[datetime]:
        """The beginnings of the day's 23, 24 or 25 hours."""
        return [self.start + n * HOUR for n in range(self.place.local.hours(self.day))]

    @property
    def metered(self) -> list[Hour]:
        """The hours whose outcome is known."""
        return [hour for hour in self.hours if hour.saving is not None]

    @property
    def is_whole(self) -> bool:
        """Whether all hours of the day are metered."""
        return len(self.metered) == self.place.local.hours(self.day)

    @property
    def is_newest(self) -> bool:
        """Whether no later day has a decision."""
        return self.day >= self.place.newest_day

    @property
    def saved(self) -> Money:
        """What the day has saved so far against no battery."""
        return _sum(self.hours)

    @property
    def sources(self) -> Sources:
        """What that is made of."""
        return sources_of(self.metered)

    @property
    def share(self) -> float | None:
        """The share (0..1) of the limit that a whole day earned."""
        if not self.is_whole or self.limit_eur is None or self.limit_eur <= 0:
            return None
        return float(self.saved.amount) / self.limit_eur

    @property
    def whole_share(self) -> float | None:
        """The share (0..1) of the limit that all whole days earned."""
        if self.whole is None or self.whole_saved is None or self.whole.limit_eur <= 0:
            return None
        return float(self.whole_saved.amount) / self.whole.limit_eur

    @property
    def stretches(self) -> list[Stretch]:
        """The metered hours in which something was done, or was not let, by neighbouring hours of a kind."""
        return [stretch for stretch in _stretches(self.metered) if stretch.energy_mwh]


class Desk:
    """Makes the daybook of any day; the newest is made once for everybody who looks at the same moment.

    Args:
        recorded: Reads the ledger.
        yardsticks: What only a simulation knows; ``None`` where there is none.
        chronicle: Tells what else happened; ``None`` where nobody asks.

    Example:
        >>> async def saved(desk: Desk, now: datetime, entries: int) -> Money | None:
        ...     book = await desk.book(now, entries)
        ...     return None if book is None else book.saved
    """

    def __init__(
        self, recorded: Recorded, yardsticks: Yardsticks | None = None, chronicle: Chronicle | None = None
    ) -> None:
        self.recorded, self.yardsticks, self._chronicle = recorded, yardsticks, chronicle
        self._banding = Banding(recorded)
        self._newest: tuple[tuple[int, datetime], DayBook] | None = None

    async def book(self, now: datetime, position: int, day: date | None = None) -> DayBook | None:
        """Return the daybook of a day, by default of the newest; ``None`` if nothing was ever decided.

        Args:
            now: The runtime's time.
            position: How many entries the ledger has: nothing changes without a new one.
            day: The local day.
        """
        if day is None and self._newest is not None and self._newest[0] == (position, now):
            return self._newest[1]
        place, first = await self.recorded.place(), self.recorded.first()
        if place is None or first is None:
            return None
        made = await self._made(place, day or place.newest_day, place.local.day_of(first), now)
        if day is None:
            self._newest = ((position, now), made)
        return made

    async def _made(self, place: Place, day: date, first: date, now: datetime) -> DayBook:
        recorded, local = self.recorded, place.local
        start, end = local.start(day), local.start(day + DAY)
        hours = await recorded.hours(local, day)
        book = DayBook(
            place=place,
            day=day,
            now=now,
            first=first,
            hours=tuple(hours),
            loads=await recorded.loads(place.site, start, end),
            prices=await recorded.prices(place.site, start, end),
            quality=await self._quality(place, hours, min(now, end)),
            happened=() if self._chronicle is None else tuple(await self._chronicle.between(start, end)),
        )
        if hours:
            book = replace(book, bands=await self._banding.around(place, day, first, hours[0].plan))
        book = self._beside(book)
        last = place.newest_day - DAY
        if self.yardsticks is None or last < first:
            return book
        compared = await self.yardsticks.compared(first, last)
        span = local.start(first), local.start(last + DAY)
        return replace(book, whole=compared, whole_saved=recorded.saved(*span), whole_refused=recorded.refused(*span))

    def _beside(self, book: DayBook) -> DayBook:
        """Add what other ways and the best plan of the day earned in the hours that are metered."""
        if not book.metered:
            return book
        true = dict(book.prices)
        if self.yardsticks is not None:
            known = self.yardsticks.market.day(book.day).tolist()
            true = dict(zip(book.moments, known, strict=True)) | true
        if any(at not in true for at in book.moments):
            return book
        prices, battery = np.array([true[at] for at in book.moments]), book.metered[0].battery
        begins_with_mwh = book.hours[0].soc_mwh if book.hours[0].at == book.start else 0.0
        places = [(hour.at - book.start) // HOUR for hour in book.metered]
        earned = [
            None if powers is None or not powers.size else round(net_eur(battery, powers[places], prices[places]), 2)
            for powers in (*self._others(book.day), best_powers(battery, prices, begins_with_mwh))
        ]
        return replace(book, rule_eur=earned[0], naive_eur=earned[1], limit_eur=earned[2])

    def _others(self, day: date) -> tuple[Floats | None, Floats | None]:
        """Return the powers of the plans by the clock and by the last prices, which only a simulation knows."""
        if self.yardsticks is None:
            return None, None
        return self.yardsticks.rule(day), self.yardsticks.naive(day)

    async def _quality(self, place: Place, hours: Sequence[Hour], until: datetime) -> Quality:
        """Measure the forecasts of the 24 hours before ``until``: those in the records against the truth."""
        until -= (until - place.local.start(place.local.day_of(until))) % HOUR
        since = until - DAY
        # Of a plan that is made anew each hour the first one counts: later ones know hours that are over.
        plans = list(hours[:1])
        for start in {place.local.start(place.local.day_of(at)) for at in (since, until - HOUR)}:
            if (first := await self.recorded.before(start + HOUR)) is not None:
                plans.append(first)
        by_day = {hour.day_start: hour.plan for hour in plans}
        loads = await self.recorded.loads(place.site, since, until)
        prices = await self.recorded.prices(place.site, since, until)
        week_loads = await self.recorded.loads(place.site, since - _WEEK, until - _WEEK)
        week_prices = await self.recorded.prices(place.site, since - _WEEK, until - _WEEK)

        def expected(at: datetime) -> tuple[float | None, float | None]:
            start = place.local.start(place.local.day_of(at))
            plan = by_day.get(start)
            if plan is None:
                return None, None
            return within(plan.load_mw or (), at, start), within(plan.price_eur_mwh, at, start)

        load = [_Compared(true, expected(at)[0], week_loads.get(at - _WEEK)) for at, true in loads.items() if true > 0]
        price = [_Compared(true, expected(at)[1], week_prices.get(at - _WEEK)) for at, true in prices.items()]
        return Quality(
            hours=sum(each.forecast is not None for each in load or price),
            load_mape=_mean(abs(each.wrong) / each.true for each in load),
            naive_load_mape=_mean(abs(each.naively_wrong) / each.true for each in load),
            price_mae_eur_mwh=_mean(abs(each.wrong) for each in price),
            naive_price_mae_eur_mwh=_mean(abs(each.naively_wrong) for each in price),
        )


class _Compared(NamedTuple):
    """The truth of an hour beside what was forecast and what was true a week before; unknown errors are NaN."""

    true: float
    forecast: float | None
    a_week_ago: float | None

    @property
    def wrong(self) -> float:
        return nan if self.forecast is None else self.forecast - self.true

    @property
    def naively_wrong(self) -> float:
        """The naive error, of hours that have a forecast only: both are told of the same hours."""
        return nan if self.a_week_ago is None or self.forecast is None else self.a_week_ago - self.true


def _kind(hour: Hour) -> str:
    if hour.missed:
        return hour.missed
    energy = hour.metered_mwh or 0.0
    return "out" if energy > 0 else "in" if energy < 0 else "none"


def _stretches(hours: Sequence[Hour]) -> Iterable[Stretch]:
    for _, group in groupby(enumerate(hours), key=lambda each: (_kind(each[1]), each[1].at - each[0] * HOUR)):
        own = tuple(hour for _, hour in group)
        missed = own[0].missed
        energy = sum(hour.proposed_mw if missed else hour.metered_mwh or 0.0 for hour in own)
        yield Stretch(hours=own, energy_mwh=round(energy, 6), saving=_sum(own), missed=missed)


def _sum(hours: Iterable[Hour]) -> Money:
    return Money.of_minor(sum(hour.saving.minor for hour in hours if hour.saving is not None), UNIT)


def _mean(values: Iterable[float]) -> float | None:
    known = [value for value in values if isfinite(value)]
    return sum(known) / len(known) if known else None
