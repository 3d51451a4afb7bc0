"""The rows that views answer with; plain frozen data for API, CLI and console, and how they are made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID

import msgspec
from msgspec import Struct

from steward.entries import Asked
from steward.insight.fold import RunState, moment
from steward.records import Money, Status

_read_reasons = msgspec.json.Decoder(tuple[str, ...]).decode
_read_asked = msgspec.json.Decoder(Asked).decode


class RunRow(Struct, frozen=True, kw_only=True):
    """One decision in a list.

    Attributes:
        decision_id: The run.
        decision: Its name.
        release: What decided.
        index: Where its ``decided`` entry stands in the ledger.
        decided_at: When, in UTC.
        status: How far it has come.
        choice: What is in force now, as plain data.
        reasons: Why the policy chose as it did.
        confidence: 0..1, if the model told.
        saving: Its latest value less the baseline; ``None`` until an outcome came.

    Example:
        >>> RunRow(decision_id=UUID(int=7), decision="pay.release", release="r1", index=0, reasons=("small",),
        ...        decided_at=datetime(2026, 1, 1), status=Status.ACTED, choice="release").saving is None
        True
    """

    decision_id: UUID
    decision: str
    release: str
    index: int
    decided_at: datetime
    status: Status
    choice: object
    reasons: tuple[str, ...]
    confidence: float | None = None
    saving: Money | None = None


class ApprovalRow(Struct, frozen=True, kw_only=True):
    """A decision that waits for a person.

    Attributes:
        decision_id: The run.
        decision: Its name.
        asked_at: Since when it waits.
        choice: What will be done if they agree, as plain data.
        reasons: Why the policy chose that.
        impact: The money at stake.
        approvers: The group that may answer.
        escalated_to: Who is asked too by now.
        deadline: Until when they may answer.
        otherwise: What is done if they refuse or do not answer.
        evidence: Digest of what they are shown.

    Example:
        >>> from datetime import timedelta
        >>> asked = datetime(2026, 1, 1)
        >>> row = ApprovalRow(decision_id=UUID(int=7), decision="pay.release", asked_at=asked, choice="release",
        ...     reasons=("known customer",), impact=Money.of_minor(750_000, "EUR"), approvers="desk",
        ...     deadline=asked + timedelta(minutes=10), otherwise="hold", evidence="sha256:00")
        >>> row.impact.amount, row.otherwise
        (Decimal('7500.00'), 'hold')
    """

    decision_id: UUID
    decision: str
    asked_at: datetime
    choice: object
    reasons: tuple[str, ...]
    impact: Money
    approvers: str
    deadline: datetime
    otherwise: object
    evidence: str
    escalated_to: str | None = None


class Worth(Struct, frozen=True, kw_only=True):
    """What ``valued`` runs were worth in one currency: exact sums, in minor units (cents).

    A run counts once, with its latest valuation. ``squares_minor`` is the sum of the squared savings (cents²), from
    which their spread is told.

    Example:
        >>> both = Worth(unit="EUR", valued=2, value_minor=700, baseline_minor=200, saving_minor=500,
        ...              squares_minor=130_000)
        >>> both.saving.amount
        Decimal('5.00')
    """

    unit: str
    valued: int
    value_minor: int
    baseline_minor: int
    saving_minor: int
    squares_minor: int

    @property
    def value(self) -> Money:
        """What was earned."""
        return Money.of_minor(self.value_minor, self.unit)

    @property
    def baseline(self) -> Money:
        """What would have been earned without it."""
        return Money.of_minor(self.baseline_minor, self.unit)

    @property
    def saving(self) -> Money:
        """The difference of the two."""
        return Money.of_minor(self.saving_minor, self.unit)


class DecisionTotals(Struct, frozen=True, kw_only=True):
    """All runs of one decision, counted.

    Attributes:
        decision: Its name.
        runs: How many there are.
        by_status: How many stand where; only statuses that occur.
        asked: For how many a person was asked.
        approved: How many of these were approved, ...
        rejected: ... rejected, ...
        expired: ... or not answered in time.
        overridden: For how many a person decided otherwise than was proposed: changed the choice, or refused it.
        worth: What they were worth, by currency.

    Example:
        >>> DecisionTotals(decision="pay.release", runs=2, by_status={Status.ACTED: 2}).by_status[Status.ACTED]
        2
    """

    decision: str
    runs: int
    by_status: Mapping[Status, int]
    asked: int = 0
    approved: int = 0
    rejected: int = 0
    expired: int = 0
    overridden: int = 0
    worth: tuple[Worth, ...] = ()

    @property
    def valued(self) -> int:
        """How many have a value."""
        return sum(worth.valued for worth in self.worth)


class Pulse(Struct, frozen=True, kw_only=True):
    """The runs decided within one step of time, counted.

    Attributes:
        at: When the step begins, in UTC.
        runs: How many were decided in it.
        by_status: How many of them stand where by now; only statuses that occur.
        asked: For how many a person was asked.
        approved: How many of these were approved, ...
        rejected: ... rejected, ...
        expired: ... or not answered in time.
        overridden: For how many a person decided otherwise than was proposed: changed the choice, or refused it.
        worth: What they were worth, by currency.

    Example:
        >>> Pulse(at=datetime(2026, 1, 1), runs=4, by_status={Status.ACTED: 4}, asked=1).alone
        0.75
    """

    at: datetime
    runs: int = 0
    by_status: Mapping[Status, int] = {}
    asked: int = 0
    approved: int = 0
    rejected: int = 0
    expired: int = 0
    overridden: int = 0
    worth: tuple[Worth, ...] = ()

    @property
    def alone(self) -> float | None:
        """The share (0..1) that ran without a person; ``None`` without runs."""
        return 1 - self.asked / self.runs if self.runs else None


class DayValue(Struct, frozen=True, kw_only=True):
    """The runs of a decision made on one day (UTC), and what those with an outcome were worth, by currency.

    Example:
        >>> DayValue(decision="pay.release", day=date(2026, 1, 1), runs=3, worth=()).runs
        3
    """

    decision: str
    day: date
    runs: int
    worth: tuple[Worth, ...]


def run_row(state: RunState) -> RunRow:
    """Return a run as it is listed."""
    return RunRow(
        decision_id=UUID(bytes=state.run_id),
        decision=state.decision,
        release=state.release,
        index=state.position,
        decided_at=moment(state.decided_us),
        status=Status(state.status),
        choice=msgspec.json.decode(state.choice),
        reasons=_read_reasons(state.reasons),
        confidence=state.confidence,
        saving=Money.of_minor(int(state.saving), state.unit) if state.unit else None,
    )


def approval_row(state: RunState) -> ApprovalRow:
    """Return a run that waits for a person as it is listed."""
    asked = _read_asked(state.asked or b"")
    return ApprovalRow(
        decision_id=asked.decision_id,
        decision=asked.decision,
        asked_at=asked.at,
        choice=asked.choice,
        reasons=_read_reasons(state.reasons),
        impact=asked.gate.impact,
        approvers=asked.gate.approvers,
        deadline=moment(state.deadline_us or 0),
        otherwise=asked.gate.otherwise,
        evidence=asked.evidence,
        escalated_to=state.escalated_to,
    )
