"""How an entry changes a run's row: the fold of :meth:`steward.ledger.run.Run.of`, decoding only what rows show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from steward.clock import EPOCH
from steward.entries import Asked, Changed
from steward.errors import IntegrityError
from steward.ledger.port import Entry
from steward.records import Money, Status
from steward.wire import UNREADABLE

_MICROSECOND = timedelta(microseconds=1)


class RunState(Struct):
    """A run's row as it is stored; the fields are the columns.

    ``pending`` says what it waits for: a ``person`` (asked, not answered), its ``action`` (declared, not yet taken), an
    ``operator`` (it stands still for a question) or nothing.
    Money is kept as minor units in decimal digits, as sums may outgrow 64 bits.

    Example:
        >>> state = RunState(run_id=bytes(16), position=0, decision="pay.release", release="r1", decided_us=0,
        ...     status="decided", choice=b'"release"', reasons=b'["small"]', confidence=None, outcome_key=None,
        ...     has_action=True)
        >>> state.acted, state.saving
        (False, '0')
    """

    run_id: bytes
    position: int
    decision: str
    release: str
    decided_us: int
    status: str
    choice: bytes
    reasons: bytes
    confidence: float | None
    outcome_key: str | None
    has_action: bool
    acted: bool = False
    failed: bool = False
    halted: bool = False
    aborted: bool = False
    answer: str | None = None
    asked: bytes | None = None
    deadline_us: int | None = None
    escalated_to: str | None = None
    changed: bool = False
    unit: str = ""
    value: str = "0"
    baseline: str = "0"
    saving: str = "0"
    pending: str | None = None


COLUMNS = RunState.__struct_fields__
CHANGING = COLUMNS[COLUMNS.index("status") :]


class _Decided(Struct):
    decision: str
    release: str
    decided_at: datetime
    status: str
    choice: Raw
    reasons: Raw
    confidence: float | None = None
    action: Raw | UnsetType = UNSET
    outcome_key: str | None = None


class _Deadline(Struct):
    deadline: datetime


class _Asked(Struct):
    gate: _Deadline


class _Answered(Struct):
    choice: Raw


class _Escalated(Struct):
    to: str


class _Undone(Struct):
    step: str | UnsetType = UNSET


class _Valued(Struct):
    value: Money
    baseline: Money
    saving: Money


class _Nothing(Struct):
    pass


def microseconds(when: datetime) -> int:
    """Return the microseconds since 1970, exactly.

    Example:
        >>> from datetime import UTC
        >>> microseconds(datetime(2026, 1, 1, tzinfo=UTC))
        1767225600000000
    """
    return (when - EPOCH) // _MICROSECOND


def moment(us: int) -> datetime:
    """Return the UTC time of microseconds since 1970.

    Example:
        >>> moment(1767225600000000).isoformat()
        '2026-01-01T00:00:00+00:00'
    """
    return EPOCH + us * _MICROSECOND


def decided(entry: Entry) -> RunState:
    """Return the row of a new run.

    Raises:
        IntegrityError: The entry's body is not a record.
    """
    body = _decode(_decode_decided, entry)
    return _pending(
        RunState(
            run_id=entry.run_id.bytes,
            position=entry.index,
            decision=body.decision,
            release=body.release,
            decided_us=microseconds(body.decided_at),
            status=body.status,
            choice=bytes(body.choice),
            reasons=bytes(body.reasons),
            confidence=body.confidence,
            outcome_key=body.outcome_key,
            has_action=body.action is not UNSET,
        )
    )


def follow(state: RunState, entry: Entry) -> None:
    """Change ``state`` by a later entry of its run; kinds that rows do not show change nothing.

    Raises:
        IntegrityError: The entry's body is not of its kind.
    """
    known = _FOLD.get(entry.kind)
    if known is not None:
        decode, change = known
        change(state, _decode(decode, entry), entry)
        _pending(state)


def _pending(state: RunState) -> RunState:
    if state.asked is not None and state.answer is None and not state.failed:
        state.pending = "person"
    elif state.has_action and not state.failed and (state.aborted or not state.acted):
        state.pending = "operator" if state.halted else "action"
    else:
        state.pending = None
    return state


def _decode(decode: Callable[[bytes], Any], entry: Entry) -> Any:
    try:
        return decode(entry.body)
    except UNREADABLE as error:
        raise IntegrityError(
            f"entry {entry.index} cannot be read as {entry.kind!r}",
            why=str(error),
            fix=f"steward verify {UUID(int=entry.run_id.int)}",
        ) from error


def _asked(state: RunState, body: _Asked, entry: Entry) -> None:
    state.asked, state.status = entry.body, Status.WAITING.value
    state.deadline_us = microseconds(body.gate.deadline)


def _changed(state: RunState, body: Changed, entry: Entry) -> None:
    """Put what is asked now in the place of what was asked, as :meth:`steward.ledger.run.Run.of` does."""
    state.changed = True
    asked = _read_asked(state.asked or b"")
    gate = asked.gate if body.impact is UNSET else msgspec.structs.replace(asked.gate, impact=body.impact)
    state.asked = msgspec.json.encode(
        msgspec.structs.replace(asked, choice=body.choice, evidence=body.evidence, gate=gate)
    )


def _answered(state: RunState, body: _Answered, entry: Entry) -> None:
    state.answer = state.status = entry.kind
    state.choice = bytes(body.choice)


def _acted(state: RunState, body: _Nothing, entry: Entry) -> None:
    state.acted = True
    unwanted = state.answer in (Status.REJECTED.value, Status.EXPIRED.value)
    state.status = str(state.answer) if unwanted else Status.ACTED.value


def _undone(state: RunState, body: _Undone, entry: Entry) -> None:
    if body.step is UNSET:
        state.acted, state.aborted, state.status = True, False, Status.UNDONE.value


def _stepped(state: RunState, body: _Nothing, entry: Entry) -> None:
    state.status = Status.ACTING.value


def _doubted(state: RunState, body: _Nothing, entry: Entry) -> None:
    state.status = Status.IN_DOUBT.value


def _aborted(state: RunState, body: _Nothing, entry: Entry) -> None:
    state.aborted, state.halted, state.status = True, False, Status.ACTING.value


def _halted(state: RunState, body: _Nothing, entry: Entry) -> None:
    state.halted, state.status = True, Status.HALTED.value


def _redriven(state: RunState, body: _Nothing, entry: Entry) -> None:
    state.halted = state.failed = False
    state.status = state.answer or Status.DECIDED.value


def _failed(state: RunState, body: _Nothing, entry: Entry) -> None:
    state.failed, state.status = True, Status.FAILED.value


def _escalated(state: RunState, body: _Escalated, entry: Entry) -> None:
    state.escalated_to = body.to


def _valued(state: RunState, body: _Valued, entry: Entry) -> None:
    state.unit = body.saving.unit
    state.value, state.baseline = str(body.value.minor), str(body.baseline.minor)
    state.saving = str(body.saving.minor)


def _decoder(body: type[Any]) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(body).decode


_Change = Callable[[RunState, Any, Entry], None]
_decode_decided = _decoder(_Decided)
_read_asked = _decoder(Asked)
_answer: tuple[Callable[[bytes], Any], _Change] = (_decoder(_Answered), _answered)
_FOLD: dict[str, tuple[Callable[[bytes], Any], _Change]] = {
    "asked": (_decoder(_Asked), _asked),
    "changed": (_decoder(Changed), _changed),
    "approved": _answer,
    "rejected": _answer,
    "expired": _answer,
    "acted": (_decoder(_Nothing), _acted),
    "undone": (_decoder(_Undone), _undone),
    "stepped": (_decoder(_Nothing), _stepped),
    "doubted": (_decoder(_Nothing), _doubted),
    "reverting": (_decoder(_Nothing), _stepped),
    "aborted": (_decoder(_Nothing), _aborted),
    "halted": (_decoder(_Nothing), _halted),
    "redriven": (_decoder(_Nothing), _redriven),
    "failed": (_decoder(_Nothing), _failed),
    "escalated": (_decoder(_Escalated), _escalated),
    "valued": (_decoder(_Valued), _valued),
}
