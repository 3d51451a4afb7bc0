"""What each kind of entry tells people: from an entry and its run to one notice, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from steward.decision.decision import Decision
from steward.entries import (
    Asked,
    Changed,
    Escalated,
    Failed,
    Halted,
    Questioned,
    Replied,
    Resumed,
    Resuming,
    Snoozed,
    Stopped,
)
from steward.ledger.run import Run
from steward.loop.gate import asked_groups
from steward.people.notice import Notice
from steward.records import Money

_LONGEST: Final = 200
Decisions = Mapping[str, Decision[Any, Any, Any]]


def of_run(index: int, body: Any, run: Run, decision: Decision[Any, Any, Any] | None) -> Notice | None:
    """Return what an entry of a run tells; ``None`` where nobody needs to know."""
    tell = _OF_RUN.get(type(body))
    told = None if tell is None else tell(body, run, (decision.owner,) if decision else ())
    if told is None or not told["to"]:
        return None
    record = run.record
    return Notice(
        id=f"{record.decision_id}/{index}",
        about=str(body.__struct_config__.tag),
        decision=record.decision,
        run_id=record.decision_id,
        **{"at": body.at, **told},
    )


def of_stop(index: int, body: Stopped | Resuming | Resumed, decisions: Decisions) -> Notice:
    """Return what the stop switch tells the owners of all decisions concerned; at once, whatever the hour."""
    named = decisions.values() if body.decision == "*" else filter(None, (decisions.get(body.decision),))
    what = "everything" if body.decision == "*" else body.decision
    verb = {Stopped: "stopped", Resuming: "wants to resume", Resumed: "resumed"}[type(body)]
    second = ("A second person must agree before anything is dispatched again.",) * isinstance(body, Resuming)
    return Notice(
        id=f"{body.decision_id}/{index}",
        about=str(body.__struct_config__.tag),
        decision=body.decision,
        run_id=body.decision_id,
        to=tuple(dict.fromkeys(decision.owner for decision in named)),
        title=f"[Steward] {body.by} {verb} {what}",
        lines=(f"{body.by} {verb} {what} at {_clock(body.at)}.", f"Reason: {body.reason}", *second),
        at=body.at,
        urgent=True,
    )


def _question(run: Run, to: tuple[str, ...], title: str, *lines: str) -> dict[str, Any]:
    assert run.asked is not None
    gate, asked, deadline = run.asked.gate, run.asked, run_deadline(run)
    several = f" {gate.approvals} people must agree." if gate.approvals > 1 else ""
    return {
        "to": to,
        "title": f"[Steward] {title}",
        "deadline": deadline,
        "lines": (
            *lines,
            f"Proposed: {_short(asked.choice)}, because {'; '.join(run.record.reasons)}.",
            f"At stake: {_money(gate.impact)}.{several}",
            f"If nobody answers until {_clock(deadline)}: {_short(gate.otherwise)}.",
        ),
    }


def _asked(body: Asked, run: Run, owners: tuple[str, ...]) -> dict[str, Any] | None:
    if not run.is_waiting:
        return None
    return _question(run, (body.gate.approvers,), f"{body.decision} asks until {_clock(run_deadline(run))}")


def _changed(body: Changed, run: Run, owners: tuple[str, ...]) -> dict[str, Any] | None:
    if not run.is_waiting or run.asked is None:
        return None
    line = f"{body.by} put {_short(body.choice)} in the place of {_short(body.proposed)}: {body.reason}"
    return _question(run, asked_groups(run), f"{body.decision} asks again, changed by {body.by}", line)


def _escalated(body: Escalated, run: Run, owners: tuple[str, ...]) -> dict[str, Any] | None:
    if not run.is_waiting:
        return None
    why = body.reason or "nobody has answered yet"
    return _question(
        run, (body.to,), f"{body.decision} waits: now it is for {body.to}", f"It comes to you because {why}."
    )


def _snoozed(body: Snoozed, run: Run, owners: tuple[str, ...]) -> dict[str, Any] | None:
    if not run.is_waiting:
        return None
    told = _question(run, (body.by,), f"{body.decision} still asks", f"You wanted to be reminded now: {body.reason}")
    return {**told, "at": body.until}


def _questioned(body: Questioned, run: Run, owners: tuple[str, ...]) -> dict[str, Any] | None:
    if not run.is_waiting:
        return None
    return _question(run, owners, f"{body.by} asks about {body.decision}", f"{body.by} wants to know: {body.question}")


def _replied(body: Replied, run: Run, owners: tuple[str, ...]) -> dict[str, Any] | None:
    asked = [each.body.by for each in run.history if isinstance(each.body, Questioned) and each.body.at <= body.at]
    if not run.is_waiting or not asked:
        return None
    line = f"{body.by} replied: {body.reply}"
    return _question(run, (asked[-1],), f"{body.by} replied about {body.decision}", line)


def _halted(body: Halted, run: Run, owners: tuple[str, ...]) -> dict[str, Any]:
    return {"to": owners, "title": f"[Steward] {body.decision} stands still", "lines": (body.question,)}


def _failed(body: Failed, run: Run, owners: tuple[str, ...]) -> dict[str, Any] | None:
    if body.stage != "act":
        return None  # what fails before a choice is made is told to the caller and counted, not sent to people
    lines = (f"The action failed for good: {body.reason}", "It is a dead letter now: steward dead-letters")
    return {"to": owners, "title": f"[Steward] the action of {body.decision} failed for good", "lines": lines}


def run_deadline(run: Run) -> datetime:
    """Return until when a run's question may be answered."""
    assert run.asked is not None
    assert isinstance(run.asked.gate.deadline, datetime)
    return run.asked.gate.deadline


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _money(money: Money) -> str:
    return f"{money.amount} {money.unit}"


def _short(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_Tell = Callable[[Any, Run, tuple[str, ...]], dict[str, Any] | None]
_OF_RUN: Mapping[type[Any], _Tell] = {
    Asked: _asked,
    Changed: _changed,
    Escalated: _escalated,
    Questioned: _questioned,
    Replied: _replied,
    Snoozed: _snoozed,
    Halted: _halted,
    Failed: _failed,
}
TOLD: Final = frozenset({"asked", "changed", "escalated", "questioned", "replied", "snoozed", "halted", "failed"})
"""The kinds of a run's entries that may tell people something."""
STOPS: Final = frozenset({"stopped", "resuming", "resumed"})
"""The kinds of the stop switch."""
