"""Counts and exact sums by decision, status and currency over spans of time, kept up to date by what a batch changed.

Each run is counted once in every length of span: in its minute, its hour, its day (UTC), and in all time. So a question
about any stretch of time reads few rows, whatever the number of runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from steward.clock import EPOCH
from steward.errors import ContractError
from steward.insight.fold import RunState, moment
from steward.insight.rows import DayValue, DecisionTotals, Pulse, Worth
from steward.records import Status

SCHEMA: Final = """
CREATE TABLE tallies (
  span_min INTEGER NOT NULL, start_min INTEGER NOT NULL, decision TEXT NOT NULL, status TEXT NOT NULL,
  unit TEXT NOT NULL, runs INTEGER NOT NULL, asked INTEGER NOT NULL, approved INTEGER NOT NULL,
  rejected INTEGER NOT NULL, expired INTEGER NOT NULL, overridden INTEGER NOT NULL,
  value NOT NULL, baseline NOT NULL, saving NOT NULL, squares NOT NULL,
  PRIMARY KEY (span_min, start_min, decision, status, unit)
) WITHOUT ROWID;
"""
ALL_TIME: Final = 0
"""The length of the span that has no end."""
_DAY: Final = 1_440
_SPANS: Final = (1, 60, _DAY)
"""The lengths of spans, in minutes; each holds whole ones of the one before."""
_MINUTE_US: Final = 60_000_000
_MINUTE: Final = timedelta(minutes=1)
_MOST_STEPS: Final = 10_000
_COUNTS: Final = ("runs", "asked", "approved", "rejected", "expired", "overridden")
_MONEY: Final = ("value", "baseline", "saving", "squares")
_NUMBERS: Final = len(_COUNTS) + len(_MONEY)
_KEY: Final = "span_min = ? AND start_min = ? AND decision = ? AND status = ? AND unit = ?"
_SAFE: Final = 2**62
"""Sums below this are integers, so that two of them can be added in 64 bits; the others are digits in a text."""
_IS_SAFE: Final = f"BETWEEN {1 - _SAFE} AND {_SAFE - 1}"  # a text is above every number
_SET: Final = ", ".join(
    [f"{name} = {name} + excluded.{name}" for name in _COUNTS]
    + [
        f"{name} = iif({name} {_IS_SAFE} AND excluded.{name} {_IS_SAFE}, {name} + excluded.{name}, "
        f"plus({name}, excluded.{name}))"
        for name in _MONEY
    ]
)
_PLACES: Final = ", ".join("?" * (5 + _NUMBERS))
_ADD: Final = f"INSERT INTO tallies VALUES ({_PLACES}) ON CONFLICT DO UPDATE SET {_SET}"  # noqa: S608 - own columns
_FORGET: Final = f"DELETE FROM tallies WHERE {_KEY} AND runs = 0"  # noqa: S608 - the table's own columns
_COUNT: Final = "SELECT coalesce(sum(runs), 0) FROM tallies WHERE span_min = ? AND start_min >= ? AND start_min < ?"
_READ: Final = "SELECT * FROM tallies WHERE span_min = ? AND start_min >= ? AND start_min < ?"
_SAVINGS: Final = """
SELECT decision, unit, (start_min - ?) / ? AS place, sum(saving >> 32), sum(saving & 4294967295),
  iif(typeof(saving) = 'text', saving, NULL) AS digits, count(*)
