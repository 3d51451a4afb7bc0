"""The circuit breaker: stops calling what does not answer, and finds out with a single call whether it answers again.

A pure state machine: it never waits, and time is given to it. Each call takes a :class:`Permit` and gives it back with
a :class:`Verdict`. A permit remembers the period that it was given in, so that a call which began before the breaker
opened and ends long after says nothing about today. The idea and its states: M. Nygard, *Release It!*, chapter 5.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, IntEnum

from steward.errors import DeclarationError, EngineError, HeldBack, StewardError


class State(IntEnum):
    """What a breaker does with the next call: makes it, holds it back, or probes with it.

    Example:
        >>> State.HALF_OPEN.name
        'HALF_OPEN'
    """

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Verdict(Enum):
    """What the end of a call says about the system that was called.

    Example:
        >>> Verdict.of(TimeoutError()), Verdict.of(None)
        (<Verdict.ILL: 'ill'>, <Verdict.WELL: 'well'>)
    """

    WELL = "well"
    ILL = "ill"
    SILENT = "silent"

    @classmethod
    def of(cls, error: BaseException | None) -> Verdict:
        """Judge a call by how it ended.

        It was well if it answered, also with a final refusal: who says no is alive. It is ill after a time-out, a
        connection that failed, an ``EngineError`` that may pass, and any error of a client library. What was never
        called, was called off, or failed on our own side of the wire (a declaration, a bug) says nothing.
        """
        if error is None:
            return cls.WELL
        if isinstance(error, _OURS) or not isinstance(error, Exception):
            return cls.SILENT
        if isinstance(error, StewardError):
            return cls.ILL if isinstance(error, EngineError) and error.retryable else cls.WELL
        return cls.ILL


_BUGS = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, TypeError, ValueError)
_OURS = (HeldBack, DeclarationError, *_BUGS)


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to make one call; ``period`` counts the breaker's changes, ``is_probe`` marks the single probe.

    Example:
        >>> Permit(period=0).is_probe
        False
    """

    period: int
    is_probe: bool = False


class Breaker:
    """Opens after failures in a row, lets one call through when its time is over, and closes again if that is well.

    Args:
        failures: How many failures in a row open it.
        open_for: How long it holds back all calls then.
        now: Tells the time; aware.

    Attributes:
        failed: How many failures in a row there were.
        state: What it does with the next call.

    Example:
        >>> from datetime import UTC
        >>> from steward.clock import VirtualClock
        >>> clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        >>> breaker = Breaker(failures=2, open_for=timedelta(seconds=5), now=clock.now)
        >>> for _ in range(2):
        ...     permit = breaker.take()
        ...     breaker.give_back(permit, Verdict.ILL)
        False
        True
        >>> breaker.take(), breaker.held_until.isoformat()
        (None, '2026-01-01T00:00:05+00:00')
        >>> clock.advance(timedelta(seconds=5))
        >>> probe = breaker.take()
        >>> breaker.take(), breaker.give_back(probe, Verdict.WELL), breaker.state.name
        (None, True, 'CLOSED')
    """

    def __init__(self, *, failures: int, open_for: timedelta, now: Callable[[], datetime]) -> None:
        self._failures, self._open_for, self._now = failures, open_for, now
        self.failed = 0
        self.state = State.CLOSED
        self._period = 0
        self._opened_at = now()

    @property
    def held_until(self) -> datetime:
        """When to ask again after ``take`` gave nothing."""
        # While somebody probes nobody knows how long that takes: as long as it was open is long enough.
        since = self._opened_at if self.state is State.OPEN else self._now()
        return since + self._open_for

    @property
    def holds(self) -> bool:
        """Whether ``take`` would give nothing now."""
        if self.state is not State.OPEN:
            return self.state is State.HALF_OPEN
        # A clock that was set back must not keep it open for a day.
        return timedelta(0) <= self._now() - self._opened_at < self._open_for

    def take(self) -> Permit | None:
        """Return the right to make a call now, or ``None`` if it is held back."""
        if self.holds:
            return None
        if self.state is State.OPEN:
            self._turn(State.HALF_OPEN)
            return Permit(self._period, is_probe=True)
        return Permit(self._period)

    def give_back(self, permit: Permit, verdict: Verdict) -> bool:
        """Say how a call ended; return whether that tripped or restored the breaker (see ``state``)."""
        if permit.period != self._period:
            return False
        if permit.is_probe:
            return self._judge_probe(verdict)
        if verdict is Verdict.ILL:
            self.failed += 1
            if self.failed >= self._failures:
                self._open()
                return True
        elif verdict is Verdict.WELL:
            self.failed = 0
        return False

    def _judge_probe(self, verdict: Verdict) -> bool:
        if verdict is Verdict.WELL:
            self.failed = 0
            self._turn(State.CLOSED)
            return True
        if verdict is Verdict.ILL:
            self.failed += 1
            self._open()
        else:
            self._turn(State.OPEN)  # its time is over, so the next call probes
        return False

    def _open(self) -> None:
        self._opened_at = self._now()
        self._turn(State.OPEN)

    def _turn(self, state: State) -> None:
        self.state = state
        self._period += 1
