"""Decisions that are due by the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from steward.decision.duration import check_duration
from steward.errors import DeclarationError

E_co = TypeVar("E_co", covariant=True)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Missed(StrEnum):
    """What happens to ticks that fell due while nothing was running.

    Example:
        >>> Missed.SKIP.value
        'skip'
    """

    CATCH_UP = "catch-up"
    SKIP = "skip"


@dataclass(frozen=True)
class Every(Generic[E_co]):
    """A tick at each whole multiple of ``period`` since 1970 (UTC), plus ``offset``.

    Args:
        period: The time between two ticks.
        make: Turns the tick's time into the decision's event.
        offset: Shifts every tick, for example 55 minutes past each hour.
        missed: What happens to ticks that were missed: each is caught up, or all but the latest are skipped.

    Example:
        >>> every = Every(timedelta(hours=1), make=lambda at: at.isoformat())
        >>> noon = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
        >>> every.next_after(noon).isoformat()
        '2026-01-01T13:00:00+00:00'
    """

    period: timedelta
    make: Callable[[datetime], E_co]
    offset: timedelta = timedelta(0)
    missed: Missed = Missed.CATCH_UP

    def __post_init__(self) -> None:
        """Refuse periods that never tick."""
        check_duration(self.period, "schedule.period")
        check_duration(self.offset, "schedule.offset")
        if self.period < timedelta(seconds=1):
            raise DeclarationError(f"the shortest period is a second, got {self.period}", field="schedule.period")
        if not timedelta(0) <= self.offset < self.period:
            raise DeclarationError("the offset must be shorter than the period", field="schedule.offset")

    def next_after(self, when: datetime) -> datetime:
        """Return the first tick later than ``when``."""
        ticks = (when - _EPOCH - self.offset) // self.period + 1
        return _EPOCH + self.offset + ticks * self.period
