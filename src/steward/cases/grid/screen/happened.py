"""What else happened on a day: calls, peaks, emergencies, purchases and drills, by the records of their decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from steward.cases.grid.data.local_days import DAY, HOUR
from steward.cases.grid.live.drill import NAME as DRILL
from steward.cases.grid.live.drill import Kind
from steward.cases.grid.screen.recorded import id_at
from steward.console.charts.figures import Mark, Tone
from steward.insight.rows import RunRow
from steward.records import Record, Status
from steward.runtime.runtime import Runtime

_MOST: Final = 48
_KEPT: Final = 200


class _Word(NamedTuple):
    label: str
    tone: Tone


_WORDS: Final[Mapping[str, _Word]] = {
    "grid.demand-response": _Word("Call", Tone.SECOND),
    "grid.peak-shaving": _Word("Peak", Tone.FIRST),
    "grid.emergency": _Word("Emergency", Tone.BAD),
    "grid.energy-purchase": _Word("Purchase", Tone.GOOD),
}
_DRILLS: Final[Mapping[str, _Word]] = {
    Kind.OUTAGE.value: _Word("Outage", Tone.BAD),
    Kind.PRICE_SPIKE.value: _Word("Price spike", Tone.CAUTION),
}
DECISIONS: Final = (*_WORDS, DRILL)
"""The declared decisions whose records are looked at; those that a project does not have are nothing to it."""


class Happening(Struct, frozen=True, kw_only=True):
    """One thing that happened.

    Attributes:
        run: The decision's id.
        decision: Its name.
        label: What it was, in a word or two.
        tone: Its colour.
        at: When it begins.
        until: When it ends, if the choice says.
        said: Why, in the words of the record.
        status: How far it has come.
        by: Who asked for it, if somebody did.

    Example:
        >>> "until" in Happening.__struct_fields__
        True
    """

    run: UUID
    decision: str
    label: str
    tone: Tone
    at: datetime
    until: datetime | None
    said: str
    status: Status
    by: str | None = None

    @property
    def mark(self) -> Mark:
        """How it is marked in a figure."""
        return Mark(at=self.at, until=self.until, label=self.label, tone=self.tone)


class Chronicle:
    """Tells what happened on a day; who asked is read once of each record.

    Args:
        runtime: Whose views and ledger.

    Example:
        >>> async def labels(runtime: Runtime, start: datetime) -> list[str]:
        ...     return [each.label for each in await Chronicle(runtime).between(start, start + DAY)]
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._asked: dict[UUID, str | None] = {}

    async def between(self, start: datetime, end: datetime) -> list[Happening]:
        """Return what happened from ``start`` to before ``end``, in order; a drill counts while it lasts."""
        found = []
        for name in DECISIONS:
            for row in self._runtime.views.runs(decision=name, before=id_at(end), limit=_MOST):
                if row.decided_at < start - DAY:
                    break
                happening = await self._of(row)
                if happening and happening.at < end and (happening.until or happening.at) >= start:
                    found.append(happening)
        return together(sorted(found, key=lambda each: (each.at, each.run)))

    async def _of(self, row: RunRow) -> Happening | None:
        choice: Mapping[str, Any] = row.choice if isinstance(row.choice, dict) else {}
        if any(choice.get(name) == 0 for name in ("power_mw", "reduce_mw")):
            return None  # a battery that rests, or a call that was not made, is nothing to tell
        word = _DRILLS.get(str(choice.get("kind"))) if row.decision == DRILL else _WORDS[row.decision]
        if word is None:
            return None
        at = _moment(choice.get("at") or choice.get("start")) or row.decided_at
        until, hours = _moment(choice.get("until")), choice.get("hours")
        return Happening(
            run=row.decision_id,
            decision=row.decision,
            label=word.label,
            tone=word.tone,
            at=at,
            until=at + hours * HOUR if until is None and isinstance(hours, int) else until,
            said="; ".join(row.reasons),
            status=row.status,
            by=await self._by(row.decision_id),
        )

    async def _by(self, run: UUID) -> str | None:
        if run not in self._asked:
            while len(self._asked) >= _KEPT:
                del self._asked[next(iter(self._asked))]
            entries = await self._runtime.ledger.of_run(run)
            by = msgspec.json.decode(entries[0].body, type=Record).provenance.by
            self._asked[run] = None if by is UNSET else by
        return self._asked[run]


def together(happenings: Sequence[Happening]) -> list[Happening]:
    """Return what happened, in order; moments of one decision within an hour of each other are one stretch of time."""
    kept: list[Happening] = []
    moments: dict[str, tuple[int, datetime]] = {}
    for each in happenings:
        place, last = moments.get(each.decision, (-1, each.at))
        is_near = place >= 0 and each.until is None and each.at - last <= HOUR
        if is_near:
            kept[place] = replace(kept[place], until=each.at)
        else:
            place = len(kept)
            kept.append(each)
        if each.until is None:
            moments[each.decision] = place, each.at
    return kept


def _moment(told: object) -> datetime | None:
    return datetime.fromisoformat(told) if isinstance(told, str) else None
