"""Each of SQLite's errors becomes one of ours, by a table and by real faults."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from steward.errors import EngineError, IntegrityError
from steward.ledger.sqlite_errors import meaning_of

TABLE = [
    ("SQLITE_BUSY", EngineError, True, "locked by another"),
    ("SQLITE_BUSY_SNAPSHOT", EngineError, True, "locked by another"),
    ("SQLITE_LOCKED", EngineError, True, "locked by another"),
    ("SQLITE_FULL", EngineError, True, "disk is full"),
    ("SQLITE_READONLY", EngineError, False, "read-only"),
    ("SQLITE_READONLY_DIRECTORY", EngineError, False, "read-only"),
    ("SQLITE_CANTOPEN", EngineError, False, "cannot be opened"),
    ("SQLITE_PERM", EngineError, False, "may not be opened"),
    ("SQLITE_AUTH", EngineError, False, "may not be opened"),
    ("SQLITE_IOERR_FSYNC", EngineError, True, "disk failed"),
    ("SQLITE_NOMEM", EngineError, True, "memory"),
    ("SQLITE_INTERRUPT", EngineError, True, "interrupted"),
    ("SQLITE_TOOBIG", EngineError, False, "too large"),
    ("SQLITE_CORRUPT", IntegrityError, False, "damaged"),
    ("SQLITE_CORRUPT_INDEX", IntegrityError, False, "damaged"),
    ("SQLITE_NOTADB", IntegrityError, False, "not a ledger"),
    ("SQLITE_CONSTRAINT_PRIMARYKEY", IntegrityError, False, "contradict"),
    ("SQLITE_MISUSE", EngineError, False, "database failed"),
]


@pytest.mark.parametrize(("name", "kind", "retryable", "says"), TABLE, ids=[row[0] for row in TABLE])
def test_meanings(name: str, kind: type[EngineError], retryable: bool, says: str) -> None:
    error = sqlite3.OperationalError("the driver's words")
    error.sqlite_errorcode = getattr(sqlite3, name)
    error.sqlite_errorname = name
    meaning = meaning_of(error)
    assert type(meaning) is kind
    assert meaning.retryable is retryable
    assert says in meaning.what
    assert meaning.fix
    assert f"{name}: the driver's words" in str(meaning)


def test_an_error_without_a_code_is_still_told() -> None:
    meaning = meaning_of(sqlite3.ProgrammingError("Cannot operate on a closed database."))
    assert "database failed" in meaning.what
    assert "closed database" in meaning.why


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"Dear Sir or Madam, " * 100)
    with sqlite3.connect(path) as database, pytest.raises(sqlite3.DatabaseError) as failed:
        database.execute("SELECT * FROM sqlite_schema")
    database.close()
    assert isinstance(meaning_of(failed.value), IntegrityError)
