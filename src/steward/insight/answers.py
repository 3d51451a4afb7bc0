"""How people answer: how often and how fast, how often they overrule, and whether they notice what is wrong.

Two small tables of the views, made from the entries of kinds ``approved``, ``rejected``, ``changed``, ``endorsed``,
``expired`` and ``seeded``. What somebody writes at one moment in one run is one answer, also if it takes two entries.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from steward.errors import IntegrityError
from steward.insight.fold import microseconds
from steward.ledger.port import Entry
from steward.wire import UNREADABLE

SCHEMA: Final = """
CREATE TABLE answers (
  run_id BLOB NOT NULL, person TEXT NOT NULL, at_us INTEGER NOT NULL, decision TEXT NOT NULL, verdict TEXT NOT NULL,
  waited_s REAL, PRIMARY KEY (run_id, person, at_us)
) WITHOUT ROWID;
CREATE TABLE checks (run_id BLOB PRIMARY KEY, decision TEXT NOT NULL) WITHOUT ROWID;
"""
_VERDICTS: Final = {
    "approved": "approved",
    "endorsed": "approved",
    "rejected": "rejected",
    "changed": "changed",
    "expired": "expired",
}
KINDS: Final = frozenset({*_VERDICTS, "seeded"})
"""The kinds of entries that are taken in here."""
_CAUGHT: Final = frozenset({"rejected", "changed"})


class PersonRow(Struct, frozen=True, kw_only=True):
    """How one person answers; checks are not among the answers.

    Attributes:
        person: Who.
        answers: How many answers they gave.
        approved: How many agreed with what was proposed, ...
        rejected: ... refused it, ...
        changed: ... or put a choice of their own in its place.
        agreement: The share (0..1) that agreed.
        median_s: Half of the answers came within this time, in seconds.
        p95_s: 95 % of them did.
        checks: How many known wrong asks they answered.
        caught: How many of these they did not agree to.

    Example:
        >>> PersonRow(person="ana", answers=4, approved=3, rejected=1, changed=0, agreement=0.75, median_s=60.0,
        ...           p95_s=300.0, checks=1, caught=1).agreement
        0.75
    """

    person: str
    answers: int
    approved: int
    rejected: int
    changed: int
    agreement: float | None
    median_s: float | None
    p95_s: float | None
    checks: int
    caught: int


class PeopleReport(Struct, frozen=True, kw_only=True):
    """How people answer, one by one, and what nobody answered.

    Attributes:
        people: By name.
        expired: How many questions nobody answered in time.
        checks: How many known wrong asks were made; some may still wait.
        caught: How many of these were not agreed to by whoever answered.

    Example:
        >>> PeopleReport(people=(), expired=0, checks=0, caught=0).people
        ()
    """

    people: Sequence[PersonRow]
    expired: int
    checks: int
    caught: int


class AnswerCount(Struct, frozen=True, kw_only=True):
    """The answers of one kind to the asks of one decision, and how long they took together, in seconds.

    Example:
        >>> AnswerCount(decision="pay.release", verdict="approved", answers=3, waited_s=75.0).answers
        3
    """

    decision: str
    verdict: str
    answers: int
    waited_s: float


class _Answer(Struct):
    decision: str
    at: datetime
    by: str
    waited_s: float | None = None
    about: UUID | None = None


_decode = msgspec.json.Decoder(_Answer).decode


def take(db: sqlite3.Connection, entries: Sequence[Entry]) -> None:
    """Take in entries of the kinds :data:`KINDS`, once each.

    Raises:
        IntegrityError: A body is not of its kind.
    """
    for entry in entries:
        try:
            body = _decode(entry.body)
        except UNREADABLE as error:
            raise IntegrityError(f"entry {entry.index} cannot be read as {entry.kind!r}", why=str(error)) from error
        if body.about is not None:
            db.execute("INSERT OR IGNORE INTO checks VALUES (?, ?)", (body.about.bytes, body.decision))
            continue
        verdict = _VERDICTS[entry.kind]
        row = (entry.run_id.bytes, body.by, microseconds(body.at), body.decision, verdict, body.waited_s)
        db.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?)", row)


def report(db: sqlite3.Connection, among: Collection[str] | None = None) -> PeopleReport:
    """Return how people answer, ``among`` some decisions only."""
    where, names = _among(among)
    checks = {row[0] for row in db.execute(f"SELECT run_id FROM checks WHERE {where}", names)}  # noqa: S608 - marks only
    query = f"SELECT person, verdict, waited_s, run_id FROM answers WHERE {where} ORDER BY person"  # noqa: S608 - as above
    rows = db.execute(query, names).fetchall()
    told = [row for row in rows if row[1] != "expired"]
    people = [_person(name, list(own), checks) for name, own in groupby(told, lambda row: str(row[0]))]
    return PeopleReport(
        people=people,
        expired=sum(verdict == "expired" and run not in checks for _, verdict, _, run in rows),
        checks=len(checks),
        caught=len({run for _, verdict, _, run in told if run in checks and verdict in _CAUGHT}),
    )


def counts(db: sqlite3.Connection, among: Collection[str] | None = None) -> list[AnswerCount]:
    """Return how many answers of each kind were given, ``among`` some decisions only."""
    where, names = _among(among)
    query = (
        "SELECT decision, verdict, count(*), coalesce(sum(waited_s), 0.0) FROM answers "  # noqa: S608 - marks only
        f"WHERE {where} GROUP BY decision, verdict ORDER BY decision, verdict"
    )
    return [
        AnswerCount(decision=decision, verdict=verdict, answers=answers, waited_s=waited_s)
        for decision, verdict, answers, waited_s in db.execute(query, names)
    ]


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the smallest value that ``share`` (0..1) of all values do not exceed; ``None`` of nothing.

    Example:
        >>> quantile([3.0, 1.0, 2.0], 0.5), quantile([3.0, 1.0, 2.0], 0.95), quantile([], 0.5)
        (2.0, 3.0, None)
    """
    ordered = sorted(values)
    # Rounded, as 0.95 * 20 is a little more than 19 in binary.
    return ordered[max(0, -int(-round(share * len(ordered), 9) // 1) - 1)] if ordered else None


def _person(name: str, own: Sequence[tuple[Any, ...]], checks: Collection[bytes]) -> PersonRow:
    real = [(verdict, waited_s) for _, verdict, waited_s, run in own if run not in checks]
    seeded = [verdict for _, verdict, _, run in own if run in checks]
    waits = [waited_s for _, waited_s in real if waited_s is not None]
    verdicts = [verdict for verdict, _ in real]
    return PersonRow(
        person=name,
        answers=len(real),
        approved=verdicts.count("approved"),
        rejected=verdicts.count("rejected"),
        changed=verdicts.count("changed"),
        agreement=verdicts.count("approved") / len(real) if real else None,
        median_s=quantile(waits, 0.5),
        p95_s=quantile(waits, 0.95),
        checks=len(seeded),
        caught=sum(verdict in _CAUGHT for verdict in seeded),
    )


def _among(names: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    if names is None:
        return "1", ()
    return f"decision IN ({', '.join('?' * len(names))})", tuple(names)
