"""One run: what its entries, folded in order, say about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

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
    Redriven,
    Rejected,
    Reverting,
    Signalled,
    Stepped,
    Undone,
    Valued,
    decode_body,
)
from steward.errors import Conflict, IntegrityError, NotFound
from steward.ledger.port import Entry
from steward.records import ActionFacts, Receipt, Record, Status
from steward.wire import UNREADABLE


@dataclass(frozen=True)
class Placed:
    """One entry of a run with its place in the ledger.

    Example:
        >>> from datetime import UTC, datetime
        >>> from steward.entries import Escalated
        >>> at = datetime(2026, 1, 1, tzinfo=UTC)
        >>> Placed(3, Escalated(decision_id=UUID(int=1), decision="pay.release", at=at, to="duty")).index
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
        history: Its entries, in order.
        asked: What is asked now, as changed by people; ``None`` if nobody is asked.
        round: How often people have changed what is asked; answers count in their own round only.
        endorsed: Who agreed in this round, where several are needed.
        barred: Who may not answer, and the part they had.
        escalations: How many rungs of the ladder were climbed.
        answer: What settled the question.
        stepped: The steps that are done, in order, without those taken back.
        signals: What the run was told, by name of the signal; the last payload counts.
        doubted: The try that may or may not have taken effect, until that is known.
        reverting: The failure for which everything is being taken back.
        halted: The question to an operator that it stands still for.
        aborted: Who ended it under way, until everything is taken back.
        redriven: How often it was let go on after a failure or halt.
        code: The hash of the action's code that it goes on with.
        receipt: The action's, once it took effect.
        undone: That everything was taken back.
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
    history: tuple[Placed, ...] = ()
    asked: Asked | None = None
    round: int = 0
    endorsed: tuple[Endorsed, ...] = ()
    barred: Mapping[str, str] = field(default_factory=dict)
    escalations: int = 0
    answer: Approved | Rejected | Expired | None = None
    stepped: tuple[Stepped, ...] = ()
    signals: Mapping[str, Signalled] = field(default_factory=dict)
    doubted: Doubted | None = None
    reverting: Reverting | None = None
    halted: Halted | None = None
    aborted: Aborted | None = None
    redriven: int = 0
    code: str | None = None
    receipt: Receipt | None = None
    failure: Failed | None = None
    undone: Undone | None = None
    observed: tuple[Observed, ...] = ()
    valued: Valued | None = None
    attribution: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Sequence[Entry], run_id: UUID) -> Run:
        """Fold a run's entries, in order.

        Raises:
            NotFound: There are none, or they do not start with a decision.
        """
        # Runs of another kind (who may what) have bodies of another kind too.
        if not entries or entries[0].kind != "decided":
            raise unknown_run(run_id)
        history = tuple(Placed(entry.index, body_of(entry)) for entry in entries)
        record = history[0].body
        if not isinstance(record, Record):
            raise unknown_run(run_id)
        attribution = {} if isinstance(record.attribution, msgspec.UnsetType) else record.attribution
        code = record.action.code if isinstance(record.action, ActionFacts) else UNSET
        run = cls(record, record.status, record.choice, history, attribution=attribution, code=code or None)
        for placed in history[1:]:
            run = replace(run, **_FOLD.get(type(placed.body), _nothing)(run, placed.body))
        return run

    def after(self, body: Body) -> Run:
        """Return what it will be once ``body`` is appended."""
        history = (*self.history, Placed(self.history[-1].index + 1, body))
        return replace(self, **{**_FOLD.get(type(body), _nothing)(self, body), "history": history})

    @property
    def index(self) -> int:
        """Where its ``decided`` entry stands in the ledger."""
        return self.history[0].index

    @property
    def is_waiting(self) -> bool:
        """Whether a person is asked and has not answered."""
        return self.asked is not None and self.answer is None and self.failure is None

    @property
    def needs_action(self) -> bool:
        """Whether something is to be done in the world, or taken back, without anybody being asked first."""
        if self.record.action is UNSET or self.failure is not None or self.halted is not None or self.is_waiting:
            return False
        return self.aborted is not None or (self.receipt is None and self.undone is None)

    @property
    def due(self) -> Placed:
        """The entry that made the next step due: the decision, its answer, the step before, or a redrive."""
        return next((placed for placed in reversed(self.history) if isinstance(placed.body, _DUE)), self.history[0])

    @property
    def since(self) -> datetime:
        """Since when the next step is due."""
        body = self.due.body
        return body.decided_at if isinstance(body, Record) else body.at

    @property
    def taken_back(self) -> tuple[Undone, ...]:
        """The steps that were taken back, in that order."""
        bodies = (placed.body for placed in self.history)
        return tuple(body for body in bodies if isinstance(body, Undone) and body.step is not UNSET)

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


_DUE = (Approved, Rejected, Expired, Stepped, Redriven)
"""What makes a step due, besides the decision."""


