"""A consumer's effects happen once each, whatever fails and whenever it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from steward.bus.consumer import Consumer, Handle
from steward.bus.deadletters import DEAD_LETTERS, DeadLetter, dead_letter
from steward.bus.embedded import EmbeddedBus
from steward.clock import VirtualClock
from steward.errors import Conflict, ContractError, EngineError, IntegrityError
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit, Committed, Draft, Ledger, Message, StoredMessage

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def message(number: int) -> Message:
    return Message("grid.load", f"key-{number % 3}", "meter-7", str(number), b'{"n":%d}' % number, 1, NOW, NOW)


def effect(stored: StoredMessage) -> Draft:
    return Draft("decided", UUID(int=stored.offset), stored.message.data, None)


async def record_each(batch: Sequence[StoredMessage]) -> Commit:
    return Commit(entries=[effect(stored) for stored in batch])


def refusing(*poisoned: int, error: Exception | None = None) -> Handle:
    async def handle(batch: Sequence[StoredMessage]) -> Commit:
        for stored in batch:
            if stored.offset in poisoned:
                raise error or ContractError("n must be <= 5", field="n")
        return await record_each(batch)

    return handle


class Setup:
    def __init__(self, ledger: Ledger | None = None, handle: Handle = record_each, batch: int = 1000) -> None:
        self.memory = MemoryLedger()
        self.ledger = ledger or self.memory
        self.bus = EmbeddedBus(self.ledger)
        self.clock = VirtualClock(NOW, seed=1)
        self.consumer = Consumer(self.bus, self.ledger, "loop", "grid.load", handle, clock=self.clock, batch=batch)


async def effects(ledger: Ledger) -> list[int]:
    return [entry.run_id.int for entry in await ledger.read(0, 10_000)]


async def test_messages_are_handled_in_order_batch_by_batch() -> None:
    setup = Setup(batch=4)
    await setup.bus.publish([message(n) for n in range(10)])
    assert [await setup.consumer.step() for _ in range(4)] == [4, 4, 2, 0]
    assert await effects(setup.ledger) == list(range(10))
    assert await setup.ledger.cursor("loop") == setup.consumer.position == 10


async def test_a_second_consumer_reads_the_same_messages_at_its_own_pace() -> None:
    setup = Setup()
    other = Consumer(setup.bus, setup.ledger, "audit", "grid.load", record_each, clock=setup.clock, batch=1)
    await setup.bus.publish([message(n) for n in range(3)])
    assert [await setup.consumer.step(), await other.step(), await other.step()] == [3, 1, 1]
    assert (await setup.ledger.cursor("loop"), await setup.ledger.cursor("audit")) == (3, 2)


@pytest.mark.parametrize("poisoned", [(0,), (6,), (2, 3), (0, 1, 2, 3, 4, 5, 6)])
async def test_poisoned_messages_become_dead_letters_and_block_nothing(poisoned: tuple[int, ...]) -> None:
    setup = Setup(handle=refusing(*poisoned))
    await setup.bus.publish([message(n) for n in range(7)])
    assert await setup.consumer.step() == 7
    assert await effects(setup.ledger) == [n for n in range(7) if n not in poisoned]
    letters = [DeadLetter.of(stored.message) for stored in await setup.bus.read(DEAD_LETTERS)]
    assert [letter.message for letter in letters] == [message(n) for n in poisoned]
    assert {(letter.code, letter.field, letter.consumer) for letter in letters} == {("contract", "n", "loop")}


async def test_a_handlers_own_mistake_is_poison_too() -> None:
    setup = Setup(handle=refusing(1, error=ValueError("load_mw\ud800")))
    await setup.bus.publish([message(n) for n in range(3)])
    assert await setup.consumer.step() == 3
    [letter] = await setup.bus.read(DEAD_LETTERS)
    assert DeadLetter.of(letter.message).code == "unexpected"
    assert DeadLetter.of(letter.message).reason.startswith("ValueError: load_mw")


def test_a_dead_letter_is_never_too_large_for_the_ledger() -> None:
    huge = msgspec.structs.replace(message(1), data=b" " * 16 * 1024 * 1024)
    letter = dead_letter(StoredMessage(1, huge), ValueError("x" * 10_000_000), consumer="loop", at=NOW)
    assert len(letter.data) < 4000
    told = DeadLetter.of(letter)
    assert (told.offset, told.message.id, told.message.data) == (1, "1", b"")


async def test_a_commit_that_the_ledger_refuses_is_poison_too() -> None:
    async def handle(batch: Sequence[StoredMessage]) -> Commit:
        return Commit(entries=[Draft("decided", UUID(int=s.offset), b"{}", "k" * (300 if s.offset == 1 else 3)
                                     + str(s.offset)) for s in batch])  # fmt: skip

    setup = Setup(handle=handle)
    await setup.bus.publish([message(n) for n in range(3)])
    assert await setup.consumer.step() == 3
    assert await effects(setup.ledger) == [0, 2]
    assert (await setup.bus.topics())[DEAD_LETTERS] == 1


async def test_a_conflict_is_looked_at_again_before_it_is_buried() -> None:
    asked: list[int] = []

    async def handle(batch: Sequence[StoredMessage]) -> Commit:
        asked.append(len(batch))
        if len(asked) < 2:
            raise Conflict("somebody was faster")
        return await record_each(batch)

    setup = Setup(handle=handle)
    await setup.bus.publish([message(0)])
    assert await setup.consumer.step() == 1
    assert (asked, await effects(setup.ledger), await setup.bus.read(DEAD_LETTERS)) == ([1, 1], [0], [])


@pytest.mark.parametrize("error", [EngineError("locked", retryable=True), ConnectionResetError(), TimeoutError()])
async def test_a_retryable_failure_waits_longer_each_time_and_skips_nothing(error: Exception) -> None:
    failing = True

    async def handle(batch: Sequence[StoredMessage]) -> Commit:
        if failing:
            raise error
        return await record_each(batch)

    setup = Setup(handle=handle)
    await setup.bus.publish([message(n) for n in range(3)])
    waits = []
    for _ in range(12):
        assert await setup.consumer.step() == 0
        assert setup.consumer.retry_at is not None
        assert setup.consumer.failure is not None
        assert await setup.consumer.step() == 0  # too early: not even tried
        waits.append((setup.consumer.retry_at - setup.clock.now()) / timedelta(milliseconds=100))
        setup.clock.set(setup.consumer.retry_at)
    for place, wait in enumerate(waits):
        assert min(2**place, 300) / 2 <= wait <= min(2**place, 300)
    failing = False
    assert await setup.consumer.step() == 3
    assert (setup.consumer.retry_at, setup.consumer.failure) == (None, None)
    assert await effects(setup.ledger) == [0, 1, 2]
    assert DEAD_LETTERS not in await setup.bus.topics()


async def test_a_failure_that_an_operator_must_mend_stops_and_moves_nothing() -> None:
    setup = Setup(handle=refusing(1, error=IntegrityError("the model was changed")))
    await setup.bus.publish([message(n) for n in range(3)])
    with pytest.raises(IntegrityError):
        await setup.consumer.step()
    assert isinstance(setup.consumer.failure, IntegrityError)
    assert (await setup.ledger.cursor("loop"), await setup.ledger.size()) == (0, 0)
    assert DEAD_LETTERS not in await setup.bus.topics()


async def test_other_cursors_and_messages_of_the_commit_go_with_it_and_wake_their_readers() -> None:
    async def handle(batch: Sequence[StoredMessage]) -> Commit:
        return Commit(
            messages=[Message("next", "k", "loop", "1", b"{}", 1, NOW, NOW)], cursors={"other": 5, "loop": 99}
        )

    setup = Setup(handle=handle)
    await setup.bus.publish([message(0)])
    waiting = asyncio.create_task(setup.bus.wait({"next": 0}))
    await asyncio.sleep(0)
    await setup.consumer.step()
    assert await asyncio.wait_for(waiting, timeout=30) == {"next"}
    assert (await setup.ledger.cursor("other"), await setup.ledger.cursor("loop")) == (5, 1)


async def test_after_is_told_of_every_commit_and_its_failure_repeats_nothing() -> None:
    setup = Setup()
    told: list[int] = []

    async def after(committed: Committed) -> None:
        told.append(committed.first_index)
        raise ValueError("the outbox is not there")

    consumer = Consumer(setup.bus, setup.ledger, "loop", "grid.load", record_each, clock=setup.clock, after=after)
    await setup.bus.publish([message(n) for n in range(3)])
    with pytest.raises(ValueError, match="outbox"):
        await consumer.step()
    assert (told, await effects(setup.ledger), await consumer.step()) == ([0], [0, 1, 2], 0)


async def test_run_handles_what_comes_and_wakes_up_to_try_again() -> None:
    failures = [EngineError("locked", retryable=True)]

    async def handle(batch: Sequence[StoredMessage]) -> Commit:
        if batch[0].offset == 2 and failures:
            raise failures.pop()
        return await record_each(batch)

    setup = Setup(handle=handle)
    running = asyncio.create_task(setup.consumer.run())
    await setup.bus.publish([message(0), message(1)])
    await eventually(lambda: setup.consumer.position == 2)
    await setup.bus.publish([message(2)])
    await eventually(lambda: setup.consumer.retry_at is not None)
    setup.clock.advance(timedelta(seconds=1))
    await eventually(lambda: setup.consumer.position == 3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await effects(setup.ledger) == [0, 1, 2]


async def eventually(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


class Crash(BaseException):
    """The process is gone; nothing after it runs."""


class Faulty:
    """A ledger whose calls fail at the ``nth`` of them, before or after they took effect."""

    def __init__(self, ledger: MemoryLedger, nth: int, error: BaseException, *, after: bool) -> None:
        self._ledger, self.left, self._error, self._after = ledger, nth, error, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._ledger, name)

        async def call(*args: Any, **options: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self._after:
                raise self._error
            result = await method(*args, **options)
            if self.left == 0:
                raise self._error
            return result

        return call


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    "error", [Crash(), EngineError("the answer was lost", retryable=True), asyncio.CancelledError()]
)
async def test_nothing_is_lost_or_repeated_whichever_call_fails(error: BaseException, after: bool) -> None:
    reached = 0
    for nth in range(1, 60):
        memory = MemoryLedger()
        await EmbeddedBus(memory).publish([message(n) for n in range(9)])
        faulty: Any = Faulty(memory, nth, error, after=after)
        setup = Setup(ledger=faulty, handle=refusing(4, 7), batch=5)
        try:
            for _ in range(3):
                await setup.consumer.step()
                setup.clock.advance(timedelta(minutes=1))
        except (Crash, asyncio.CancelledError):
            assert faulty.left == 0
        reached += faulty.left <= 0
        restarted = Setup(ledger=memory, handle=refusing(4, 7), batch=3)
        while await restarted.consumer.step():
            pass
        assert await effects(memory) == [0, 1, 2, 3, 5, 6, 8], nth
        letters = await restarted.bus.read(DEAD_LETTERS)
        assert [DeadLetter.of(letter.message).offset for letter in letters] == [4, 7], nth
    assert 10 <= reached < 59  # every call of the run failed once, and the last rounds ran without a failure
