"""Lists of runs: filtered, searched and sorted by SQL, a page at a time."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from steward.clock import EPOCH
from steward.errors import ContractError
from steward.insight.fold import COLUMNS, RunState, microseconds
from steward.records import Status

SORTED: Final = 10_000
"""So many of the newest runs are sorted by anything but time."""
SORTS: Final = ("time", "confidence", "saving")
"""By what runs can be sorted."""
_COLUMNS: Final = ", ".join(COLUMNS)
_BEYOND: Final = b"\xff" * 17
_SLACK: Final = timedelta(hours=1)
"""An id has the time at which its run began, which is a little before it was decided."""
_ID: Final = re.compile(r"[0-9a-f]{4,32}")
_SORT_KEYS: Final = {
    "confidence": "confidence",
    "saving": "CASE unit WHEN '' THEN NULL ELSE CAST(saving AS REAL) END",
}


class Filter(Struct, frozen=True, kw_only=True):
    """Which runs are listed; what is not set lets all through.

    Attributes:
        decision: One decision only.
        statuses: Those that stand there by now.
        since: Decided then or later.
        until: Decided before.
        text: Found in the decision's name, the choice or the reasons, or at the end of the run's id; by letters of the
            English alphabet upper and lower case are alike.
        among: Some decisions only.

    Example:
        >>> Filter(decision="pay.release", statuses=(Status.FAILED,)).text
        ''
    """

    decision: str | None = None
    statuses: tuple[Status, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    among: frozenset[str] | None = None


def states(
    db: sqlite3.Connection,
    which: Filter,
    known: Sequence[str],
    *,
    sort: str = "-time",
    before: UUID | None = None,
    skip: int = 0,
    limit: int = 50,
) -> list[RunState]:
    """Return runs in order.

    Args:
        db: The views' file.
        which: Which ones.
        known: All decisions that have runs.
        sort: One of :data:`SORTS`, with ``-`` before it for the largest first. By anything but time the newest
            :data:`SORTED` are sorted; runs without a value go last.
        before: Sorted by time: only those that come after this run in the list.
        skip: Sorted by anything else: how many are left out from the beginning.
        limit: How many at most.

    Raises:
        ContractError: One cannot sort by that.
    """
    key = sort.removeprefix("-")
    if key not in SORTS:
        raise ContractError(f"one cannot sort by {sort!r}", fix=f"sort by one of {', '.join(SORTS)}", field="sort")
    names = _names(which, known)
    if names == ():
        return []
    if key != "time":
        return _by_value(db, [*_scanned(which, names), *_bounds(which)], sort, skip=skip, limit=limit)
    # One index serves every filter but texts: a page is merged from the newest of each pair of decision and status.
    alternatives = [_scanned(which, names)] if which.text else _pairs(which, names)
    bounds, is_downwards = _bounds(which), sort.startswith("-")
    if before is not None:
        bounds.append(("run_id < ?" if is_downwards else "run_id > ?", (before.bytes,)))
    return _by_time(db, [[*each, *bounds] for each in alternatives], limit, is_downwards=is_downwards)


def _by_time(
    db: sqlite3.Connection, alternatives: Sequence[Sequence[_Where]], limit: int, *, is_downwards: bool
) -> list[RunState]:
    found: list[RunState] = []
    order = "DESC" if is_downwards else "ASC"
    for wheres in alternatives:
        where, arguments = _joined(wheres)
        query = f"SELECT {_COLUMNS} FROM runs WHERE {where} ORDER BY run_id {order} LIMIT ?"  # noqa: S608 - marks only
        found += [RunState(*row) for row in db.execute(query, (*arguments, limit))]
    found.sort(key=lambda state: state.run_id, reverse=is_downwards)
    return found[:limit]


def _by_value(db: sqlite3.Connection, wheres: Sequence[_Where], sort: str, *, skip: int, limit: int) -> list[RunState]:
    where, arguments = _joined(wheres)
    key, order = _SORT_KEYS[sort.removeprefix("-")], "DESC" if sort.startswith("-") else "ASC"
    newest = f"SELECT run_id, {key} AS key FROM runs WHERE {where} ORDER BY run_id DESC LIMIT {SORTED}"  # noqa: S608
    page = f"SELECT run_id FROM ({newest}) ORDER BY key IS NULL, key {order}, run_id DESC LIMIT ? OFFSET ?"  # noqa: S608
    ids = [row[0] for row in db.execute(page, (*arguments, limit, skip))]
    query = f"SELECT {_COLUMNS} FROM runs WHERE run_id = ?"  # noqa: S608 - the columns are the struct's fields
    return [RunState(*db.execute(query, (run_id,)).fetchone()) for run_id in ids]


def count(db: sqlite3.Connection, which: Filter, known: Sequence[str], *, after: UUID, most: int) -> int:
    """Return how many runs have been decided since one, ``most`` at most.

    Args:
        db: The views' file.
        which: Which ones.
        known: All decisions that have runs.
        after: The newest that is known already.
        most: Where counting ends.
    """
    names = _names(which, known)
    if names == ():
        return 0
    where, arguments = _joined([*_scanned(which, names), *_bounds(which), ("run_id > ?", (after.bytes,))])
    query = f"SELECT count(*) FROM (SELECT 1 FROM runs WHERE {where} LIMIT ?)"  # noqa: S608 - marks only
    return int(db.execute(query, (*arguments, most)).fetchone()[0])


def confidences(db: sqlite3.Connection, which: Filter, known: Sequence[str], *, most: int) -> list[float]:
    """Return the confidences (0..1) of the newest ``most`` runs, of those that have one."""
    names = _names(which, known)
    if names == ():
        return []
    where, arguments = _joined([*_scanned(which, names), *_bounds(which)])
    newest = f"SELECT confidence FROM runs WHERE {where} ORDER BY run_id DESC LIMIT ?"  # noqa: S608 - marks only
    rows = db.execute(f"SELECT confidence FROM ({newest}) WHERE confidence IS NOT NULL", (*arguments, most))  # noqa: S608
    return [row[0] for row in rows]


_Where = tuple[str, tuple[Any, ...]]


def _names(which: Filter, known: Sequence[str]) -> tuple[str, ...] | None:
    """Return the decisions that are looked at; ``None`` for all."""
    if which.decision is None and which.among is None and not which.statuses:
        return None
    names: Collection[str] = known if which.decision is None else (which.decision,)
    return tuple(name for name in names if which.among is None or name in which.among)


def _pairs(which: Filter, names: Sequence[str] | None) -> Iterator[list[_Where]]:
    if names is None:
        yield []
        return
    for name in names:
        for status in which.statuses or Status:
            yield [("decision = ? AND status = ?", (name, Status(status).value))]


def _scanned(which: Filter, names: Sequence[str] | None) -> list[_Where]:
    """Return the conditions of a scan in order of time: reading rows one by one through an index takes longer."""
    wheres: list[_Where] = []
    if names is not None:
        wheres.append((f"+decision IN ({_marks(names)})", tuple(names)))
    if which.statuses:
        wheres.append((f"+status IN ({_marks(which.statuses)})", tuple(Status(each).value for each in which.statuses)))
    if which.text:
        wheres.append(_found(which.text))
    return wheres


def _found(text: str) -> _Where:
    """Return the condition that a text is found in a run."""
    ends = text.casefold().replace("-", "")
    if len(ends) == 32 and _ID.fullmatch(ends):
        return "run_id = ?", (bytes.fromhex(ends),)
    # Choices and reasons are kept as JSON: what is looked for is written as it is written there.
    written = _like(msgspec.json.encode(text)[1:-1].decode())
    # Joined they become a text, which takes less time than to look into each.
    where = r"(choice || char(10) || reasons) LIKE ? ESCAPE '\' OR decision LIKE ? ESCAPE '\'"
    arguments: tuple[Any, ...] = (written, _like(text))
    if _ID.fullmatch(ends):
        where += f" OR substr(hex(run_id), -{len(ends)}) = ?"
        arguments += (ends.upper(),)
    return f"({where})", arguments


def _like(text: str) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", text)
    return f"%{escaped}%"


def _bounds(which: Filter) -> list[_Where]:
    """Return the conditions on the time, which the ids tell well enough to find where to look."""
    wheres: list[_Where] = []
    if which.since is not None:
        wheres.append(("run_id >= ? AND decided_us >= ?", (_id(which.since - _SLACK), microseconds(which.since))))
    if which.until is not None:
        wheres.append(("run_id < ? AND decided_us < ?", (_id(which.until + _SLACK), microseconds(which.until))))
    return wheres


def _id(at: datetime) -> bytes:
    """Return where the ids of a moment begin."""
    milliseconds = max(0, (at - EPOCH) // timedelta(milliseconds=1))
    return min(milliseconds, 2**48 - 1).to_bytes(6, "big")


def _joined(wheres: Sequence[_Where]) -> _Where:
    arguments = tuple(argument for _, each in wheres for argument in each)
    return " AND ".join(where for where, _ in wheres) or "run_id < ?", arguments if wheres else (_BEYOND,)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
