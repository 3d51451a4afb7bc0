"""What every bus engine must keep: one test for each promise in :mod:`steward.bus.port`.

An engine inherits the suite and says how it is made::

    class TestEmbedded(BusConformance):
        @pytest.fixture
        async def ledger(self) -> Ledger:
            return MemoryLedger()

        @pytest.fixture
        async def bus(self, ledger: Ledger) -> AsyncIterator[Bus]:
            bus = EmbeddedBus(ledger, max_lag=100)
            yield bus
            await bus.close()

An engine that outlives its process inherits :class:`DurableBusConformance` too and gives it ``reopen``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from msgspec.structs import replace

from steward.bus.deadletters import DEAD_LETTERS, DeadLetter, dead_letter
from steward.bus.port import MAX_DATA_BYTES, Bus
from steward.errors import ContractError, EngineError
from steward.ledger.port import Commit, Ledger, Message, StoredMessage

MAX_LAG = 100
"""How far the slowest consumer of the bus under test may be behind."""
T = TypeVar("T")
ReopenBus = Callable[[], Awaitable[Bus]]
_AT = datetime(2026, 1, 1, 12, 30, 15, 123456, tzinfo=UTC)


def reading(number: int, *, topic: str = "grid.load", key: str = "ES") -> Message:
    """Return event number ``number`` of a meter.

    Example:
        >>> reading(3).id, reading(3).data
        ('3', b'{"load_mw":3}')
    """
    return Message(topic, key, "meter-7", str(number), b'{"load_mw":%d}' % number, 1, _AT, _AT)


def readings(start: int, stop: int, *, topic: str = "grid.load") -> list[Message]:
    """Return the events ``start`` to ``stop``, the last left out.

    Example:
        >>> len(readings(3, 5))
        2
    """
    return [reading(number, topic=topic) for number in range(start, stop)]


def ids(stored: Sequence[StoredMessage]) -> list[str]:
    """Return the ids of messages read.

    Example:
        >>> ids([StoredMessage(0, reading(3))])
        ['3']
    """
    return [item.message.id for item in stored]


async def soon(awaited: Awaitable[T]) -> T:
    """Return what is awaited; fail, rather than hang, if it does not come."""
    return await asyncio.wait_for(awaited, timeout=30)


class BusConformance:
    """The promises of every bus; a subclass named ``Test…`` gives the fixtures ``ledger`` and ``bus``.

    The bus is empty, keeps its consumers' positions in the ledger, and allows a lag of ``MAX_LAG``.

    Example:
        >>> sum(name.startswith("test_") for name in vars(BusConformance)) >= 10
        True
    """

    async def test_at_least_once(self, bus: Bus, ledger: Ledger) -> None:
        """What was published can be read until, and after, a consumer has committed past it."""
        accepted = await bus.publish([reading(0), reading(1)])
        assert list(accepted.offsets) == [0, 1]
        first = await bus.read("grid.load")
        assert first == await bus.read("grid.load")
        assert [item.message for item in first] == [reading(0), reading(1)]
        await ledger.append(Commit(cursors={"loop": 2}))
        assert await bus.read("grid.load") == first

    async def test_order_per_key(self, bus: Bus) -> None:
        """Messages of one key keep their order, also when two senders publish at once."""

        async def send(key: str) -> None:
            for number in range(20):
                await bus.publish([replace(reading(number, key=key), id=f"{key}{number}")])

        await asyncio.gather(send("ES"), send("PT"))
        read = await bus.read("grid.load")
        for key in ("ES", "PT"):
            assert ids([item for item in read if item.message.key == key]) == [f"{key}{n}" for n in range(20)]
        assert [item.offset for item in read] == list(range(40))

    async def test_replay_from_any_offset(self, bus: Bus) -> None:
        """Every offset is a place to start from, with the same messages each time."""
        await bus.publish(readings(0, 10))
        everything = list(await bus.read("grid.load"))
        for start in range(11):
            assert list(await bus.read("grid.load", start)) == everything[start:]
            assert list(await bus.read("grid.load", start, 3)) == everything[start : start + 3]
        assert list(await bus.read("another.topic")) == []

    async def test_topics_are_counted(self, bus: Bus) -> None:
        """``topics`` tells how many messages each topic has."""
        await bus.publish([*readings(0, 3), reading(0, topic="grid.price")])
        assert dict(await bus.topics()) == {"grid.load": 3, "grid.price": 1}

    async def test_duplicates_are_suppressed(self, bus: Bus) -> None:
        """A message sent again is not stored again, and its sender learns the first one's offset."""
        await bus.publish(readings(0, 3))
        again = await bus.publish([reading(1), reading(3), reading(3)])
        assert (list(again.offsets), again.duplicates) == ([1, 3, 3], 2)
        assert ids(await bus.read("grid.load")) == ["0", "1", "2", "3"]
        elsewhere = await bus.publish([reading(1, topic="grid.price"), replace(reading(1), source="meter-8")])
        assert elsewhere.duplicates == 0

    async def test_back_pressure(self, bus: Bus, ledger: Ledger) -> None:
        """Publishing waits for the slowest declared consumer, of this topic only, and goes on when it has."""
        bus.declare("fast", "grid.load")
        bus.declare("slow", "grid.load")
        await bus.publish(readings(0, MAX_LAG))
        await ledger.append(Commit(cursors={"fast": MAX_LAG}))
        with pytest.raises(EngineError) as refused:
            await bus.publish([reading(MAX_LAG)])
        assert (refused.value.retryable, refused.value.code) == (True, "bus.full")
        assert dict(await bus.topics()) == {"grid.load": MAX_LAG}
        await bus.publish(readings(0, MAX_LAG * 2, topic="grid.price"))
        await ledger.append(Commit(cursors={"slow": 1}))
        await bus.publish([reading(MAX_LAG)])
        with pytest.raises(EngineError):
            await bus.publish([reading(MAX_LAG + 1)])

    async def test_back_pressure_holds_for_senders_at_once(self, bus: Bus) -> None:
        """Senders that publish at the same time do not together exceed the bound."""
        bus.declare("loop", "grid.load")
        sent = [bus.publish([reading(number)]) for number in range(MAX_LAG * 2)]
        answers = await asyncio.gather(*sent, return_exceptions=True)
        assert (await bus.topics())["grid.load"] == MAX_LAG
        refused = [answer for answer in answers if isinstance(answer, BaseException)]
        assert len(refused) == MAX_LAG
        assert all(isinstance(error, EngineError) and error.code == "bus.full" for error in refused)

    async def test_batch_beyond_the_bound_is_refused_for_good(self, bus: Bus) -> None:
        """A batch that could never be taken is refused for good, not to be tried again."""
        bus.declare("loop", "grid.load")
        with pytest.raises(ContractError):
            await bus.publish(readings(0, MAX_LAG + 1))

    async def test_dead_letters_block_nothing(self, bus: Bus, ledger: Ledger) -> None:
        """A dead letter holds its original and reason, wakes who waits, and is stored however full the topic is."""
        bus.declare("loop", "grid.load")
        await bus.publish(readings(0, MAX_LAG))
        [poisoned] = await bus.read("grid.load", 3, 1)
        error = ContractError("load_mw must be >= 0", field="load_mw")
        letter = dead_letter(poisoned, error, consumer="loop", at=_AT)
        waiting = asyncio.create_task(bus.wait({DEAD_LETTERS: 0}))
        await ledger.append(Commit(messages=[letter, letter], cursors={"loop": 4}))
        bus.wake([DEAD_LETTERS])
        assert await soon(waiting) == {DEAD_LETTERS}
        [buried] = await bus.read(DEAD_LETTERS)
        told = DeadLetter.of(buried.message)
        assert (told.message, told.offset, told.code, told.field) == (poisoned.message, 3, "contract", "load_mw")
        assert "load_mw must be >= 0" in told.reason
        await bus.publish(readings(MAX_LAG, MAX_LAG + 4))

    async def test_waiting_ends_when_something_is_new(self, bus: Bus) -> None:
        """``wait`` returns at once for what is there, for what comes, and not for another topic or offset."""
        await bus.publish([reading(0)])
        assert await soon(bus.wait({"grid.load": 0, "grid.price": 0})) == {"grid.load"}
        waiting = asyncio.create_task(bus.wait({"grid.load": 1, "grid.price": 0}))
        await bus.publish([reading(0, topic="grid.weather")])
        await bus.publish([reading(0)])
        assert not waiting.done()
        await bus.publish([reading(1)])
        assert await soon(waiting) == {"grid.load"}

    async def test_nobody_waits_for_a_closed_bus(self, bus: Bus) -> None:
        """``close`` ends all waiting, and refuses what comes after it."""
        waiting = asyncio.create_task(bus.wait({"grid.load": 0}))
        await asyncio.sleep(0)
        await bus.close()
        await bus.close()
        for refused in (waiting, bus.publish([reading(0)]), bus.read("grid.load"), bus.topics()):
            with pytest.raises(EngineError):
                await soon(refused)

    async def test_malformed_messages_are_refused(self, bus: Bus) -> None:
        """One malformed message keeps all of its batch out; the error names it."""
        good = reading(0)
        for name, bad in (
            ("id", replace(good, id="")),
            ("topic", replace(good, topic="")),
            ("key", replace(good, key="k" * 2000)),
            ("event_time", replace(good, event_time=_AT.replace(tzinfo=None))),
            ("data", replace(good, data=b" " * (MAX_DATA_BYTES + 1))),
            ("version", replace(good, version=0)),
        ):
            with pytest.raises(ContractError) as refused:
                await bus.publish([good, bad])
            assert refused.value.field == f"messages[1].{name}"
        assert dict(await bus.topics()) == {}


class DurableBusConformance:
    """What a bus that outlives its process promises as well; ``reopen`` gives the same bus after a restart.

    Example:
        >>> [name for name in vars(DurableBusConformance) if name.startswith("test_")]
        ['test_durable_before_return']
    """

    async def test_durable_before_return(self, bus: Bus, reopen: ReopenBus) -> None:
        """What was acknowledged is there after a restart, and its duplicates are still known."""
        await bus.publish(readings(0, 5))
        before = list(await bus.read("grid.load"))
        again = await reopen()
        assert list(await again.read("grid.load")) == before
        accepted = await again.publish([reading(4), reading(5)])
        assert (list(accepted.offsets), accepted.duplicates) == ([4, 5], 1)
