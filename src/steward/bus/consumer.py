"""A consumer: reads a topic in order, and commits what it caused together with how far it came."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from steward.bus.deadletters import dead_letter
from steward.bus.port import Bus
from steward.clock import Clock
from steward.errors import Conflict, EngineError
from steward.ledger.port import Commit, Committed, Log, StoredMessage

Handle = Callable[[Sequence[StoredMessage]], Awaitable[Commit]]
"""Turns messages into what they cause. Has no other effect than its commit, as it may be asked again."""
FIRST_DELAY = timedelta(milliseconds=100)
LONGEST_DELAY = timedelta(seconds=30)


class Consumer:
    """Handles a topic's messages in order, each one's effects exactly once.

    The commit that ``handle`` returns is appended with the new position in it: after a crash the batch is handled
    again, or was committed whole. A message that cannot be handled (any error but those of engines) goes to the dead
    letters with its reason and blocks nothing: a failed batch is halved until the message stands alone. A retryable
    ``EngineError``, or a network that cannot be reached, skips nothing; the same messages are tried again after a
    growing delay. Any other ``EngineError`` is the operator's: :meth:`step` raises it and nothing moves.

    Only one consumer of a name may run at a time.

    Args:
        bus: Where the messages are.
        ledger: Where the effects and the position go.
        name: The position's name in the ledger.
        topic: What is consumed.
        handle: Turns messages into what they cause.
        clock: Says when to try again.
        batch: How many messages are handled at once, at most.
        after: Called after each commit, for work that a restart would do anyway (waking an outbox).

    Attributes:
        position: The offset of the next message, as far as known.
        retry_at: When a failed step is tried again; ``None`` while all is well.
        failure: Why the last step failed; ``None`` while all is well.

    Example:
        >>> import asyncio
        >>> from datetime import UTC
        >>> from steward.bus.embedded import EmbeddedBus
        >>> from steward.clock import VirtualClock
        >>> from steward.ledger.port import Message
        >>> from steward.ledger.memory import MemoryLedger
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> async def count(batch: Sequence[StoredMessage]) -> Commit:
        ...     return Commit(cursors={"seen": len(batch)})
        >>> async def main() -> list[int]:
        ...     ledger = MemoryLedger()
        ...     bus = EmbeddedBus(ledger)
        ...     consumer = Consumer(bus, ledger, "loop", "grid.load", count, clock=VirtualClock(now))
        ...     await bus.publish([Message("grid.load", "ES", "m", str(n), b"{}", 1, now, now) for n in range(3)])
        ...     return [await consumer.step(), await consumer.step(), await ledger.cursor("loop")]
        >>> asyncio.run(main())
        [3, 0, 3]
    """

    def __init__(
        self,
        bus: Bus,
        ledger: Log,
        name: str,
        topic: str,
        handle: Handle,
        *,
        clock: Clock,
        batch: int = 1000,
        after: Callable[[Committed], Awaitable[None]] | None = None,
    ) -> None:
        self.name, self.topic, self.position = name, topic, 0
        self.retry_at: datetime | None = None
        self.failure: EngineError | None = None
        self._bus, self._ledger, self._handle, self._clock = bus, ledger, handle, clock
        self._batch, self._after, self._failures = batch, after, 0
        bus.declare(name, topic)

    async def step(self) -> int:
        """Handle one batch, and return how many messages that was.

        Never sleeps: 0 means that there is nothing new, or (with :attr:`retry_at` set) that it is not yet time to try
        again.

        Raises:
            EngineError: An engine failed for good; an operator must act.
        """
        if self.retry_at is not None and self._clock.now() < self.retry_at:
            return 0
        start = self.position
        try:
            # Read each time: after a failed append nobody knows whether it was written.
            start = self.position = await self._ledger.cursor(self.name)
            batch = await self._bus.read(self.topic, start, self._batch)
            if batch:
                await self._settle(batch)
        except EngineError as error:
            self._postpone(error)
        else:
            self.failure, self.retry_at, self._failures = None, None, 0
        return self.position - start

    async def run(self) -> None:
        """Handle messages as they come, until cancelled.

        Raises:
            EngineError: An engine failed for good; an operator must act.
        """
        while True:
            if await self.step():
                continue
            if self.retry_at is not None:
                await self._clock.sleep_until(self.retry_at)
                continue
            try:
                await self._bus.wait({self.topic: self.position})
            except EngineError as error:
                self._postpone(error)

    def _postpone(self, error: EngineError) -> None:
        """Try again later, if that may help."""
        self.failure = error
        if not error.retryable:
            raise error
        self._failures += 1
        self.retry_at = self._clock.now() + self._delay()

    async def _settle(self, batch: Sequence[StoredMessage], *, again: bool = True) -> None:
        """Commit what a batch causes; halve it if it fails, and bury what fails alone."""
        try:
            committed = await self._commit(await self._handle(batch), batch)
        except EngineError:
            raise
        except (ConnectionError, TimeoutError) as error:  # the network fails, not the message
            raise EngineError(f"{self.name} could not reach an engine", why=repr(error), retryable=True) from error
        except Exception as error:  # whatever a handler raises for one message must not stop the others
            if len(batch) > 1:
                half = len(batch) // 2
                await self._settle(batch[:half])
                await self._settle(batch[half:])
                return
            if isinstance(error, Conflict) and again:  # somebody was faster: look at what is there now
                await self._settle(batch, again=False)
                return
            letter = dead_letter(batch[0], error, consumer=self.name, at=self._clock.now())
            committed = await self._commit(Commit(messages=[letter]), batch)
        if self._after is not None:
            await self._after(committed)

    async def _commit(self, commit: Commit, batch: Sequence[StoredMessage]) -> Committed:
        position = batch[-1].offset + 1
        cursors = {**commit.cursors, self.name: position}
        committed = await self._ledger.append(msgspec.structs.replace(commit, cursors=cursors))
        self.position = position
        if commit.messages:
            self._bus.wake({message.topic for message in commit.messages})
        return committed

    def _delay(self) -> timedelta:
        longest = min(FIRST_DELAY * (1 << min(self._failures - 1, 16)), LONGEST_DELAY)
        return longest * (0.5 + self._clock.chance() / 2)
