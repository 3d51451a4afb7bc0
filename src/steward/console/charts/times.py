"""Ticks of a time axis: at round times of the viewer's zone, with the day, the year and the zone where they change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple

from steward.console.zones import Zone

_MONDAY: Final = datetime(1, 1, 1)  # noqa: DTZ001 - a local day, of no zone in particular


class _Unit(Enum):
    SECOND = 1.0
    DAY = 86_400.0
    MONTH = 30.4 * 86_400


_STEPS: Final = (
    *((_Unit.SECOND, each) for each in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600)),
    *((_Unit.SECOND, each * 3_600) for each in (2, 3, 6, 12)),
    *((_Unit.DAY, each) for each in (1, 2, 7, 14)),
    *((_Unit.MONTH, each) for each in (1, 3, 6)),
    *((_Unit.MONTH, 12 * each) for each in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000)),
)


class TimeTick(NamedTuple):
    """A tick of a time axis.

    Attributes:
        at: When.
        text: What stands below it.
        under: What changed, in a second line; empty where nothing did.

    Example:
        >>> start = datetime(2026, 7, 1, 4, tzinfo=UTC)
        >>> [(tick.text, tick.under) for tick in time_ticks(start, start + timedelta(days=1), Zone("utc", "UTC"), 4)]
        [('06:00', 'Wed 1 Jul 2026 · UTC'), ('12:00', ''), ('18:00', ''), ('00:00', 'Thu 2 Jul')]
    """

    at: datetime
    text: str
    under: str


def time_ticks(start: datetime, end: datetime, zone: Zone, count: int) -> list[TimeTick]:
    """Return the ticks between two moments: ``count`` of them, give or take one."""
    rough_s = (end - start).total_seconds() / max(1, count)
    unit, step = next((each for each in _STEPS if each[0].value * each[1] >= rough_s), _STEPS[-1])
    moments = list(_moments(start, end, zone, unit, step))
    found: list[TimeTick] = []
    said = ("", "", "")
    for local, follows in zip(moments, [*moments[1:], *moments[-1:]], strict=True):
        text, day, year = _words(local, unit, step)
        told = (day, year, zone.abbreviation(local) if unit is _Unit.SECOND else zone.name)
        if day and follows.date() != local.date():
            told = said  # there is room for one day: the next tick tells its own
        found.append(TimeTick(local.astimezone(UTC), text, _changed(told, said)))
        said = told
    return found


def _changed(told: tuple[str, str, str], said: tuple[str, str, str]) -> str:
    """Return what is to be told below a tick: what differs from what was told last."""
    if told == said:
        return ""
    day, year, zone = told
    date = f"{day} {year}".strip() if year != said[1] else day if day != said[0] else ""
    return " · ".join(part for part in (date, zone if zone != said[2] else "") if part)


def _words(local: datetime, unit: _Unit, step: int) -> tuple[str, str, str]:
    if unit is _Unit.SECOND:
        clock = f"{local:%H:%M:%S}" if step < 60 else f"{local:%H:%M}"
        return clock, f"{local:%a} {local.day} {local:%b}", f"{local.year}"
    if unit is _Unit.DAY:
        return f"{local.day} {local:%b}", "", f"{local.year}"
    return (f"{local:%b}", "", f"{local.year}") if step < 12 else (f"{local.year}", "", "")


def _moments(start: datetime, end: datetime, zone: Zone, unit: _Unit, step: int) -> Iterator[datetime]:
    """Yield the round local times, without those that a clock change skips, and twice those that it repeats."""
    info = zone.info
    offsets = [zone.local(each).utcoffset() or timedelta() for each in (start, end)]
    first, last = (start + min(offsets)).replace(tzinfo=None), (end + max(offsets)).replace(tzinfo=None)
    found = set()
    for wall in _walls(first, last, unit, step):
        for fold in (0, 1):
            at = wall.replace(tzinfo=info, fold=fold).astimezone(UTC)
            if start <= at <= end and at.astimezone(info).replace(tzinfo=None) == wall:
                found.add(at)
    for at in sorted(found):
        yield at.astimezone(info)


def _walls(start: datetime, end: datetime, unit: _Unit, step: int) -> Iterator[datetime]:
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit is _Unit.MONTH:
        number = (day.year * 12 + day.month - 1) // step * step
        while number // 12 <= min(end.year, 9_999):
            if number >= 12:
                yield day.replace(year=number // 12, month=number % 12 + 1, day=1)
            number += step
        return
    length = timedelta(seconds=step) if unit is _Unit.SECOND else timedelta(days=step)
    anchor = day if unit is _Unit.SECOND else _MONDAY
    wall = anchor + (start - anchor) // length * length
    while wall <= end:
        yield wall
        wall += length
