"""Counts and exact sums by decision, day, status and currency, kept up to date by what a batch changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any

from steward.insight.fold import RunState, moment
from steward.insight.rows import DayValue, DecisionTotals, Worth
from steward.records import Status

_Key = tuple[str, str, str, str]
_ALL_DAYS = ""
_DAY_US = 86_400_000_000
_NUMBERS = 9
_COUNTS = ("runs", "asked", "approved", "rejected", "expired")
_READ = """
SELECT runs, asked, approved, rejected, expired, value, baseline, saving, squares FROM tallies
WHERE decision = ? AND day = ? AND status = ? AND unit = ?
"""
_DELETE = "DELETE FROM tallies WHERE decision = ? AND day = ? AND status = ? AND unit = ?"
_WRITE = "REPLACE INTO tallies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_READ_ALL_DAYS = "SELECT * FROM tallies WHERE day = '' ORDER BY decision, status, unit"
_READ_DAYS = """
SELECT * FROM tallies WHERE day BETWEEN :since AND :until AND (:decision IS NULL OR decision = :decision)
ORDER BY day, decision, status, unit
"""


class Tally:
    """What a batch of entries changes in the counts.

    Example:
        >>> tally = Tally()
        >>> tally.is_empty
        True
    """

    def __init__(self) -> None:
        self._changes: dict[tuple[str, int, str, str], list[int]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return not self._changes

    def add(self, state: RunState, sign: int) -> None:
        """Count a run in (``sign`` 1) or out (-1) as it stands."""
        key = (state.decision, state.decided_us // _DAY_US, state.status, state.unit)
        sums = self._changes.get(key)
        if sums is None:
            sums = self._changes[key] = [0] * _NUMBERS
        sums[0] += sign
        if state.asked is not None:
            sums[1] += sign
        if state.answer is not None:
            sums[_COUNTS.index(state.answer)] += sign
        if state.unit:
            sums[5] += sign * int(state.value)
            sums[6] += sign * int(state.baseline)
            saving = int(state.saving)
            sums[7] += sign * saving
            sums[8] += sign * saving * saving

    def write(self, db: sqlite3.Connection) -> None:
        """Add the changes to the table, for each day and for all days."""
        rows: dict[_Key, list[int]] = {}
        for (decision, day, status, unit), change in self._changes.items():
            for when in (moment(day * _DAY_US).date().isoformat(), _ALL_DAYS):
                into = rows.setdefault((decision, when, status, unit), [0] * _NUMBERS)
                into[:] = map(int.__add__, into, change)
        for key, change in rows.items():
            if any(change):
                _write(db, key, change)


def _write(db: sqlite3.Connection, key: _Key, change: list[int]) -> None:
    known = db.execute(_READ, key).fetchone()
    new = change if known is None else [int(old) + by for old, by in zip(known, change, strict=True)]
    if new[0] == 0:
        db.execute(_DELETE, key)
    else:
        db.execute(_WRITE, (*key, *new[:5], *map(str, new[5:])))


class _Sums:
    """Rows of the table, added up."""

    def __init__(self) -> None:
        self.counts = [0] * 5
        self.by_status: dict[Status, int] = {}
        self.by_unit: dict[str, list[int]] = {}

    def add(self, status: str, unit: str, counts: Sequence[int], money: Sequence[str]) -> None:
        self.counts = [old + new for old, new in zip(self.counts, counts, strict=True)]
        self.by_status[Status(status)] = self.by_status.get(Status(status), 0) + counts[0]
        if unit:
            known = self.by_unit.get(unit, [0] * 5)
            new = (counts[0], *map(int, money))
            self.by_unit[unit] = [old + more for old, more in zip(known, new, strict=True)]

    def worth(self) -> Iterator[Worth]:
        for unit, (valued, value, baseline, saving, squares) in sorted(self.by_unit.items()):
            yield Worth(
                unit=unit,
                valued=valued,
                value_minor=value,
                baseline_minor=baseline,
                saving_minor=saving,
                squares_minor=squares,
            )


def _added_up(rows: Iterable[tuple[Any, ...]], *, by_day: bool) -> dict[tuple[str, str], _Sums]:
    sums: dict[tuple[str, str], _Sums] = {}
    for decision, day, status, unit, *numbers in rows:
        key = (decision, day if by_day else _ALL_DAYS)
        sums.setdefault(key, _Sums()).add(status, unit, numbers[:5], numbers[5:])
    return sums


def _days(
    db: sqlite3.Connection, decision: str | None, since: date | None, until: date | None
) -> Iterable[tuple[Any, ...]]:
    days = {"since": (since or date.min).isoformat(), "until": (until or date.max).isoformat(), "decision": decision}
    return db.execute(_READ_DAYS, days)


def totals(db: sqlite3.Connection, since: date | None, until: date | None) -> list[DecisionTotals]:
    """Return the totals of every decision, by name; of some days (UTC) if given."""
    all_days = since is None and until is None
    rows = db.execute(_READ_ALL_DAYS) if all_days else _days(db, None, since, until)
    return [
        DecisionTotals(
            decision=decision,
            by_status=sums.by_status,
            worth=tuple(sums.worth()),
            **dict(zip(_COUNTS, sums.counts, strict=True)),
        )
        for (decision, _), sums in sorted(_added_up(rows, by_day=False).items())
    ]


def day_values(db: sqlite3.Connection, decision: str | None, since: date | None, until: date | None) -> list[DayValue]:
    """Return the sums of each day, oldest first."""
    return [
        DayValue(decision=name, day=date.fromisoformat(day), runs=sums.counts[0], worth=tuple(sums.worth()))
        for (name, day), sums in _added_up(_days(db, decision, since, until), by_day=True).items()
    ]
