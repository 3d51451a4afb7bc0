"""The band in which nine of ten values are to lie: a day's forecast, and how far those of the weeks before were off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from math import floor
from typing import Final

from msgspec import Struct

from steward.cases.grid.data.local_days import DAY, HOUR, LocalDays
from steward.cases.grid.dispatch.skills import DispatchPlan
from steward.cases.grid.screen.recorded import Place, Recorded

SHARE: Final = 0.9
"""From the 5th to the 95th percentile of the errors."""
_DAYS: Final = 28
_LEAST_ERRORS: Final = 15
"""With fewer errors than these of an hour and its neighbours nothing is said about the next one."""
Errors = Sequence[float | None]
"""How much more came than was forecast, in each hour of a day; ``None`` where it is not known."""


class Interval(Struct, frozen=True):
    """A low and a high value for each hour of a day; ``None`` where too little is known.

    Example:
        >>> Interval((1.0, None), (3.0, None)).held([2.0, 9.0]), Interval((1.0,), (3.0,)).held([4.0])
        ((1, 1), (0, 1))
    """

    low: tuple[float | None, ...]
    high: tuple[float | None, ...]

    def held(self, values: Sequence[float | None]) -> tuple[int, int]:
        """Return how many of the known values lie inside, and of how many."""
        told = [
            low <= value <= high
            for low, value, high in zip(self.low, values, self.high, strict=True)
            if low is not None and value is not None and high is not None
        ]
        return sum(told), len(told)


class Bands(Struct, frozen=True):
    """The bands of a day; ``None`` where nothing is forecast, or too few days are known.

    Example:
        >>> Bands().load is None
        True
    """

    load: Interval | None = None
    price: Interval | None = None


class _Missed(Struct, frozen=True):
    load: Errors
    price: Errors


class Banding:
    """Makes the bands of days from what the ledger says of the days before; how far a day was off is read once.

    The forecast of a day is the one that its first hour was decided by: later ones may know hours that are over. Only
    days that were over at noon of the day before count, when the forecast was made.

    Args:
        recorded: Reads the ledger.

    Example:
        >>> async def low(recorded: Recorded, place: Place, day: date, plan: DispatchPlan) -> Interval | None:
        ...     return (await Banding(recorded).around(place, day, day, plan)).price
    """

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._missed: dict[date, _Missed] = {}

    async def around(self, place: Place, day: date, first: date, plan: DispatchPlan) -> Bands:
        """Return the bands around a day's forecasts.

        Args:
            place: Where it is.
            day: The local day.
            first: The first day with a decision.
            plan: Holds its forecasts.
        """
        until = day - DAY
        missed = await self._missed_in(place, max(first, until - _DAYS * DAY), until)
        return Bands(
            load=interval(plan.load_mw or (), [each.load for each in missed]),
            price=interval(plan.price_eur_mwh, [each.price for each in missed]),
        )

    async def _missed_in(self, place: Place, since: date, until: date) -> list[_Missed]:
        days = [since + n * DAY for n in range((until - since).days)]
        if new := [day for day in days if day not in self._missed]:
            start, end = place.local.start(new[0]), place.local.start(new[-1] + DAY)
            loads = await self._recorded.loads(place.site, start, end)
            prices = await self._recorded.prices(place.site, start, end)
            for day in new:
                self._missed[day] = await self._missed_on(place.local, day, loads, prices)
        return [self._missed[day] for day in days]

    async def _missed_on(
        self, local: LocalDays, day: date, loads: Mapping[datetime, float], prices: Mapping[datetime, float]
    ) -> _Missed:
        start = local.start(day)
        first = await self._recorded.before(start + HOUR)
        if first is None or first.at != start:
            return _Missed((), ())
        plan = first.plan
        return _Missed(_errors(plan.load_mw or (), start, loads), _errors(plan.price_eur_mwh, start, prices))


def interval(forecast: Sequence[float], missed: Sequence[Errors]) -> Interval | None:
    """Return the interval around a day's forecast, by the errors of each hour and its neighbours.

    The ends are those order statistics of the errors between which the next one lies in nine of ten cases; of few
    errors the outermost.

    Example:
        >>> interval((50.0,), [(float(n),) for n in range(-10, 10)])
        Interval(low=(40.0,), high=(59.0,))
        >>> interval((50.0,), [(1.0,)]) is None
        True
    """
    ends = [_ends([error for day in missed for error in _near(day, n)]) for n in range(len(forecast))]
    if not any(ends):
        return None
    low = tuple(None if end is None else round(value + end[0], 4) for value, end in zip(forecast, ends, strict=True))
    high = tuple(None if end is None else round(value + end[1], 4) for value, end in zip(forecast, ends, strict=True))
    return Interval(low, high)


def _near(errors: Errors, place: int) -> Errors:
    """Return the errors of an hour and its neighbours; at the ends of a day of the three hours there."""
    first = max(min(place - 1, len(errors) - 3), 0)
    return errors[first : first + 3]


def _ends(errors: Errors) -> tuple[float, float] | None:
    known = sorted(error for error in errors if error is not None)
    if len(known) < _LEAST_ERRORS:
        return None
    outside = max(floor((1 - SHARE) / 2 * (len(known) + 1)), 1)
    return known[outside - 1], known[-outside]


def _errors(forecast: Sequence[float], start: datetime, true: Mapping[datetime, float]) -> Errors:
    came = [true.get(start + n * HOUR) for n in range(len(forecast))]
    return tuple(None if value is None else value - each for each, value in zip(forecast, came, strict=True))
