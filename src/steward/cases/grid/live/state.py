"""What a live demo knows about itself, and how it learns it: from the ledger's entries."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from steward.access.entries import ACCESS_KINDS
from steward.cases.grid.dispatch.decision import NAME
from steward.entries import (
    Acted,
    Approved,
    Asked,
    Body,
    Escalated,
    Expired,
    Rejected,
    Resumed,
    Resuming,
    Stopped,
    Valued,
    decode_body,
)
from steward.insight.rows import ApprovalRow
from steward.records import Record
from steward.runtime.runtime import Runtime

_SHOWN = 14
_SLOWLY_PER_S = 0.1


@dataclass(frozen=True)
class Line:
    """One decision, as the demo shows it.

    Example:
        >>> Line(datetime(2026, 1, 1), power_mw=-10.0, reason="cheap").status
        'decided'
    """

    at: datetime
    power_mw: float
    reason: str
    status: str = "decided"
    saving_eur: float | None = None


@dataclass(frozen=True)
class Question:
    """An approval that waits, and how long it still may.

    Attributes:
        row: What is asked.
        left: Time left on the desk's clock.
        left_real_s: Real seconds left, if nothing changes; ``None`` while it is frozen by a stop.
        is_live: Whether the desk's clock runs as fast as real ones, as somebody looks at the console.

    Example:
        >>> list(Question.__dataclass_fields__)
        ['row', 'left', 'left_real_s', 'is_live']
    """

    row: ApprovalRow
    left: timedelta
    left_real_s: float | None
    is_live: bool = False


@dataclass(frozen=True)
class Standing:
    """Money after whole days: what the decisions saved, beside a plan by the clock and the best possible.

    Example:
        >>> Standing(days=2, saved_eur=900.0, clock_eur=800.0, limit_eur=1000.0).limit_eur
        1000.0
    """

    days: int
    saved_eur: float
    clock_eur: float
    limit_eur: float


@dataclass
class DemoState:
    """Everything a view draws.

    Attributes:
        url: Where the HTTP API listens.
        folder: Where ledger and models are.
        about: What data it runs on.
        hours_per_s: How fast virtual time moves.
        now: Virtual time.
        plant: Where the plant listens.
        is_stopped: Whether the decision is stopped.
        is_over: Whether all data was played.

    Example:
        >>> state = DemoState(url="http://127.0.0.1:8700", folder="/tmp/demo", about="synthetic", hours_per_s=6.0,
        ...                   now=datetime(2026, 1, 1), zone="UTC", saved_cents=1234)
        >>> state.saved_eur, state.speed
        (12.34, '6 hours a second')
    """

    url: str
    folder: str
    about: str
    hours_per_s: float
    now: datetime
    zone: str
    soc_mwh: float = 0.0
    energy_mwh: float = 40.0
    plant: str = ""
    decisions: int = 0
    asked: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    saved_cents: int = 0
    is_stopped: bool = False
    is_over: bool = False
    question: Question | None = None
    standing: Standing | None = None
    lines: deque[Line] = field(default_factory=lambda: deque(maxlen=_SHOWN))

    @property
    def speed(self) -> str:
        """How fast virtual time moves, in words."""
        if self.hours_per_s >= _SLOWLY_PER_S:
            return f"{self.hours_per_s:g} hours a second"
        return f"{self.hours_per_s * 3600:g} times as fast as clocks"

    @property
    def saved_eur(self) -> float:
        """What the decisions have saved so far."""
        return self.saved_cents / 100


class Follower:
    """Reads the ledger's new entries into a state, and puts them into words.

    Args:
        runtime: Whose ledger.
        state: What is kept up to date.

    Example:
        >>> async def words(runtime: Runtime, state: DemoState) -> list[str]:
        ...     return await Follower(runtime, state).follow()
    """

    def __init__(self, runtime: Runtime, state: DemoState) -> None:
        self._runtime, self._state = runtime, state
        self._next = 0
        self._lines: dict[UUID, Line] = {}

    async def follow(self) -> list[str]:
        """Take in what is new, and return it in words."""
        told: list[str] = []
        while entries := await self._runtime.ledger.read(self._next, 500):
            self._next = entries[-1].index + 1
            for entry in entries:
                if entry.kind not in ACCESS_KINDS:
                    told += self._take(decode_body(entry.body))
        return told

    def _take(self, body: Body) -> Iterator[str]:
        state = self._state
        if isinstance(body, Record) and body.decision != NAME:
            yield f"  ! {body.provenance.by or 'somebody'}: {body.reasons[0]}"
        elif isinstance(body, Record):
            state.decisions += 1
            line = _line(body)
            self._put(body.decision_id, line)
            yield f"{line.at.astimezone(ZoneInfo(state.zone)):%Y-%m-%d %H:%M}  {line.power_mw:+6.2f} MW  {line.reason}"
        elif isinstance(body, Asked):
            state.asked += 1
            self._change(body.decision_id, status="waiting")
            yield f"  ? {body.gate.approvers} is asked: {body.gate.impact.amount} EUR are at stake"
        elif isinstance(body, Approved | Rejected | Expired):
            word = type(body).__name__.lower()
            state.answers[word] = state.answers.get(word, 0) + 1
            self._change(body.decision_id, status=word)
            yield f"  = {word} by {body.by}"
        elif isinstance(body, Escalated):
            yield f"  ! nobody has answered; {body.to} is asked too"
        elif isinstance(body, Stopped | Resuming | Resumed):
            yield f"  ! {_stopping(body)}"
        elif isinstance(body, Acted):
            known = self._lines.get(body.decision_id)
            if known is not None and known.status == "decided":
                self._change(body.decision_id, status="acted")
        elif isinstance(body, Valued):
            state.saved_cents += body.saving.minor
            self._change(body.decision_id, saving_eur=float(body.saving.amount))

    def _put(self, run_id: UUID, line: Line) -> None:
        self._lines[run_id] = line
        self._state.lines.append(line)

    def _change(self, run_id: UUID, *, status: str | None = None, saving_eur: float | None = None) -> None:
        old = self._lines.get(run_id)
        if old is None:
            return
        new = replace(old, status=status or old.status, saving_eur=old.saving_eur if saving_eur is None else saving_eur)
        self._lines[run_id] = new
        if old in self._state.lines:
            self._state.lines[self._state.lines.index(old)] = new
        if saving_eur is not None:
            del self._lines[run_id]


def _stopping(body: Stopped | Resuming | Resumed) -> str:
    if isinstance(body, Stopped):
        return f"{body.by} stopped {body.decision}: {body.reason}"
    if isinstance(body, Resuming):
        return f"{body.by} wants {body.decision} to go on; a second person must want it too"
    return f"{body.by} wants it too: {body.decision} goes on"


def _line(record: Record) -> Line:
    choice, event = record.choice, record.event
    assert isinstance(choice, dict)
    assert isinstance(event, dict)
    at = datetime.fromisoformat(str(event["at"]))
    return Line(at, float(choice["power_mw"]), record.reasons[0], str(record.status.value))
