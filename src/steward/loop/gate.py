"""Gate: whether people must agree first, whom that bars, and what silence leads to.

What they answer is in :mod:`steward.loop.verdicts`.

Keys of the ledger keep apart what must not meet, so that no lock is needed and no check can be overtaken:

* each round of a question is closed once (:func:`answer_key`): by an answer, by the deadline, or by a change, which
  opens the next round;
* in each round a person has one part (:func:`part_key`): proposer, author, editor, or one of those who agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final, get_args, get_origin, get_type_hints
from uuid import UUID

from msgspec import UNSET

from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.decision.gate import Gate
from steward.entries import Approved, Asked, Barred, Body, Escalated, Expired
from steward.errors import Denied
from steward.ledger.run import Run
from steward.loop.choose import expected_value
from steward.loop.encode import own_code, read_as
from steward.records import GateFacts, Money, Prediction, Record, Rung

Keyed = tuple[Body, str | None]
"""An entry's body and the ledger key that only one entry can take."""
SYSTEM: Final = "system"
"""Who makes the entries that nobody made; no person is called so."""
Weigh = Callable[[Features, Prediction[Any], Any, datetime], GateFacts]


def weigher(decision: Decision[Any, Any, Any]) -> Weigh | None:
    """Return what weighs a choice at the gate; ``None`` for a decision without one."""
    gate, economics = decision.gate, decision.economics
    if gate is None or economics is None:
        return None
    unit, approvers, ask_people = economics.unit, gate.approvers, asking(gate)

    def weigh(features: Features, prediction: Prediction[Any], choice: Any, now: datetime) -> GateFacts:
        impact = gate.impact(features, prediction, choice)
        money = Money.rounded(impact, unit)
        if not gate.needed(impact):
            return GateFacts(needed=False, impact=money, approvers=approvers)
        return ask_people(money, now)

    return weigh


def asking(gate: Gate[Any, Any]) -> Callable[[Money, datetime], GateFacts]:
    """Return what says whom a gate asks and until when, for the money at stake and the time of asking."""
    approvers, otherwise, rungs = gate.approvers, gate.otherwise, gate.rungs
    approvals, four_eyes = gate.approvals, gate.four_eyes

    def ask_people(impact: Money, now: datetime) -> GateFacts:
        return GateFacts(
            needed=True,
            impact=impact,
            approvers=approvers,
            deadline=now + gate.within,
            otherwise=otherwise,
            ladder=tuple(Rung(to, now + after) for to, after in rungs),
            approvals=approvals,
            four_eyes=four_eyes,
        )

    return ask_people


def weigh_again(decision: Decision[Any, Any, Any], record: Record, choice: object) -> Money:
    """Return the money at stake if ``choice`` is made in the place of the record's own.

    Raises:
        StewardError: The decision's own code cannot weigh it (``code`` is ``gate-failed``).
    """
    assert decision.gate is not None
    assert decision.economics is not None
    with own_code("gate.impact"):
        impact = decision.gate.impact(Features(record.features), _prediction(decision, record), choice)
        return Money.rounded(impact, decision.economics.unit)


def expect_again(decision: Decision[Any, Any, Any], record: Record, choice: object) -> Money | None:
    """Return what ``choice`` is expected to earn in the place of the record's own, if the decision says how to tell.

    Raises:
        StewardError: The decision's own code cannot tell (``code`` is ``gate-failed``).
    """
    with own_code("economics.expected"):
        return expected_value(decision, Features(record.features), _prediction(decision, record), choice)


def _prediction(decision: Decision[Any, Any, Any], record: Record) -> Prediction[Any]:
    """Read back what the model answered, as the type that the policy takes."""
    value = None if record.prediction is UNSET else record.prediction
    kinds = (hint for hint in get_type_hints(decision.policy).values() if get_origin(hint) is Prediction)
    kind = next((get_args(hint)[0] for hint in kinds), Any)
    if value is not None and kind is not Any:
        value = read_as(kind, value)
    return Prediction(
        value=value,
        confidence=None if record.confidence is UNSET else record.confidence,
        interval=record.interval or None,
        model_id=record.model_id or None,
        model_version=record.model_version or None,
        model_hash=record.model_hash or None,
    )


def evidence_of(body: bytes) -> str:
    """Return the digest that binds an answer to what was shown.

    Example:
        >>> evidence_of(b"{}")[:15]
        'sha256:44136fa3'
    """
    return "sha256:" + hashlib.sha256(body).hexdigest()


