"""Ticks of a time axis: at round local times of the viewer's zone, telling the day, the year and the zone where they change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from steward.console.zones import Zone

_SECONDS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200)
_DAYS: Final = (1, 2, 7, 14)
_MONTHS: Final = (1, 3, 6, 12, 24, 60, 120, 240, 600, 1_200, 2_400, 6_000)
_DAY_S: Final = 86_400
_MONTH_S: Final = 30.4 * _DAY_S
_MONDAY: Final = datetime(1, 1, 1)  # noqa: DTZ001 - a local day, which begins no week of any zone in particular


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
    """Return at most about ``count`` ticks between two moments."""
    rough_s = (end - start).total_seconds() / max(1, count)
    found: list[TimeTick] = []
    said = ("", "", "")
    for local in _locals(start, end, zone, rough_s):
        text, day, year = _words(local, rough_s)
        zone_name = local.tzname() or zone.name
        under = day if day != said[0] or zone_name != said[2] else ""
        if year != said[1]:
            under = f"{day} {year}".strip()
        if zone_name != said[2]:
            under = f"{under} · {zone_name}" if under else zone_name
        said = (day, year, zone_name)
        found.append(TimeTick(local.astimezone(UTC), text, under))
    return found


def _words(local: datetime, rough_s: float) -> tuple[str, str, str]:
    if rough_s <= _SECONDS[-1]:
        clock = f"{local:%H:%M:%S}" if rough_s <= 30 else f"{local:%H:%M}"
        return clock, f"{local:%a} {local.day} {local:%b}", f"{local.year}"
    if rough_s <= _DAYS[-1] * _DAY_S:
        return f"{local.day} {local:%b}", "", f"{local.year}"
    if rough_s <= 6 * _MONTH_S:
        return f"{local:%b}", "", f"{local.year}"
    return f"{local.year}", "", ""


def _locals(start: datetime, end: datetime, zone: Zone, rough_s: float) -> Iterator[datetime]:
    """Yield the round local times; those that a clock change skips are not there, those that it repeats are there twice."""
    info, last = zone.info, start
    for wall in _walls(zone.local(start).replace(tzinfo=None), zone.local(end).replace(tzinfo=None), rough_s):
        for fold in (0, 1):
            local = wall.replace(tzinfo=info, fold=fold)
            at = local.astimezone(UTC)
            if at.astimezone(info).replace(tzinfo=None) != wall or (
                fold and local.utcoffset() == wall.replace(tzinfo=info).utcoffset()
            ):
                continue
            if start <= at <= end and (at > last or at == start):
                last = at
                yield at.astimezone(info)


def _walls(start: datetime, end: datetime, rough_s: float) -> Iterator[datetime]:
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    end += timedelta(hours=3)  # a clock that was put back shows earlier times later
    if rough_s <= _SECONDS[-1]:
        step = timedelta(seconds=next(each for each in _SECONDS if each >= rough_s))
        wall = day + step * max(0, (start - day) // step - int(timedelta(hours=3) / step) - 1)
        while wall <= end:
            yield wall
            wall += step
    elif rough_s <= _DAYS[-1] * _DAY_S:
        days = next(each for each in _DAYS if each * _DAY_S >= rough_s)
        wall = day - timedelta(days=(day - _MONDAY).days % days)
        while wall <= end:
            yield wall
            wall += timedelta(days=days)
    else:
        months = next((each for each in _MONTHS if each * _MONTH_S >= rough_s), _MONTHS[-1])
        number = (day.year * 12 + day.month - 1) // months * months
        while number // 12 <= min(end.year, 9_999):
            if number >= 12:
                yield day.replace(year=number // 12, month=number % 12 + 1, day=1)
            number += months
