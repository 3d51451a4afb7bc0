"""The views' file: its tables, and how it is opened, replaced when it is of no use, and made empty in memory."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

from steward.errors import EngineError
from steward.insight import answers, questions, tally

SCHEMA_VERSION: Final = 8
_SCHEMA = """
CREATE TABLE position (next INTEGER NOT NULL, head BLOB NOT NULL);
INSERT INTO position VALUES (0, x'');
CREATE TABLE runs (
  run_id BLOB PRIMARY KEY, position INTEGER NOT NULL, decision TEXT NOT NULL, release TEXT NOT NULL,
  decided_us INTEGER NOT NULL, status TEXT NOT NULL, choice BLOB NOT NULL, reasons BLOB NOT NULL, confidence REAL,
  outcome_key TEXT, has_action INTEGER NOT NULL, acted INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
  halted INTEGER NOT NULL DEFAULT 0, aborted INTEGER NOT NULL DEFAULT 0, answer TEXT, asked BLOB,
  deadline_us INTEGER, escalated_to TEXT, changed INTEGER NOT NULL DEFAULT 0,
  unit TEXT NOT NULL DEFAULT '', value TEXT NOT NULL DEFAULT '0', baseline TEXT NOT NULL DEFAULT '0',
  saving TEXT NOT NULL DEFAULT '0', pending TEXT
) WITHOUT ROWID;
CREATE INDEX runs_by_status ON runs (decision, status, run_id);
CREATE INDEX runs_pending ON runs (pending, deadline_us, run_id) WHERE pending IS NOT NULL;
CREATE INDEX runs_by_outcome ON runs (decision, outcome_key) WHERE outcome_key IS NOT NULL;
"""


def open_file(path: str) -> sqlite3.Connection:
    """Open the views in a file; what is no such file, damaged or of another version is thrown away.

    Raises:
        EngineError: It can be neither used nor replaced.
    """
    try:
        try:
            return _connect(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
        # Not a database, or one of another version: nothing is lost with it.
        for ending in ("", "-wal", "-shm"):
            Path(path + ending).unlink(missing_ok=True)
        return _connect(path)
    except (sqlite3.Error, OSError) as error:
        raise failed(path, error) from error


def open_in_memory() -> sqlite3.Connection:
    """Copy empty views, which takes a fifth of the time of making them: simulations open many."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    db.deserialize(_empty())
    tally.prepare(db)
    return db


@cache
def _empty() -> bytes:
    with closing(_connect(":memory:")) as db:
        return db.serialize()


def _connect(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -65536")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            made = f"{_SCHEMA} {answers.SCHEMA} {questions.SCHEMA} {tally.SCHEMA}"
            db.executescript(f"BEGIN IMMEDIATE; {made} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT")
        elif version != SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"version {version} of the views, expected {SCHEMA_VERSION}")
        tally.prepare(db)
        if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("the views are damaged")
    except BaseException:
        db.close()
        raise
    return db


def failed(path: str, error: Exception) -> EngineError:
    """Return the error for a file of views that cannot be used."""
    return EngineError(
        f"the views in {path} cannot be used",
        why=str(error),
        fix="check the folder and its free space; the file may be deleted, it is made again from the ledger",
        retryable=True,
        code="engine.views",
    )
