"""Local days: markets plan by the wall clock, and their days have 23, 24 or 25 hours."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path

from steward.clock import EPOCH
from steward.errors import ContractError

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class LocalDays:
    """The days of one time zone.

    Args:
        zone: An IANA name, for example ``Europe/Madrid``.

    Raises:
        ContractError: There is no such zone.

    Example:
        >>> madrid = LocalDays("Europe/Madrid")
        >>> madrid.start(date(2018, 3, 25)).isoformat(), madrid.hours(date(2018, 3, 25))
        ('2018-03-24T23:00:00+00:00', 23)
        >>> madrid.country
        'ES'
    """

    zone: str

    def __post_init__(self) -> None:
        """Refuse unknown zones."""
        _zone(self.zone)

    @property
    def tz(self) -> zoneinfo.ZoneInfo:
        """The zone itself."""
        return _zone(self.zone)

    @property
    def country(self) -> str | None:
        """The ISO 3166 code of the zone's country, or ``None`` if the zone is of no single one."""
        return _countries().get(self.zone)

    def start(self, day: date) -> datetime:
        """Return the day's first instant, in UTC."""
        return self.at(day, time())

    def at(self, day: date, wall: time) -> datetime:
        """Return when the wall clock shows a time on a day, in UTC."""
        return datetime.combine(day, wall, self.tz).astimezone(UTC)

    def plan_at(self, day: date) -> datetime:
        """Return when the plan of ``day`` is fixed: noon of the day before, in UTC."""
        return self.at(day - DAY, time(12))

    @property
    def past_the_hour(self) -> timedelta:
        """How far past a whole hour of UTC the zone's hours begin: 30 minutes in India."""
        return (self.start(date(2000, 1, 1)) - EPOCH) % HOUR

    def day_of(self, at: datetime) -> date:
        """Return the local day that an instant belongs to."""
        return at.astimezone(self.tz).date()

    def hours(self, day: date) -> int:
        """Return how many hours the day has: 23, 24 or 25."""
        return (self.start(day + DAY) - self.start(day)) // HOUR

    def wall_hours(self, day: date) -> tuple[int, ...]:
        """Return what the wall clock shows at each of the day's hours: 0..23, one missing or twice at a change."""
        return _wall_hours(self.zone, day)

    def hours_at_wall(self, day: date) -> tuple[int, ...]:
        """Return, for each wall hour 0..23, which of the day's hours shows it; of two the first, of none the next."""
        return _hours_at_wall(self.zone, day)


@cache
def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise ContractError(
            f"{name!r} is not a time zone", fix="use an IANA name such as Europe/Madrid", field="zone"
        ) from error


@cache
def _wall_hours(zone: str, day: date) -> tuple[int, ...]:
    days = LocalDays(zone)
    start, tz = days.start(day), days.tz
    return tuple((start + n * HOUR).astimezone(tz).hour for n in range(days.hours(day)))


@cache
def _hours_at_wall(zone: str, day: date) -> tuple[int, ...]:
    shown = _wall_hours(zone, day)
    return tuple(next((n for n, wall in enumerate(shown) if wall >= hour), len(shown) - 1) for hour in range(24))


@cache
def _countries() -> dict[str, str]:
    """Read the zone table that comes with the system's time-zone data; empty where there is none."""
    for table in (Path(folder) / "zone.tab" for folder in zoneinfo.TZPATH):
        if table.is_file():
            rows = (line.split("\t") for line in table.read_text(encoding="utf-8").splitlines())
            return {row[2]: row[0] for row in rows if len(row) > 2 and not row[0].startswith("#")}
    return {}
