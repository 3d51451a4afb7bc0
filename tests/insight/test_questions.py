"""The questions that people are asked, told by the entries alone, and as the verdicts on answers tell it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.api.conftest import impact_eur, refund

from steward import Gate, minutes
from steward.clock import VirtualClock
from steward.decision.gate import impact_above
from steward.errors import IntegrityError, StewardError
from steward.insight.questions import Asker, Precedents, QuestionRow, Which, like
from steward.insight.views import Views
from steward.ledger.port import Entry
from steward.runtime.parts import Origin
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
GATE: Any = Gate(
    needed=impact_above(500),
    impact=impact_eur,
    approvers="desk",
    within=minutes(10),
    otherwise="hold",
    escalate_to=("lead", "boss"),
    approvals=2,
    four_eyes=True,
    limits=lambda features, proposed, wanted: None,
)
PEOPLE = ("ana", "bo", "cy", "shop")
GROUPS = {"ana": frozenset({"desk"}), "bo": frozenset({"desk", "boss"}), "cy": frozenset({"lead"})}
OPEN = (Which.MINE, Which.TEAM, Which.ESCALATED, Which.SNOOZED)


def asker(person: str = "ana", *groups: str, at: datetime = NOON, **more: Any) -> Asker:
    return Asker(person=person, groups=frozenset(groups or ("*",)), at=at, **more)


async def opened(clock: VirtualClock, **gate: Any) -> Runtime:
    decision = replace(refund, gate=replace(GATE, **gate))
    return await Runtime.open([decision], settings=Settings(ledger="memory://"), clock=clock)


async def ask(runtime: Runtime, amount_eur: float = 900.0, by: str | None = None) -> UUID:
    answer = await runtime.decide(
        "shop.refund", {"order_id": "A-1", "amount_eur": amount_eur}, origin=Origin(source="shop", by=by)
    )
    return answer.record.decision_id


async def listed(runtime: Runtime, which: Which, asker: Asker) -> list[QuestionRow]:
    await runtime.catch_up()
    rows = runtime.views.questions(asker, which)
    assert runtime.views.question_count(asker, which) == len(rows)
    return rows


async def words(runtime: Runtime, run: UUID, by: str, **more: Any) -> dict[str, Any]:
    asked = (await runtime.run(run)).asked
    assert asked is not None
    return {"by": by, "reason": "because", "evidence": asked.evidence, **more}


async def test_a_list_has_what_an_answer_needs_first_what_runs_out_first() -> None:
    clock = VirtualClock(NOON, seed=7)
    async with await opened(clock) as runtime:
        first = await ask(runtime)
        clock.advance(timedelta(minutes=1))
        second = await ask(runtime, 950.0)
        one, other = await listed(runtime, Which.TEAM, asker())
        assert [one.decision_id, other.decision_id] == [first, second]
        assert (one.decision, one.choice, one.otherwise, str(one.impact.amount)) == (
            "shop.refund", "release", "hold", "900.00",
        )  # fmt: skip
        assert (one.asked_at, one.deadline) == (NOON, NOON + timedelta(minutes=10))
        assert (one.needed, one.agreed, one.groups, one.verdict) == (2, 0, ("desk",), None)
        assert [row.decision_id for row in runtime.views.questions(asker(), Which.TEAM, limit=1, offset=1)] == [second]
        assert await listed(runtime, Which.TEAM, asker(readable=["other.one"])) == []
        assert await listed(runtime, Which.MINE, asker(answerable=["other.one"])) == []


async def test_mine_is_what_i_may_answer() -> None:
    async with await opened(VirtualClock(NOON, seed=7)) as runtime:
        run = await ask(runtime, by="ana")
        assert await listed(runtime, Which.MINE, asker("ana", "desk")) == [], "who proposed it"
        assert await listed(runtime, Which.MINE, asker("bo", "lead")) == [], "who is not asked"
        assert len(await listed(runtime, Which.MINE, asker("bo", "lead", "desk"))) == 1
        await runtime.answers.approve(run, **await words(runtime, run, "bo"))
        assert await listed(runtime, Which.MINE, asker("bo", "desk")) == [], "who agreed"
        [row] = await listed(runtime, Which.MINE, asker("cy", "desk"))
        assert row.agreed == 1
        await runtime.answers.change(run, "part", **await words(runtime, run, "cy"))
        assert await listed(runtime, Which.MINE, asker("cy", "desk")) == [], "who changed it"
        assert await listed(runtime, Which.MINE, asker("ana", "desk")) == [], "who proposed it, in every round"
        [row] = await listed(runtime, Which.MINE, asker("bo", "desk"))
        assert (row.choice, row.agreed) == ("part", 0), "what was agreed to before is void"


async def test_the_escalated_and_the_snoozed() -> None:
    clock = VirtualClock(NOON, seed=7)
    async with await opened(clock) as runtime:
        run, _ = await ask(runtime), await ask(runtime)
        assert await listed(runtime, Which.ESCALATED, asker()) == []
        await runtime.answers.escalate(run, to="boss", by="ana", reason="not alone")
        [row] = await listed(runtime, Which.ESCALATED, asker())
        assert (row.decision_id, row.groups) == (run, ("desk", "boss"))
        assert [each.decision_id for each in await listed(runtime, Which.MINE, asker("bo", "boss"))] == [run]
        until = NOON + timedelta(minutes=2)
        await runtime.answers.snooze(run, until=until, by="ana", reason="later")
        [row] = await listed(runtime, Which.SNOOZED, asker())
        assert (row.decision_id, row.snoozed_until) == (run, until)
        assert len(await listed(runtime, Which.MINE, asker())) == 1
        assert len(await listed(runtime, Which.MINE, asker("bo"))) == 2
        assert await listed(runtime, Which.SNOOZED, asker(at=until)) == []
        assert len(await listed(runtime, Which.MINE, asker(at=until))) == 2


async def test_the_done_say_who_why_and_how_fast() -> None:
    clock = VirtualClock(NOON, seed=7)
    async with await opened(clock, approvals=1, four_eyes=False) as runtime:
        yes, no, late = await ask(runtime), await ask(runtime), await ask(runtime)
        clock.advance(timedelta(seconds=30))
        await runtime.answers.approve(yes, by="ana", reason="known")
        clock.advance(timedelta(seconds=30))
        await runtime.answers.reject(no, by="bo", reason="too dear")
        clock.advance(timedelta(minutes=10))
        await runtime.advance()
        rows = await listed(runtime, Which.DONE, asker())
        assert [(row.decision_id, row.verdict, row.person, row.reason, row.waited_s) for row in rows] == [
            (late, "expired", "system", "", 660.0),
            (no, "rejected", "bo", "too dear", 60.0),
            (yes, "approved", "ana", "known", 30.0),
        ]
        assert await listed(runtime, Which.TEAM, asker()) == []
        assert await listed(runtime, Which.DONE, asker(readable=[])) == []


async def test_precedents_are_told_by_what_was_proposed() -> None:
    clock = VirtualClock(NOON, seed=7)
    async with await opened(clock, approvals=1, four_eyes=False) as runtime:
        runs = [await ask(runtime) for _ in range(4)]
        for run, wait_s in zip(runs[:2], (20, 40), strict=True):
            clock.advance(timedelta(seconds=wait_s))
            await runtime.answers.approve(run, by="ana", reason="known")
        await runtime.answers.change(runs[2], "part", by="ana", reason="half")
        await runtime.answers.reject(runs[3], by="ana", reason="no")
        await ask(runtime)
        await runtime.catch_up()
        told = runtime.views.precedents("shop.refund", "release")
        assert told == Precedents(settled=4, approved=2, changed=1, rejected=1, expired=0, median_s=60.0)
        assert runtime.views.precedents("shop.refund") == told
        assert runtime.views.precedents("shop.refund", "part") == runtime.views.precedents("other") == Precedents()
        assert runtime.views.precedents("shop.refund", ["x" * 600]) == Precedents()


def test_choices_are_alike_whatever_the_order_of_their_parts() -> None:
    assert like({"b": 1, "a": 2}) == like({"a": 2, "b": 1}) != like({"a": 1, "b": 2})
    assert like(list(range(1_000))) is None


def test_a_damaged_entry_is_named() -> None:
    views = Views(":memory:")
    with pytest.raises(IntegrityError, match="entry 0 cannot be read as 'snoozed'"):
        views.apply([Entry(0, "snoozed", UUID(int=1), b"{}")])


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("approve", "reject", "change", "escalate", "snooze", "wait")), st.sampled_from(PEOPLE[:3])
    ),
    max_size=7,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, approvals=st.integers(1, 2), four_eyes=st.booleans(), proposer=st.sampled_from((None, *PEOPLE)))
async def test_lists_and_verdicts_agree_on_who_may_answer(
    steps: Sequence[tuple[str, str]], approvals: int, *, four_eyes: bool, proposer: str | None
) -> None:
    clock = VirtualClock(NOON, seed=7)
    async with await opened(clock, approvals=approvals, four_eyes=four_eyes) as runtime:
        run_id = await ask(runtime, by=proposer)
        for number, (way, person) in enumerate(steps):
            clock.advance(timedelta(seconds=20))
            said = await words(runtime, run_id, person, groups=GROUPS[person])
            more: dict[str, Any] = {"until": clock.now() + timedelta(seconds=30)} if way == "snooze" else {}
            more |= {"choice": f"part {number}"} if way == "change" else {}
            if way in ("escalate", "snooze"):
                said.pop("evidence")
            try:
                if way == "wait":
                    await runtime.advance()
                else:
                    await getattr(runtime.answers, way)(run_id, **said, **more)
            except StewardError:
                continue
        run = await runtime.run(run_id)
        for person, groups in GROUPS.items():
            looking = asker(person, *groups, at=clock.now())
            obstacle = runtime.answers.obstacle(run, by=person, reason="as shown", groups=groups)
            listed_for = await listed(runtime, Which.MINE, looking), await listed(runtime, Which.SNOOZED, looking)
            is_snoozed = bool(listed_for[1])
            assert bool(listed_for[0]) == (obstacle is None and not is_snoozed), (person, obstacle)
        assert bool(await listed(runtime, Which.TEAM, asker())) == run.is_waiting
        await runtime.views.rebuild(runtime.ledger)
        assert bool(await listed(runtime, Which.DONE, asker())) == (not run.is_waiting)
