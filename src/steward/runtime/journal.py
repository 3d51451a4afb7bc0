"""The journal: the one way the runtime writes, so that whatever depends on new entries hears of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID

from steward.errors import EngineError
from steward.ledger.port import Commit, Committed, Draft, Entry, Ledger
from steward.loop.agenda import Agenda


class Bell:
    """Wakes everybody who waits for news; whoever comes later waits for the next ring.

    Example:
        >>> async def news() -> int:
        ...     bell = Bell()
        ...     seen = bell.rung
        ...     bell.ring()
        ...     await bell.wait(seen)
        ...     return bell.rung
        >>> asyncio.run(news())
        1
    """

    def __init__(self) -> None:
        self.rung = 0
        self._next: asyncio.Event = asyncio.Event()

    def ring(self) -> None:
        """Wake all who wait."""
        self.rung += 1
        self._next.set()
        self._next = asyncio.Event()

    async def wait(self, seen: int) -> None:
        """Return once the bell has rung more often than ``seen``."""
        if self.rung == seen:
            await self._next.wait()


class Journal:
    """Appends to the ledger; once durable, puts follow-ups on the agenda and rings the bell.

    Attributes:
        size: How many entries the ledger had after the last commit.
        wake: Told the topics of messages that came with a commit; the bus's own, once there is one.
    """

    def __init__(self, ledger: Ledger, agenda: Agenda) -> None:
        self.ledger, self.agenda, self.bell = ledger, agenda, Bell()
        self.size = 0
        self.wake: Callable[[set[str]], None] = lambda topics: None
        self._listeners: list[Callable[[Committed, Sequence[Draft]], None]] = []

    async def append(self, commit: Commit) -> Committed:
        """Write durably; raises as :meth:`steward.ledger.port.Ledger.append`."""
        try:
            committed = await self.ledger.append(commit)
        except EngineError:
            # It may be written all the same, as when only the answer was lost: then what follows must not wait.
            self.agenda.take_note(commit.entries)
            self.wake({message.topic for message in commit.messages})
            self.bell.ring()
            raise
        self.size = max(self.size, committed.first_index + len(commit.entries))
        if commit.entries:
            self.agenda.take_note(commit.entries)
            for listener in self._listeners:
                listener(committed, commit.entries)
        if commit.messages:
            self.wake({message.topic for message in commit.messages})
        self.bell.ring()
        return committed

    def listen(self, listener: Callable[[Committed, Sequence[Draft]], None]) -> None:
        """Call ``listener`` with what was committed, after it is durable; it must not block."""
        self._listeners.append(listener)

    async def of_run(self, run_id: UUID) -> Sequence[Entry]:
        """Return all entries of one run, in order."""
        return await self.ledger.of_run(run_id)

    async def cursor(self, name: str) -> int:
        """Return a consumer's position."""
        return await self.ledger.cursor(name)
