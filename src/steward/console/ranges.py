"""The stretch of time that the overview shows, as its URL says; it ends now, by the runtime's clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from steward.console.zones import Zone
from steward.errors import ContractError

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
TODAY: Final = "today"


class Range(NamedTuple):
    """Steps of equal length, the last of which holds the present; those of today go on to midnight.

    Attributes:
        name: What the URL's parameter ``range`` says.
        since: When the first step begins.
        now: The present.
        until: When the last step ends.
        step: How long a step is.
        before: How far back lies what it is compared with, as far as it has come.
        than: What that is, in words.

    Example:
        >>> noon = datetime(2026, 7, 1, 12, 0, 30, tzinfo=UTC)
        >>> hour = range_of({"range": "1h"}, noon, Zone("utc", "UTC"))
        >>> hour.since.isoformat(), hour.until.isoformat(), hour.steps
        ('2026-07-01T11:01:00+00:00', '2026-07-01T12:01:00+00:00', 60)
    """

    name: str
    since: datetime
    now: datetime
    until: datetime
    step: timedelta
    before: timedelta
    than: str

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return (self.until - self.since) // self.step

    @property
    def step_words(self) -> str:
        """How often that is, in words: ``an hour``."""
        return _STEP_WORDS[self.step]


class _Kind(NamedTuple):
    label: str
    step: timedelta
    steps: int
    before: timedelta
    than: str


_KINDS: Final[Mapping[str, _Kind]] = {
    "1h": _Kind("1 h", _MINUTE, 60, _HOUR, "the hour before"),
    TODAY: _Kind("Today", _HOUR, 24, _DAY, "yesterday by now"),
    "7d": _Kind("7 d", 3 * _HOUR, 56, 7 * _DAY, "the 7 days before"),
    "30d": _Kind("30 d", _DAY, 30, 30 * _DAY, "the 30 days before"),
}
_STEP_WORDS: Final = {
    _MINUTE: "a minute",
    _HOUR: "an hour",
    3 * _HOUR: "in 3 hours",
    _DAY: "a day",
}
RANGES: Final[Mapping[str, str]] = {name: kind.label for name, kind in _KINDS.items()}
"""What may be chosen, with its label."""


def range_of(parameters: Mapping[str, str], now: datetime, zone: Zone) -> Range:
    """Return the range that a URL chooses; today begins at midnight in ``zone``.

    Raises:
        ContractError: There is no such range.
    """
    name = parameters.get("range") or TODAY
    kind = _KINDS.get(name)
    if kind is None:
        raise ContractError(f"there is no range {name!r}", fix=f"choose one of {', '.join(_KINDS)}", field="range")
    if kind.step == _DAY:
        # The days of UTC, as the page of value has them: they are counted beforehand.
        until = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
        return Range(name, until - kind.steps * _DAY, now, until, kind.step, kind.before, kind.than)
    midnight = zone.local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    since = midnight.astimezone(UTC)
    if name == TODAY:
        # A day on which clocks are changed has 23 or 25 hours.
        until = (midnight.replace(tzinfo=None) + _DAY).replace(tzinfo=midnight.tzinfo).astimezone(UTC)
    else:
        # From full hours on, also where midnight is none by UTC.
        since = since.replace(minute=0)
        until = since + ((now - since) // kind.step + 1) * kind.step
        since = until - kind.steps * kind.step
    return Range(name, since, now, until, kind.step, kind.before, kind.than)
