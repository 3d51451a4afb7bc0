"""The questions that people are asked: who may answer which, what became of them, and how those like one were answered.

Small tables of the views with a row for each run that asks, made from the entries of the kinds :data:`KINDS`. Whether
somebody may answer is told here as :mod:`steward.loop.verdicts` tells it, so that lists and their counts are honest
however long they are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from steward.entries import Asked, Barred, Changed, Endorsed, Escalated, Snoozed
from steward.errors import IntegrityError
from steward.insight.answers import quantile
from steward.insight.fold import microseconds, moment
from steward.ledger.port import Entry
from steward.records import Money
from steward.wire import UNREADABLE

SCHEMA: Final = """
CREATE TABLE questions (
  run_id BLOB PRIMARY KEY, decision TEXT NOT NULL, proposer TEXT NOT NULL DEFAULT '', rule TEXT, proposed TEXT,
  asked_us INTEGER NOT NULL DEFAULT 0, round INTEGER NOT NULL DEFAULT 0, verdict TEXT, settled_us INTEGER,
  person TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX questions_settled ON questions (settled_us, run_id) WHERE settled_us IS NOT NULL;
CREATE INDEX questions_alike ON questions (decision, proposed, settled_us) WHERE settled_us IS NOT NULL;
CREATE INDEX questions_of ON questions (decision, settled_us) WHERE settled_us IS NOT NULL;
CREATE TABLE question_groups (run_id BLOB, name TEXT, rung INTEGER NOT NULL, PRIMARY KEY (run_id, name)) WITHOUT ROWID;
CREATE TABLE question_parts (
  run_id BLOB, person TEXT, round INTEGER, part TEXT NOT NULL, PRIMARY KEY (run_id, person, round)
) WITHOUT ROWID;
CREATE TABLE question_snoozes (
  run_id BLOB, person TEXT, until_us INTEGER NOT NULL, PRIMARY KEY (run_id, person)
) WITHOUT ROWID;
"""
TABLES: Final = ("questions", "question_groups", "question_parts", "question_snoozes")
_LONGEST_PROPOSAL: Final = 500
"""In letters; longer choices, such as plans, are never alike."""
_MOST_ALIKE: Final = 1_000
"""How many of the last answers are looked at; they say how it is done now."""
EVERY: Final = "*"
"""Stands for all groups."""


class Which(StrEnum):
    """Which questions are listed.

    Example:
        >>> Which("mine").is_open, Which("done").is_open
        (True, False)
    """

    MINE = "mine"
    """Those that one person may answer now."""
    TEAM = "team"
    """All that wait."""
    ESCALATED = "escalated"
    """Those that more than the first group is asked."""
    SNOOZED = "snoozed"
    """Those of which one person does not want to be reminded yet."""
    DONE = "done"
    """Those that were answered, or expired; the last one first."""

    @property
    def is_open(self) -> bool:
        """Whether they wait."""
        return self is not Which.DONE


class Asker(Struct, frozen=True, kw_only=True):
    """Who looks at questions.

    Attributes:
        person: The name they answer by.
        groups: The groups they belong to; ``*`` is all.
        readable: The decisions they may read; ``None`` for all.
        answerable: The decisions they may answer for; ``None`` for all.
        at: When.

    Example:
        >>> Asker(person="ana", groups=frozenset({"desk"}), at=datetime(2026, 1, 1)).readable is None
        True
    """

    person: str
    groups: frozenset[str]
    at: datetime
    readable: Collection[str] | None = None
    answerable: Collection[str] | None = None


class QuestionRow(Struct, frozen=True, kw_only=True):
    """A question in a list.

    Attributes:
        decision_id: The run.
        decision: Its name.
        asked_at: Since when it waits, or waited.
        choice: What is or was asked, as changed by people.
        rule: The policy's rule that proposed it, if it has a name; ``None`` of what people changed.
        otherwise: What is done if they refuse or do not answer.
        impact: The money at stake.
        deadline: Until when they may answer.
        needed: How many people must agree.
        agreed: How many have.
        groups: Who is asked by now, in that order.
        snoozed_until: Before when whoever looks does not want to be reminded.
        verdict: ``approved``, ``rejected`` or ``expired``, once it is settled.
        settled_at: When that was.
        person: Who settled it; ``system`` if nobody answered.
        reason: Why.

    Example:
        >>> row = QuestionRow(decision_id=UUID(int=7), decision="pay.release", asked_at=datetime(2026, 1, 1), choice=8,
        ...     otherwise=0, impact=Money.of_minor(750_000, "EUR"), deadline=datetime(2026, 1, 2), needed=2, agreed=1,
        ...     groups=("desk",))
        >>> row.waited_s is None
        True
    """

    decision_id: UUID
    decision: str
    asked_at: datetime
    choice: object
    otherwise: object
    impact: Money
    deadline: datetime
    needed: int
    agreed: int
    groups: tuple[str, ...]
    rule: str | None = None
    snoozed_until: datetime | None = None
    verdict: str | None = None
    settled_at: datetime | None = None
    person: str = ""
    reason: str = ""

    @property
    def waited_s(self) -> float | None:
        """How long it waited for its answer, in seconds."""
        return None if self.settled_at is None else (self.settled_at - self.asked_at).total_seconds()


class Precedents(Struct, frozen=True, kw_only=True):
    """How the last questions like one were answered; seeded checks are not among them.

    Attributes:
        settled: How many there were.
        approved: How many were approved as they were proposed, ...
        changed: ... approved after somebody had changed them, ...
        rejected: ... refused, ...
        expired: ... or not answered in time.
        median_s: Half of those that people answered were answered within this time, in seconds.

    Example:
        >>> Precedents(settled=34, approved=31, changed=1, rejected=2, expired=0, median_s=120.0).approved
        31
    """

    settled: int = 0
    approved: int = 0
    changed: int = 0
    rejected: int = 0
    expired: int = 0
    median_s: float | None = None


class _Provenance(Struct):
    by: str | UnsetType = UNSET


class _Policy(Struct):
    rule: str | None = None


class _Decided(Struct):
    decision: str
    policy: _Policy
    provenance: _Provenance


class _Settled(Struct):
    decision: str
    at: datetime
    by: str
    reason: str = ""


def is_about(entry: Entry) -> bool:
    """Tell whether an entry says something about a question; of decisions only those that ask."""
    # The status stands near the beginning of a record, which may be long.
    return entry.kind in KINDS if entry.kind != "decided" else b'"status":"waiting"' in entry.body[:1_000]


def take(db: sqlite3.Connection, entries: Sequence[Entry]) -> None:
    """Take in entries that :func:`is_about` tells of, once each.

    Raises:
        IntegrityError: A body is not of its kind.
    """
    for entry in entries:
        decode, put = _TAKE[entry.kind]
        try:
            body = decode(entry.body)
        except UNREADABLE as error:
            raise IntegrityError(f"entry {entry.index} cannot be read as {entry.kind!r}", why=str(error)) from error
        put(db, entry.run_id.bytes, body)


def _decided(db: sqlite3.Connection, run: bytes, body: _Decided) -> None:
    by = body.provenance.by
    proposer = "" if by is UNSET or by == "system" else by
    db.execute("INSERT OR IGNORE INTO questions (run_id, decision, proposer, rule) VALUES (?, ?, ?, ?)",
               (run, body.decision, proposer, body.policy.rule))  # fmt: skip


def _asked(db: sqlite3.Connection, run: bytes, body: Asked) -> None:
    db.execute("INSERT OR IGNORE INTO questions (run_id, decision) VALUES (?, ?)", (run, body.decision))
    proposed = like(body.choice)
    db.execute("UPDATE questions SET proposed = ?, asked_us = ? WHERE run_id = ?",
               (proposed, microseconds(body.at), run))  # fmt: skip
    _group(db, run, body.gate.approvers)


def _escalated(db: sqlite3.Connection, run: bytes, body: Escalated) -> None:
    _group(db, run, body.to)


def _group(db: sqlite3.Connection, run: bytes, name: str) -> None:
    rung = "(SELECT count(*) FROM question_groups WHERE run_id = ?1)"
    db.execute(f"INSERT OR IGNORE INTO question_groups VALUES (?1, ?2, {rung})", (run, name))  # noqa: S608 - no input


def _changed(db: sqlite3.Connection, run: bytes, body: Changed) -> None:
    db.execute("UPDATE questions SET round = ? WHERE run_id = ?", (body.round, run))


def _endorsed(db: sqlite3.Connection, run: bytes, body: Endorsed) -> None:
    _part(db, run, body.by, body.round, "agreed")


def _barred(db: sqlite3.Connection, run: bytes, body: Barred) -> None:
    _part(db, run, body.person, body.round, body.part)


def _part(db: sqlite3.Connection, run: bytes, person: str, round: int, part: str) -> None:
    db.execute("INSERT OR IGNORE INTO question_parts VALUES (?, ?, ?, ?)", (run, person, round, part))


def _snoozed(db: sqlite3.Connection, run: bytes, body: Snoozed) -> None:
    db.execute("REPLACE INTO question_snoozes VALUES (?, ?, ?)", (run, body.by, microseconds(body.until)))


def _settles(verdict: str) -> Callable[[sqlite3.Connection, bytes, _Settled], None]:
    def settled(db: sqlite3.Connection, run: bytes, body: _Settled) -> None:
        db.execute("INSERT OR IGNORE INTO questions (run_id, decision) VALUES (?, ?)", (run, body.decision))
        db.execute("UPDATE questions SET verdict = ?, settled_us = ?, person = ?, reason = ? WHERE run_id = ?",
                   (verdict, microseconds(body.at), body.by, body.reason, run))  # fmt: skip

    return settled


def _reader(body: type[Any]) -> Callable[[bytes], Any]:
    return msgspec.json.Decoder(body).decode


_read_settled = _reader(_Settled)
_TAKE: Final[dict[str, tuple[Callable[[bytes], Any], Callable[[sqlite3.Connection, bytes, Any], None]]]] = {
    "decided": (_reader(_Decided), _decided),
    "asked": (_reader(Asked), _asked),
    "escalated": (_reader(Escalated), _escalated),
    "changed": (_reader(Changed), _changed),
    "endorsed": (_reader(Endorsed), _endorsed),
    "barred": (_reader(Barred), _barred),
    "snoozed": (_reader(Snoozed), _snoozed),
    **{verdict: (_read_settled, _settles(verdict)) for verdict in ("approved", "rejected", "expired")},
}
KINDS: Final = frozenset(_TAKE)
"""The kinds of entries that are taken in here, of ``decided`` only some."""

_ROW: Final = """
SELECT q.run_id, q.decision, iif(q.round, NULL, q.rule), q.asked_us,
  r.asked, r.deadline_us, q.verdict, q.settled_us, q.person, q.reason,
  (SELECT count(*) FROM question_parts p WHERE p.run_id = q.run_id AND p.round = q.round AND p.part = 'agreed'),
  (SELECT json_group_array(name) FROM (SELECT g.name FROM question_groups g WHERE g.run_id = q.run_id ORDER BY g.rung)),
  (SELECT s.until_us FROM question_snoozes s WHERE s.run_id = q.run_id AND s.person = ? AND s.until_us > ?)
"""
_FROM: Final = "FROM questions q JOIN runs r ON r.run_id = q.run_id"
_FROM_WAITING: Final = "FROM runs r JOIN questions q ON q.run_id = r.run_id"
_SNOOZED: Final = (
    "EXISTS (SELECT 1 FROM question_snoozes s WHERE s.run_id = q.run_id AND s.person = ? AND s.until_us > ?)"
)
_GROUP: Final = "SELECT 1 FROM question_groups g WHERE g.run_id = q.run_id"
_read_asked = _reader(Asked)
_read_names = _reader(tuple[str, ...])


def listed(db: sqlite3.Connection, asker: Asker, which: Which, limit: int, offset: int) -> list[QuestionRow]:
    """Return questions: of those that wait the next deadline first, of those that are done the last answer."""
    where, arguments = _where(asker, which)
    order = "r.deadline_us, r.run_id" if which.is_open else "q.settled_us DESC, q.run_id DESC"
    query = f"{_ROW} {where} ORDER BY {order} LIMIT ? OFFSET ?"
    now_us = microseconds(asker.at)
    return [_row(row) for row in db.execute(query, (asker.person, now_us, *arguments, limit, offset))]


def count(db: sqlite3.Connection, asker: Asker, which: Which) -> int:
    """Return how many there are."""
    if which is Which.DONE:
        among, names = _among("decision", asker.readable)
        query = f"SELECT count(*) FROM questions WHERE settled_us IS NOT NULL{among}"  # noqa: S608 - marks only
        return int(db.execute(query, names).fetchone()[0])
    where, arguments = _where(asker, which)
    return int(db.execute(f"SELECT count(*) {where}", arguments).fetchone()[0])


def precedents(db: sqlite3.Connection, decision: str, choice: object = UNSET) -> Precedents:
    """Return how the last questions of a decision were answered; with a ``choice``, of those that proposed the same."""
    proposed = None if choice is UNSET else like(choice)
    if proposed is None and choice is not UNSET:
        return Precedents()
    alike, arguments = ("", ()) if proposed is None else (" AND proposed = ?", (proposed,))
    query = (
        "SELECT verdict, round, settled_us - asked_us FROM questions WHERE decision = ? AND settled_us IS NOT NULL"  # noqa: S608 - marks only
        f"{alike} AND run_id NOT IN (SELECT run_id FROM checks) ORDER BY settled_us DESC LIMIT ?"
    )
    rows = db.execute(query, (decision, *arguments, _MOST_ALIKE)).fetchall()
    kinds = ["changed" if verdict == "approved" and round else verdict for verdict, round, _ in rows]
    return Precedents(
        settled=len(rows),
        **{kind: kinds.count(kind) for kind in ("approved", "changed", "rejected", "expired")},
        median_s=quantile([waited_us / 1e6 for verdict, _, waited_us in rows if verdict != "expired"], 0.5),
    )


def like(choice: object) -> str | None:
    """Return the text by which choices are the same; ``None`` for one that is too long to be like another."""
    text = msgspec.json.encode(choice, order="sorted").decode()
    return text if len(text) <= _LONGEST_PROPOSAL else None


def _where(asker: Asker, which: Which) -> tuple[str, tuple[object, ...]]:
    if which is Which.DONE:
        # The plus keeps SQLite to the index that is in order, so that it stops after a page.
        among, names = _among("+q.decision", asker.readable)
        return f"{_FROM} WHERE q.settled_us IS NOT NULL{among}", names
    among, names = _among("r.decision", asker.readable)
    waiting = f"{_FROM_WAITING} WHERE r.pending = 'person'{among}"
    until = (asker.person, microseconds(asker.at))
    if which is Which.SNOOZED:
        return f"{waiting} AND {_SNOOZED}", (*names, *until)
    if which is Which.ESCALATED:
        return f"{waiting} AND EXISTS ({_GROUP} AND g.rung > 0)", names
    if which is Which.TEAM:
        return waiting, names
    own, answerable = _among("r.decision", asker.answerable)
    in_groups, groups = _among("g.name", None if EVERY in asker.groups else asker.groups)
    member = f" AND EXISTS ({_GROUP}{in_groups})"
    part = "SELECT 1 FROM question_parts p WHERE p.run_id = q.run_id AND p.person = ? AND p.round = q.round"
    mine = f"{waiting}{own}{member} AND q.proposer <> ? AND NOT EXISTS ({part}) AND NOT {_SNOOZED}"
    return mine, (*names, *answerable, *groups, asker.person, asker.person, *until)


def _among(column: str, names: Collection[str] | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if names is None else (f" AND {column} IN ({', '.join('?' * len(names))})", tuple(sorted(names)))


def _row(row: Sequence[Any]) -> QuestionRow:
    run, decision, rule, asked_us, asked, deadline_us, verdict, settled_us, person, reason, *others = row
    agreed, groups, until_us = others
    body = _read_asked(asked)
    return QuestionRow(
        decision_id=UUID(bytes=run),
        decision=decision,
        asked_at=moment(asked_us),
        choice=body.choice,
        rule=rule,
        otherwise=body.gate.otherwise,
        impact=body.gate.impact,
        deadline=moment(deadline_us),
        needed=body.gate.approvals,
        agreed=agreed,
        groups=_read_names(groups.encode()),
        snoozed_until=None if until_us is None else moment(until_us),
        verdict=verdict,
        settled_at=None if settled_us is None else moment(settled_us),
        person=person,
        reason=reason,
    )
