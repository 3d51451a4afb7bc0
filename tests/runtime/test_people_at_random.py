"""Random people, answers, times, stops and restarts: what must hold is read from the bare entries, not the fold."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.runtime.desk import part_refund
from tests.runtime.shop import Refund
from tests.runtime.world import NOON, Till

from steward.clock import VirtualClock
from steward.errors import StewardError
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit, Committed, Entry
from steward.runtime.parts import Origin
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings
from steward.runtime.stops import STOPS_RUN
from steward.testing.faults import FaultyLedger

GROUPS = {
    "ana": frozenset({"desk"}),
    "bo": frozenset({"desk"}),
    "cy": frozenset({"desk", "lead"}),
    "di": frozenset({"lead"}),
    "pia": frozenset({"desk"}),
    "art": frozenset({"desk", "lead"}),
}
PEOPLE = st.sampled_from(sorted(GROUPS))
VERBS = st.sampled_from(["approve", "approve", "approve", "reject", "change", "escalate", "question"])
MOMENTS = st.lists(
    st.tuples(st.booleans(), st.lists(st.tuples(PEOPLE, VERBS, st.integers(1, 800)), min_size=1, max_size=4)),
    min_size=1,
    max_size=4,
)
NAME = "shop.refund"
SETTLES = ("approved", "rejected", "expired")
FROZEN = {*SETTLES, "endorsed", "changed", "escalated", "questioned", "acted"}


class Interleaved(FaultyLedger):
    """Lets others have their turn before every read and every write, so that what is read may be old when written."""

    async def append(self, commit: Commit) -> Committed:
        await asyncio.sleep(0)
        return await super().append(commit)

    async def of_run(self, run_id: UUID) -> Sequence[Entry]:
        await asyncio.sleep(0)
        return await super().of_run(run_id)


class People(RuleBasedStateMachine):
    """A runtime, people who answer it in any order, and entries that are looked at after every step."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock, self.till = VirtualClock(NOON, seed=3), Till()
        self.memory = MemoryLedger()
        self.runtime: Runtime
        self.runs: list[UUID] = []
        self.evidence: dict[UUID, str] = {}

    def wait(self, work: Awaitable[Any]) -> Any:
        async def main() -> Any:
            return await work

        return self.runner.run(main())

    def open(self) -> None:
        given = Settings(ledger="memory://", publisher="art")
        ledger = Interleaved(self.memory, keep_open=True)
        self.runtime = self.wait(Runtime.open([self.decision], settings=given, clock=self.clock, ledger=ledger))

    @initialize(approvals=st.integers(1, 3), four_eyes=st.booleans())
    def begin(self, approvals: int, four_eyes: bool) -> None:
        self.approvals, self.four_eyes = approvals, four_eyes
        self.decision = part_refund(self.till, approvals=approvals, four_eyes=four_eyes)
        self.open()

    def teardown(self) -> None:
        if hasattr(self, "runtime"):
            self.wait(self.runtime.close())
        self.runner.close()

    @rule(by=st.sampled_from([None, "pia"]))
    def ask(self, by: str | None) -> None:
        event = Refund(order_id="B", amount_eur=900.0)
        answer = self.wait(self.runtime.decide(NAME, event, origin=Origin(by=by)))
        self.runs.append(answer.record.decision_id)
        self.look(answer.record.decision_id)

    def look(self, run_id: UUID) -> None:
        """Somebody looks at what is asked now; until then they answer to what they saw before."""
        run = self.wait(self.runtime.run(run_id))
        self.evidence[run_id] = run.asked.evidence

    @rule(newest=st.integers(0, 1), moments=MOMENTS)
    def answer(self, newest: int, moments: list[tuple[bool, list[tuple[str, str, int]]]]) -> None:
        """People answer, some at the same moment, not all to what is asked by then."""
        if not self.runs:
            return
        run_id = self.runs[-1 - newest % len(self.runs)]
        for looks, who in moments:
            if looks:
                self.look(run_id)
            self.wait(self.at_once([self.said(run_id, *each) for each in who]))

    @rule(moments=MOMENTS)
    def ask_and_answer(self, moments: list[tuple[bool, list[tuple[str, str, int]]]]) -> None:
        self.ask("pia")
        self.answer(0, moments)

    async def at_once(self, answers: Sequence[Callable[[], Awaitable[Any]]]) -> None:
        for done in await asyncio.gather(*(answer() for answer in answers), return_exceptions=True):
            if isinstance(done, BaseException) and not isinstance(done, StewardError):
                raise done

    def said(self, run_id: UUID, by: str, verb: str, euro: int) -> Callable[[], Awaitable[Any]]:
        words: Any = {"by": by, "reason": "r", "groups": GROUPS[by]}
        if verb in ("approve", "reject", "change"):
            words["evidence"] = self.evidence[run_id]
        if verb == "change":
            words["choice"] = float(euro)
        return partial(getattr(self.runtime.answers, verb), run_id, **words)

    @rule(minutes=st.integers(0, 4))
    def time_passes(self, minutes: int) -> None:
        self.clock.advance(timedelta(minutes=minutes))
        self.wait(self.runtime.advance())

    @rule(in_order=st.booleans())
    def restart(self, in_order: bool) -> None:
        if in_order:
            self.wait(self.runtime.close())
        else:
            self.runtime._closed = True
            self.runtime.views.close()
        self.open()

    @rule(by=PEOPLE, who=st.lists(PEOPLE, max_size=3), which=st.sampled_from(["*", NAME]), moments=MOMENTS)
    def stop_for_a_while(self, by: str, who: list[str], which: str, moments: Any) -> None:
        self.wait(self.runtime.stop(which, by=by, reason="smoke"))
        self.ask(None)
        self.answer(1, moments)
        self.time_passes(3)
        self.restart(in_order=len(who) > 1)
        for person in (*who, "cleo", "dora"):
            self.wait(self.at_once([partial(self.runtime.resume, which, by=person, reason="clear")]))

    @invariant()
    def entries_hold(self) -> None:
        if not hasattr(self, "runtime"):
            return
        entries = self.wait(self.memory.read(0, 1_000_000))
        for run_id in self.runs:
            self.check_run([entry for entry in entries if entry.run_id == run_id])
        check_stops(entries)
        done = Counter(call.key for verb, _, call in self.till.calls if verb == "do")
        assert set(done.values()) <= {1}

    def check_run(self, entries: Sequence[Entry]) -> None:
        bodies = [msgspec.json.decode(entry.body) for entry in entries]
        kinds = Counter(entry.kind for entry in entries)
        assert sum(kinds[kind] for kind in SETTLES) <= 1
        assert kinds["acted"] <= 1
        if kinds["acted"]:
            (settled,) = (body for body in bodies if body["kind"] in SETTLES)
            acted = next(body for body in bodies if body["kind"] == "acted")
            assert acted["choice"] == settled["choice"]
        if kinds["approved"]:
            self.check_approved(bodies)

    def check_approved(self, bodies: Sequence[dict[str, Any]]) -> None:
        """Count those who may agree and did, to the very question that was approved."""
        proposer = bodies[0]["provenance"].get("by")
        evidence, groups = next(body["evidence"] for body in bodies if body["kind"] == "asked"), {"desk"}
        editor, round_now, choice = None, 0, bodies[0]["choice"]
        agreed: set[str] = set()
        for body in bodies:
            kind, by = body["kind"], body.get("by", "")
            if kind == "escalated":
                groups.add(body["to"])
            elif kind == "changed":
                assert by != proposer
                editor, evidence, round_now, choice = by, body["evidence"], body["round"], body["choice"]
                agreed = set()
            elif kind == "endorsed" and body["round"] == round_now and body["evidence"] == evidence:
                assert GROUPS[by] & groups
                agreed.add(by)
            elif kind == "approved":
                assert (body["evidence"], body["choice"]) == (evidence, choice)
                agreed.add(by)
                barred = {proposer, "art", editor} if self.four_eyes else {proposer}
                assert len(agreed - barred) >= self.approvals, (agreed, barred)
                assert GROUPS[by] & groups
                assert by not in barred


def check_stops(entries: Sequence[Entry]) -> None:
    """Nothing is answered or done while a stop stands, and two people lift it."""
    standing: set[str] = set()
    for entry in entries:
        body = msgspec.json.decode(entry.body)
        if entry.run_id == STOPS_RUN:
            if entry.kind == "stopped":
                standing.add(body["decision"])
            elif entry.kind == "resumed":
                assert body["first"] != body["by"]
                standing.discard(body["decision"])
        elif entry.kind in FROZEN:
            assert not standing, entry


def run(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        People,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            phases=(Phase.generate, Phase.reuse, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_people_do_the_entries_hold() -> None:
    run(25, 15)


@pytest.mark.deep
def test_whatever_people_do_for_long_the_entries_hold() -> None:
    run(2000, 60)
