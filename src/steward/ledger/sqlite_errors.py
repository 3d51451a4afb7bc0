"""What SQLite's errors mean for an operator: the one place where they are translated."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from steward.errors import EngineError, IntegrityError


class _Meaning(NamedTuple):
    what: str
    fix: str
    retryable: bool = False
    broken: bool = False


_MEANINGS: dict[int, _Meaning] = {
    sqlite3.SQLITE_BUSY: _Meaning("the ledger is locked by another process", "end that process, or wait", True),
    sqlite3.SQLITE_LOCKED: _Meaning("the ledger is locked by another process", "end that process, or wait", True),
    sqlite3.SQLITE_FULL: _Meaning("the disk is full", "free some space; appends work again at once", True),
    sqlite3.SQLITE_READONLY: _Meaning(
        "the ledger is read-only", "make the file and its folder writable, then open it again"
    ),
    sqlite3.SQLITE_PERM: _Meaning("the ledger may not be opened", "check owner and mode of the file"),
    sqlite3.SQLITE_AUTH: _Meaning("the ledger may not be opened", "check owner and mode of the file"),
    sqlite3.SQLITE_CANTOPEN: _Meaning(
        "the ledger cannot be opened", "check that its folder exists and is writable, and the limit of open files"
    ),
    sqlite3.SQLITE_IOERR: _Meaning("the disk failed", "check disk and mount, then try again", True),
    sqlite3.SQLITE_NOMEM: _Meaning("there is no memory left", "give the process more memory", True),
    sqlite3.SQLITE_INTERRUPT: _Meaning("the call was interrupted", "try again", True),
    sqlite3.SQLITE_TOOBIG: _Meaning("a value is too large for SQLite", "store it elsewhere and log its digest"),
    sqlite3.SQLITE_CORRUPT: _Meaning(
        "the ledger's file is damaged", "keep a copy, run `steward verify --all`, restore from a backup", broken=True
    ),
    sqlite3.SQLITE_NOTADB: _Meaning(
        "the file is not a ledger", "name another file, or restore it from a backup", broken=True
    ),
    sqlite3.SQLITE_CONSTRAINT: _Meaning(
        "the ledger's tables contradict each other", "run `steward verify --all`", broken=True
    ),
}
UNREADABLE = (sqlite3.Error, TypeError, ValueError)
"""What reading raises: SQLite's own errors, and what comes of rows that are not as they were written."""

_UNKNOWN = _Meaning("the ledger's database failed", "read the cause; run `steward doctor`")


def meaning_of(error: Exception) -> EngineError:
    """Return the error to raise instead of one of :data:`UNREADABLE`; extended codes count as their primary code.

    Example:
        >>> try:
        ...     sqlite3.connect("/no/such/folder/ledger.db")
        ... except sqlite3.Error as error:
        ...     print(meaning_of(error).what)
        the ledger cannot be opened
    """
    if not isinstance(error, sqlite3.Error):
        return damaged(f"{type(error).__name__}: {error}")
    code = getattr(error, "sqlite_errorcode", None)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    meaning = _MEANINGS.get(code & 0xFF, _UNKNOWN) if isinstance(code, int) else _UNKNOWN
    kind = IntegrityError if meaning.broken else EngineError
    return kind(meaning.what, retryable=meaning.retryable, why=f"{name}: {error}", fix=meaning.fix)


def damaged(why: str) -> IntegrityError:
    """Return the error for a row that cannot be what was written.

    Example:
        >>> damaged("entry 7 has no kind").actor
        'operator'
    """
    meaning = _MEANINGS[sqlite3.SQLITE_CORRUPT]
    return IntegrityError(meaning.what, why=why, fix=meaning.fix)
