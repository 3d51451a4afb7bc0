"""What all sources of readings share: where readings go, gaps, and how long to wait before trying again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from steward.cases.grid.field.reading import Reading
from steward.clock import Clock
from steward.errors import DeclarationError

Take = Callable[[Reading], Awaitable[None]]
"""Where readings go; a source waits until it returns, so a slow taker slows its source down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time in which a source may have said something that nobody heard.

    Attributes:
        source: Which.
        since: When the last reading came before it.
        until: When readings come again.
        why: What happened.

    Example:
        >>> noon = datetime.fromisoformat("2018-01-01T12:00:00Z")
        >>> gap = Gap(source="plant", since=noon, until=noon + timedelta(seconds=7), why="the server went away")
        >>> gap.lasted
        datetime.timedelta(seconds=7)
    """

    source: str
    since: datetime
    until: datetime
    why: str

    @property
    def lasted(self) -> timedelta:
        """How long it was."""
        return self.until - self.since


def unheard(gap: Gap) -> None:
    """Do nothing with a gap: for those who look at the age of readings only."""


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """How long to wait before the next try: twice as long each time, of which a random part (full jitter).

    Args:
        first: The longest wait after the first failure.
        longest: The longest wait ever.

    Example:
        >>> from steward.clock import VirtualClock
        >>> clock = VirtualClock(datetime.fromisoformat("2018-01-01T12:00:00Z"))
        >>> all(Backoff().wait(50, clock) <= timedelta(seconds=30) for _ in range(9))
        True
    """

    first: timedelta = timedelta(seconds=0.5)
    longest: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        """Refuse to try again without a wait."""
        if not timedelta(0) < self.first <= self.longest:
            raise DeclarationError("a wait is longer than nothing, and the first not the longest", field="backoff")

    def wait(self, failures: int, clock: Clock) -> timedelta:
        """Return how long to wait after so many failures in a row; at least a tenth of the most."""
        most = min(self.first * 2.0 ** min(failures - 1, 30), self.longest)
        return most * (0.1 + 0.9 * clock.chance())


PATIENT = Backoff()
"""From half a second to half a minute."""
