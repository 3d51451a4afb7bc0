"""What happened to a decision, in sentences: one function for each kind of entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from steward.console.choices import by, chosen
from steward.console.telling import Told, joined, quoted
from steward.console.told_releases import RELEASES
from steward.console.words import exactly, plain, title
from steward.console.zones import Zone
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
    Notified,
    Observed,
    Questioned,
    Redriven,
    Rejected,
    Replied,
    Restored,
    Resumed,
    Resuming,
    Reverting,
    Seeded,
    Signalled,
    Snoozed,
    Stepped,
    Stopped,
    Tripped,
    Undone,
    Valued,
)
from steward.ledger.run import Run
from steward.records import Record
from steward.workflow.next import Next

_SYSTEM: Final = "system"
_NOTIFIED: Final = {"asked": "the question", "escalated": "the escalation", "failed": "the failure"}


def history(run: Run, zone: Zone, following: Next | None = None) -> list[Told]:
    """Return everything that happened to a run, in order, and what it waits for.

    Args:
        run: The folded run.
        zone: In which deadlines are told.
        following: What it waits for, where that is known.
    """
    told = [each for placed in run.history for each in _of(placed.body)]
    if run.is_waiting and run.asked is not None:
        gate = run.asked.gate
        told.append(Told(at=None, title=f"Waits for {gate.approvers}", tone="warn", until=gate.deadline or None))
    elif following is not None:
        told.append(Told(at=None, title=waits(following), tone="warn", until=following.until or None))
    return [_dated(each, zone) for each in told]


def _dated(told: Told, zone: Zone) -> Told:
    if told.until is None:
        return told
    deadline = f"until {zone.clock(told.until)} {zone.abbreviation(told.until)}"
    return msgspec.structs.replace(told, detail=joined(told.detail, deadline))


def waits(following: Next) -> str:
    """Return what a run waits for.

    Example:
        >>> waits(Next(waits_for="signal", name="crew-clear")), waits(Next(waits_for="operator", name="stopped"))
        ('Waits for the signal “Crew clear”', 'Stands still: it is stopped')
    """
    name = title(following.name.removesuffix("/undo"))
    if following.waits_for == "signal":
        return f"Waits for the signal “{name}”"
    if following.waits_for == "time":
        return f"Waits: {name}"
    if following.waits_for == "try":
        return f"Takes back: {name}" if following.name.endswith("/undo") else f"Does: {name}"
    if following.name == "stopped":
        return "Stands still: it is stopped"
    return f"Waits for an operator: {name.lower()}"


def _of(body: Body) -> Iterator[Told]:
    if isinstance(body, Record):
        yield from _arrived(body)
    yield TOLD[type(body)](body)


def _arrived(record: Record) -> Iterator[Told]:
    """Tell of the stages before the choice, which are one entry with it."""
    origin = record.provenance
    when = origin.event_time if isinstance(origin.event_time, datetime) else record.decided_at
    sender = f", sent by {origin.by}" if isinstance(origin.by, str) else ""
    contract = f"{origin.contract}, version {origin.contract_version}, from {origin.source}{sender}"
    yield Told(at=when, title="Event received", detail=contract, tone="info")
    if record.features:
        count = len(record.features)
        yield Told(at=record.decided_at, title="Features computed", detail=_count(count, "value"), tone="info")
    if isinstance(record.model_id, str):
        sure = f"confidence {100 * record.confidence:.0f} %" if isinstance(record.confidence, float) else ""
        version = f", version {record.model_version}" if isinstance(record.model_version, str) else ""
        yield Told(
            at=record.decided_at,
            title="Model answered",
            detail=joined(f"{record.model_id}{version}", sure),
            tone="info",
        )


def _decided(record: Record) -> Told:
    rule = f"rule {record.policy.rule}" if isinstance(record.policy.rule, str) else ""
    detail = joined(*record.reasons, rule)
    return Told(at=record.decided_at, title=f"Chose: {chosen(record.choice)}", detail=detail, tone="pos")


def _asked(body: Asked) -> Told:
    gate = body.gate
    needed = f"{gate.approvals} of them must agree" if gate.approvals > 1 else ""
    otherwise = f"otherwise: {chosen(gate.otherwise)}"
    detail = joined(f"{exactly(gate.impact)} at stake", needed, otherwise)
    return Told(at=body.at, title=f"{gate.approvers} asked", detail=detail, tone="warn", until=gate.deadline or None)


def _barred(body: Barred) -> Told:
    return Told(at=body.at, title=f"{body.person} may not answer", detail=f"four eyes: they are its {body.part}")


def _changed(body: Changed) -> Told:
    detail = joined(f"instead of {chosen(body.proposed)}", quoted(body.reason), "those who had agreed are asked again")
    return Told(at=body.at, title=f"{by(body.by)} changed it to {chosen(body.choice)}", detail=detail, tone="warn")


def _approved(body: Approved) -> Told:
    return Told(
        at=body.at,
        title=f"Approved by {by(body.by)}",
        detail=joined(quoted(body.reason), _waited(body.waited_s)),
        tone="pos",
    )


def _endorsed(body: Endorsed) -> Told:
    return Told(at=body.at, title=f"{by(body.by)} agreed", detail=joined(quoted(body.reason), "others must, too"))


def _rejected(body: Rejected) -> Told:
    detail = joined(quoted(body.reason), f"instead: {chosen(body.choice)}", _waited(body.waited_s))
    return Told(at=body.at, title=f"Refused by {by(body.by)}", detail=detail, tone="neg")


def _expired(body: Expired) -> Told:
    detail = f"instead: {chosen(body.choice)}"
    return Told(at=body.at, title="Nobody answered in time", detail=detail, tone="neg")


def _escalated(body: Escalated) -> Told:
    why = "nobody had answered" if body.by == _SYSTEM else f"by {body.by}"
    return Told(at=body.at, title=f"{body.to} asked, too", detail=joined(why, quoted(body.reason)), tone="warn")


def _questioned(body: Questioned) -> Told:
    return Told(at=body.at, title=f"{by(body.by)} asked back", detail=quoted(body.question), tone="warn")


def _replied(body: Replied) -> Told:
    return Told(at=body.at, title=f"{by(body.by)} replied", detail=quoted(body.reply), tone="info")


def _snoozed(body: Snoozed) -> Told:
    detail = joined(quoted(body.reason), "no reminder")
    return Told(at=body.at, title=f"Snoozed by {by(body.by)}", detail=detail, until=body.until)


def _seeded(body: Seeded) -> Told:
    detail = f"a known wrong choice, to see whether people look: {body.why}; whatever is answered, nothing is done"
    return Told(at=body.at, title="This is a check", detail=detail, tone="warn")


def _notified(body: Notified) -> Told:
    about = _NOTIFIED.get(body.about, body.about)
    if body.failed:
        detail = joined(f"over {body.channel}, of {about}", body.failed)
        return Told(at=body.at, title=f"{body.to} could not be told", detail=detail, tone="neg")
    return Told(at=body.at, title=f"{body.to} told", detail=f"over {body.channel}, of {about}")


def _stepped(body: Stepped) -> Told:
    tries = f"at try {body.attempt}" if body.attempt > 1 else ""
    if body.attempt == 0:
        got = "" if body.result is None else plain(body.result)
        return Told(at=body.at, title=f"{title(body.step)}: fine", detail=joined(f"step {body.position + 1}", got))
    detail = joined(f"step {body.position + 1}", _receipt(body.result), tries)
    return Told(at=body.at, title=f"{title(body.step)}: done", detail=detail, tone="pos")


def _signalled(body: Signalled) -> Told:
    payload = "" if body.payload is None else plain(body.payload)
    detail = joined(f"by {by(body.by)}", payload)
    return Told(at=body.at, title=f"Signal “{title(body.signal)}” came", detail=detail, tone="info")


def _doubted(body: Doubted) -> Told:
    what = title(body.step) if isinstance(body.step, str) else "The action"
    detail = joined(body.reason, f"try {body.attempt}", "the world is read back before it is tried again")
    return Told(at=body.at, title=f"{what}: in doubt", detail=detail, tone="warn")


def _reverting(body: Reverting) -> Told:
    detail = joined(body.reason, body.code, "what was done is taken back in reverse order")
    return Told(at=body.at, title=f"{title(body.step)}: failed for good", detail=detail, tone="neg")


def _halted(body: Halted) -> Told:
    return Told(at=body.at, title="Stands still until somebody decides", detail=body.question, tone="warn")


def _aborted(body: Aborted) -> Told:
    detail = joined(quoted(body.reason), "what was done is taken back")
    return Told(at=body.at, title=f"Ended by {by(body.by)}", detail=detail, tone="warn")


def _redriven(body: Redriven) -> Told:
    code = f"with today's code {body.code}" if isinstance(body.code, str) else ""
    return Told(at=body.at, title=f"Let go on by {by(body.by)}", detail=joined(quoted(body.reason), code), tone="info")


def _acted(body: Acted) -> Told:
    tries = f"at try {body.attempt}" if body.attempt > 1 else ""
    receipt = joined(body.receipt.reference, *(f"{name} {value}" for name, value in body.receipt.detail.items()))
    return Told(at=body.at, title=f"Done: {title(body.action.name)}", detail=joined(receipt, tries), tone="pos")


def _undone(body: Undone) -> Told:
    what = f"{title(body.step)}: taken back" if isinstance(body.step, str) else "Taken back"
    return Told(at=body.at, title=what, detail=joined(body.reason, body.receipt.reference), tone="neg")


def _failed(body: Failed) -> Told:
    tries = f"at try {body.attempt}" if body.attempt > 1 else ""
    return Told(at=body.at, title=f"Failed: {body.stage}", detail=joined(body.reason, body.code, tries), tone="neg")


def _attributed(body: Attributed) -> Told:
    detail = f"what moved the answer, computed afterwards: {_count(len(body.attribution), 'contribution')}"
    return Told(at=body.at, title="Attribution computed", detail=detail, tone="info")


def _observed(body: Observed) -> Told:
    late = "after the window that was declared" if body.late else ""
    return Told(at=body.at, title="Outcome came", detail=joined(plain(body.outcome), late), tone="info")


def _valued(body: Valued) -> Told:
    again = "as a later outcome says" if body.restates else ""
    detail = joined(f"{exactly(body.value)} against {exactly(body.baseline)} without it", again)
    tone = "neg" if body.saving.minor < 0 else "pos"
    return Told(at=body.at, title=f"Worth {exactly(body.saving)}", detail=detail, tone=tone)


def _stopped(body: Stopped) -> Told:
    return Told(at=body.at, title=f"Stopped by {by(body.by)}", detail=quoted(body.reason), tone="neg")


def _resuming(body: Resuming) -> Told:
    detail = joined(quoted(body.reason), "a second person must agree")
    return Told(at=body.at, title=f"{by(body.by)} wants it to go on", detail=detail, tone="warn")


def _resumed(body: Resumed) -> Told:
    title = f"Let go on by {by(body.by)} and {body.first}"
    return Told(at=body.at, title=title, detail=quoted(body.reason), tone="pos")


def _tripped(body: Tripped) -> Told:
    detail = joined(_count(body.failures, "failure") + " in a row", body.reason, "calls are held back")
    return Told(at=body.at, title=f"{body.destination} is away", detail=detail, tone="neg")


def _restored(body: Restored) -> Told:
    return Told(at=body.at, title=f"{body.destination} is back", detail="a probe found it well", tone="pos")


TOLD: Final[Mapping[type[Body], Callable[[Any], Told]]] = {
    Record: _decided,
    Asked: _asked,
    Barred: _barred,
    Changed: _changed,
    Approved: _approved,
    Endorsed: _endorsed,
    Rejected: _rejected,
    Expired: _expired,
    Escalated: _escalated,
    Questioned: _questioned,
    Replied: _replied,
    Snoozed: _snoozed,
    Seeded: _seeded,
    Notified: _notified,
    Stepped: _stepped,
    Signalled: _signalled,
    Doubted: _doubted,
    Reverting: _reverting,
    Halted: _halted,
    Aborted: _aborted,
    Redriven: _redriven,
    Acted: _acted,
    Undone: _undone,
    Failed: _failed,
    Attributed: _attributed,
    Observed: _observed,
    Valued: _valued,
    Stopped: _stopped,
    Resuming: _resuming,
    Resumed: _resumed,
    Tripped: _tripped,
    Restored: _restored,
    **RELEASES,
}
"""How each kind of entry is told."""


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _waited(waited_s: object) -> str:
    if not isinstance(waited_s, int | float):
        return ""
    return f"after {waited_s / 60:.0f} min" if waited_s >= 90 else f"after {waited_s:.0f} s"


def _receipt(result: object) -> str:
    return str(result.get("reference", "")) if isinstance(result, Mapping) else ""