def body_of(entry: Entry) -> Body:
    """Return what an entry says.

    Raises:
        IntegrityError: It cannot be read.

    Example:
        >>> body_of(Entry(7, "stopped", UUID(int=1), b"?"))
        Traceback (most recent call last):
        ...
        steward.errors.IntegrityError: entry 7 cannot be read as 'stopped'. Why: JSON is malformed...
    """
    try:
        body: Body = decode_body(entry.body)
    except UNREADABLE as error:
        raise IntegrityError(
            f"entry {entry.index} cannot be read as {entry.kind!r}",
            why=str(error),
            fix="run: steward verify --all",
        ) from error
    return body


_Change = dict[str, Any]


def _nothing(run: Run, body: Any) -> _Change:
    return {}


def _changed(run: Run, body: Changed) -> _Change:
    assert run.asked is not None
    gate = run.asked.gate if body.impact is UNSET else msgspec.structs.replace(run.asked.gate, impact=body.impact)
    asked = msgspec.structs.replace(run.asked, choice=body.choice, evidence=body.evidence, gate=gate)
    # Nobody is barred from a later round who is not barred there again.
    return {"asked": asked, "round": body.round, "endorsed": (), "barred": {}}


def _barred(run: Run, body: Barred) -> _Change:
    return {"barred": {**run.barred, body.person: body.part}} if body.round == run.round else {}


def _endorsed(run: Run, body: Endorsed) -> _Change:
    """Count who agreed to what is asked now: whoever was overtaken by a change or an answer agreed to nothing."""
    counts = body.round == run.round and run.answer is None
    return {"endorsed": (*run.endorsed, body)} if counts else {}


def _acted(run: Run, body: Acted) -> _Change:
    """Keep the words rejected and expired visible: what was done is then the gate's default."""
    status = _settled(run) if isinstance(run.answer, Rejected | Expired) else Status.ACTED
    return {"receipt": body.receipt, "doubted": None, "status": status}


def _undone(run: Run, body: Undone) -> _Change:
    if body.step is UNSET:
        return {"undone": body, "aborted": None, "doubted": None, "status": Status.UNDONE}
    return {"stepped": tuple(done for done in run.stepped if done.step != body.step), "doubted": None}


def _redriven(run: Run, body: Redriven) -> _Change:
    change: _Change = {"redriven": run.redriven + 1, "halted": None, "status": _settled(run)}
    if body.code is not UNSET:
        change["code"] = body.code
    if run.failure is not None:
        # It begins anew, but for effects that still stand: checks are made and signals waited for again.
        heard = {done.step for done in run.stepped}
        change["failure"] = change["reverting"] = None
        change["stepped"] = tuple(done for done in run.stepped if done.attempt > 0)
        change["signals"] = {name: told for name, told in run.signals.items() if name not in heard}
    return change


def _settled(run: Run) -> Status:
    """Return how far a run had come before its action began."""
    if run.answer is None:
        return Status.DECIDED
    return {Approved: Status.APPROVED, Rejected: Status.REJECTED, Expired: Status.EXPIRED}[type(run.answer)]


_Fold = Callable[[Run, Any], _Change]
_FOLD: dict[type[Body], _Fold] = {
    Asked: lambda run, body: {"asked": body, "status": Status.WAITING},
    Barred: _barred,
    Changed: _changed,
    Endorsed: _endorsed,
    Approved: lambda run, body: {"answer": body, "status": Status.APPROVED, "choice": body.choice},
    Rejected: lambda run, body: {"answer": body, "status": Status.REJECTED, "choice": body.choice},
    Expired: lambda run, body: {"answer": body, "status": Status.EXPIRED, "choice": body.choice},
    Escalated: lambda run, body: {"escalations": run.escalations + (body.by == "system")},
    Stepped: lambda run, body: {"stepped": (*run.stepped, body), "doubted": None, "status": Status.ACTING},
    Signalled: lambda run, body: {"signals": {**run.signals, body.signal: body}},
    Doubted: lambda run, body: {"doubted": body, "status": Status.IN_DOUBT},
    Halted: lambda run, body: {"halted": body, "status": Status.HALTED},
    Reverting: lambda run, body: {"reverting": body, "status": Status.ACTING},
    Aborted: lambda run, body: {"aborted": body, "halted": None, "status": Status.ACTING},
    Redriven: _redriven,
    Acted: _acted,
    Undone: _undone,
    Failed: lambda run, body: {"failure": body, "doubted": None, "status": Status.FAILED},
    Attributed: lambda run, body: {"attribution": body.attribution},
    Observed: lambda run, body: {"observed": (*run.observed, body)},
    Valued: lambda run, body: {"valued": body},
}


def unknown_run(run_id: UUID) -> NotFound:
    """Return the error for an id that no decision has, or none that the caller may know of.

    Example:
        >>> unknown_run(UUID(int=7)).code
        'not-found'
    """
    return NotFound(f"no decision has the id {run_id}", fix="list the decisions: steward show, GET /v1/decisions")
