"""What people, devices and webhooks tell a run under way: the entries of signals, aborts and redrives, or why not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import UNSET, UnsetType

from steward.decision.checks import nearest
from steward.decision.steps import Signal
from steward.entries import Aborted, Redriven, Signalled
from steward.errors import Conflict, ContractError
from steward.ledger.port import Draft
from steward.ledger.run import Run
from steward.workflow.plan import Plan
from steward.workflow.written import draft


def signalled(run: Run, plan: Plan | None, name: str, payload: object, *, at: datetime, by: str) -> Draft:
    """Tell a run what it waits for, or will wait for.

    Args:
        run: The run.
        plan: Its plan, if its code is known.
        name: The signal's.
        payload: Plain data.
        at: Now.
        by: Who says so.

    Raises:
        ContractError: Its steps wait for no such signal.
        Conflict: It has ended.
    """
    _check_told(by=by)
    known = [step.name for step in plan.steps if isinstance(step, Signal)] if plan else [name]
    if name not in known:
        raise ContractError(
            f"{run.record.decision!r} waits for no signal {name!r}", fix=nearest(name, known), field="signal"
        )
    if not run.is_waiting and not run.needs_action and run.halted is None:
        raise Conflict(f"decision {run.record.decision_id} has ended", code="not-under-way")
    said = Signalled(**_told(run, at, by), signal=name, payload=payload)
    return draft(said, run, None)


def aborted(run: Run, *, at: datetime, by: str, reason: str) -> Draft:
    """End a run under way; what was done is taken back in reverse order.

    Raises:
        Conflict: It has ended, waits for a person's answer, or is being taken back already.
    """
    _check_told(by=by, reason=reason)
    run_id = run.record.decision_id
    if run.is_waiting:
        raise Conflict(
            f"decision {run_id} waits for an answer; nothing was begun", fix="reject it", code="waits-for-a-person"
        )
    if not run.needs_action and run.halted is None:
        raise Conflict(f"decision {run_id} has ended", fix=_after_the_end(run), code="not-under-way")
    if _is_turned_back(run):
        raise being_undone(run)
    return intent_to_undo(run, at=at, by=by, reason=reason)


def intent_to_undo(run: Run, *, at: datetime, by: str, reason: str) -> Draft:
    """Return the entry from which on everything that was done is taken back."""
    return draft(Aborted(**_told(run, at, by), reason=reason), run, f"aborted:{run.record.decision_id}")


def redriven(run: Run, plan: Plan | None, *, at: datetime, by: str, reason: str, adopt: Plan | None = None) -> Draft:
    """Let a failed or halted run go on, with its tries counted anew.

    Args:
        run: The run.
        plan: Its plan, if its code is known.
        at: Now.
        by: Who lets it go on.
        reason: Why.
        adopt: The plan of today's code, if it is to go on with that.

    Raises:
        Conflict: It did neither fail nor halt, or its code is gone and no other is adopted.
    """
    _check_told(by=by, reason=reason)
    run_id = run.record.decision_id
    if run.failure is None and run.halted is None:
        raise Conflict(f"decision {run_id} did neither fail nor halt", fix="read it first", code="not-failed")
    if plan is None and adopt is None:
        raise Conflict(
            f"the code that decision {run_id} began with is not part of this release",
            fix="adopt today's code (--adopt), or " + ("bring it back" if _is_turned_back(run) else "abort it"),
            code="code-gone",
        )
    code: str | UnsetType = UNSET if adopt is None else adopt.code
    said = Redriven(**_told(run, at, by), reason=reason, code=code)
    return draft(said, run, f"redriven:{run_id}:{run.redriven}")


def being_undone(run: Run) -> Conflict:
    """Return the error for somebody who comes while a run is being taken back."""
    fix = "answer its question: redrive" if run.halted else "read it again shortly"
    return Conflict(f"decision {run.record.decision_id} is being taken back", fix=fix, code="undo-in-flight")


def _is_turned_back(run: Run) -> bool:
    return run.aborted is not None or run.reverting is not None


def _after_the_end(run: Run) -> str:
    if run.failure is not None:
        return "let it go on: redrive"
    return "take back what it did: undo" if run.receipt is not None and run.undone is None else ""


def _told(run: Run, at: datetime, by: str) -> dict[str, Any]:
    return {"decision_id": run.record.decision_id, "decision": run.record.decision, "at": at, "by": by}


def _check_told(**said: str) -> None:
    for name, value in said.items():
        if not value.strip():
            raise ContractError(f"{name} is missing", fix="say who does it and why", field=name)
