"""Changes of who may do what: checked against the state as it is, numbered, durable, and only then in force."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from steward.access.directory import Directory
from steward.access.entries import Given, Granted, Revoked, draft
from steward.clock import Clock
from steward.errors import Conflict
from steward.ledger.port import Commit, Committed, Ledger

_TRIES: Final = 5
Append = Callable[[Commit], Awaitable[Committed]]


class Changes:
    """Writes one entry a change, in an order that all processes on one ledger agree on.

    Args:
        directory: What is known; changed in step with the ledger.
        ledger: Where entries are read and written.
        clock: Says when.
        append: Writes a commit, if not the ledger itself does: a journal that tells others of it.

    Example:
        >>> from steward.access.entries import GivenLimit
        >>> from steward.clock import SystemClock
        >>> from steward.ledger.memory import MemoryLedger
        >>> changes = Changes(Directory(), MemoryLedger(), SystemClock())
        >>> limit = GivenLimit(decision="grid.dispatch", teams=frozenset({"grid"}))
        >>> asyncio.run(changes.write(lambda: changes.granted("anna", limit)))
        True
        >>> changes.directory.resource("grid.dispatch").teams
        frozenset({'grid'})
    """

    def __init__(self, directory: Directory, ledger: Ledger, clock: Clock, *, append: Append | None = None) -> None:
        self.directory, self.clock = directory, clock
        self._ledger, self._append = ledger, append or ledger.append
        self._one_at_a_time = asyncio.Lock()

    def granted(self, by: str, *given: Given) -> Granted:
        """Return the entry that gives something now."""
        return Granted(at=self.clock.now(), by=by, given=given)

    def revoked(self, by: str, what: str, name: str, reason: str) -> Revoked:
        """Return the entry that takes something away now."""
        return Revoked(at=self.clock.now(), by=by, what=what, name=name, reason=reason)

    async def write(self, make: Callable[[], Granted | Revoked | None]) -> bool:
        """Write what ``make`` returns; if it returns ``None``, do nothing and return False.

        Args:
            make: Checks the change against the directory and raises if it makes no sense. It is asked again when
                another process was faster.

        Raises:
            Conflict: Others were faster again and again.
            EngineError: The ledger cannot write. Nothing has changed.
        """
        async with self._one_at_a_time:
            for _ in range(_TRIES):
                body = make()
                if body is None:
                    return False
                number = self.directory.number
                try:
                    await self._append(Commit(entries=[draft(body, number)]))
                except Conflict:
                    await self.directory.catch_up(self._ledger)
                    continue
                self.directory.number = number + 1
                self.directory.apply(body)
                return True
        raise Conflict("others change who may do what at the same time", fix="try again", code="conflict.access")

    async def catch_up(self) -> int:
        """Take what other processes have changed; return how many changes there were."""
        async with self._one_at_a_time:
            return await self.directory.catch_up(self._ledger)
