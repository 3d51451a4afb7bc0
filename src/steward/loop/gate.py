"""Gate: whether a person must agree first, and what their answer, or silence, leads to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.entries import Approved, Asked, Escalated, Expired, Rejected
from steward.errors import Conflict, ContractError, GateExpired
from steward.ledger.run import Run
from steward.records import GateFacts, Money, Prediction, Record, Rung

Weigh = Callable[[Features, Prediction[Any], Any, datetime], GateFacts]


def weigher(decision: Decision[Any, Any, Any]) -> Weigh | None:
    """Return what weighs a choice at the gate; ``None`` for a decision without one."""
    gate, economics = decision.gate, decision.economics
    if gate is None or economics is None:
        return None
    unit, approvers, otherwise = economics.unit, gate.approvers, gate.otherwise
    rungs, approvals, four_eyes = gate.rungs, gate.approvals, gate.four_eyes

    def weigh(features: Features, prediction: Prediction[Any], choice: Any, now: datetime) -> GateFacts:
        impact = gate.impact(features, prediction, choice)
        money = Money.rounded(impact, unit)
        if not gate.needed(impact):
            return GateFacts(needed=False, impact=money, approvers=approvers)
        return GateFacts(
            needed=True,
            impact=money,
            approvers=approvers,
            deadline=now + gate.within,
            otherwise=otherwise,
            ladder=tuple(Rung(to, now + after) for to, after in rungs),
            approvals=approvals,
            four_eyes=four_eyes,
        )

    return weigh


def evidence_of(body: bytes) -> str:
    """Return the digest that binds an answer to the record that was shown."""
    return "sha256:" + hashlib.sha256(body).hexdigest()


def ask(record: Record, body: bytes) -> Asked:
    """Ask the people whom the record's gate names."""
    assert isinstance(record.gate, GateFacts)
    return Asked(
        decision_id=record.decision_id,
        decision=record.decision,
        at=record.decided_at,
        gate=record.gate,
        choice=record.choice,
        evidence=evidence_of(body),
    )


def approve(run: Run, *, at: datetime, by: str, reason: str, evidence: str | None) -> Approved:
    """Agree with what was proposed.

    Raises:
        Conflict: Somebody has answered already, or the evidence is not what was shown.
        GateExpired: The deadline has passed.
        ContractError: There is no reason.
    """
    asked = _open_question(run, at, by, reason, evidence)
    return Approved(
        decision_id=run.record.decision_id,
        decision=run.record.decision,
        at=at,
        by=by,
        reason=reason,
        evidence=asked.evidence,
        choice=asked.choice,
    )


def reject(run: Run, *, at: datetime, by: str, reason: str, evidence: str | None) -> Rejected:
    """Refuse what was proposed; the gate's ``otherwise`` is done instead. Raises as :func:`approve`."""
    asked = _open_question(run, at, by, reason, evidence)
    return Rejected(
        decision_id=run.record.decision_id,
        decision=run.record.decision,
        at=at,
        by=by,
        reason=reason,
        evidence=asked.evidence,
        choice=asked.gate.otherwise,
    )


def expire(run: Run, at: datetime) -> Expired:
    """Take the gate's default because nobody answered in time."""
    assert run.asked is not None
    return Expired(
        decision_id=run.record.decision_id, decision=run.record.decision, at=at, choice=run.asked.gate.otherwise
    )


def escalate(run: Run, at: datetime) -> Escalated | None:
    """Ask the next in line, if one is due and has not been asked."""
    assert run.asked is not None
    due = [rung for rung in run.asked.gate.ladder if rung.at <= at]
    if len(due) <= run.escalations:
        return None
    rung = due[run.escalations]
    return Escalated(decision_id=run.record.decision_id, decision=run.record.decision, at=at, to=rung.to)


def _open_question(run: Run, at: datetime, by: str, reason: str, evidence: str | None) -> Asked:
    for name, value in (("by", by), ("reason", reason)):
        if not value.strip():
            raise ContractError(f"an answer needs {name}", fix="say who answers and why", field=name)
    if run.asked is None or not run.is_waiting:
        raise run.answered_by()
    if evidence is not None and evidence != run.asked.evidence:
        raise Conflict("what was shown is not what is asked", fix="read the ask again", code="evidence-changed")
    deadline = run.asked.gate.deadline
    if isinstance(deadline, datetime) and at >= deadline:
        raise GateExpired(f"the deadline was {deadline.isoformat()}", fix="its declared default is taken")
    return run.asked
