"""The bus inside the ledger's own store: a log of messages a topic, durable together with what they cause."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from steward.bus.port import Accepted, check_messages
from steward.errors import ContractError, EngineError
from steward.ledger.port import Commit, Ledger, Message, StoredMessage


class EmbeddedBus:
    """A bus over the messages of a ledger; needs no other engine.

    Args:
        ledger: Where the messages are stored.
        max_lag: How many messages the slowest declared consumer of a topic may be behind before ``publish`` to it is
            refused.

    Example:
        >>> import asyncio
        >>> from datetime import UTC, datetime
        >>> from steward.ledger.memory import MemoryLedger
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> reading = Message("grid.load", "ES", "meter-7", "1", b'{"load_mw": 27114.5}', 1, now, now)
        >>> async def main() -> list[int]:
        ...     bus = EmbeddedBus(MemoryLedger())
        ...     accepted = await bus.publish([reading, reading])
        ...     return [*accepted.offsets, accepted.duplicates, len(await bus.read("grid.load"))]
        >>> asyncio.run(main())
        [0, 0, 1, 1]
    """

    def __init__(self, ledger: Ledger, *, max_lag: int = 100_000) -> None:
        self._ledger = ledger
        self.max_lag = max_lag
        self._consumers: defaultdict[str, dict[str, int]] = defaultdict(dict)  # topic: name: last position known
        self._ends: dict[str, int] = {}  # of declared topics, as far as known
        self._arriving: Counter[str] = Counter()  # messages being stored now
        self._waiting: dict[asyncio.Future[None], frozenset[str]] = {}
        self._closed = False

    async def publish(self, messages: Sequence[Message]) -> Accepted:
        """Store messages durably, all or none; see the port."""
        self._check_open()
        check_messages(messages)
        arriving = Counter(message.topic for message in messages)
        self._arriving.update(arriving)
        try:
            for topic, count in arriving.items():
                if topic in self._consumers:
                    await self._check_lag(topic, count)
            committed = await self._ledger.append(Commit(messages=messages))
        finally:
            self._arriving.subtract(arriving)
        for message, offset in zip(messages, committed.offsets, strict=True):
            if message.topic in self._consumers:
                self._ends[message.topic] = max(self._ends.get(message.topic, 0), offset + 1)
        self._rouse(arriving)
        return Accepted(committed.offsets, committed.duplicates)

    async def read(self, topic: str, start: int = 0, limit: int = 1000) -> Sequence[StoredMessage]:
        """Return up to ``limit`` messages of a topic from offset ``start`` on, in order."""
        self._check_open()
        return await self._ledger.messages(topic, start, limit)

    async def topics(self) -> Mapping[str, int]:
        """Return the number of messages of each topic."""
        self._check_open()
        return await self._ledger.topics()

    async def wait(self, positions: Mapping[str, int]) -> frozenset[str]:
        """Return, once there are any, the topics that have a message at or after the given offset."""
        while True:
            self._check_open()
            # Waiting begins before looking, so that what comes in between is not missed.
            woken = asyncio.get_running_loop().create_future()
            self._waiting[woken] = frozenset(positions)
            try:
                new = [topic for topic, start in positions.items() if await self._ledger.messages(topic, start, 1)]
                if new:
                    return frozenset(new)
                await woken
            finally:
                del self._waiting[woken]

    def declare(self, consumer: str, topic: str) -> None:
        """Make publishing to ``topic`` wait for ``consumer``; see the port."""
        self._consumers[topic].setdefault(consumer, 0)

    def wake(self, topics: Iterable[str]) -> None:
        """Tell those who wait that messages came to ``topics`` with a commit of the ledger."""
        topics = set(topics)
        for topic in topics:
            self._ends.pop(topic, None)  # grew without us; counted again when it matters
        self._rouse(topics)

    def _rouse(self, topics: Iterable[str]) -> None:
        changed = frozenset(topics)
        for woken, awaited in self._waiting.items():
            if not (woken.done() or awaited.isdisjoint(changed)):
                woken.set_result(None)

    async def close(self) -> None:
        """Refuse every further call; the ledger stays open."""
        self._closed = True
        self._rouse(frozenset[str]().union(*self._waiting.values()))

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError("the bus is closed", fix="open it again", code="engine.closed")

    async def _check_lag(self, topic: str, count: int) -> None:
        """Refuse to store what the topic's slowest consumer is not ready for."""
        if count > self.max_lag:
            raise ContractError(
                f"{count} messages came at once for {topic!r}",
                why=f"its consumers may be {self.max_lag} behind",
                fix="publish fewer at once",
                field="messages",
                code="contract.too-large",
            )
        if topic not in self._ends:
            self._ends[topic] = (await self._ledger.topics()).get(topic, 0)
        if self._lag(topic) <= self.max_lag:
            return
        # Positions are only read when the last known ones are too far back: mostly, publishing costs no reading.
        for name in self._consumers[topic]:
            self._consumers[topic][name] = await self._ledger.cursor(name)
        lag = self._lag(topic)
        if lag > self.max_lag:
            slowest = min(self._consumers[topic].items(), key=lambda item: item[1])[0]
            raise EngineError(
                f"the consumer {slowest!r} of {topic!r} would be {lag} messages behind",
                why=f"at most {self.max_lag} are allowed",
                fix="try again later, or give the consumer more room",
                retryable=True,
                code="bus.full",
            )

    def _lag(self, topic: str) -> int:
        return self._ends[topic] + self._arriving[topic] - min(self._consumers[topic].values())
