"""Days by the wall clock at any step: 24 hours or 48 half-hours, though clock changes make 46 or 50 of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray

from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.data.local_days import DAY, LocalDays


def intervals(local: LocalDays, day: date, step: timedelta) -> int:
    """Return how many intervals a local day has.

    Example:
        >>> from steward.cases.grid.data.local_days import HOUR
        >>> melbourne = LocalDays("Australia/Melbourne")
        >>> [intervals(melbourne, date(2014, *day), HOUR / 2) for day in ((10, 5), (7, 1), (4, 6))]
        [46, 48, 50]
    """
    return (local.start(day + DAY) - local.start(day)) // step


def wall_slots(local: LocalDays, day: date, step: timedelta) -> NDArray[np.intp]:
    """Return which slot of the wall clock, counted from midnight, each of the day's intervals falls in.

    Example:
        >>> from steward.cases.grid.data.local_days import HOUR
        >>> wall_slots(LocalDays("Australia/Melbourne"), date(2014, 10, 5), HOUR / 2)[:6].tolist()  # no 2 o'clock
        [0, 1, 2, 3, 6, 7]
    """
    return _clock(local.zone, day, step)[0]


def by_slot(history: History, name: str, days: Sequence[date]) -> Floats:
    """Return a column by day and slot of the wall clock; NaN where it does not reach.

    Of two intervals that show the same time the first counts; a time that a day leaves out takes what comes next.
    """
    column = history.columns[name]
    places = np.array(
        [history.index(history.local.start(day)) + _clock(history.local.zone, day, history.step)[1] for day in days]
    ).reshape(len(days), DAY // history.step)
    inside = (places >= 0) & (places < column.size)
    return np.where(inside, column[np.clip(places, 0, column.size - 1)], np.nan)


@cache
def _clock(zone: str, day: date, step: timedelta) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the slot of each interval, and the interval of each slot."""
    local = LocalDays(zone)
    count, slots = intervals(local, day, step), DAY // step
    if count == slots:
        return np.arange(slots), np.arange(slots)
    start = local.start(day)
    walls = [(start + n * step).astimezone(local.tz) for n in range(count)]
    shown = np.array([timedelta(hours=wall.hour, minutes=wall.minute) // step for wall in walls])
    firsts = [np.flatnonzero(shown >= slot) for slot in range(slots)]
    return shown, np.array([found[0] if found.size else count - 1 for found in firsts])
