"""The views: a disposable read model beside the ledger, made from its entries only."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import cache
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Final, Protocol
from uuid import UUID

import msgspec
from msgspec import UNSET
from msgspec.structs import astuple

from steward.entries import Asked
from steward.errors import EngineError
from steward.insight import answers, fold, listing, questions, store
from steward.insight.answers import AnswerCount, PeopleReport
from steward.insight.fold import CHANGING, COLUMNS, RunState
from steward.insight.listing import Filter
from steward.insight.questions import Asker, Precedents, QuestionRow, Which
from steward.insight.rows import ApprovalRow, DayValue, DecisionTotals, Pulse, RunRow, Worth, approval_row, run_row
from steward.insight.tally import Tally, day_values, first_day, pulse, runs_between, savings, totals
from steward.ledger.port import Entry
from steward.records import Status

_ROWS_PER_STEP: Final = 500
"""Entries taken in at once; about 6 ms, in which nobody else has a turn."""
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM runs"  # noqa: S608 - the columns are the struct's fields
_FRESH: Final = (*COLUMNS[: COLUMNS.index("acted")], "pending")
"""The columns of a run of which nothing but its decision is known; all others have their default."""
_ROWS_PER_INSERT: Final = 50
_SET = ", ".join(f"{name} = ?{COLUMNS.index(name) + 1}" for name in CHANGING)
_UPDATE = f"UPDATE runs SET {_SET} WHERE run_id = ?1"  # noqa: S608 - as above
_fresh_row = attrgetter(*_FRESH)
_read_reasons = msgspec.json.Decoder(tuple[str, ...]).decode
_read_asked = msgspec.json.Decoder(Asked).decode


class Entries(Protocol):
    """What views are made from: a ledger, or whatever reads one."""

    async def read(self, start: int = 0, limit: int = 1000) -> Sequence[Entry]:
        """Return up to ``limit`` entries from index ``start`` on, in order."""
        ...


class Views:
    """Lists and totals of all runs, kept in an SQLite file of their own.

    The file may be deleted at any time: it is made again from the ledger. It is never synced to disk for the same
    reason. One that is damaged or of another version is thrown away when opened. Several processes may use one file;
    within a process, calls must not overlap.

    Args:
        path: The file, usually the ledger's with ``.views`` added, or ``:memory:``.

    Raises:
        EngineError: The file can be neither used nor replaced.

    Example:
        >>> views = Views(":memory:")
        >>> views.position, views.runs(), views.totals()
        (0, [], [])
        >>> views.close()
    """

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self._db = store.open_in_memory() if self._path == ":memory:" else store.open_file(self._path)

    @property
    def position(self) -> int:
        """The index of the next entry to apply."""
        return self._position()[0]

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take entries, in order, into the views; those already taken change nothing.

        Raises:
            EngineError: Entries between the position and the first one are missing, or the file cannot be written.
            IntegrityError: An entry's body is not of its kind.
        """
        with self._transaction():
            position = self._position()[0]
            new = entries[_first_new(entries, position) :]
            if not new:
                return
            if new[0].index != position:
                raise EngineError(
                    f"the views are at entry {position} and cannot continue at {new[0].index}",
                    fix="apply the entries between them first, or rebuild: steward rebuild",
                    code="engine.views-gap",
                )
            self._fold(new)
            answers.take(self._db, [entry for entry in new if entry.kind in answers.KINDS])
            questions.take(self._db, list(filter(questions.is_about, new)))
            head = hashlib.sha256(new[-1].body).digest()
            self._db.execute("UPDATE position SET next = ?, head = ?", (new[-1].index + 1, head))

    async def catch_up(self, ledger: Entries, *, progress: Callable[[int], object] = lambda position: None) -> int:
        """Apply what the ledger has beyond the position; return how many entries that were.

        Views of another ledger, or of one that was set back, are thrown away first.

        Args:
            ledger: Where the entries are.
            progress: Told the position after every few thousand entries.
        """
        if not await self._belongs_to(ledger):
            self.clear()
        start = position = self.position
        while entries := await ledger.read(position, _ROWS_PER_STEP):
            self.apply(entries)
            position = entries[-1].index + 1
            progress(position)
        return position - start

    async def rebuild(self, ledger: Entries, *, progress: Callable[[int], object] = lambda position: None) -> int:
        """Throw everything away and make it again from the ledger, as in :meth:`catch_up`."""
        self.clear()
        return await self.catch_up(ledger, progress=progress)

    def clear(self) -> None:
        """Forget everything."""
        with self._transaction():
            for table in ("runs", "tallies", "answers", "checks", *questions.TABLES):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - the tables' own names
            self._db.execute("UPDATE position SET next = 0, head = x''")

    def runs(
        self,
        *,
        decision: str | None = None,
        status: Status | str | None = None,
        before: UUID | None = None,
        limit: int = 50,
        among: Collection[str] | None = None,
    ) -> list[RunRow]:
        """Return the newest runs first, of one decision or status if given, and ``among`` some decisions only.

        The last row's ``decision_id`` as ``before`` gives the next page.
        """
        statuses = () if status is None else (Status(status),)
        names = None if among is None else frozenset(among)
        return self.listed(Filter(decision=decision, statuses=statuses, among=names), before=before, limit=limit)

    def listed(
        self, which: Filter, *, sort: str = "-time", before: UUID | None = None, skip: int = 0, limit: int = 50
    ) -> list[RunRow]:
        """Return runs filtered, searched and sorted; see :func:`steward.insight.listing.states`.

        Raises:
            ContractError: One cannot sort by that.
        """
        known = self.decisions()
        found = listing.states(self._db, which, known, sort=sort, before=before, skip=skip, limit=limit)
        return [run_row(state) for state in found]

    def count_after(self, newest: UUID, which: Filter, *, most: int = 1_000) -> int:
        """Return how many runs, up to ``most``, have been decided since the one that is called ``newest``."""
        return listing.count(self._db, which, self.decisions(), after=newest, most=most)

    def confidences(self, which: Filter, *, most: int = 1_000) -> list[float]:
        """Return the confidences (0..1) of the newest ``most`` runs, of those that have one, the newest first."""
        return listing.confidences(self._db, which, self.decisions(), most=most)

    def decisions(self) -> list[str]:
        """Return the names of all decisions that have runs."""
        return [
            row[0]
            for row in self._db.execute("SELECT DISTINCT decision FROM tallies WHERE span_min = 0 ORDER BY decision")
        ]

    def waiting(self, limit: int = 100, *, among: Collection[str] | None = None) -> list[ApprovalRow]:
        """Return the runs that wait for a person, the next deadline first; ``among`` some decisions only."""
        where, names = _among(among)
        query = f"{_SELECT} WHERE pending = 'person'{where} ORDER BY deadline_us, run_id LIMIT ?"
        return [approval_row(state) for state in self._states(query, (*names, limit))]

    def waiting_count(self, *, among: Collection[str] | None = None) -> int:
        """Return how many runs wait for a person, ``among`` some decisions only."""
        where, names = _among(among)
        query = f"SELECT count(*) FROM runs WHERE pending = 'person'{where}"  # noqa: S608 - marks only
        return int(self._db.execute(query, names).fetchone()[0])

    def questions(self, asker: Asker, which: Which, *, limit: int = 50, offset: int = 0) -> list[QuestionRow]:
        """Return what people are or were asked, as it concerns whoever looks.

        What waits comes by its deadline, what is done by its answer, the last one first.
        """
        return questions.listed(self._db, asker, which, limit, offset)

    def question_count(self, asker: Asker, which: Which) -> int:
        """Return how many of these there are."""
        return questions.count(self._db, asker, which)

    def precedents(self, decision: str, choice: object = UNSET) -> Precedents:
        """Return how the last questions of a decision were answered; with a ``choice``, of those that proposed it."""
        return questions.precedents(self._db, decision, choice)

    def find(self, decision: str, outcome_key: str) -> list[UUID]:
        """Return the runs that an outcome with this key belongs to, oldest first."""
        query = "SELECT run_id FROM runs WHERE decision = ? AND outcome_key = ? ORDER BY run_id"
        return [UUID(bytes=row[0]) for row in self._db.execute(query, (decision, outcome_key))]

    def unfinished(self) -> list[UUID]:
        """Return the runs that wait for a person, or whose declared action was neither taken nor failed."""
        rows = self._db.execute("SELECT run_id FROM runs WHERE pending IN ('person', 'action') ORDER BY run_id")
        return [UUID(bytes=row[0]) for row in rows]

    def totals(self, *, since: date | None = None, until: date | None = None) -> list[DecisionTotals]:
        """Return the counts and sums of every decision, by name; of decisions made on some days (UTC) if given."""
        return totals(self._db, since, until)

    def value_by_day(
        self, decision: str | None = None, *, since: date | None = None, until: date | None = None
    ) -> list[DayValue]:
        """Return what the decisions of each day (UTC) were worth, ``since`` and ``until`` included, oldest first."""
        return day_values(self._db, decision, since, until)

    def first_days(self, among: Collection[str] | None = None) -> dict[str, date]:
        """Return the day (UTC) on which each decision was first made, by name, ``among`` some decisions only."""
        names = [name for name in self.decisions() if among is None or name in among]
        return {name: first for name in names if (first := first_day(self._db, name)) is not None}

    def savings(
        self, since: datetime, until: datetime, step: timedelta, decisions: Collection[str]
    ) -> dict[tuple[str, str], list[int]]:
        """Return what was saved in each step of time in minor units (cents), by decision and currency.

        As :meth:`pulse`, but only the sums of the savings, which costs next to nothing over years.
        """
        return savings(self._db, since, until, step, decisions)

    def pulse(
        self,
        since: datetime,
        until: datetime,
        step: timedelta,
        *,
        decision: str | None = None,
        among: Collection[str] | None = None,
    ) -> list[Pulse]:
        """Return what was decided in each step of time from ``since`` on, the oldest first, also where nothing was.

        Runs count where they were decided, as they stand by now. It costs what the steps cost, not the runs.

        Args:
            since: When the first step begins; taken down to the minute.
            until: The last step is the one that holds the moment before this; it is whole.
            step: How long a step is: whole minutes. Hours and days that begin at full ones are quickest.
            decision: One decision only.
            among: Some decisions only.

        Raises:
            ContractError: ``step`` is not whole minutes, or there are more than 10,000 steps.
        """
        return pulse(self._db, since, until, step, _both(decision, among))

    def runs_between(self, since: datetime, until: datetime, *, among: Collection[str] | None = None) -> int:
        """Return how many runs were decided from ``since`` until before ``until``, both taken down to the minute."""
        return runs_between(self._db, since, until, among)

    def people(self, *, among: Collection[str] | None = None) -> PeopleReport:
        """Return how people answer when they are asked, ``among`` some decisions only."""
        return answers.report(self._db, among)

    def answer_counts(self, *, among: Collection[str] | None = None) -> list[AnswerCount]:
        """Return how many answers of each kind were given, and how long they took."""
        return answers.counts(self._db, among)

    def close(self) -> None:
        """Release the file; calling it twice is fine."""
        self._db.close()

    def _position(self) -> tuple[int, bytes]:
        row: tuple[int, bytes] = self._db.execute("SELECT next, head FROM position").fetchone()
        return row

    async def _belongs_to(self, ledger: Entries) -> bool:
        position, head = self._position()
        if position == 0:
            return True
        last = await ledger.read(position - 1, 1)
        return bool(last) and hashlib.sha256(last[0].body).digest() == head

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise store.failed(self._path, error) from error

    def _states(self, query: str, arguments: Sequence[object]) -> list[RunState]:
        return [RunState(*row) for row in self._db.execute(query, arguments)]

    def _fold(self, entries: Sequence[Entry]) -> None:
        known: dict[int, RunState | None] = {}
        fresh: dict[int, RunState] = {}
        made: dict[int, RunState] = {}
        tally = Tally()
        for entry in entries:
            run = entry.run_id.int
            if entry.kind == "decided" and run not in known:
                # A run begins with this entry, so there is no need to look for it.
                known[run] = fresh[run] = fold.decided(entry)
                continue
            state = known[run] if run in known else self._load(entry.run_id, known, tally)
            if state is not None:
                fold.follow(state, entry)
                if run in fresh:
                    made[run] = fresh.pop(run)
        for state in known.values():
            if state is not None:
                tally.add(state, 1)
        self._insert(_FRESH, _fresh_row, list(fresh.values()))
        self._insert(COLUMNS, astuple, list(made.values()))
        old = [state for run, state in known.items() if state is not None and run not in fresh and run not in made]
        self._db.executemany(_UPDATE, map(astuple, old))
        tally.write(self._db)

    def _insert(
        self, columns: Sequence[str], row: Callable[[RunState], tuple[object, ...]], states: Sequence[RunState]
    ) -> None:
        """Insert rows, many to a statement: a statement costs more than its rows, and a row more than its place."""
        for start in range(0, len(states), _ROWS_PER_INSERT):
            part = states[start : start + _ROWS_PER_INSERT]
            self._db.execute(_insert_sql(columns, len(part)), list(chain.from_iterable(map(row, part))))

    def _load(self, run_id: UUID, known: dict[int, RunState | None], tally: Tally) -> RunState | None:
        row = self._db.execute(f"{_SELECT} WHERE run_id = ?", (run_id.bytes,)).fetchone()
        state = None if row is None else RunState(*row)
        if state is not None:
            tally.add(state, -1)
        known[run_id.int] = state
        return state


@cache
def _insert_sql(columns: Sequence[str], rows: int) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO runs ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"  # noqa: S608 - as above


def _among(names: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if names is None else (f" AND decision IN ({', '.join('?' * len(names))})", tuple(names))


def _both(decision: str | None, among: Collection[str] | None) -> Collection[str] | None:
    return among if decision is None else [name for name in (decision,) if among is None or name in among]


def _first_new(entries: Sequence[Entry], position: int) -> int:
    return next((place for place, entry in enumerate(entries) if entry.index >= position), len(entries))


__all__ = ["ApprovalRow", "DayValue", "DecisionTotals", "Pulse", "RunRow", "Views", "Worth"]
