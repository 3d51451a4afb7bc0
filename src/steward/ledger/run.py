"""One run: what its entries, folded in order, say about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import msgspec

from steward.entries import (
    Acted,
    Approved,
    Asked,
    Attributed,
    Body,
    Escalated,
    Expired,
    Failed,
    Observed,
    Published,
    Rejected,
    Undone,
    Valued,
    decode_body,
)
from steward.errors import Conflict, NotFound
from steward.ledger.port import Entry
from steward.records import Receipt, Record, Status


@dataclass(frozen=True)
class Step:
    """One entry of a run with its place in the ledger.

    Example:
        >>> from datetime import UTC, datetime
        >>> from steward.entries import Escalated
        >>> at = datetime(2026, 1, 1, tzinfo=UTC)
        >>> Step(3, Escalated(decision_id=UUID(int=1), decision="pay.release", at=at, to="duty")).index
        3
    """

    index: int
    body: Body


@dataclass(frozen=True)
class Run:
    """A decision and everything that followed it.

    Attributes:
        record: The answer that was given.
        status: How far it has come.
        choice: What is in force now: the policy's choice, or a person's, or the gate's ``otherwise``.
        steps: Its entries, in order.
        receipt: The action's, once it took effect.
        valued: The latest valuation.

    Example:
        >>> Run.of([], UUID(int=7))
        Traceback (most recent call last):
            ...
        steward.errors.NotFound: no decision has the id 00000000-0000-0000-0000-000000000007. Next: ...
    """

    record: Record
    status: Status
    choice: object
    steps: tuple[Step, ...] = ()
    asked: Asked | None = None
    answer: Approved | Rejected | Expired | None = None
    receipt: Receipt | None = None
    failure: Failed | None = None
    observed: tuple[Observed, ...] = ()
    valued: Valued | None = None
    attribution: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Sequence[Entry], run_id: UUID) -> Run:
        """Fold a run's entries, in order.

        Raises:
            NotFound: There are none, or they do not start with a decision.
        """
        steps = tuple(Step(entry.index, decode_body(entry.body)) for entry in entries)
        if not steps or not isinstance(steps[0].body, Record):
            raise NotFound(
                f"no decision has the id {run_id}", fix="list the decisions: steward show, GET /v1/decisions"
            )
        record = steps[0].body
        attribution = {} if isinstance(record.attribution, msgspec.UnsetType) else record.attribution
        run = cls(record, record.status, record.choice, steps, attribution=attribution)
        for step in steps[1:]:
            run = replace(run, **_FOLD[type(step.body)](run, step.body))
        return run

    @property
    def index(self) -> int:
        """Where its ``decided`` entry stands in the ledger."""
        return self.steps[0].index

    @property
    def is_waiting(self) -> bool:
        """Whether a person is asked and has not answered."""
        return self.asked is not None and self.answer is None and self.failure is None

    @property
    def needs_action(self) -> bool:
        """Whether its effect is due and has not yet happened."""
        has_action = not isinstance(self.record.action, msgspec.UnsetType)
        return has_action and self.receipt is None and self.failure is None and not self.is_waiting

    def answered_by(self) -> Conflict:
        """Return the error for somebody who answers too late."""
        if self.answer is None:
            return Conflict(f"decision {self.record.decision_id} does not wait for anybody", code="not-waiting")
        kind = type(self.answer).__name__.lower()
        when = self.answer.at.isoformat()
        return Conflict(
            f"decision {self.record.decision_id} was already {kind} by {self.answer.by} at {when}",
            fix="read its current state first",
            code="already-answered",
        )


_Fold = Callable[[Run, Any], dict[str, Any]]
_FOLD: dict[type[Body], _Fold] = {
    Asked: lambda run, body: {"asked": body, "status": Status.WAITING},
    Approved: lambda run, body: {"answer": body, "status": Status.APPROVED, "choice": body.choice},
    Rejected: lambda run, body: {"answer": body, "status": Status.REJECTED, "choice": body.choice},
    Expired: lambda run, body: {"answer": body, "status": Status.EXPIRED, "choice": body.choice},
    Escalated: lambda run, body: {},
    Acted: lambda run, body: {"receipt": body.receipt, "status": _acted(run)},
    Undone: lambda run, body: {"status": Status.UNDONE},
    Failed: lambda run, body: {"failure": body, "status": Status.FAILED},
    Attributed: lambda run, body: {"attribution": body.attribution},
    Observed: lambda run, body: {"observed": (*run.observed, body)},
    Valued: lambda run, body: {"valued": body},
    Published: lambda run, body: {},
}


def _acted(run: Run) -> Status:
    """Keep the words rejected and expired visible: what was done is then the gate's default."""
    return run.status if run.status in (Status.REJECTED, Status.EXPIRED) else Status.ACTED
