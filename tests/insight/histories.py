"""Entries of runs as a ledger could hold them: single ones, and whole histories drawn at random."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from hypothesis import strategies as st

from steward.entries import (
    Aborted,
    Acted,
    Approved,
    Asked,
    Attributed,
    Barred,
    Body,
    Changed,
    Doubted,
    Endorsed,
    Escalated,
    Expired,
    Failed,
    Halted,
    Observed,
    Questioned,
    Redriven,
    Rejected,
    Replied,
    Reverting,
    Signalled,
    Snoozed,
    Stepped,
    Undone,
    Valued,
)
from steward.insight.views import Views
from steward.ledger.port import Entry
from steward.records import ActionFacts, GateFacts, Money, PolicyFacts, Provenance, Receipt, Record, Status

START = datetime(2026, 1, 1, 22, tzinfo=UTC)
NAMES = ("pay.release", "grid.dispatch")


def record(run: int, *, decision: str = "pay.release", action: bool = True, **more: Any) -> Record:
    """Return run number ``run``, decided an hour after the one before it."""
    run_id = UUID(int=(run << 80) | (7 << 76) | (2 << 62))
    if action:
        more["action"] = ActionFacts(name="release", key=str(run_id))
    return Record(
        decision_id=run_id,
        decision=decision,
        release="sha256:0a",
        decided_at=START + timedelta(hours=run),
        status=Status.DECIDED,
        event={"amount_eur": 120.0},
        features={"amount_eur": 120.0},
        choice={"do": "release"},
        reasons=("known customer", "small"),
        propensity=1.0,
        policy=PolicyFacts("sha256:0b"),
        provenance=Provenance(event_id=str(run), source="test", contract="payment", contract_version=1),
        **more,
    )


def later(kind: type[Any], run: Record, **fields: Any) -> Any:
    return kind(decision_id=run.decision_id, decision=run.decision, at=run.decided_at + timedelta(minutes=1), **fields)


def asked(run: Record, *, within: timedelta = timedelta(minutes=10)) -> Any:
    gate = GateFacts(
        needed=True,
        impact=Money.of_minor(750_000, "EUR"),
        approvers="desk",
        deadline=run.decided_at + within,
        otherwise="hold",
    )
    return later(Asked, run, gate=gate, choice=run.choice, evidence="sha256:0e")


def valued(run: Record, saving: int, *, unit: str = "EUR", restates: bool = False) -> Any:
    return later(
        Valued,
        run,
        value=Money.of_minor(saving + 40, unit),
        baseline=Money.of_minor(40, unit),
        saving=Money.of_minor(saving, unit),
        outcome_id="o1",
        restates=restates,
    )


def entries_of(bodies: Sequence[Body], *, start: int = 0) -> list[Entry]:
    return [
        Entry(index, str(type(body).__struct_config__.tag), body.decision_id, msgspec.json.encode(body))
        for index, body in enumerate(bodies, start)
    ]


def filled(bodies: Sequence[Body]) -> Views:
    views = Views(":memory:")
    views.apply(entries_of(bodies))
    return views


def changed(run: Record) -> Any:
    more = {"reason": "less", "proposed": 1, "choice": "less", "evidence": "sha256:1e", "round": 1}
    return later(Changed, run, by="cleo", impact=Money.of_minor(100, "EUR"), **more)


_RECEIPT = Receipt(reference="r1")
_FOLLOW = (
    asked,
    changed,
    lambda run: later(Endorsed, run, by="dora", reason="ok", evidence="e", round=0),
    lambda run: later(Barred, run, person="emil", part="proposer", round=0),
    lambda run: later(Snoozed, run, by="dora", reason="busy", until=run.decided_at),
    lambda run: later(Questioned, run, by="dora", question="why?"),
    lambda run: later(Replied, run, by="emil", reply="so"),
    lambda run: later(Approved, run, by="anna", reason="ok", evidence="e", choice="approved"),
    lambda run: later(Rejected, run, by="bert", reason="no", evidence="e", choice="hold"),
    lambda run: later(Expired, run, choice="late"),
    lambda run: later(Escalated, run, to="duty-manager"),
    lambda run: later(Acted, run, action=ActionFacts(name="a", key="k"), choice=1, receipt=_RECEIPT, attempt=1),
    lambda run: later(Undone, run, reason="r", receipt=_RECEIPT),
    lambda run: later(Failed, run, stage="act", code="engine", reason="down"),
    lambda run: later(Undone, run, reason="r", receipt=_RECEIPT, step="a"),
    lambda run: later(Stepped, run, step="a", position=0, result=_RECEIPT),
    lambda run: later(Signalled, run, by="crew", signal="clear", payload=None),
    lambda run: later(Doubted, run, reason="timed out", attempt=1, step="a"),
    lambda run: later(Reverting, run, step="a", code="engine", reason="down"),
    lambda run: later(Halted, run, code="undo-failed", question="again?"),
    lambda run: later(Aborted, run, by="anna", reason="storm"),
    lambda run: later(Redriven, run, by="anna", reason="mended"),
    lambda run: later(Attributed, run, attribution={"amount_eur": 1.0}, model_hash="h"),
    lambda run: later(Observed, run, outcome={"paid": 1}, outcome_id="o1", late=False),
    lambda run: valued(run, 500),
    lambda run: valued(run, -(10**25) + 1, unit="JPY", restates=True),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Body]:
    """Entries of several runs in any order that a ledger could hold: each run starts with its decision."""
    steps = draw(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(_FOLLOW)), max_size=40))
    runs: dict[int, Record] = {}
    waiting: set[int] = set()
    bodies: list[Body] = []
    for number, follow in steps:
        if number not in runs:
            runs[number] = record(
                number, decision=NAMES[number % 2], action=number % 3 > 0, outcome_key=f"k{number % 4}"
            )
            bodies.append(runs[number])
        if follow is not changed or number in waiting:
            bodies.append(follow(runs[number]))
        if follow is asked:
            waiting.add(number)
    return bodies