FROM tallies WHERE span_min = ? AND start_min >= ? AND start_min < ? AND unit <> '' AND decision IN ({names})
GROUP BY decision, unit, place, digits
"""
"""Adds up in two halves, as a sum of integers may leave 64 bits; what is digits in a text is told apart."""
_FIRST_RUN: Final = "SELECT min(run_id) FROM runs WHERE decision = ? AND status = ?"

_Key = tuple[int, str, str, str]


class Tally:
    """What a batch of entries changes in the counts.

    Example:
        >>> tally = Tally()
        >>> tally.is_empty
        True
    """

    def __init__(self) -> None:
        self._changes: dict[_Key, list[int]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return not self._changes

    def add(self, state: RunState, sign: int) -> None:
        """Count a run in (``sign`` 1) or out (-1) as it stands."""
        key = (state.decided_us // _MINUTE_US, state.decision, state.status, state.unit)
        sums = self._changes.get(key)
        if sums is None:
            sums = self._changes[key] = [0] * _NUMBERS
        sums[0] += sign
        if state.asked is not None:
            sums[1] += sign
            if state.changed or state.answer == "rejected":
                sums[5] += sign
        if state.answer is not None:
            sums[_COUNTS.index(state.answer)] += sign
        if state.unit:
            saving = int(state.saving)
            sums[6] += sign * int(state.value)
            sums[7] += sign * int(state.baseline)
            sums[8] += sign * saving
            sums[9] += sign * saving * saving

    def write(self, db: sqlite3.Connection) -> None:
        """Add the changes to the table, for each length of span."""
        changes = {key: change for key, change in self._changes.items() if any(change)}
        rows: list[tuple[object, ...]] = []
        fewer: list[tuple[object, ...]] = []
        for span_min in (*_SPANS, ALL_TIME):
            if span_min != _SPANS[0]:
                changes = _gathered(changes, span_min)
            for key, change in changes.items():
                rows.append((span_min, *key, *(change if _is_safe(change) else map(_stored, change))))
                if change[0] < 0:
                    fewer.append((span_min, *key))
        db.executemany(_ADD, rows)
        db.executemany(_FORGET, fewer)


def prepare(db: sqlite3.Connection) -> None:
    """Let a connection add sums of any size."""
    db.create_function("plus", 2, _plus, deterministic=True)


def _plus(one: int | str, other: int | str) -> int | str:
    return _stored(int(one) + int(other))


def _stored(number: int) -> int | str:
    return number if -_SAFE < number < _SAFE else str(number)


def _is_safe(numbers: list[int]) -> bool:
    return max(numbers) < _SAFE and min(numbers) > -_SAFE


def _gathered(changes: dict[_Key, list[int]], span_min: int) -> dict[_Key, list[int]]:
    """Return the changes by a longer span."""
    found: dict[_Key, list[int]] = {}
    for (start_min, decision, status, unit), change in changes.items():
        key = (start_min - start_min % span_min if span_min else 0, decision, status, unit)
        known = found.get(key)
        found[key] = change if known is None else list(map(int.__add__, known, change))
    return {key: change for key, change in found.items() if any(change)}


class _Sums:
    """Rows of the table, added up."""

    def __init__(self) -> None:
        self.counts = [0] * len(_COUNTS)
        self.by_status: dict[Status, int] = {}
        self.by_unit: dict[str, list[int]] = {}

    def add(self, status: str, unit: str, numbers: Sequence[Any]) -> None:
        counts = numbers[: len(_COUNTS)]
        self.counts = list(map(int.__add__, self.counts, counts))
        known = _STATUSES[status]
        self.by_status[known] = self.by_status.get(known, 0) + counts[0]
        if unit:
            new = (counts[0], *map(int, numbers[len(_COUNTS) :]))
            old = self.by_unit.get(unit)
            self.by_unit[unit] = list(new) if old is None else list(map(int.__add__, old, new))

    def worth(self) -> tuple[Worth, ...]:
        return tuple(
            Worth(
                unit=unit,
                valued=valued,
                value_minor=value,
                baseline_minor=baseline,
                saving_minor=saving,
                squares_minor=squares,
            )
            for unit, (valued, value, baseline, saving, squares) in sorted(self.by_unit.items())
        )


_STATUSES: Final = {status.value: status for status in Status}


def totals(db: sqlite3.Connection, since: date | None, until: date | None) -> list[DecisionTotals]:
    """Return the totals of every decision, by name; of some days (UTC) if given."""
    all_time = since is None and until is None
    rows = db.execute(_READ, (ALL_TIME, 0, 1)) if all_time else _days(db, None, since, until)
    return [
        DecisionTotals(
            decision=decision,
            by_status=sums.by_status,
            worth=sums.worth(),
            **dict(zip(_COUNTS, sums.counts, strict=True)),
        )
        for (_, decision), sums in sorted(_added_up((0, *row[2:]) for row in rows).items())
    ]


def day_values(db: sqlite3.Connection, decision: str | None, since: date | None, until: date | None) -> list[DayValue]:
    """Return the sums of each day, oldest first."""
    return [
        DayValue(decision=name, day=moment(start_min * _MINUTE_US).date(), runs=sums.counts[0], worth=sums.worth())
        for (start_min, name), sums in _added_up(row[1:] for row in _days(db, decision, since, until)).items()
    ]


def savings(
    db: sqlite3.Connection, since: datetime, until: datetime, step: timedelta, decisions: Collection[str]
) -> dict[tuple[str, str], list[int]]:
    """Return the savings of each step; see :meth:`steward.insight.views.Views.savings`."""
    first, step_min, steps = _grid(since, until, step)
    query = _SAVINGS.format(names=", ".join("?" * len(decisions)))
    where = (_span(first, step_min), first, first + steps * step_min, *decisions)
    found: dict[tuple[str, str], list[int]] = {}
    for decision, unit, place, high, low, text, times in db.execute(query, (first, step_min, *where)):
        sums = found.setdefault((decision, unit), [0] * steps)
        sums[place] += (high << 32) + low if text is None else times * int(text)
    return found


def first_day(db: sqlite3.Connection, decision: str) -> date | None:
    """Return the day (UTC) of a decision's first run, by the index of runs; ``None`` without one."""
    ids = [db.execute(_FIRST_RUN, (decision, status.value)).fetchone()[0] for status in Status]
    first = min((each for each in ids if each is not None), default=None)
    if first is None:
        return None
    [decided_us] = db.execute("SELECT decided_us FROM runs WHERE run_id = ?", (first,)).fetchone()
    return moment(decided_us).date()


