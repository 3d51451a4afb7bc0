"""Faults on purpose: a ledger that refuses some appends, to see what the rest does about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from steward.errors import EngineError, StewardError
from steward.ledger.port import Checkpoint, Commit, Committed, Entry, Ledger, StoredMessage

Fault = Callable[[Commit], StewardError | None]
"""Decides for each commit whether it fails, and how."""


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

    async def append(self, commit: Commit) -> Committed:
        """Write ``commit``, unless a fault speaks against it."""
        if self._closed:
            raise EngineError("the ledger is closed", fix="open it again", code="engine.closed")
        if (error := self.fault(commit)) is not None:
            raise error
        committed = await self._inner.append(commit)
        if (error := self.fault_after(commit)) is not None:
            raise error
        return committed

    async def cursor(self, name: str) -> int:
        """Ask the inner ledger."""
        return await self._inner.cursor(name)

    async def size(self) -> int:
        """Ask the inner ledger."""
        return await self._inner.size()

    async def read(self, start: int = 0, limit: int = 1000, *, kind: str | None = None) -> Sequence[Entry]:
        """Ask the inner ledger."""
        return await self._inner.read(start, limit, kind=kind)

    async def of_run(self, run_id: UUID) -> Sequence[Entry]:
        """Ask the inner ledger."""
        return await self._inner.of_run(run_id)

    async def by_key(self, key: str) -> Entry | None:
        """Ask the inner ledger."""
        return await self._inner.by_key(key)

    async def messages(self, topic: str, start: int = 0, limit: int = 1000) -> Sequence[StoredMessage]:
        """Ask the inner ledger."""
        return await self._inner.messages(topic, start, limit)

    async def topics(self) -> Mapping[str, int]:
        """Ask the inner ledger."""
        return await self._inner.topics()

    async def root(self, size: int | None = None) -> bytes:
        """Ask the inner ledger."""
        return await self._inner.root(size)

    async def inclusion(self, index: int, size: int | None = None) -> Sequence[bytes]:
        """Ask the inner ledger."""
        return await self._inner.inclusion(index, size)

    async def consistency(self, first: int, second: int | None = None) -> Sequence[bytes]:
        """Ask the inner ledger."""
        return await self._inner.consistency(first, second)

    async def checkpoint(self) -> Checkpoint:
        """Ask the inner ledger."""
        return await self._inner.checkpoint()

    async def close(self) -> None:
        """Close the inner ledger, unless it is to be kept open."""
        self._closed = True
        if not self._keep_open:
            await self._inner.close()


def sound(commit: Commit) -> StewardError | None:
    """No fault."""
    return None


def unwritable(commit: Commit) -> StewardError | None:
    """Refuse everything, as a full disk does."""
    return EngineError("the disk is full", retryable=True, fix="make room", code="engine.disk-full")
