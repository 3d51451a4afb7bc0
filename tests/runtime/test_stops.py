"""The stop switch: at once, for all that is dispatched, until two people lift it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.runtime.shop import Refund, refund
from tests.runtime.world import MINUTE, NOON, SECOND, Till, World

from steward import Action, Call, Receipt, Status
from steward.clock import SystemClock, VirtualClock
from steward.errors import Conflict, ContractError, EngineError, NotFound, StewardError
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit, Draft
from steward.ledger.sqlite import SqliteLedger
from steward.loop.agenda import Agenda
from steward.runtime.journal import Journal
from steward.runtime.stops import STOPS_RUN, Stops
from steward.testing.faults import unwritable

NAME = "shop.refund"


async def decided(world: World, amount_eur: float = 20.0) -> UUID:
    event = Refund(order_id="A", amount_eur=amount_eur)
    return (await world.runtime.decide(NAME, event)).record.decision_id


async def refused(answer: Awaitable[object]) -> StewardError:
    with pytest.raises(StewardError) as raised:
        await answer
    return raised.value


async def lift(world: World, decision: str = "*") -> None:
    for person in ("ana", "bo"):
        await world.runtime.resume(decision, by=person, reason="all clear")


@pytest.mark.parametrize("target", ["*", NAME])
async def test_stopped_is_decided_and_not_done(world: World, till: Till, target: str) -> None:
    await world.open(refund(till))
    await world.runtime.stop(target, by="ana", reason="smoke")
    run_id = await decided(world)
    await world.later()
    assert (await world.runtime.run(run_id)).status is Status.DECIDED
    assert till.calls == []
    await lift(world, target)
    await world.later()
    assert (await world.runtime.run(run_id)).status is Status.ACTED


async def test_other_decisions_go_on(memory: World, till: Till) -> None:
    other = Till()
    await memory.open(refund(till), refund(other, name="shop.other"))
    await memory.runtime.stop(NAME, by="ana", reason="smoke")
    for name in (NAME, "shop.other"):
        await memory.runtime.decide(name, Refund(order_id="A", amount_eur=20.0))
    await memory.later()
    assert (len(till.calls), len(other.calls)) == (0, 1)
    assert memory.runtime.stops.is_stopped(NAME)
    assert not memory.runtime.stops.is_stopped("shop.other")


async def test_what_waits_for_people_is_frozen(world: World, till: Till) -> None:
    await world.open(refund(till))
    run_id = await decided(world, 900.0)
    await world.runtime.stop(by="ana", reason="smoke")
    answers = world.runtime.answers
    words: Any = {"by": "bo", "reason": "fine"}
    for verdict in (answers.approve, answers.reject, answers.question):
        error = await refused(verdict(run_id, **words))
        assert (type(error), error.code) == (Conflict, "stopped")
    await world.later(20 * MINUTE)  # neither the ladder nor the deadline
    assert await world.kinds(run_id) == ["decided", "asked"]
    await lift(world)
    await world.later()
    assert await world.kinds(run_id) == ["decided", "asked", "expired", "acted"]


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_a_stop_survives_the_process(world: World, till: Till, how: str) -> None:
    await world.open(refund(till))
    await world.runtime.stop(by="ana", reason="smoke")
    run_id = await decided(world)
    await getattr(world, how)()
    await world.later()
    assert till.calls == []
    (stop,) = world.runtime.stops.standing()
    assert (stop.decision, stop.by, stop.reason, stop.at) == ("*", "ana", "smoke", NOON)
    await world.runtime.resume(by="ana", reason="all clear")
    await getattr(world, how)()
    assert (await refused(world.runtime.resume(by="ana", reason="all clear"))).code == "second-person"
    assert await world.runtime.resume(by="bo", reason="all clear") is None
    await world.later()
    assert (await world.runtime.run(run_id)).status is Status.ACTED


async def test_it_is_lifted_by_two_people(world: World, till: Till) -> None:
    await world.open(refund(till))
    resume = world.runtime.resume
    assert (await refused(resume(by="ana", reason="clear"))).code == "not-stopped"
    await world.runtime.stop(by="ana", reason="smoke")
    stop = await resume(by="ana", reason="clear")
    assert stop is not None
    assert (stop.resuming_by, world.runtime.stops.is_stopped(NAME)) == ("ana", True)
    assert (await refused(resume(by="ana", reason="clear"))).code == "second-person"
    assert await resume(by="bo", reason="clear") is None
    assert not world.runtime.stops.is_stopped(NAME)
    (resumed,) = await world.bodies("resumed")
    assert (resumed.first, resumed.by, resumed.decision_id) == ("ana", "bo", STOPS_RUN)


async def test_stopped_again_voids_the_first_wish_to_lift_it(memory: World, till: Till) -> None:
    await memory.open(refund(till))
    await memory.runtime.stop(by="ana", reason="smoke")
    await memory.runtime.resume(by="ana", reason="clear")
    await memory.runtime.stop(by="cy", reason="fire")
    stop = await memory.runtime.resume(by="bo", reason="clear")
    assert stop is not None
    assert (stop.resuming_by, stop.reason) == ("bo", "fire")


async def test_two_who_lift_it_at_once_are_two(world: World, till: Till) -> None:
    await world.open(refund(till))
    await world.runtime.stop(by="ana", reason="smoke")
    await asyncio.gather(*(world.runtime.resume(by=by, reason="clear") for by in ("ana", "bo")))
    assert world.runtime.stops.standing() == []
    await world.runtime.stop(by="ana", reason="smoke")
    done = await asyncio.gather(
        *(world.runtime.resume(by="ana", reason="clear") for _ in range(2)), return_exceptions=True
    )
    assert [each.code for each in done if isinstance(each, Conflict)] == ["second-person"]
    assert world.runtime.stops.is_stopped(NAME)


async def test_everything_stopped_holds_also_what_is_not_stopped_by_name(memory: World, till: Till) -> None:
    await memory.open(refund(till))
    await memory.runtime.stop(NAME, by="ana", reason="smoke")
    await memory.runtime.stop(by="ana", reason="more smoke")
    await decided(memory)
    await lift(memory)
    await memory.later()
    assert till.calls == []
    await lift(memory, NAME)
    await memory.later()
    assert len(till.calls) == 1


async def test_who_and_why_are_needed(memory: World, till: Till) -> None:
    await memory.open(refund(till))
    for by, reason, field in (("", "smoke", "by"), (" ana", "smoke", "by"), ("ana", " ", "reason")):
        error = await refused(memory.runtime.stop(by=by, reason=reason))
        assert (type(error), error.field) == (ContractError, field)
    error = await refused(memory.runtime.stop("shop.refnd", by="ana", reason="smoke"))
    assert isinstance(error, NotFound)
    assert "'shop.refund'" in error.fix


async def test_a_stop_that_cannot_be_written_holds_all_the_same(world: World, till: Till) -> None:
    await world.open(refund(till))
    run_id = await decided(world)
    world.ledger.fault = unwritable
    assert isinstance(await refused(world.runtime.stop(by="ana", reason="smoke")), EngineError)
    world.ledger.fault = lambda commit: None
    await world.later()
    assert (await world.runtime.run(run_id)).status is Status.DECIDED
    assert [stop.by for stop in world.runtime.stops.standing()] == ["ana"]
    await lift(world)  # which writes it first
    assert [entry.kind for entry in await world.runtime.ledger.of_run(STOPS_RUN)] == ["stopped", "resuming", "resumed"]
    await world.later()
    assert (await world.runtime.run(run_id)).status is Status.ACTED


async def test_two_who_write_are_told_of_each_other(memory: World) -> None:
    ledger, clock = MemoryLedger(), VirtualClock(NOON)
    first, second = (Stops(Journal(ledger, Agenda()), [NAME], clock) for _ in range(2))
    for stops in (first, second):
        await stops.open()
    await first.stop(by="ana", reason="smoke")
    await second.stop(NAME, by="bo", reason="smoke")
    assert [stop.decision for stop in second.standing()] == ["*", NAME]
    assert [entry.key for entry in await ledger.of_run(STOPS_RUN)] == ["stop/0", "stop/1"]


async def test_urgent_goes_before_what_waits(tmp_path: Path) -> None:
    ledger = await SqliteLedger.open(tmp_path / "ledger.db", clock=SystemClock())
    free = threading.Event()
    busy = asyncio.create_task(ledger._writer.call(free.wait))

    async def append(entries: int, *, urgent: bool = False) -> int:
        drafts = [Draft("decided", UUID(int=1), b"{}") for _ in range(entries)]
        return (await ledger.append(Commit(entries=drafts, urgent=urgent))).first_index

    waiting = [asyncio.create_task(append(5000)) for _ in range(20)]
    await asyncio.sleep(0)
    stop = asyncio.create_task(append(1, urgent=True))
    await asyncio.sleep(0)
    free.set()
    assert await stop == 0
    assert sorted(await asyncio.gather(*waiting)) == [1 + 5000 * place for place in range(20)]
    await busy
    await ledger.close()


async def test_urgent_is_answered_also_when_the_ledger_closes(tmp_path: Path) -> None:
    ledger = await SqliteLedger.open(tmp_path / "ledger.db", clock=SystemClock())
    appends = [ledger.append(Commit(entries=[Draft("x", UUID(int=n), b"{}")], urgent=n % 2 == 0)) for n in range(50)]
    tasks = [asyncio.create_task(append) for append in appends]
    await asyncio.sleep(0)
    await ledger.close()
    done = await asyncio.gather(*tasks)
    assert sorted(committed.first_index for committed in done) == list(range(50))


async def test_nothing_is_dispatched_in_the_midst_of_many(world: World, till: Till) -> None:
    await world.open(refund(till))
    world.runtime.start()
    told: list[int] = []

    async def stop() -> None:
        await world.runtime.stop(by="ana", reason="smoke")
        told.append(len(till.calls))

    before = [asyncio.create_task(decided(world)) for _ in range(100)]
    await asyncio.gather(*before[:20])
    await asyncio.gather(*before, stop(), *(decided(world) for _ in range(100)))
    await world.later(MINUTE)
    assert len(till.calls) == told[0] < 200
    await lift(world)
    await world.later()
    assert len(till.effects) == 200


async def test_a_slow_look_at_the_world_is_followed_by_no_dispatch(memory: World) -> None:
    """The stop is asked for right before the effect, not only when the run's turn begins."""
    done: list[str] = []
    looked, go_on = asyncio.Event(), asyncio.Event()

    async def do(choice: str, call: Call) -> Receipt:
        done.append(call.key)
        if len(done) == 1:
            raise ConnectionError("the line is bad")
        return Receipt(reference=call.key)

    async def look(choice: str, call: Call) -> Receipt | None:
        looked.set()
        await go_on.wait()
        return None

    await memory.open(refund(Till(), action=Action(do=do, verify=look, attempts=3, backoff=SECOND)))
    await decided(memory)
    await memory.later()
    memory.clock.advance(MINUTE)
    under_way = asyncio.create_task(memory.runtime.advance())
    await looked.wait()
    await memory.runtime.stop(by="ana", reason="smoke")
    go_on.set()
    await under_way
    assert len(done) == 1
    await lift(memory)
    await memory.later(MINUTE)
    assert len(done) == 2


async def test_a_declared_decision_lifts_what_it_stopped_itself_and_nothing_else(memory: World, till: Till) -> None:
    await memory.open(refund(till), refund(Till(), name="shop.other"))
    stops = memory.runtime.stops
    await stops.stop(NAME, by="shop.other", reason="the till is counted")
    run_id = await decided(memory)
    assert isinstance(await refused(stops.release(NAME, by="ana", reason="over")), NotFound)
    assert await stops.release(NAME, by="shop.other", reason="over")
    await memory.later()
    assert (await memory.runtime.run(run_id)).status is Status.ACTED
    assert not await stops.release(NAME, by="shop.other", reason="over")
    await stops.stop(NAME, by="shop.other", reason="the till is counted")
    await stops.stop(NAME, by="ana", reason="smoke")
    assert not await stops.release(NAME, by="shop.other", reason="over")
    assert stops.is_stopped(NAME)
