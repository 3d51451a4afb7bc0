"""What people answer: several of them, changed choices, four eyes, questions, ladders; guarded twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.runtime.shop import Refund, refund
from tests.runtime.world import MINUTE, NOON, SECOND, Till, World

from steward import Checks, Choice, Feature, Features, Gate, Prediction, Status, impact_above, minutes
from steward.entries import Approved, Barred, Changed, Escalated, Seeded
from steward.errors import Conflict, ContractError, Denied, GateExpired, StewardError
from steward.ledger.port import Commit
from steward.ledger.run import Run
from steward.loop import verdicts
from steward.loop.encode import draft
from steward.loop.gate import Keyed, answer_key, part_key
from steward.records import Money
from steward.runtime.parts import Origin
from steward.runtime.settings import Settings


def pay_part(features: Features, prediction: Prediction[None]) -> Choice[float]:
    """Propose to pay all that is asked for."""
    return Choice(features.number("amount_eur"), reasons=("asked for",))


def at_stake(features: Features, prediction: Prediction[None], choice: float) -> float:
    return choice


def within_asked(features: Features, proposed: float, wanted: float) -> None:
    if not 0 <= wanted <= features.number("amount_eur"):
        raise ContractError("nobody pays more than was asked", field="choice")
    if wanted == 77.0:
        raise RuntimeError("seventy-seven")


def part_refund(till: Till, **gate: Any) -> Any:
    """A refund of an amount, which approvers may lower."""
    given: dict[str, Any] = {
        "needed": impact_above(0),
        "impact": at_stake,
        "approvers": "desk",
        "within": minutes(10),
        "otherwise": 0.0,
        "escalate_to": ("lead", "boss"),
        "limits": within_asked,
    }
    return refund(till, policy=pay_part, gate=Gate(**{**given, **gate}), features=(Feature("amount_eur"),))


async def asked(world: World, till: Till, *, by: str | None = None, **gate: Any) -> UUID:
    await world.open(part_refund(till, **gate))
    return await again(world, by)


async def again(world: World, by: str | None = None) -> UUID:
    event = Refund(order_id="B", amount_eur=900.0)
    return (await world.runtime.decide("shop.refund", event, origin=Origin(by=by))).record.decision_id


async def shown(world: World, run_id: UUID) -> str:
    """Return the digest of what is asked now."""
    run = await world.runtime.run(run_id)
    assert run.asked is not None
    return run.asked.evidence


async def agree(world: World, run_id: UUID, by: str, **words: Any) -> Run:
    given = {"reason": "fine", "evidence": await shown(world, run_id), **words}
    return await world.runtime.approve(run_id, by=by, **given)


async def refused(answer: Awaitable[object]) -> StewardError:
    with pytest.raises(StewardError) as raised:
        await answer
    return raised.value


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


# Several


async def test_several_must_agree(world: World, till: Till) -> None:
    run_id = await asked(world, till, approvals=3)
    for count, person in enumerate(["ana", "bo"], 1):
        run = await agree(world, run_id, person)
        assert (run.status, len(run.endorsed)) == (Status.WAITING, count)
        await world.later()
    assert (await refused(agree(world, run_id, "bo"))).code == "already-endorsed"
    assert till.calls == []
    run = await agree(world, run_id, "cy")
    assert (run.status, run.answer and run.answer.by) == (Status.APPROVED, "cy")
    assert await world.kinds(run_id) == ["decided", "asked", *["endorsed"] * 3, "approved"]


async def test_one_of_several_can_refuse_for_all(memory: World, till: Till) -> None:
    run_id = await asked(memory, till, approvals=2)
    await agree(memory, run_id, "ana")
    run = await memory.runtime.reject(run_id, by="ana", reason="I was wrong", evidence=await shown(memory, run_id))
    assert (run.status, run.choice) == (Status.REJECTED, 0.0)


async def test_several_must_say_what_they_were_shown(memory: World, till: Till) -> None:
    run_id = await asked(memory, till, approvals=2)
    for verdict in (memory.runtime.approve, memory.runtime.reject):
        error = await refused(verdict(run_id, by="ana", reason="fine"))
        assert (type(error), error.code, error.field) == (ContractError, "evidence-missing", "evidence")


async def test_two_last_ones_at_once_are_one_approval(world: World, till: Till) -> None:
    run_id = await asked(world, till, approvals=2)
    evidence = await shown(world, run_id)
    done = await asyncio.gather(
        *(world.runtime.approve(run_id, by=by, reason="fine", evidence=evidence) for by in ("ana", "bo", "cy")),
        return_exceptions=True,
    )
    assert all(isinstance(each, Run | Conflict) for each in done)
    run = await world.runtime.run(run_id)
    assert run.status is Status.APPROVED
    assert (await world.counts())["approved"] == 1
    assert len({each.by for each in run.endorsed}) == len(run.endorsed) >= 2


async def test_enough_agreed_and_nobody_said_so(memory: World, till: Till) -> None:
    """The process died between the last agreement and the word ``approved``."""
    run_id = await asked(memory, till, approvals=2)
    await agree(memory, run_id, "ana")
    evidence = await shown(memory, run_id)
    run = await memory.runtime.run(run_id)
    steps = verdicts.approve(run, verdicts.Said(by="bo", at=NOON, reason="ok", evidence=evidence))
    await memory.runtime.ledger.append(_commit(steps[:1]))
    await memory.crash()
    await memory.later(20 * MINUTE)  # also after the deadline
    run = await memory.runtime.run(run_id)
    assert (run.status, run.answer and run.answer.by) == (Status.ACTED, "bo")
    assert (await memory.counts())["expired"] == 0


def _commit(steps: Sequence[Keyed]) -> Commit:
    return Commit(entries=[draft(*step) for step in steps])


async def test_a_late_agreement_to_what_was_changed_does_not_count(memory: World, till: Till) -> None:
    run_id = await asked(memory, till, approvals=2)
    evidence, run = await shown(memory, run_id), await memory.runtime.run(run_id)
    late = verdicts.approve(run, verdicts.Said(by="cy", at=NOON, reason="ok", evidence=evidence))
    await memory.runtime.answers.change(run_id, 400.0, by="ana", reason="less", evidence=evidence)
    await memory.runtime.ledger.append(_commit(late))
    run = await memory.runtime.run(run_id)
    assert ([each.by for each in run.endorsed], run.status) == (["ana"], Status.WAITING)


async def test_an_answer_overtaken_by_a_change_hears_of_it(sqlite: World, till: Till) -> None:
    run_id = await asked(sqlite, till, approvals=2)
    evidence = await shown(sqlite, run_id)
    answers = sqlite.runtime.answers
    words: Any = {"reason": "ok", "evidence": evidence}
    done = await asyncio.gather(
        answers.change(run_id, 400.0, by="ana", **words),
        answers.change(run_id, 300.0, by="bo", **words),
        answers.reject(run_id, by="cy", **words),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Run) for each in done) == 1
    assert {each.code for each in done if isinstance(each, Conflict)} == {"evidence-changed"}
    assert (await sqlite.counts())["changed"] == 1


# Four eyes


async def four_eyes(world: World, till: Till, **gate: Any) -> UUID:
    world.settings = Settings(ledger=world.settings.ledger, registry=world.settings.registry, publisher="art")
    return await asked(world, till, by="pia", four_eyes=True, **gate)


async def test_proposer_author_editor_and_approver_are_different_people(world: World, till: Till) -> None:
    run_id = await four_eyes(world, till)
    barred = [body for body in await world.bodies("barred") if isinstance(body, Barred)]
    assert {body.person: body.part for body in barred} == {"pia": "proposer", "art": "author"}
    assert (await refused(agree(world, run_id, "pia"))).code == "self-approval"
    assert (await refused(agree(world, run_id, "art"))).code == "four-eyes"
    evidence = await shown(world, run_id)
    for person in ("pia", "art"):
        change = world.runtime.answers.change(run_id, 1.0, by=person, reason="less", evidence=evidence)
        assert isinstance(await refused(change), Denied)
    run = await world.runtime.answers.change(run_id, 400.0, by="ed", reason="less", evidence=evidence)
    assert (run.status, run.barred) == (Status.WAITING, {"ed": "editor", "pia": "proposer", "art": "author"})
    for person in ("pia", "art", "ed"):
        assert isinstance(await refused(agree(world, run_id, person)), Denied)
    run = await agree(world, run_id, "ana")
    assert (run.status, run.choice) == (Status.APPROVED, 400.0)


async def test_an_earlier_editor_may_agree_to_anothers_change(memory: World, till: Till) -> None:
    run_id = await four_eyes(memory, till)
    for person, choice in (("ed", 400.0), ("flo", 300.0)):
        evidence = await shown(memory, run_id)
        await memory.runtime.answers.change(run_id, choice, by=person, reason="less", evidence=evidence)
    run = await agree(memory, run_id, "ed")
    assert (run.status, run.choice) == (Status.APPROVED, 300.0)


@pytest.mark.parametrize("person", ["pia", "art"])
@pytest.mark.parametrize("approvals", [1, 2])
async def test_the_database_refuses_what_the_guard_overlooks(
    world: World, till: Till, person: str, approvals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await four_eyes(world, till, approvals=approvals)
    evidence = await shown(world, run_id)
    monkeypatch.setattr(verdicts, "refuse_part", lambda run, person: None)
    error = await refused(agree(world, run_id, person))
    assert (type(error), error.code) == (Denied, "four-eyes")
    assert isinstance(error.__cause__, Conflict)
    assert error.__cause__.field == part_key(run_id, 0, person)
    change = world.runtime.answers.change(run_id, 1.0, by=person, reason="less", evidence=evidence)
    assert isinstance((await refused(change)).__cause__, Conflict)
    assert not {"endorsed", "approved", "changed"} & set(await world.kinds(run_id))


async def test_the_database_refuses_an_editors_agreement(
    world: World, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await four_eyes(world, till)
    evidence = await shown(world, run_id)
    await world.runtime.answers.change(run_id, 400.0, by="ed", reason="less", evidence=evidence)
    monkeypatch.setattr(verdicts, "refuse_part", lambda run, person: None)
    error = await refused(agree(world, run_id, "ed"))
    assert isinstance(error.__cause__, Conflict)
    assert error.__cause__.field == part_key(run_id, 1, "ed")


async def test_the_database_refuses_one_persons_second_agreement(
    world: World, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = await asked(world, till, approvals=2)
    evidence = await shown(world, run_id)
    done = await asyncio.gather(
        *(world.runtime.approve(run_id, by="ana", reason="fine", evidence=evidence) for _ in range(2)),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in done) == ["Conflict", "Run"]
    run = await world.runtime.run(run_id)
    assert (run.status, len(run.endorsed)) == (Status.WAITING, 1)


async def test_whoever_published_a_release_cannot_propose_what_it_decides(memory: World, till: Till) -> None:
    await four_eyes(memory, till)
    error = await refused(again(memory, "art"))
    assert (type(error), error.code) == (Denied, "four-eyes")
    assert (await memory.bodies("failed"))[-1].stage == "gate"


async def test_the_author_is_who_published_the_release_first(memory: World, till: Till) -> None:
    await four_eyes(memory, till)
    memory.settings = Settings(ledger="memory://", registry=memory.settings.registry, publisher="someone-else")
    await memory.restart()
    run = await memory.runtime.run(await again(memory, "pia"))
    assert run.barred == {"pia": "proposer", "art": "author"}


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
