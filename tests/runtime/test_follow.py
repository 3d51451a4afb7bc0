"""Deadlines, escalations, and actions with their tries: in virtual time, over each ledger."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runtime.shop import Refund, refund
from tests.runtime.world import HOUR, MINUTE, NOON, SECOND, Till, World

from steward import Action, Call, Choice, Features, Prediction, Receipt, Status, seconds
from steward.entries import Escalated, Expired
from steward.errors import Conflict, ContractError, GateExpired, StewardError
from steward.ledger.run import Run
from steward.records import GateFacts, Rung
from steward.testing.faults import unwritable


def big(n: int = 1) -> Refund:
    return Refund(order_id=f"B-{n}", amount_eur=900.0)


def small(n: int = 1) -> Refund:
    return Refund(order_id=f"A-{n}", amount_eur=20.0)


async def asked(world: World, till: Till) -> UUID:
    await world.open(refund(till))
    return (await world.runtime.decide("shop.refund", big())).record.decision_id


# The gate


async def test_a_small_impact_needs_nobody(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    record = (await runtime.decide("shop.refund", small())).record
    assert isinstance(record.gate, GateFacts)
    assert (record.gate.needed, str(record.gate.impact.amount), record.status) == (False, "20.00", Status.DECIDED)
    assert not (await world.counts())["asked"]


async def test_a_large_impact_asks_and_waits(world: World, till: Till) -> None:
    run_id = await asked(world, till)
    await world.later(9 * MINUTE)
    run = await world.runtime.run(run_id)
    assert run.status is Status.WAITING
    assert run.asked is not None
    gate = run.asked.gate
    assert (gate.deadline, gate.otherwise) == (NOON + 10 * MINUTE, "hold")
    assert gate.ladder == (Rung("manager", NOON + 5 * MINUTE),)
    assert till.calls == []


@pytest.mark.parametrize("restart", [False, True])
async def test_approved_is_done_as_proposed(world: World, till: Till, restart: bool) -> None:
    run_id = await asked(world, till)
    if restart:
        await world.crash()
    run = await world.runtime.approve(run_id, by="ann", reason="known customer")
    assert (run.status, run.choice) == (Status.APPROVED, "pay")
    await world.later()
    run = await world.runtime.run(run_id)
    assert (run.status, list(till.effects.values())) == (Status.ACTED, ["pay"])
    assert await world.kinds(run_id) == ["decided", "asked", "approved", "acted"]


async def test_rejected_does_the_gates_otherwise(world: World, till: Till) -> None:
    run_id = await asked(world, till)
    await world.runtime.reject(run_id, by="ann", reason="suspicious")
    await world.later()
    run = await world.runtime.run(run_id)
    assert (run.status, run.choice, list(till.effects.values())) == (Status.REJECTED, "hold", ["hold"])


@pytest.mark.parametrize("restart", [False, True])
async def test_silence_escalates_and_then_does_otherwise(world: World, till: Till, restart: bool) -> None:
    run_id = await asked(world, till)
    await world.later(5 * MINUTE)
    (escalated,) = await world.bodies("escalated")
    assert isinstance(escalated, Escalated)
    assert (escalated.to, escalated.at) == ("manager", NOON + 5 * MINUTE)
    if restart:
        await world.crash()
        await world.later()
    await world.later(5 * MINUTE)
    run = await world.runtime.run(run_id)
    assert run.status is Status.EXPIRED
    assert isinstance(run.answer, Expired)
    assert (run.answer.at, list(till.effects.values())) == (NOON + 10 * MINUTE, ["hold"])
    assert await world.kinds(run_id) == ["decided", "asked", "escalated", "expired", "acted"]


async def test_a_deadline_that_passed_while_nothing_ran_is_met_at_the_start(world: World, till: Till) -> None:
    run_id = await asked(world, till)
    await world.die()
    world.clock.advance(HOUR)
    await world.open()
    await world.later()
    assert await world.kinds(run_id) == ["decided", "asked", "expired", "acted"]


async def test_the_second_answer_hears_who_was_first(world: World, till: Till) -> None:
    run_id = await asked(world, till)
    await world.runtime.approve(run_id, by="ann", reason="ok")
    for verdict in (world.runtime.approve, world.runtime.reject):
        with pytest.raises(Conflict, match="already approved by ann at 2026-01-01T12:00:00") as raised:
            await verdict(run_id, by="bob", reason="no")
        assert raised.value.code == "already-answered"


async def test_answers_at_once_have_one_winner(world: World, till: Till) -> None:
    run_id = await asked(world, till)
    answers = await asyncio.gather(
        *(
            (world.runtime.approve if n % 2 else world.runtime.reject)(run_id, by=f"p{n}", reason="me")
            for n in range(8)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(answer, Exception) for answer in answers) == 1
    losers = [answer for answer in answers if isinstance(answer, Exception)]
    assert {type(loser) for loser in losers} == {Conflict}
    assert all("by p" in str(loser) for loser in losers)
    await world.later()
    assert len(till.calls) == 1


async def test_an_answer_at_the_deadline_races_the_expiry(world: World, till: Till) -> None:
    run_id = await asked(world, till)
    world.clock.advance(10 * MINUTE)
    with pytest.raises(GateExpired):
        await world.runtime.approve(run_id, by="ann", reason="late")
    await world.runtime.advance()
    with pytest.raises(Conflict, match="already expired by system"):
        await world.runtime.approve(run_id, by="ann", reason="late")
    assert list(till.effects.values()) == ["hold"]


async def test_an_approval_written_while_the_deadline_passes_stands(world: World, till: Till) -> None:
    run_id = await asked(world, till)
    world.clock.set(NOON + 10 * MINUTE - SECOND)
    approving = asyncio.ensure_future(world.runtime.approve(run_id, by="ann", reason="in time"))
    await asyncio.sleep(0)
    world.clock.advance(SECOND)
    await world.runtime.advance()
    assert (await approving).choice == "pay"
    await world.later()
    assert (await world.counts())["approved"] + (await world.counts())["expired"] == 1
    assert list(till.effects.values()) == ["pay"]


async def test_evidence_binds_the_answer_to_what_was_shown(world: World, till: Till) -> None:
    run_id = await asked(world, till)
    run = await world.runtime.run(run_id)
    assert run.asked is not None
    with pytest.raises(Conflict) as raised:
        await world.runtime.approve(run_id, by="ann", reason="ok", evidence="sha256:" + "0" * 64)
    assert raised.value.code == "evidence-changed"
    approved = (await world.runtime.approve(run_id, by="ann", reason="ok", evidence=run.asked.evidence)).answer
    assert approved is not None
    assert approved.by == "ann"


@pytest.mark.parametrize(("by", "reason", "field"), [(" ", "ok", "by"), ("ann", "", "reason")])
async def test_an_answer_needs_a_name_and_a_reason(memory: World, till: Till, by: str, reason: str, field: str) -> None:
    run_id = await asked(memory, till)
    with pytest.raises(ContractError) as raised:
        await memory.runtime.approve(run_id, by=by, reason=reason)
    assert raised.value.field == field


async def test_what_waits_for_nobody_cannot_be_approved(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    with pytest.raises(Conflict, match="does not wait"):
        await runtime.approve(run_id, by="ann", reason="ok")


async def test_a_clock_set_back_still_meets_the_deadline(world: World, till: Till) -> None:
    run_id = await asked(world, till)
    await world.later(5 * MINUTE)
    world.clock.set(NOON - HOUR)
    await world.runtime.advance()
    world.clock.set(NOON + 10 * MINUTE)
    await world.runtime.advance()
    assert await world.kinds(run_id) == ["decided", "asked", "escalated", "expired", "acted"]


# The action


async def test_an_event_that_says_waiting_does_not_hide_its_action(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    await runtime.decide("shop.refund", Refund(order_id="A", amount_eur=1.0, status="waiting"))
    await world.later()
    assert till.verbs == ["do"]


async def test_the_receipt_is_kept(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await world.later()
    (acted,) = await world.bodies("acted")
    assert (acted.receipt, acted.attempt, acted.choice) == (Receipt(reference="paid-1"), 1, "pay")
    assert till.calls[0][2].key == f"shop.refund/{run_id}" == acted.action.key
    assert till.calls[0][2].features == {"amount_eur": 20.0}


async def test_a_failed_try_is_repeated_after_waits_under_one_key(world: World, till: Till) -> None:
    runtime = await world.open(refund(till, action=Action(do=till.pay, attempts=4, backoff=seconds(10))))
    till.fails += [ConnectionError("1"), ConnectionError("2")]
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    tries = [len(till.calls)]
    for _ in range(45):
        await world.later(SECOND)
        tries.append(len(till.calls))
    waits = [second for second in range(1, len(tries)) if tries[second] > tries[second - 1]]
    first, second = waits[1] - waits[0], waits[2] - waits[1]
    assert 0 < first <= 11
    assert 0 < second <= 21
    assert len({call.key for _, _, call in till.calls}) == 1
    assert [call.attempt for _, _, call in till.calls] == [1, 2, 3]
    assert await world.kinds(run_id) == ["decided", "acted"]


async def test_the_world_is_read_back_before_the_second_try(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    till.lost_receipts = 1
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await world.later()
    await world.later(MINUTE)
    assert till.verbs == ["do", "verify"]
    receipt = (await runtime.run(run_id)).receipt
    assert receipt == Receipt(reference="seen")


async def test_the_world_is_read_back_after_a_crash_too(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    world.ledger.fault = unwritable  # the effect happens, but its entry is lost
    await world.later()
    assert till.verbs == ["do"]
    await world.crash()
    await world.later()
    assert till.verbs == ["do", "verify"]
    assert await world.kinds(run_id) == ["decided", "acted"]


async def test_an_effect_whose_entry_could_not_be_written_is_read_back(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    await runtime.decide("shop.refund", small())
    world.ledger.fault = unwritable
    await world.later()
    world.ledger.fault = lambda commit: None
    await world.later(2 * SECOND)
    assert till.verbs == ["do", "verify"]
    assert (await world.counts())["acted"] == 1


async def test_an_action_gives_up(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    till.fails += [ConnectionError("down")] * 3
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    for _ in range(5):
        await world.later(HOUR)
    run = await runtime.run(run_id)
    assert run.status is Status.FAILED
    assert run.failure is not None
    assert (run.failure.stage, run.failure.code, run.failure.attempt) == ("act", "action-failed", 3)
    assert "ConnectionError: down" in run.failure.reason
    await world.crash()
    await world.later(HOUR)
    assert till.verbs.count("do") == 3


async def test_a_refusal_for_good_is_not_repeated(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till))
    till.fails.append(ContractError("no such account"))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    assert (await runtime.run(run_id)).status is Status.FAILED
    assert till.verbs == ["do"]


async def test_an_async_action_that_hangs_is_timed_out_and_holds_up_nobody(memory: World, till: Till) -> None:
    async def hang(choice: str, call: Call) -> Receipt:
        await asyncio.Event().wait()
        return Receipt(reference="never")

    action = Action(do=hang, attempts=1, timeout=seconds(0.05))
    runtime = await memory.open(refund(till, action=action))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    failure = (await runtime.run(run_id)).failure
    assert failure is not None
    assert failure.code == "action-timeout"


async def test_a_live_runtime_acts_beside_an_action_that_hangs(memory: World, till: Till) -> None:
    release, done = asyncio.Event(), asyncio.Event()

    async def first_hangs(choice: str, call: Call) -> Receipt:
        if call.features["amount_eur"] == 1.0:
            await release.wait()
        else:
            done.set()
        return Receipt(reference="ok")

    runtime = await memory.open(refund(till, action=Action(do=first_hangs)))
    runtime.start()
    await runtime.decide("shop.refund", Refund(order_id="A", amount_eur=1.0))
    for _ in range(20):
        await asyncio.sleep(0)
    await runtime.decide("shop.refund", Refund(order_id="B", amount_eur=2.0))
    await asyncio.wait_for(done.wait(), 5)
    release.set()
    assert runtime.failure() is None


@pytest.mark.parametrize("returned", [None, "ok", 7])
async def test_no_receipt_is_a_failure(memory: World, till: Till, returned: Any) -> None:
    def careless(choice: str, call: Call) -> Receipt:
        return returned  # type: ignore[no-any-return]  # on purpose

    runtime = await memory.open(refund(till, action=Action(do=careless)))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    failure = (await runtime.run(run_id)).failure
    assert failure is not None
    assert failure.code == "no-receipt"


async def test_a_receipt_that_cannot_be_read_back_is_a_failure(memory: World, till: Till) -> None:
    def numbered(choice: str, call: Call) -> Receipt:
        return Receipt(reference=17)  # type: ignore[arg-type]  # on purpose

    runtime = await memory.open(refund(till, action=Action(do=numbered)))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    failure = (await runtime.run(run_id)).failure
    assert failure is not None
    assert failure.code == "no-receipt"


async def test_a_choice_of_another_type_than_now_declared_fails_its_run_only(world: World, till: Till) -> None:
    run_id = await asked(world, till)

    def by_number(features: Features, prediction: Prediction[None]) -> Choice[int]:
        return Choice(1, reasons=("numbers now",))

    changed = refund(till, policy=by_number, gate=None)
    runtime = await world.restart(changed)
    await runtime.approve(run_id, by="ann", reason="ok")
    await world.later()
    assert (await runtime.run(run_id)).status is Status.FAILED
    await runtime.decide("shop.refund", small())
    await world.later()
    assert list(till.effects.values()) == [1]


# Undo


async def test_an_effect_is_taken_back_once(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    with pytest.raises(Conflict) as raised:
        await runtime.undo(run_id, by="ann", reason="too early")
    assert raised.value.code == "nothing-to-undo"
    await world.later()
    run = await runtime.undo(run_id, by="ann", reason="a mistake")
    assert (run.status, till.effects) == (Status.UNDONE, {})
    with pytest.raises(Conflict):
        await runtime.undo(run_id, by="ann", reason="again")
    assert till.verbs == ["do", "undo"]
    runtime = await world.crash()
    assert (await runtime.run(run_id)).status is Status.UNDONE


async def test_two_who_take_back_at_once_do_it_once(world: World, till: Till) -> None:
    async def slowly(choice: str, call: Call) -> Receipt:
        await asyncio.sleep(0)
        return till.take_back(choice, call)

    runtime = await world.open(refund(till, action=Action(do=till.pay, undo=slowly)))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await world.later()
    both = [runtime.undo(run_id, by=name, reason="a mistake") for name in ("ann", "bob")]
    first, second = await asyncio.gather(*both, return_exceptions=True)
    assert isinstance(first, Run)
    assert first.status is Status.UNDONE
    assert isinstance(second, Conflict)
    assert second.code == "undo-in-flight"
    assert till.verbs == ["do", "undo"]


async def test_a_failed_undo_is_tried_on_by_itself(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    till.fails.append(ConnectionError("down"))
    run = await runtime.undo(run_id, by="ann", reason="a mistake")
    assert run.undone is None
    assert run.aborted is not None
    with pytest.raises(Conflict) as raised:
        await runtime.undo(run_id, by="ann", reason="a mistake")
    assert raised.value.code == "undo-in-flight"
    await memory.crash()
    await memory.later(MINUTE)
    run = await memory.runtime.run(run_id)
    assert (run.status, till.effects) == (Status.UNDONE, {})
    assert run.undone is not None
    assert (run.undone.by, run.undone.reason) == ("ann", "a mistake")


async def test_an_undo_without_a_receipt_asks_a_person(memory: World, till: Till) -> None:
    def silent(choice: str, call: Call) -> Receipt:
        return None  # type: ignore[return-value]  # on purpose

    runtime = await memory.open(refund(till, action=Action(do=till.pay, undo=silent)))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    run = await runtime.undo(run_id, by="ann", reason="a mistake")
    assert run.status is Status.HALTED
    assert run.halted is not None
    assert "receipt" in run.halted.question


async def test_no_undo_declared(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till, action=Action(do=till.pay)))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    with pytest.raises(Conflict) as raised:
        await runtime.undo(run_id, by="ann", reason="a mistake")
    assert raised.value.code == "no-undo"


# Any order of answers, moves of the clock and work


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["approve", "reject", "advance", "clock", "back", "crash", "undo"]),
        st.integers(0, 2),
        st.integers(1, 400),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.lists(st.booleans(), max_size=6))
def test_no_order_leads_to_two_answers_or_two_effects(steps: list[tuple[str, int, int]], fails: list[bool]) -> None:
    async def play() -> None:
        with pytest.MonkeyPatch.context() as patch:
            world, till = World("memory", NOWHERE, patch), Till()
            till.fails = [ConnectionError("down") if fail else ContractError("no") for fail in fails]
            await world.open(refund(till))
            run_ids = [(await world.runtime.decide("shop.refund", big(n))).record.decision_id for n in range(3)]
            refusals: list[str] = []
            for verb, which, amount in steps:
                refusals.append(await perform(world, verb, run_ids[which], amount))
            assert set(refusals) <= ALLOWED
            world.clock.set(NOON + 24 * HOUR)
            for _ in range(10):
                await world.later(HOUR)
            for run_id in run_ids:
                kinds = await world.kinds(run_id)
                assert sum(kind in ("approved", "rejected", "expired") for kind in kinds) == 1
                assert sum(kind in ("acted", "failed") for kind in kinds) == 1
                assert kinds.count("escalated") <= 1
                assert kinds.count("undone") <= 1
            done = [call.key for verb, _, call in till.calls if verb == "do"]
            assert len(set(done)) <= 3
            assert (await world.counts())["acted"] >= len(till.effects)
            await world.close()

    asyncio.run(play())


ALLOWED = {"", "already-answered", "gate-expired", "nothing-to-undo", "action-failed", "contract"}
NOWHERE = Path("/nonexistent")


async def perform(world: World, verb: str, run_id: UUID, amount: int) -> str:
    """Do one step and return the code of its refusal, if it was refused."""
    try:
        await attempt(world, verb, run_id, amount)
    except StewardError as error:
        return error.code
    return ""


async def attempt(world: World, verb: str, run_id: UUID, amount: int) -> None:
    runtime = world.runtime
    if verb == "approve":
        await runtime.approve(run_id, by="ann", reason="ok")
    elif verb == "reject":
        await runtime.reject(run_id, by="bob", reason="no")
    elif verb == "undo":
        await runtime.undo(run_id, by="ann", reason="oops")
    elif verb == "advance":
        await runtime.advance()
    elif verb == "crash":
        await world.crash()
    else:
        world.clock.advance((SECOND if verb == "clock" else -SECOND) * amount)