def answer_key(run_id: UUID, round: int = 0) -> str:
    """Return the key of what closes a round of a question: one answer, one change, or the deadline.

    Example:
        >>> answer_key(UUID(int=1), 2)
        'answer:00000000-0000-0000-0000-000000000001:2'
    """
    return f"answer:{run_id}:{round}" if round else f"answer:{run_id}"


def part_key(run_id: UUID, round: int, person: str) -> str:
    """Return the key of the one part that a person can have in a round.

    Example:
        >>> part_key(UUID(int=1), 0, "ana")
        'part:00000000-0000-0000-0000-000000000001:0:ana'
    """
    return f"part:{run_id}:{round}:{person}"


def ask(record: Record, body: bytes, *, author: str = SYSTEM) -> list[Keyed]:
    """Ask the people whom the record's gate names.

    With four eyes whoever proposed the decision or published its release is barred from answering.

    Raises:
        Denied: Four eyes are asked for, and one person both proposes and published (``code`` is ``four-eyes``).
    """
    assert isinstance(record.gate, GateFacts)
    asked = Asked(
        decision_id=record.decision_id,
        decision=record.decision,
        at=record.decided_at,
        gate=record.gate,
        choice=record.choice,
        evidence=evidence_of(body),
    )
    if not record.gate.four_eyes:
        return [(asked, None)]
    parts = {author: "author"} if author != SYSTEM else {}
    if proposer := proposer_of(record):
        if proposer in parts:
            raise Denied(
                f"{proposer} published {record.release} and cannot propose what it decides",
                why="the gate wants four eyes: proposer, author, editor and approvers are different people",
                fix="let somebody else ask for the decision",
                code="four-eyes",
            )
        parts[proposer] = "proposer"
    return [(asked, None), *bars(record, parts, 0, record.decided_at)]


def proposer_of(record: Record) -> str | None:
    """Return the person or service that asked for a decision, if known."""
    by = record.provenance.by
    return by if isinstance(by, str) and by != SYSTEM else None


def bars(record: Record, parts: dict[str, str], round: int, at: datetime) -> Iterator[Keyed]:
    """Bar people by the parts they have, in one round."""
    for person, part in parts.items():
        barred = Barred(
            decision_id=record.decision_id, decision=record.decision, at=at, person=person, part=part, round=round
        )
        yield barred, part_key(record.decision_id, round, person)


def asked_groups(run: Run) -> tuple[str, ...]:
    """Return the groups that are asked by now: the approvers, and whom the question was escalated to."""
    if run.asked is None:
        return ()
    later = (placed.body.to for placed in run.history if isinstance(placed.body, Escalated))
    return tuple(dict.fromkeys((run.asked.gate.approvers, *later)))


def settle(run: Run) -> Keyed | None:
    """Say that enough people agreed, where nobody has said so: two were the last at once, or a process died."""
    if not run.is_waiting or run.asked is None or len(run.endorsed) < run.asked.gate.approvals:
        return None
    last = run.endorsed[run.asked.gate.approvals - 1]
    approved = Approved(
        decision_id=last.decision_id,
        decision=last.decision,
        at=last.at,
        by=last.by,
        reason=last.reason,
        evidence=last.evidence,
        choice=run.asked.choice,
        waited_s=last.waited_s,
    )
    return approved, answer_key(last.decision_id, run.round)


def expire(run: Run, at: datetime) -> Keyed:
    """Take the gate's default because nobody answered in time."""
    assert run.asked is not None
    run_id = run.record.decision_id
    expired = Expired(decision_id=run_id, decision=run.record.decision, at=at, choice=run.asked.gate.otherwise)
    return expired, answer_key(run_id, run.round)


def escalate(run: Run, at: datetime) -> Keyed | None:
    """Ask the next in line, if one is due and has not been asked, be it by the time or by a person."""
    assert run.asked is not None
    asked = asked_groups(run)
    due = next((rung for rung in run.asked.gate.ladder if rung.at <= at and rung.to not in asked), None)
    if due is None:
        return None
    run_id = run.record.decision_id
    escalated = Escalated(decision_id=run_id, decision=run.record.decision, at=at, to=due.to)
    return escalated, f"escalated:{run_id}:{run.escalations}"
