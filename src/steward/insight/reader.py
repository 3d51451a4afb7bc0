"""Reads a ledger's file beside the process that writes it: no lock is taken and nothing is changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from steward.errors import NotFound
from steward.ledger.port import Entry
from steward.ledger.sqlite_errors import meaning_of
from steward.ledger.sqlite_reader import Reader
from steward.ledger.sqlite_store import connect


class LedgerReader:
    """What is needed of a ledger to show its runs and to build views.

    Args:
        path: The ledger's database file.

    Raises:
        NotFound: There is no such file.
        EngineError: It cannot be read.
        IntegrityError: It is not a ledger.

    Example:
        >>> LedgerReader(Path("nowhere.db"))
        Traceback (most recent call last):
            ...
        steward.errors.NotFound: there is no ledger nowhere.db. Next: start it once: steward serve
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise NotFound(f"there is no ledger {path}", fix="start it once: steward serve")
        try:
            self._reader = Reader(connect(path, timeout_s=10.0, query_only=True), lambda database, digest: None)
            self._reader.size()
        except sqlite3.Error as error:
            raise meaning_of(error) from error

    async def size(self) -> int:
        """Return the number of entries."""
        return self._reader.size()

    async def read(self, start: int = 0, limit: int = 1000) -> Sequence[Entry]:
        """Return up to ``limit`` entries from index ``start`` on, in order."""
        try:
            return self._reader.read(start, limit, None)
        except sqlite3.Error as error:
            raise meaning_of(error) from error

    async def of_run(self, run_id: UUID) -> Sequence[Entry]:
        """Return all entries of one run, in order."""
        try:
            return self._reader.of_run(run_id)
        except sqlite3.Error as error:
            raise meaning_of(error) from error

    def close(self) -> None:
        """Release the file; calling it twice is fine."""
        self._reader.close()
