"""An ask as people see it: everything that an answer should be given in the knowledge of, in one document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Self
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from steward.entries import Changed, Endorsed, Questioned, Snoozed
from steward.errors import Conflict
from steward.ledger.run import Run
from steward.loop.gate import asked_groups, proposer_of
from steward.loop.verdicts import open_question
from steward.records import Interval, Money, Rung, Status


class Agreement(Struct, frozen=True, kw_only=True):
    """One of those who agreed already.

    Example:
        >>> Agreement(by="ana", at=datetime(2026, 1, 1), reason="I know them").by
        'ana'
    """

    by: str
    at: datetime
    reason: str


class Question(Struct, frozen=True, kw_only=True):
    """What somebody who is asked wants to know first.

    Example:
        >>> Question(by="ana", at=datetime(2026, 1, 1), question="Is the feeder in service?").by
        'ana'
    """

    by: str
    at: datetime
    question: str


class Edit(Struct, frozen=True, kw_only=True):
    """The last change of what is asked: by whom, why, and what stood there before.

    Example:
        >>> Edit(by="ana", at=datetime(2026, 1, 1), reason="half is enough", proposed=8).proposed
        8
    """

    by: str
    at: datetime
    reason: str
    proposed: object


class Approval(Struct, frozen=True, kw_only=True):
    """What people are asked, and how far they have come.

    Attributes:
        decision_id: The run.
        decision: Its name.
        status: How far it has come; ``waiting`` while an answer is possible.
        asked_at: Since when it waits.
        event: What happened.
        choice: What will be done if they agree, as plain data.
        reasons: Why the policy chose that; of a changed choice, see ``changed``.
        confidence: The probability (0..1) that the model is right, if it tells.
        interval: Bounds of what the model predicts, if it tells.
        attribution: What each feature contributed to that, if it is computed.
        impact: The money at stake.
        deadline: Until when they may answer.
        otherwise: What is done if they refuse or do not answer.
        evidence: The digest that an answer names; it binds the answer to this very question.
        round: How often the question was changed.
        approvers: The group that is asked first.
        asked: All groups that are asked by now.
        ladder: Who will be asked too, and when, if nobody answers.
        needed: How many people must agree.
        agreed: Who has agreed to the question as it stands.
        four_eyes: Whether proposer, author, editor and approvers must be different people.
        barred: Who may not answer, and the part they had.
        changed: Who made it what it is now, if that was a person.
        question: What is to be replied first, if something is.
        snoozed: Who does not want to be reminded before when.
        stopped: Set while the decision is stopped: nobody can answer, and nothing expires, until that is lifted.

    Example:
        >>> money = Money.of_minor(750_000, "EUR")
        >>> Approval(decision_id=UUID(int=7), decision="pay.release", status=Status.WAITING, event={}, choice="release",
        ...     asked_at=datetime(2026, 1, 1), reasons=("known customer",), impact=money, otherwise="hold",
        ...     deadline=datetime(2026, 1, 2), evidence="sha256:00", round=0, approvers="desk", asked=("desk",),
        ...     needed=2, four_eyes=False).agreed
        ()
    """

    decision_id: UUID
    decision: str
    status: Status
    asked_at: datetime
    event: object
    choice: object
    reasons: tuple[str, ...]
    impact: Money
    deadline: datetime | UnsetType
    otherwise: object
    evidence: str
    round: int
    approvers: str
    asked: tuple[str, ...]
    needed: int
    four_eyes: bool
    confidence: float | UnsetType = UNSET
    interval: Interval | UnsetType = UNSET
    attribution: Mapping[str, float] | UnsetType = UNSET
    ladder: tuple[Rung, ...] = ()
    agreed: tuple[Agreement, ...] = ()
    barred: Mapping[str, str] = {}
    changed: Edit | UnsetType = UNSET
    question: Question | UnsetType = UNSET
    snoozed: Mapping[str, datetime] = {}
    stopped: bool | UnsetType = UNSET

    @classmethod
    def of(cls, run: Run, *, is_stopped: bool = False) -> Self:
        """Return what is asked in a run.

        Args:
            run: The folded run.
            is_stopped: Whether a stop stands for its decision.

        Raises:
            Conflict: Nobody is or was asked (``code`` is ``not-waiting``).
        """
        if run.asked is None:
            raise Conflict(f"decision {run.record.decision_id} does not wait for anybody", code="not-waiting")
        record, gate, groups = run.record, run.asked.gate, asked_groups(run)
        barred = dict(run.barred)
        if proposer := proposer_of(record):
            barred.setdefault(proposer, "proposer")
        return cls(
            decision_id=record.decision_id,
            decision=record.decision,
            status=run.status,
            asked_at=run.asked.at,
            event=record.event,
            choice=run.asked.choice,
            reasons=record.reasons,
            confidence=record.confidence,
            interval=record.interval,
            attribution=run.attribution or UNSET,
            impact=gate.impact,
            deadline=gate.deadline,
            otherwise=gate.otherwise,
            evidence=run.asked.evidence,
            round=run.round,
            approvers=gate.approvers,
            asked=groups,
            ladder=tuple(rung for rung in gate.ladder if rung.to not in groups),
            needed=gate.approvals,
            agreed=tuple(_agreement(endorsed) for endorsed in run.endorsed),
            four_eyes=gate.four_eyes,
            barred=barred,
            changed=_last_edit(run),
            question=_question(open_question(run)),
            snoozed={p.body.by: p.body.until for p in run.history if isinstance(p.body, Snoozed)},
            stopped=is_stopped or UNSET,
        )


def _agreement(endorsed: Endorsed) -> Agreement:
    return Agreement(by=endorsed.by, at=endorsed.at, reason=endorsed.reason)


def _last_edit(run: Run) -> Edit | UnsetType:
    edits = [placed.body for placed in run.history if isinstance(placed.body, Changed)]
    if not edits:
        return UNSET
    last = edits[-1]
    return Edit(by=last.by, at=last.at, reason=last.reason, proposed=last.proposed)


def _question(asked: Questioned | None) -> Question | UnsetType:
    return UNSET if asked is None else Question(by=asked.by, at=asked.at, question=asked.question)
