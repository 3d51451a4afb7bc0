"""The embedded bus, beyond what every bus promises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from steward.bus.embedded import EmbeddedBus
from steward.errors import EngineError
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit, Committed, StoredMessage
from steward.testing.conformance.bus import reading, readings, soon


async def test_messages_that_came_with_a_commit_of_the_ledger_count_as_lag_too() -> None:
    ledger = MemoryLedger()
    bus = EmbeddedBus(ledger, max_lag=10)
    bus.declare("loop", "grid.load")
    await bus.publish(readings(0, 3))
    await ledger.append(Commit(messages=readings(3, 10)))
    bus.wake(["grid.load"])
    with pytest.raises(EngineError, match="'loop'"):
        await bus.publish([reading(10)])


async def test_a_consumer_that_was_already_far_is_not_taken_to_be_at_the_start() -> None:
    ledger = MemoryLedger()
    await ledger.append(Commit(messages=readings(0, 50), cursors={"loop": 50}))
    bus = EmbeddedBus(ledger, max_lag=10)
    bus.declare("loop", "grid.load")
    bus.declare("loop", "grid.load")
    assert list((await bus.publish(readings(50, 60))).offsets) == list(range(50, 60))


class Refusing(MemoryLedger):
    async def append(self, commit: Commit) -> Committed:
        raise EngineError("the disk is full", retryable=True)


async def test_a_failed_append_leaves_no_room_taken() -> None:
    ledger = Refusing()
    bus = EmbeddedBus(ledger, max_lag=1)
    bus.declare("loop", "grid.load")
    for _ in range(3):
        with pytest.raises(EngineError, match="disk"):
            await bus.publish([reading(0)])


async def test_what_arrives_while_the_topic_is_looked_at_is_not_missed() -> None:
    class Slow(MemoryLedger):
        async def messages(self, topic: str, start: int = 0, limit: int = 1000) -> Sequence[StoredMessage]:
            found = await super().messages(topic, start, limit)
            await bus.publish([reading(0)])  # comes between the look and the waiting
            return found

    ledger = Slow()
    bus = EmbeddedBus(ledger)
    assert await soon(bus.wait({"grid.load": 0})) == {"grid.load"}


async def test_those_who_gave_up_waiting_are_forgotten() -> None:
    bus = EmbeddedBus(MemoryLedger())
    waiting = asyncio.create_task(bus.wait({"grid.load": 0}))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not bus._waiting
    await bus.publish([reading(0)])
    assert await soon(bus.wait({"grid.load": 0})) == {"grid.load"}
