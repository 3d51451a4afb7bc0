"""Who is on call, and when people are left alone: both by the local calendar, so that clocks may change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from steward.errors import DeclarationError


class QuietHours(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The local hours in which only who is on call is told; they may span midnight.

    Args:
        start: When they begin, local time.
        end: When they end.
        zone: The IANA name of the time zone.

    Raises:
        DeclarationError: The zone is unknown, or the hours are empty.

    Example:
        >>> nights = QuietHours(start=time(22), end=time(6), zone="Europe/Madrid")
        >>> nights.end_after(datetime(2026, 1, 1, 23, tzinfo=UTC)).isoformat()
        '2026-01-02T05:00:00+00:00'
        >>> nights.end_after(datetime(2026, 1, 1, 12, tzinfo=UTC)) is None
        True
    """

    start: time
    end: time
    zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse hours that never are."""
        zone_of(self.zone)
        if self.start == self.end:
            raise DeclarationError(f"quiet hours from {self.start} to {self.end} are empty", field="quiet")

    def end_after(self, at: datetime) -> datetime | None:
        """Return when the quiet hours that ``at`` lies in end; ``None`` if it lies in none."""
        zone = zone_of(self.zone)
        local = at.astimezone(zone)
        wall = local.time()
        if self.start < self.end:
            inside, day = self.start <= wall < self.end, local.date()
        else:
            inside = wall >= self.start or wall < self.end
            day = local.date() + timedelta(days=wall >= self.start)
        return datetime.combine(day, self.end, zone).astimezone(UTC) if inside else None


class Rota(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is on call: people in turn, each for some days; the turn changes at the local time of ``since``.

    Args:
        people: In the order of their turns.
        since: When the first of them began, local time (without an offset).
        days: How long a turn is.
        zone: The IANA name of the time zone.

    Raises:
        DeclarationError: There is nobody, a turn is no whole day, ``since`` has an offset, or the zone is unknown.

    Example:
        >>> weekly = Rota(people=("ana", "bo"), since=datetime(2026, 1, 5, 8), days=7, zone="Europe/Madrid")
        >>> [weekly.on_call(datetime(2026, 1, 12, hour, tzinfo=UTC)) for hour in (6, 7)]
        ['ana', 'bo']
    """

    people: tuple[str, ...]
    since: datetime
    days: int = 7
    zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse a rota in which nobody would ever be on call."""
        zone_of(self.zone)
        if not self.people or self.days < 1:
            raise DeclarationError("a rota needs people and turns of a day or more", field="rota.people")
        if self.since.tzinfo is not None:
            raise DeclarationError(
                f"the rota's start {self.since.isoformat()} has an offset",
                fix="write the local time: 2026-01-05T08:00:00, and the zone apart",
                field="rota.since",
            )

    def on_call(self, at: datetime) -> str:
        """Return who is on call at ``at``."""
        return self.people[self._turn(at) % len(self.people)]

    def turn_ends(self, at: datetime) -> datetime:
        """Return when the turn that ``at`` lies in ends, in UTC: at the local time of ``since``.

        Example:
            >>> weekly = Rota(people=("ana", "bo"), since=datetime(2026, 1, 5, 8), days=7, zone="Europe/Madrid")
            >>> weekly.turn_ends(datetime(2026, 1, 6, tzinfo=UTC)).isoformat()
            '2026-01-12T07:00:00+00:00'
        """
        ends = self.since + (self._turn(at) + 1) * timedelta(days=self.days)
        return ends.replace(tzinfo=zone_of(self.zone)).astimezone(UTC)

    def _turn(self, at: datetime) -> int:
        wall = at.astimezone(zone_of(self.zone)).replace(tzinfo=None)
        return (wall - self.since) // timedelta(days=self.days)


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name.

    Raises:
        DeclarationError: There is none of that name.

    Example:
        >>> zone_of("Europe/Madrid").key
        'Europe/Madrid'
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise DeclarationError(
            f"there is no time zone {name!r}", fix="use an IANA name: Europe/Madrid", field="zone"
        ) from error
