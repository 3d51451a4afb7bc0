"""What the API answers and takes, as structs: the one source of its bytes and of its description."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from steward.ledger.run import Placed, Run
from steward.loop.asks import Approval
from steward.records import FeatureValue, Record, Status
from steward.runtime.stops import Stop
from steward.workflow.next import Next

Text = Annotated[str, Meta(min_length=1, max_length=2_000)]
Person = Annotated[str, Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, Meta(tz=True)]
Digest = Annotated[str, Meta(pattern="^sha256:[0-9a-f]{64}$")]


class OutcomeIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What really happened after a decision.

    Attributes:
        decision: The decision's name.
        outcome_id: The sender's own name for this outcome; the same id is taken once.
        outcome: The outcome, as its contract says.
        decision_id: The very run it belongs to, if known; else it is joined by key.
    """

    decision: Person
    outcome_id: Person
    outcome: Raw
    decision_id: UUID | None = None


class OutcomeTaken(Struct, frozen=True, kw_only=True):
    """The outcome is kept; ``joined`` are the runs it belongs to (none yet, if it came before its decision)."""

    joined: Sequence[UUID]


class PersonsAnswer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's answer to an approval, or their wish to undo.

    Attributes:
        by: Who answers. Once identities are known that is whoever sends it, and nobody else can be named.
        reason: Why.
        evidence: Digest of the record that was shown, as in the approval; refused if another is shown by now.
    """

    reason: Text
    by: Person | UnsetType = UNSET
    evidence: Digest | None = None


class ChangeIn(PersonsAnswer, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's own choice in the place of what is asked; with four eyes others must still agree to it.

    Attributes:
        choice: What is to be done, as the decision's policy would choose it.
    """

    choice: Any


class QuestionIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person who is asked wants to know first."""

    question: Text
    by: Person | UnsetType = UNSET


class ReplyIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to the open question of those who are asked."""

    reply: Text
    by: Person | UnsetType = UNSET


class EscalationIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person wants others to be asked too: ``to``, one of the gate's ladder, or else the next of it."""

    reason: Text
    by: Person | UnsetType = UNSET
    to: Person | None = None


class SnoozeIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person does not want to be reminded before ``until``, which lies before the deadline."""

    reason: Text
    until: Moment
    by: Person | UnsetType = UNSET


class Reasoning(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's wish about a run or an event, and why.

    Attributes:
        reason: Why.
        by: Who. Once identities are known that is whoever sends it.
    """

    reason: Text
    by: Person | UnsetType = UNSET


class RedriveIn(Reasoning, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person lets a failed or halted run go on.

    Attributes:
        adopt_current_code: Whether it goes on with today's code instead of that it began with.
    """

    adopt_current_code: bool = False


class SignalIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person, a device or a webhook tells a run.

    Attributes:
        payload: Any JSON; later steps are given it.
        by: Who says so. Once identities are known that is whoever sends it.
    """

    payload: Any = None
    by: Person | UnsetType = UNSET


class WhatIfIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a stored decision might have known instead.

    Attributes:
        changes: New values by feature, each of the kind that is stored.
        flips: A feature that is moved along its range, to see where the choice flips.
    """

    changes: dict[str, FeatureValue] = {}
    flips: Person | UnsetType = UNSET


class CounterfactualsIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be known of what would have changed a stored decision's choice.

    Attributes:
        toward: The only choice that counts; by default any other one.
        features: Only these are changed; by default all that can be.
        most: How many are told, the nearest first.
    """

    toward: Any = UNSET
    features: list[Person] = []
    most: Annotated[int, Meta(ge=1, le=20)] = 5


class StopIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person stops a decision, or wants a stop to be lifted.

    Attributes:
        reason: Why.
        by: Who. Once identities are known that is whoever sends it.
        decision: Which one; ``*`` is every decision.
    """

    reason: Text
    by: Person | UnsetType = UNSET
    decision: Person = "*"


class StopsNow(Struct, frozen=True, kw_only=True):
    """The stops that stand, the oldest first."""

    stops: Sequence[Stop]


class EventsTaken(Struct, frozen=True, kw_only=True):
    """The log has the events: how many are new, how many it had already, and the offset of each in its topic."""

    accepted: int
    duplicates: int
    offsets: Sequence[int]


class Accepted(Struct, frozen=True, kw_only=True):
    """The decision is in the ledger; what follows from it is told at ``location``."""

    decision_id: UUID
    status: Status
    location: str


class LedgerEntry(Struct, frozen=True, kw_only=True):
    """One entry; ``body`` is the exact text whose bytes the tree is over."""

    index: int
    kind: str
    decision_id: UUID
    body: str


class LedgerPage(Struct, frozen=True, kw_only=True):
    """Entries in order, and how many the ledger has."""

    size: int
    entries: Sequence[LedgerEntry]


class Health(Struct, frozen=True, kw_only=True):
    """Whether the server may be sent work, and the state of each thing it needs."""

    ready: bool
    checks: dict[str, str]


class History(Struct, frozen=True, kw_only=True):
    """One entry of a run; ``facts`` is its body without what all its entries have in common."""

    index: int
    kind: str
    at: datetime
    by: str | UnsetType = UNSET
    facts: dict[str, Any]


_COMMON = ("kind", "decision_id", "decision", "at", "by")
_RECORD_DECODER = msgspec.json.Decoder(dict[str, Raw])


def run_document(run: Run, following: Next | None = None, *, is_stopped: bool = False) -> bytes:
    """Return a run as JSON: the record with its present status and choice, what is asked, and its history.

    Args:
        run: The folded run.
        following: What it waits for, where that is known.
        is_stopped: Whether a stop stands for its decision.
    """
    document = _RECORD_DECODER.decode(msgspec.json.encode(run.record))
    document["status"] = Raw(msgspec.json.encode(run.status))
    document["choice"] = Raw(msgspec.json.encode(run.choice))
    if run.attribution:
        document["attribution"] = Raw(msgspec.json.encode(run.attribution))
    provenance = msgspec.structs.replace(run.record.provenance, ledger_index=run.index)
    document["provenance"] = Raw(msgspec.json.encode(provenance))
    if run.is_waiting:
        document["approval"] = Raw(msgspec.json.encode(Approval.of(run, is_stopped=is_stopped)))
    if following is not None:
        document["next"] = Raw(msgspec.json.encode(following))
    document["history"] = Raw(msgspec.json.encode([history(placed) for placed in run.history]))
    return msgspec.json.encode(document)


def history(placed: Placed) -> History:
    """Return one entry of a run; of the decision itself, only what may have changed since."""
    body = placed.body
    plain = msgspec.to_builtins(body)
    kind = plain["kind"]
    if isinstance(body, Record):
        facts = {name: plain[name] for name in ("status", "choice")}
        return History(index=placed.index, kind=kind, at=body.decided_at, facts=facts)
    facts = {name: value for name, value in plain.items() if name not in _COMMON}
    by = plain.get("by", UNSET)
    return History(index=placed.index, kind=kind, at=body.at, by=by, facts=facts)
