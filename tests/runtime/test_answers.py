"""What people answer: yes or no, changed choices, questions, ladders, and seeded checks."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.runtime.desk import again, agree, asked, part_refund, refused, shown
from tests.runtime.shop import Refund
from tests.runtime.world import MINUTE, NOON, SECOND, Till, World

from steward import Checks, Features, Status, minutes
from steward.entries import Approved, Changed, Escalated, Seeded
from steward.errors import ContractError, Denied, GateExpired, StewardError
from steward.loop import verdicts
from steward.loop.gate import answer_key, part_key
from steward.records import Money

# One of one


async def test_an_answer_says_how_long_it_took(memory: World, till: Till) -> None:
    run_id = await asked(memory, till)
    memory.clock.advance(90 * SECOND)
    run = await memory.runtime.approve(run_id, by="ana", reason="known")
    assert isinstance(run.answer, Approved)
    assert (run.answer.waited_s, run.answer.evidence, run.choice) == (90.0, run.asked and run.asked.evidence, 900.0)
    assert await memory.kinds(run_id) == ["decided", "asked", "approved"]


@pytest.mark.parametrize("by", ["", " ", "ana ", "system", "a" * 201])
async def test_whoever_answers_has_a_name(memory: World, till: Till, by: str) -> None:
    run_id = await asked(memory, till)
    error = await refused(memory.runtime.approve(run_id, by=by, reason="known"))
    assert (type(error), error.field) == (ContractError, "by")


async def test_only_those_who_are_asked_may_answer(memory: World, till: Till) -> None:
    run_id = await asked(memory, till)
    answers = memory.runtime.answers
    words: Any = {"by": "ana", "reason": "known", "groups": frozenset({"lead", "shop"})}
    later = NOON + MINUTE
    for answer in (
        answers.approve(run_id, **words),
        answers.reject(run_id, **words),
        answers.change(run_id, 1.0, **words),
        answers.question(run_id, **words),
        answers.escalate(run_id, **words),
        answers.snooze(run_id, until=later, **words),
    ):
        error = await refused(answer)
        assert (type(error), error.code) == (Denied, "not-asked")
    await memory.later(4 * MINUTE)  # the ladder's first rung
    run = await memory.runtime.approve(run_id, **words)
    assert run.status is Status.APPROVED


async def test_nobody_agrees_to_what_they_proposed(memory: World, till: Till) -> None:
    run_id = await asked(memory, till, by="ana")
    error = await refused(memory.runtime.approve(run_id, by="ana", reason="mine"))
    assert (type(error), error.code) == (Denied, "self-approval")
    assert (await memory.runtime.approve(run_id, by="bo", reason="fine")).status is Status.APPROVED


# Changes


async def test_a_change_is_its_editors_own_answer(world: World, till: Till) -> None:
    run_id = await asked(world, till)
    run = await world.runtime.answers.change(run_id, 400, by="ana", reason="half is enough")
    assert (run.status, run.choice, run.round) == (Status.APPROVED, 400, 1)
    assert isinstance(run.answer, Approved)
    assert run.answer.by == "ana"
    (changed,) = await world.bodies("changed")
    assert isinstance(changed, Changed)
    assert (changed.proposed, changed.choice, changed.by, changed.impact) == (
        900.0,
        400,
        "ana",
        Money.rounded(400, "EUR"),
    )
    assert changed.evidence == run.answer.evidence
    await world.later()
    assert list(till.effects.values()) == [400.0]
    assert await world.kinds(run_id) == ["decided", "asked", "changed", "approved", "acted"]


@pytest.mark.parametrize(
    ("choice", "kind", "field"),
    [(900.5, ContractError, "choice"), (900.0, ContractError, "choice"), ("much", ContractError, "choice")],
)
async def test_a_change_stays_within_its_limits(
    memory: World, till: Till, choice: object, kind: type[StewardError], field: str
) -> None:
    run_id = await asked(memory, till)
    error = await refused(memory.runtime.answers.change(run_id, choice, by="ana", reason="more"))
    assert (type(error), error.field) == (kind, field)
    assert await memory.kinds(run_id) == ["decided", "asked"]


async def test_without_limits_nobody_changes_anything(memory: World, till: Till) -> None:
    run_id = await asked(memory, till, limits=None)
    assert (await refused(memory.runtime.answers.change(run_id, 1.0, by="ana", reason="less"))).code == "no-change"


async def test_limits_that_fail_are_told_apart_from_a_wrong_choice(memory: World, till: Till) -> None:
    run_id = await asked(memory, till)
    error = await refused(memory.runtime.answers.change(run_id, 77.0, by="ana", reason="less"))
    assert (type(error), error.code) == (StewardError, "gate-failed")


async def test_a_change_voids_what_was_agreed_to_before(world: World, till: Till) -> None:
    run_id = await asked(world, till, approvals=2)
    before = await shown(world, run_id)
    await agree(world, run_id, "ana")
    run = await world.runtime.answers.change(run_id, 400.0, by="bo", reason="less", evidence=before)
    assert (run.status, [each.by for each in run.endorsed]) == (Status.WAITING, ["bo"])
    error = await refused(world.runtime.approve(run_id, by="cy", reason="fine", evidence=before))
    assert error.code == "evidence-changed"
    run = await agree(world, run_id, "ana")
    assert (run.status, run.choice) == (Status.APPROVED, 400.0)


# Talk


async def test_a_question_waits_for_its_reply(memory: World, till: Till) -> None:
    run_id = await asked(memory, till)
    answers = memory.runtime.answers
    assert (await refused(answers.reply(run_id, by="bo", reason="yes"))).code == "no-question"
    run = await answers.question(run_id, by="ana", reason="Is it open?")
    assert (question := verdicts.open_question(run)) is not None
    assert question.question == "Is it open?"
    run = await answers.reply(run_id, by="pia", reason="Since 10:00", groups=frozenset({"shop"}))
    assert verdicts.open_question(run) is None
    assert run.status is Status.WAITING


async def test_a_person_escalates_to_the_next_or_to_one_by_name(memory: World, till: Till) -> None:
    run_id = await asked(memory, till)
    answers = memory.runtime.answers
    words: Any = {"by": "ana", "reason": "too much for me"}
    assert (await refused(answers.escalate(run_id, to="friends", **words))).code == "no-rung"
    await answers.escalate(run_id, to="boss", **words)
    await answers.escalate(run_id, **words)
    assert [body.to for body in await memory.bodies("escalated")] == ["boss", "lead"]
    assert (await refused(answers.escalate(run_id, **words))).code == "no-rung"
    run = await memory.runtime.approve(run_id, by="cy", reason="ok", groups=frozenset({"boss"}))
    assert run.status is Status.APPROVED


async def test_the_ladder_is_climbed_rung_by_rung(world: World, till: Till) -> None:
    run_id = await asked(world, till, within=minutes(9))
    for wait, groups in ((0, []), (3, ["lead"]), (3, ["lead", "boss"])):
        await world.later(timedelta(minutes=wait))
        assert [body.to for body in await world.bodies("escalated") if isinstance(body, Escalated)] == groups
    await world.later(3 * MINUTE)
    assert (await world.runtime.run(run_id)).status is Status.EXPIRED


async def test_the_ladder_does_not_ask_again_whom_a_person_has_asked(world: World, till: Till) -> None:
    run_id = await asked(world, till, within=minutes(9))
    await world.runtime.answers.escalate(run_id, to="lead", by="ana", reason="too much for me")
    for wait, groups in ((0, ["lead"]), (3, ["lead"]), (3, ["lead", "boss"])):
        await world.later(timedelta(minutes=wait))
        assert [body.to for body in await world.bodies("escalated") if isinstance(body, Escalated)] == groups
    await world.later(3 * MINUTE)
    assert (await world.runtime.run(run_id)).status is Status.EXPIRED


async def test_snoozing_lies_between_now_and_the_deadline(memory: World, till: Till) -> None:
    run_id = await asked(memory, till)
    answers = memory.runtime.answers
    for until in (NOON, NOON + 10 * MINUTE):
        assert (await refused(answers.snooze(run_id, until=until, by="ana", reason="busy"))).field == "until"
    await answers.snooze(run_id, until=NOON + 5 * MINUTE, by="ana", reason="in a call")
    await memory.later(10 * MINUTE)
    assert (await memory.runtime.run(run_id)).status is Status.EXPIRED


async def test_nothing_is_said_after_the_deadline(memory: World, till: Till) -> None:
    run_id = await asked(memory, till)
    memory.clock.advance(10 * MINUTE)
    answers = memory.runtime.answers
    words: Any = {"by": "ana", "reason": "late"}
    for answer in (
        answers.approve(run_id, **words),
        answers.change(run_id, 1.0, **words),
        answers.reply(run_id, **words),
    ):
        assert isinstance(await refused(answer), GateExpired)


# Seeded checks


def ten_times(features: Features, choice: float) -> float:
    if features.number("amount_eur") == 13.0:
        raise RuntimeError("thirteen")
    return choice * 10


async def test_a_check_is_an_ask_that_leads_to_nothing(world: World, till: Till) -> None:
    await world.open(part_refund(till, checks=Checks(rate=1.0, wrong=ten_times)))
    real = await again(world)
    (seeded,) = await world.bodies("seeded")
    assert isinstance(seeded, Seeded)
    twin = await world.runtime.run(seeded.about)
    assert seeded.decision_id not in (real, seeded.about)
    assert (twin.record.choice, twin.status, bool(twin.record.action)) == (9000.0, Status.WAITING, False)
    assert twin.asked is not None
    assert str(twin.asked.gate.impact.amount) == "9000.00"
    assert await world.kinds(seeded.about) == ["decided", "asked"]
    for run_id in (real, seeded.about):
        await world.runtime.approve(run_id, by="ana", reason="fine")
    await world.later()
    assert list(till.effects.values()) == [900.0]


async def test_a_check_that_fails_never_stops_a_decision(memory: World, till: Till) -> None:
    await memory.open(part_refund(till, checks=Checks(rate=1.0, wrong=ten_times)))
    event = Refund(order_id="C", amount_eur=13.0)
    answer = await memory.runtime.decide("shop.refund", event)
    assert answer.record.status is Status.WAITING
    (failed,) = await memory.bodies("failed")
    assert (failed.stage, failed.code, "thirteen" in failed.reason) == ("gate", "gate-failed", True)


async def test_checks_come_at_their_rate(memory: World, till: Till) -> None:
    await memory.open(part_refund(till, checks=Checks(rate=0.1, wrong=ten_times)))
    for _ in range(400):
        await again(memory)
    assert 20 <= (await memory.counts())["seeded"] <= 65


def test_the_keys_of_a_run_do_not_meet() -> None:
    run_id = UUID(int=1)
    keys = [answer_key(run_id), answer_key(run_id, 1), part_key(run_id, 0, "1"), part_key(run_id, 1, "0")]
    assert len(set(keys)) == len(keys)
