"""What all sources of readings share: where readings go, gaps, and a connection that is set up again when lost."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NoReturn, Self

from steward.cases.grid.field.reading import Reading
from steward.clock import Clock
from steward.errors import DeclarationError, EngineError, StewardError

Take = Callable[[Sequence[Reading]], Awaitable[None]]
"""Where readings go, in the order in which they came. A source that waits for an acknowledgement gives it once this
returns: whoever takes readings keeps them before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time in which a source may have said something that nobody heard.

    Attributes:
        source: Which.
        since: When the last reading came before it.
        until: When readings came again; ``None`` while they do not.
        why: What happened.

    Example:
        >>> noon = datetime.fromisoformat("2018-01-01T12:00:00Z")
        >>> gap = Gap(source="plant", since=noon, until=noon + timedelta(seconds=7), why="the server went away")
        >>> gap.lasted
        datetime.timedelta(seconds=7)
    """

    source: str
    since: datetime
    until: datetime | None = None
    why: str

    @property
    def lasted(self) -> timedelta | None:
        """How long it was; ``None`` while it is not over."""
        return None if self.until is None else self.until - self.since


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


class Connection(ABC):
    """Something far away that is talked to for as long as :meth:`run` runs.

    Args:
        address: Where it is.
        clock: For times and waits.
        backoff: How long to wait before another try.

    Example:
        >>> async def watch(connection: Connection) -> None:
        ...     async with connection.running():
        ...         await asyncio.sleep(60)
    """

    def __init__(self, address: str, *, clock: Clock, backoff: Backoff = PATIENT) -> None:
        self.address, self._clock, self._backoff = address, clock, backoff
        self._connected = asyncio.Event()
        self._why_lost = ""

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._connected.is_set()

    async def wait_connected(self) -> None:
        """Return once there is a connection."""
        await self._connected.wait()

    async def run(self) -> None:
        """Connect, and stay so until cancelled; what is lost is set up again after a wait.

        Raises:
            Denied: Whoever is there refuses who asks; another try would not help.
        """
        failures = 0
        while True:
            try:
                await self._listen()
            except StewardError as lost:
                self._why_lost = str(lost)
                failures += 1
                if self.is_connected:
                    failures = 1
                    self._gone()
                if not isinstance(lost, EngineError):
                    raise
            finally:
                self._connected.clear()
            await self._clock.sleep_until(self._clock.now() + self._backoff.wait(failures, self._clock))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Run in the background; enter once connected.

        Raises:
            Denied: As :meth:`run`; if that comes later, on leaving.
        """
        run, connected = asyncio.ensure_future(self.run()), asyncio.ensure_future(self._connected.wait())
        try:
            await asyncio.wait((run, connected), return_when=asyncio.FIRST_COMPLETED)
            if run.done():
                await run
            yield self
        finally:
            connected.cancel()
            run.cancel()
            await asyncio.wait((run, connected))
        if not run.cancelled():
            await run

    @abstractmethod
    async def _listen(self) -> NoReturn:
        """Connect, say so with :meth:`_up`, and do what there is to do until the connection is lost."""

    def _up(self) -> None:
        self._connected.set()

    def _gone(self) -> None:
        """Say that a connection was lost."""
        logging.getLogger(__name__).warning("%s", self._why_lost)

    def _lost(self, code: str) -> EngineError:
        return EngineError(f"there is no connection to {self.address}", why=self._why_lost, retryable=True, code=code)


class Source(Connection):
    """A connection over which readings come.

    Args:
        address: Where it is.
        take: Takes the readings.
        clock: For times and waits.
        on_gap: Is told when the connection is lost, and when readings come again.
        backoff: How long to wait before another try.

    Example:
        >>> async def watch(source: Source) -> None:
        ...     async with source.running():
        ...         await asyncio.sleep(60)
    """

    def __init__(
        self,
        address: str,
        take: Take,
        *,
        clock: Clock,
        on_gap: Callable[[Gap], None] = unheard,
        backoff: Backoff = PATIENT,
    ) -> None:
        super().__init__(address, clock=clock, backoff=backoff)
        self._taker, self._on_gap = take, on_gap
        self._last_heard: datetime | None = None
        self._gap: Gap | None = None

    async def _heard(self, readings: Sequence[Reading]) -> None:
        """Hand readings over; the first ones after a loss end a gap."""
        self._last_heard = now = self._clock.now()
        if self._gap is not None:
            self._on_gap(replace(self._gap, until=now))
            self._gap = None
        await self._taker(readings)

    def _gone(self) -> None:
        if self._gap is None:
            since = self._last_heard or self._clock.now()
            self._gap = Gap(source=self.address, since=since, why=self._why_lost)
            self._on_gap(self._gap)
