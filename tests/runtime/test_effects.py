"""Effects with a whole runtime: kills between steps, people who end and redrive runs, pinned code, dead letters."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.runtime.shop import Refund, refund
from tests.runtime.world import MINUTE, SECOND, Till, World

from steward import Action, Call, Decision, Receipt, Signal, Status, Steps, Wait, seconds
from steward.bus.deadletters import DEAD_LETTERS
from steward.decision.fingerprint import describe
from steward.errors import Conflict, ContractError, EngineError, NotFound
from steward.records import ActionFacts
from steward.testing.conformance.site import Plant
from steward.testing.faults import unwritable


def switching(plant: Plant, **changes: Any) -> Decision[Any, Any, Any]:
    steps = Steps(
        plant.action("open", verify=True),
        Wait(MINUTE, name="settle"),
        Signal(name="clear", within=10 * MINUTE),
        plant.action("close", verify=True),
        name="switch",
    )
    return refund(Till(), gate=None, **{"action": steps, **changes})


async def begun(world: World) -> UUID:
    answer = await world.runtime.decide("shop.refund", Refund(order_id="A", amount_eur=1.0))
    await world.later()
    return answer.record.decision_id


async def test_a_process_killed_between_any_two_steps_does_each_once(world: World) -> None:
    plant = Plant()
    await world.open(switching(plant))
    run_id = (await world.runtime.decide("shop.refund", Refund(order_id="A", amount_eur=1.0))).record.decision_id
    for by in (0, 0, 1, 0):
        await world.crash()
        await world.later(by * MINUTE)
    await world.runtime.signal(run_id, "clear", by="crew-3")
    for _ in range(3):
        await world.crash()
        await world.later()
    assert (await world.runtime.run(run_id)).status is Status.ACTED
    assert [call for call in plant.calls if call.startswith("do")] == ["do open", "do close"]
    assert await world.kinds(run_id) == [*("decided", "stepped", "stepped", "signalled", "stepped", "stepped", "acted")]


async def test_an_effect_whose_entry_was_lost_is_read_back(world: World) -> None:
    plant = Plant()
    await world.open(switching(plant))
    world.ledger.fault = lambda commit: unwritable(commit) if commit.entries[0].kind == "stepped" else None
    run_id = await begun(world)
    await world.crash()
    await world.later()
    assert plant.calls == ["do open", "verify open"]
    assert (await world.runtime.run(run_id)).status is Status.ACTING


async def test_code_travels_with_the_run(world: World) -> None:
    plant = Plant()
    old = switching(plant)
    await world.open(old)
    run_id = await begun(world)
    new = switching(plant, action=Action(do=lambda choice, call: Receipt(reference="n")))
    runtime = await world.restart(new)
    await world.later()
    run = await runtime.run(run_id)
    assert run.halted is not None
    assert (run.status, run.halted.code) == (Status.HALTED, "code-gone")
    assert isinstance(run.record.action, ActionFacts)
    assert str(run.record.action.code) in run.halted.question
    with pytest.raises(Conflict) as raised:
        await runtime.redrive(run_id, by="bo", reason="go on")
    assert raised.value.code == "code-gone"
    await runtime.close()
    world.opened.append(await type(runtime).open([new], settings=world.settings, clock=world.clock, former=[old]))
    await world.runtime.redrive(run_id, by="bo", reason="the old code is back")
    await world.later(MINUTE)
    await world.runtime.signal(run_id, "clear", by="crew-3")
    await world.later()
    assert plant.calls[-1] == "do close"


async def test_what_is_taken_back_and_whose_code_is_gone_is_not_told_to_abort(world: World) -> None:
    plant = Plant()
    old = switching(plant)
    await world.open(old)
    run_id = await begun(world)
    runtime = await world.restart(switching(plant, action=Action(do=lambda choice, call: Receipt(reference="n"))))
    await world.later()
    await runtime.abort(run_id, by="ann", reason="storm")
    await world.later()
    halted = (await runtime.run(run_id)).halted
    assert halted is not None
    assert "abort" not in halted.question
    with pytest.raises(Conflict) as raised:
        await runtime.redrive(run_id, by="ann", reason="go on")
    assert (raised.value.code, "abort" in raised.value.fix) == ("code-gone", False)
    runtime = await world.restart(old)
    await runtime.redrive(run_id, by="ann", reason="it is back")
    await world.later()
    assert ((await runtime.run(run_id)).status, plant.effects) == (Status.UNDONE, {})


async def test_who_aborts_what_has_failed_is_told_that_it_ended(memory: World) -> None:
    plant = Plant()
    runtime = await memory.open(switching(plant))
    run_id = await begun(memory)
    for _ in range(3):
        await memory.later(10 * MINUTE)
    assert ((await runtime.run(run_id)).status, plant.effects) == (Status.FAILED, {})
    with pytest.raises(Conflict) as raised:
        await runtime.abort(run_id, by="ann", reason="storm")
    assert (raised.value.code, raised.value.fix) == ("not-under-way", "let it go on: redrive")
    await runtime.redrive(run_id, by="ann", reason="once more")
    await runtime.abort(run_id, by="ann", reason="storm")
    await memory.later()
    with pytest.raises(Conflict) as raised:
        await runtime.abort(run_id, by="ann", reason="storm")
    assert (raised.value.code, raised.value.fix) == ("not-under-way", "")


async def test_a_finished_switching_is_undone_in_reverse(world: World) -> None:
    plant = Plant(fails={"undo open": [ConnectionError("down")]})
    runtime = await world.open(switching(plant))
    run_id = await begun(world)
    await runtime.signal(run_id, "clear", by="crew-3")
    await world.later(MINUTE)
    await runtime.undo(run_id, by="ann", reason="wrong feeder")
    with pytest.raises(Conflict) as raised:
        await runtime.undo(run_id, by="bob", reason="me too")
    assert raised.value.code == "undo-in-flight"
    await world.crash()
    await world.later(MINUTE)
    run = await world.runtime.run(run_id)
    assert run.undone is not None
    assert (run.status, run.undone.by, run.undone.reason) == (Status.UNDONE, "ann", "wrong feeder")
    assert [call for call in plant.calls if "undo" in call] == ["undo close", "undo open", "undo open"]
    assert plant.effects == {}


async def test_a_stop_holds_effects_until_it_is_lifted(world: World) -> None:
    plant = Plant()
    runtime = await world.open(switching(plant))
    run_id = await begun(world)
    await runtime.stop("shop.refund", by="ann", reason="smoke")
    await runtime.signal(run_id, "clear", by="crew-3")
    await world.later(MINUTE)
    await runtime.abort(run_id, by="ann", reason="smoke")
    await world.crash()
    await world.later(MINUTE)
    assert plant.calls == ["do open"]
    for name in ("ann", "bob"):
        await world.runtime.resume("shop.refund", by=name, reason="all clear")
    await world.later()
    assert plant.calls == ["do open", "undo open"]
    assert (await world.runtime.run(run_id)).status is Status.UNDONE


async def test_too_late_is_too_late(memory: World, till: Till) -> None:
    action = Action(do=till.pay, within=MINUTE, backoff=seconds(40))
    runtime = await memory.open(refund(till, gate=None, action=action))
    run_id = (await runtime.decide("shop.refund", Refund(order_id="A", amount_eur=1.0))).record.decision_id
    memory.clock.advance(MINUTE + SECOND)
    await runtime.advance()
    failure = (await runtime.run(run_id)).failure
    assert failure is not None
    assert (failure.code, till.calls) == ("too-late", [])
    await runtime.redrive(run_id, by="bo", reason="do it all the same")
    await memory.later()
    assert till.verbs == ["do"]


async def test_a_call_is_told_until_when_it_is_waited_for(memory: World, till: Till) -> None:
    await memory.open(refund(till, action=Action(do=till.pay, timeout=seconds(7))))
    await begun(memory)
    assert till.calls[0][2].deadline == memory.clock.now() + seconds(7)


@pytest.mark.parametrize(
    ("verb", "code"),
    [("redrive", "not-failed"), ("abort", "not-under-way"), ("signal", "not-under-way")],
)
async def test_what_comes_too_late_is_told(memory: World, verb: str, code: str) -> None:
    plant = Plant()
    steps = Steps(plant.action("open"), Signal(name="clear", within=MINUTE), name="switch")
    runtime = await memory.open(switching(plant, action=steps))
    run_id = await begun(memory)
    await runtime.signal(run_id, "clear", by="crew-3")
    await memory.later()
    words = {"name": "clear", "by": "crew-3"} if verb == "signal" else {"by": "ann", "reason": "why not"}
    with pytest.raises(Conflict) as raised:
        await getattr(runtime, verb)(run_id, **words)
    assert raised.value.code == code


async def test_an_unknown_signal_names_the_known_ones(memory: World) -> None:
    await memory.open(switching(Plant()))
    run_id = await begun(memory)
    with pytest.raises(ContractError, match="clear"):
        await memory.runtime.signal(run_id, "cleer", by="crew-3")


async def test_whoever_waits_for_an_answer_is_rejected_not_aborted(memory: World, till: Till) -> None:
    await memory.open(refund(till))
    answer = await memory.runtime.decide("shop.refund", Refund(order_id="A", amount_eur=900.0))
    with pytest.raises(Conflict) as raised:
        await memory.runtime.abort(answer.record.decision_id, by="ann", reason="no")
    assert raised.value.code == "waits-for-a-person"


@pytest.mark.parametrize(("by", "reason"), [(" ", "ok"), ("ann", "")])
async def test_a_word_needs_who_and_why(memory: World, by: str, reason: str) -> None:
    await memory.open(switching(Plant()))
    run_id = await begun(memory)
    for verb in (memory.runtime.abort, memory.runtime.redrive):
        with pytest.raises(ContractError):
            await verb(run_id, by=by, reason=reason)


async def test_a_rejected_run_says_so_also_after_several_steps(memory: World) -> None:
    plant = Plant()
    runtime = await memory.open(refund(Till(), action=Steps(plant.action("a"), plant.action("b"), name="two")))
    run_id = (await runtime.decide("shop.refund", Refund(order_id="A", amount_eur=900.0))).record.decision_id
    await runtime.reject(run_id, by="ann", reason="no")
    await memory.later()
    run = await runtime.run(run_id)
    assert (run.status, plant.calls) == (Status.REJECTED, ["do a", "do b"])


# Dead letters


async def test_what_did_not_come_through_is_listed(world: World, till: Till) -> None:
    runtime = await world.open(refund(till, gate=None, action=Action(do=till.pay, attempts=1)))
    till.fails.append(EngineError("no such account", code="no-account"))
    run_id = await begun(world)
    await begun(world)
    [dead] = (await runtime.dead_letters.now()).runs
    assert (dead.decision_id, dead.status, dead.code) == (run_id, Status.FAILED, "no-account")
    assert (await runtime.dead_letters.now(among=["other"])).runs == []
    await runtime.redrive(run_id, by="bo", reason="the account is open")
    await world.later()
    assert (await runtime.dead_letters.now()).runs == []


async def test_doubt_and_halts_are_listed_too(memory: World) -> None:
    plant = Plant(fails={"do open": [TimeoutError()]})
    await memory.open(switching(plant))
    await begun(memory)
    [doubtful] = (await memory.runtime.dead_letters.now()).runs
    assert (doubtful.status, doubtful.code) == (Status.IN_DOUBT, "in-doubt")
    await memory.restart(switching(plant, action=Action(do=lambda choice, call: Receipt(reference="n"))))
    await memory.later(MINUTE)
    [halted] = (await memory.runtime.dead_letters.now()).runs
    assert (halted.status, halted.code) == (Status.HALTED, "code-gone")


@pytest.mark.parametrize(
    ("fails", "verify", "undo", "is_in_doubt"),
    [
        ([TimeoutError(), TimeoutError()], False, False, True),
        ([TimeoutError(), EngineError("refused", code="refused")], False, False, True),
        ([ConnectionError("down"), ConnectionError("down")], False, False, False),
        ([TimeoutError(), TimeoutError()], True, False, False),
        ([TimeoutError(), TimeoutError()], False, True, False),
    ],
)
async def test_a_dead_letter_says_whether_it_may_have_taken_effect(
    memory: World, fails: list[Exception], verify: bool, undo: bool, is_in_doubt: bool
) -> None:
    plant = Plant(fails={"do open": fails})
    action = plant.action("open", verify=verify, undo=undo)
    await memory.open(switching(plant, action=replace(action, attempts=2)))
    await begun(memory)
    await memory.later(timedelta(hours=1))
    [dead] = (await memory.runtime.dead_letters.now()).runs
    assert dead.status is Status.FAILED
    assert ("may have taken effect" in dead.reason) == is_in_doubt


async def test_a_dead_event_is_published_once_more(world: World, till: Till) -> None:
    def picky(choice: str, call: Call) -> Receipt:
        return till.pay(choice, call)

    runtime = await world.open(refund(till, gate=None, action=Action(do=picky)))
    topic = runtime.decisions["shop.refund"].contract.name
    bad = world.message(topic, b'{"order_id":"A"}', "1")
    await runtime.bus.publish([bad])  # past the runtime's own check
    await world.later()
    [letter] = (await runtime.dead_letters.now()).messages
    assert (letter.offset, letter.topic, letter.id, letter.code) == (0, topic, "1", "contract")
    with pytest.raises(ContractError):
        await runtime.dead_letters.redrive(0, by="bo", reason="still bad")
    with pytest.raises(NotFound):
        await runtime.dead_letters.redrive(7, by="bo", reason="which one?")
    assert await runtime.ledger.messages(DEAD_LETTERS, 1) == []


async def test_time_moves_a_failed_run_no_further(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till, gate=None, action=Action(do=till.pay, attempts=1)))
    till.fails.append(ConnectionError("down"))
    run_id = await begun(memory)
    await memory.later(timedelta(days=1))
    await memory.crash()
    await memory.later(timedelta(days=1))
    assert await memory.kinds(run_id) == ["decided", "failed"]
    assert runtime is not memory.runtime


async def test_it_is_told_what_people_can_do_about_a_run(memory: World) -> None:
    plant = Plant()
    runtime = await memory.open(switching(plant))
    run_id = await begun(memory)
    offers = runtime.effects.offers(await runtime.run(run_id))
    assert (offers.undo, offers.abort, offers.redrive, offers.signals) == (False, True, False, ("clear",))
    for _ in range(3):
        await memory.later(10 * MINUTE)
    failed = runtime.effects.offers(await runtime.run(run_id))
    assert (failed.undo, failed.abort, failed.redrive, failed.adopt, failed.signals) == (False, False, True, False, ())
    done = await memory.restart(refund(Till(), gate=None))
    gone = done.effects.offers(await done.run(run_id))
    assert (gone.redrive, gone.adopt) == (True, True)
    paid = await begun(memory)
    assert done.effects.offers(await done.run(paid)).undo
    await done.undo(paid, by="ann", reason="twice")
    assert not done.effects.offers(await done.run(paid)).undo


async def test_a_signal_that_has_another_word_goes_on_without_one(memory: World) -> None:
    plant = Plant()
    clear = Signal(name="clear", within=MINUTE, otherwise="time is up")
    runtime = await memory.open(switching(plant, action=Steps(plant.action("open"), clear, name="switch")))
    run_id = await begun(memory)
    await memory.later(MINUTE)
    run = await runtime.run(run_id)
    assert (run.status, run.stepped[-1].result) == (Status.ACTED, "time is up")


def test_what_can_be_said_of_a_signal_since_renames_no_release_that_does_not_say_it() -> None:
    plain, other = (switching(Plant(), action=_signalling(word)) for word in (None, "time is up"))
    assert "otherwise" not in str(describe(plain)["action"])
    assert plain.fingerprint != other.fingerprint


def _signalling(otherwise: str | None) -> Steps[str]:
    return Steps(Plant().action("open"), Signal(name="clear", within=MINUTE, otherwise=otherwise), name="switch")
