"""Several people must agree, and four eyes must be those of different people; guarded twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from tests.runtime.desk import again, agree, asked, refused, shown
from tests.runtime.world import MINUTE, NOON, Till, World

from steward import Status
from steward.entries import Barred
from steward.errors import Conflict, ContractError, Denied
from steward.ledger.port import Commit
from steward.ledger.run import Run
from steward.loop import verdicts
from steward.loop.encode import draft
from steward.loop.gate import Keyed, part_key
from steward.runtime.settings import Settings

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