def pulse(
    db: sqlite3.Connection, since: datetime, until: datetime, step: timedelta, decisions: Collection[str] | None
) -> list[Pulse]:
    """Return the sums of each step; see :meth:`steward.insight.views.Views.pulse`."""
    first, step_min, steps = _grid(since, until, step)
    query, names = _READ, tuple(decisions or ())
    if decisions is not None:
        query = f"{_READ} AND decision IN ({', '.join('?' * len(names))})"
    found = [_Sums() for _ in range(steps)]
    for _, start_min, _, status, unit, *numbers in db.execute(
        query, (_span(first, step_min), first, first + steps * step_min, *names)
    ):
        found[(start_min - first) // step_min].add(status, unit, numbers)
    return [
        Pulse(
            at=EPOCH + (first + number * step_min) * _MINUTE,
            by_status=sums.by_status,
            worth=sums.worth(),
            **dict(zip(_COUNTS, sums.counts, strict=True)),
        )
        for number, sums in enumerate(found)
    ]


def _grid(since: datetime, until: datetime, step: timedelta) -> tuple[int, int, int]:
    """Return the first minute of the first step, how many minutes each has, and how many there are."""
    first, step_min = (since - EPOCH) // _MINUTE, step // _MINUTE
    if step < _MINUTE or step % _MINUTE:
        raise ContractError(f"a step is whole minutes, got {step}", fix="pass timedelta(minutes=15)", field="step")
    steps = max(0, -(-(until - (EPOCH + first * _MINUTE)) // step))
    if steps > _MOST_STEPS:
        raise ContractError(f"{steps} steps are too many", fix="take a longer step", field="step")
    return first, step_min, steps


def _span(first: int, step_min: int) -> int:
    """Return the longest span that all steps are whole ones of."""
    return max(span for span in _SPANS if first % span == 0 and step_min % span == 0)


def runs_between(db: sqlite3.Connection, since: datetime, until: datetime, decisions: Collection[str] | None) -> int:
    """Return how many runs were decided from one minute on, until before another."""
    query, names = _COUNT, tuple(decisions or ())
    if decisions is not None:
        query = f"{_COUNT} AND decision IN ({', '.join('?' * len(names))})"
    first, last = ((at - EPOCH) // _MINUTE for at in (since, until))
    return sum(db.execute(query, (*part, *names)).fetchone()[0] for part in _covered(first, last, _SPANS))


def _covered(first: int, last: int, spans: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Return the spans that make up a stretch of minutes, the longest that fit: their length, begin and end."""
    if first < last:
        *shorter, span_min = spans
        begin, end = -(-first // span_min) * span_min, last // span_min * span_min
        if begin < end:
            yield span_min, begin, end
            yield from _covered(first, begin, shorter)
            yield from _covered(end, last, shorter)
        else:
            yield from _covered(first, last, shorter)


def _days(
    db: sqlite3.Connection, decision: str | None, since: date | None, until: date | None
) -> Iterable[tuple[Any, ...]]:
    first, last = ((day.toordinal() - _FIRST_DAY) * _DAY for day in (since or date.min, until or date.max))
    rows = db.execute(_READ, (_DAY, first, last + _DAY))
    return rows if decision is None else (row for row in rows if row[2] == decision)


_FIRST_DAY: Final = EPOCH.date().toordinal()


def _added_up(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[int, str], _Sums]:
    """Add up rows that begin with where they start and the decision, by these two."""
    sums: dict[tuple[int, str], _Sums] = {}
    for start_min, decision, status, unit, *numbers in rows:
        sums.setdefault((start_min, decision), _Sums()).add(status, unit, numbers)
    return sums
