"""Faults on purpose: named points where something may go wrong, and a ledger that refuses some appends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from msgspec.structs import replace

from steward.clock import Chance
from steward.errors import EngineError, StewardError
from steward.ledger.port import Checkpoint, Commit, Committed, Entry, Ledger, StoredMessage, stale_basis

Fault = Callable[[Commit], StewardError | None]
"""Decides for each commit whether it fails, and how."""


class Faults:
    """Named points where something may go wrong, switched on by chance.

    In each run only some points are live, so that one kind of fault does not hide what another would show; a live point
    fires with its own probability whenever it is reached.

    Args:
        chance: Where the decision comes from; with a seed, the same points fire again.
        live: How probable it is that a point is live at all in this run (0..1).
        told: Called with the name of each point that fires.

    Attributes:
        fired: How often each point has fired.

    Example:
        >>> from steward.clock import seeded
        >>> faults = Faults(seeded(3), live=1.0)
        >>> [faults.at("gateway.lost", 0.5) for _ in range(6)]
        [False, True, False, False, True, True]
        >>> faults.fired
        Counter({'gateway.lost': 3})
    """

    def __init__(
        self, chance: Chance, *, live: float = 0.5, told: Callable[[str], object] = lambda point: None
    ) -> None:
        self.fired: Counter[str] = Counter()
        self._chance, self._live, self._told = chance.random, live, told
        self._points: dict[str, bool] = {}
        self._calm = False

    def at(self, point: str, probability: float = 0.1) -> bool:
        """Tell whether ``point`` fires now; a live one does with ``probability``."""
        if self._calm:
            return False
        live = self._points.get(point)
        if live is None:
            live = self._points[point] = self._chance() < self._live
        if not live or self._chance() >= probability:
            return False
        self.fired[point] += 1
        self._told(point)
        return True

    async def pause(self, point: str, longest: timedelta, probability: float = 0.1) -> None:
        """Wait up to ``longest`` if ``point`` fires."""
        if self.at(point, probability):
            await asyncio.sleep(self._chance() * longest.total_seconds())

    def only(self, *points: str) -> None:
        """Make exactly these points live, and no others."""
        self._live, self._points = 0.0, dict.fromkeys(points, True)

    def calm(self) -> None:
        """Let nothing fire any more."""
        self._calm = True


class FaultyLedger:
    """A ledger in front of another; what :attr:`fault` says is refused, before or after it was written.

    Args:
        inner: The ledger that does the work.
        keep_open: Whether ``close`` leaves ``inner`` open, so that another can open a ledger in memory
            again.

    Attributes:
        fault: Asked before each append; an error it returns is raised and nothing is written.
        fault_after: Asked after each append; an error it returns is raised although all was written, as when a
            connection breaks before the acknowledgement.

    Example:
        >>> import asyncio
        >>> from uuid import UUID
        >>> from steward.ledger.memory import MemoryLedger
        >>> from steward.ledger.port import Draft
        >>> async def main() -> tuple[str, int]:
        ...     ledger = FaultyLedger(MemoryLedger())
        ...     ledger.fault = unwritable
        ...     try:
        ...         await ledger.append(Commit(entries=[Draft("decided", UUID(int=1), b"{}")]))
        ...     except EngineError as error:
        ...         return error.code, await ledger.size()
        ...     return "", -1
        >>> asyncio.run(main())
        ('engine.disk-full', 0)
    """

    def __init__(self, inner: Ledger, *, keep_open: bool = False) -> None:
        self._inner, self._keep_open, self._closed = inner, keep_open, False
        self.fault: Fault = sound
        self.fault_after: Fault = sound
        self._refused = 0

    @property
    def failures(self) -> int:
        """How many appends failed so far, here and within."""
        return self._refused + self._inner.failures

    async def append(self, commit: Commit) -> Committed:
        """Write ``commit``, unless a fault speaks against it."""
        inner = self._reach()
        if commit.basis is not None:
            if commit.basis != self.failures:
                raise stale_basis()
            commit = replace(commit, basis=inner.failures)
        if (error := self.fault(commit)) is not None:
            raise self._failed(error)
        committed = await inner.append(commit)
        if (error := self.fault_after(commit)) is not None:
            raise self._failed(error)
        return committed

    def _failed(self, error: StewardError) -> StewardError:
        self._refused += 1
        return error

    async def cursor(self, name: str) -> int:
        """Ask the inner ledger."""
        return await self._reach().cursor(name)

    async def size(self) -> int:
        """Ask the inner ledger."""
        return await self._reach().size()

    async def read(self, start: int = 0, limit: int = 1000, *, kind: str | None = None) -> Sequence[Entry]:
        """Ask the inner ledger."""
        return await self._reach().read(start, limit, kind=kind)

    async def of_run(self, run_id: UUID) -> Sequence[Entry]:
        """Ask the inner ledger."""
        return await self._reach().of_run(run_id)

    async def by_key(self, key: str) -> Entry | None:
        """Ask the inner ledger."""
        return await self._reach().by_key(key)

    async def messages(self, topic: str, start: int = 0, limit: int = 1000) -> Sequence[StoredMessage]:
        """Ask the inner ledger."""
        return await self._reach().messages(topic, start, limit)

    async def topics(self) -> Mapping[str, int]:
        """Ask the inner ledger."""
        return await self._reach().topics()

    async def root(self, size: int | None = None) -> bytes:
        """Ask the inner ledger."""
        return await self._reach().root(size)

    async def inclusion(self, index: int, size: int | None = None) -> Sequence[bytes]:
        """Ask the inner ledger."""
        return await self._reach().inclusion(index, size)

    async def consistency(self, first: int, second: int | None = None) -> Sequence[bytes]:
        """Ask the inner ledger."""
        return await self._reach().consistency(first, second)

    async def checkpoint(self) -> Checkpoint:
        """Ask the inner ledger."""
        return await self._reach().checkpoint()

    async def close(self) -> None:
        """Close the inner ledger, unless it is to be kept open."""
        self._closed = True
        if not self._keep_open:
            await self._inner.close()

    def _reach(self) -> Ledger:
        if self._closed:
            raise EngineError("the ledger is closed", fix="open it again", code="engine.closed")
        return self._inner


def sound(commit: Commit) -> StewardError | None:
    """No fault."""
    return None


def unwritable(commit: Commit) -> StewardError | None:
    """Refuse everything, as a full disk does."""
    return EngineError("the disk is full", retryable=True, fix="make room", code="engine.disk-full")
