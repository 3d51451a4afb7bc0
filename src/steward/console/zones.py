"""The time zone in which somebody reads times: UTC, the site's, or their own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from steward.errors import ContractError

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400


class Zone(NamedTuple):
    """A time zone, and whose it is.

    Attributes:
        whose: ``utc``, ``site`` or ``mine``.
        name: Its IANA name.

    Example:
        >>> from datetime import UTC
        >>> Zone("site", "Europe/Madrid").clock(datetime(2026, 7, 1, 12, 30, tzinfo=UTC))
        '14:30:00'
    """

    whose: str
    name: str

    @property
    def info(self) -> ZoneInfo:
        """The zone's rules."""
        return ZoneInfo(self.name)

    def local(self, at: datetime) -> datetime:
        """Return a moment in this zone."""
        return at.astimezone(self.info)

    def abbreviation(self, at: datetime) -> str:
        """Return how the zone is called at a moment: ``CET``, ``UTC`` or ``+03``."""
        return self.local(at).tzname() or self.name

    def clock(self, at: datetime) -> str:
        """Return the time of day, to the second."""
        return f"{self.local(at):%H:%M:%S}"

    def day(self, at: datetime) -> str:
        """Return the date."""
        return f"{self.local(at):%a %d %b %Y}"


UTC_ZONE: Final = Zone("utc", "UTC")


def known_zone(name: str) -> str:
    """Return the name of a time zone that exists.

    Raises:
        ContractError: There is none of this name.

    Example:
        >>> known_zone("Europe/Madrid")
        'Europe/Madrid'
    """
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ContractError(
            f"there is no time zone {name!r}", fix="name one of the IANA database: Europe/Madrid", field="zone"
        ) from None


def zone_of(choice: str, site: str) -> Zone:
    """Return the zone that a cookie names: ``utc``, ``site``, or somebody's own as ``Europe/Berlin``.

    Example:
        >>> zone_of("", "Europe/Madrid").whose, zone_of("Europe/Berlin", "UTC").name, zone_of("rubbish", "UTC").whose
        ('site', 'Europe/Berlin', 'site')
    """
    if choice == "utc":
        return UTC_ZONE
    if choice in ("", "site"):
        return Zone("site", site)
    try:
        return Zone("mine", known_zone(choice))
    except ContractError:
        return Zone("site", site)


def span(length: timedelta) -> str:
    """Return a length of time for people, in its two largest units.

    Example:
        >>> span(timedelta(seconds=337)), span(timedelta(hours=2, minutes=6)), span(timedelta(days=3, hours=1))
        ('5:37', '2 h 6 min', '3 d 1 h')
        >>> span(timedelta(seconds=-4))
        '0:00'
    """
    seconds = max(0, int(length.total_seconds()))
    if seconds < _HOUR:
        return f"{seconds // _MINUTE}:{seconds % _MINUTE:02d}"
    if seconds < _DAY:
        return f"{seconds // _HOUR} h {seconds % _HOUR // _MINUTE} min"
    return f"{seconds // _DAY} d {seconds % _DAY // _HOUR} h"


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago something was.

    Example:
        >>> from datetime import UTC
        >>> noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
        >>> ago(noon, noon + timedelta(seconds=12)), ago(noon, noon + timedelta(minutes=90))
        ('12 s ago', '1 h 30 min ago')
    """
    gone = now - at
    if gone < timedelta(seconds=_MINUTE):
        return f"{max(0, int(gone.total_seconds()))} s ago"
    if gone < timedelta(hours=1):
        return f"{int(gone.total_seconds()) // _MINUTE} min ago"
    return f"{span(gone)} ago"
