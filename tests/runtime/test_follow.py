"""The gate in virtual time, over each ledger: answers, deadlines and escalations, in any order."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runtime.shop import asked, big, refund, small
from tests.runtime.world import HOUR, MINUTE, NOON, SECOND, Till, World

from steward import Status
from steward.entries import Escalated, Expired
from steward.errors import Conflict, ContractError, GateExpired, StewardError
from steward.records import GateFacts, Rung

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
