"""One question as it is shown: what is proposed, why, what it is worth, how it was answered before, and by whom now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from markupsafe import Markup
from msgspec import Struct

from steward.api import desk
from steward.console import words
from steward.console.choice_forms import Field, form_of
from steward.console.choices import chosen, measured, named
from steward.console.view import View
from steward.console.why import drivers, worth
from steward.decision.decision import Decision
from steward.decision.gate import impact_above
from steward.entries import Asked, Changed
from steward.errors import StewardError
from steward.insight.questions import Precedents
from steward.ledger.run import Run
from steward.loop.act import choice_type
from steward.loop.asks import Approval
from steward.records import Money

_FEW: Final = 3
"""So many questions that proposed the very same say more than all others."""
_VERDICTS: Final = {"Approved": "approved", "Rejected": "rejected", "Expired": "expired"}


class Result(Struct, frozen=True, kw_only=True):
    """How a question was settled.

    Attributes:
        verdict: ``approved``, ``rejected`` or ``expired``.
        by: Who settled it.
        reason: Why.
        at: When.
        index: Where that stands in the ledger.
        choice: What is in force, in words.

    Example:
        >>> Result(verdict="approved", by="ana", reason="known", at=datetime(2026, 1, 1), index=7, choice="Pay").by
        'ana'
    """

    verdict: str
    by: str
    reason: str
    at: datetime
    index: int
    choice: str


class Shown(Struct, frozen=True, kw_only=True):
    """What a page shows of one question.

    Attributes:
        approval: What is asked, and how far it has come.
        run: The run that asks.
        declared: The decision, if it still is one.
        title: What is proposed, in words.
        otherwise: What is done if nobody agrees, in words.
        why_asked: Why a person is asked.
        worth: A picture of what it is expected to earn, against what is done otherwise; ``None`` if nobody can tell.
        drivers: A picture of what moved the model's answer; ``None`` without attributions.
        event: What happened, by name.
        features: What was known, by name.
        precedents: How questions like it were answered.
        are_alike: Whether those proposed the very same.
        obstacle: Why whoever looks cannot agree; ``None`` if they can.
        must_sign_in: Whether they must show their key again to agree.
        fields: The form for another choice; empty if nobody may change it.
        limits: What the gate says about other choices.
        edited: What the last person who changed it put in the place of what, in words.
        result: How it was settled.

    Example:
        >>> Shown.__struct_fields__[0]
        'approval'
    """

    approval: Approval
    run: Run
    declared: Decision[Any, Any, Any] | None
    title: str
    otherwise: str
    why_asked: str
    worth: Markup | None
    drivers: Markup | None
    event: Sequence[tuple[str, str]]
    features: Sequence[tuple[str, str]]
    precedents: Precedents
    are_alike: bool
    obstacle: StewardError | None
    must_sign_in: bool
    fields: Sequence[Field]
    limits: str
    edited: tuple[str, str] | None
    result: Result | None

    @property
    def run_id(self) -> UUID:
        """The run that asks."""
        return self.approval.decision_id

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.run.is_waiting


def shown(view: View, run: Run) -> Shown:
    """Return what is shown of a run's question to whoever looks.

    Raises:
        Conflict: Nobody is or was asked in this run (``code`` is ``not-waiting``).
    """
    runtime, record = view.runtime, run.record
    approval = Approval.of(run, is_stopped=runtime.stops.is_stopped(record.decision))
    declared = runtime.decisions.get(record.decision)
    same = runtime.views.precedents(record.decision, record.choice)
    are_alike = same.settled >= _FEW
    return Shown(
        approval=approval,
        run=run,
        declared=declared,
        title=_title(run, approval.choice),
        otherwise=chosen(approval.otherwise),
        why_asked=_why_asked(declared, approval),
        worth=worth(view, run, approval.choice, approval.otherwise),
        drivers=drivers(run),
        event=_rows(approval.event),
        features=_rows(record.features),
        precedents=same if are_alike else runtime.views.precedents(record.decision),
        are_alike=are_alike,
        obstacle=_obstacle(view, run),
        must_sign_in=view.caller is not None and desk.must_sign_in(view.service, view.caller, run),
        fields=_fields(declared, approval) if run.is_waiting else (),
        limits=_limits(declared),
        edited=_edited(run),
        result=_result(run),
    )


def seen_before(run: Run, evidence: str) -> str | None:
    """Return what somebody was shown who names other evidence than what is asked now, in words; ``None`` if nothing.

    Args:
        run: The folded run.
        evidence: What their answer names.
    """
    asked = (placed.body for placed in run.history if isinstance(placed.body, Asked | Changed))
    return next((_title(run, body.choice) for body in asked if body.evidence == evidence), None)


def brief(seconds: float) -> str:
    r"""Return a length of time in one unit, as people say it in passing.

    Example:
        >>> brief(45.2), brief(119.6), brief(5_400), brief(200_000)
        ('45\xa0s', '2\xa0min', '2\xa0h', '2\xa0d')
    """
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 1.5 * length or (unit == "min" and seconds >= 90):
            return f"{seconds / length:.0f}\N{NO-BREAK SPACE}{unit}"
    return f"{seconds:.0f}\N{NO-BREAK SPACE}s"


def _title(run: Run, choice: object) -> str:
    """Return a choice in words; of the policy's own, its rule says what it is."""
    record = run.record
    return chosen(choice, record.policy.rule) if choice == record.choice else chosen(choice)


def _why_asked(declared: Decision[Any, Any, Any] | None, approval: Approval) -> str:
    gate = None if declared is None else declared.gate
    if gate is not None and isinstance(gate.needed, impact_above):
        return f"more than {words.money(Money.rounded(float(gate.needed.amount), approval.impact.unit))} at stake"
    return f"{words.money(approval.impact)} at stake"


def _rows(values: object) -> Sequence[tuple[str, str]]:
    if not isinstance(values, Mapping):
        return [("Event", words.plain(values))]
    return [(named(str(name))[0], measured(str(name), value)) for name, value in values.items()]


def _obstacle(view: View, run: Run) -> StewardError | None:
    if view.caller is None or not run.is_waiting:
        return None
    return desk.obstacle(view.service, view.caller, run, view.acting)


def _fields(declared: Decision[Any, Any, Any] | None, approval: Approval) -> Sequence[Field]:
    if declared is None or declared.gate is None or declared.gate.limits is None:
        return ()
    return form_of(choice_type(declared.policy), approval.choice)


def _limits(declared: Decision[Any, Any, Any] | None) -> str:
    limits = None if declared is None or declared.gate is None else declared.gate.limits
    about = (getattr(limits, "__doc__", None) or "").strip()
    return about.partition("\n")[0]


def _edited(run: Run) -> tuple[str, str] | None:
    last = next((placed.body for placed in reversed(run.history) if isinstance(placed.body, Changed)), None)
    return None if last is None else (_title(run, last.proposed), _title(run, last.choice))


def _result(run: Run) -> Result | None:
    answer = run.answer
    if answer is None:
        return None
    index = next(placed.index for placed in run.history if placed.body is answer)
    return Result(
        verdict=_VERDICTS[type(answer).__name__],
        by=answer.by,
        reason=getattr(answer, "reason", ""),
        at=answer.at,
        index=index,
        choice=_title(run, answer.choice),
    )


def until(view: View, minutes: int | None, text: str) -> datetime:
    """Return until when somebody does not want to be reminded: in some minutes, or at a local time as typed.

    Raises:
        ValueError: It is no time.
    """
    if minutes is not None:
        return view.now + timedelta(minutes=minutes)
    return datetime.fromisoformat(text).replace(tzinfo=view.zone.info)
