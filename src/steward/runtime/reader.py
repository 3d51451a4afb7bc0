"""Reads a ledger's file beside the process that writes it: no lock is taken and nothing is changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar
from uuid import UUID

from steward.errors import EngineError, NotFound
from steward.ledger.port import Checkpoint, Commit, Committed, Entry, StoredMessage
from steward.ledger.sqlite_digests import digest_of
from steward.ledger.sqlite_errors import UNREADABLE, meaning_of
from steward.ledger.sqlite_reader import Reader
from steward.ledger.sqlite_store import connect

T = TypeVar("T")
_BUSY_S = 10.0


class LedgerReader:
    """A ledger that can only be read: see :class:`steward.ledger.port.Ledger` for its methods.

    It shows what is committed at the moment of each call. ``by_key`` walks the whole table, as the index of keys is
    the writer's.

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
            self._reader = Reader(connect(path, timeout_s=_BUSY_S, query_only=True), _scan)
        except UNREADABLE as error:
            raise meaning_of(error) from error
        try:
            self._ask(Reader.size)
        except BaseException:
            self._reader.close()
            raise

    def _ask(self, question: Callable[[Reader], T]) -> T:
        try:
            return question(self._reader)
        except UNREADABLE as error:
            raise meaning_of(error) from error

    @property
    def failures(self) -> int:
        """How many times appending has failed: nothing is appended here."""
        return 0

    async def size(self) -> int:
        """Return the number of entries."""
        return self._ask(Reader.size)

    async def read(self, start: int = 0, limit: int = 1000, *, kind: str | None = None) -> Sequence[Entry]:
        """Return up to ``limit`` entries from index ``start`` on, in order, of one ``kind`` if given."""
        return self._ask(lambda reader: reader.read(start, limit, kind))

    async def of_run(self, run_id: UUID) -> Sequence[Entry]:
        """Return all entries of one run, in order."""
        return self._ask(lambda reader: reader.of_run(run_id))

    async def by_key(self, key: str) -> Entry | None:
        """Return the entry that took ``key``, if any."""
        return self._ask(lambda reader: reader.by_key(key))

    async def cursor(self, name: str) -> int:
        """Return a consumer's position, 0 if it has none."""
        return self._ask(lambda reader: reader.cursor(name))

    async def messages(self, topic: str, start: int = 0, limit: int = 1000) -> Sequence[StoredMessage]:
        """Return up to ``limit`` messages of a topic from offset ``start`` on, in order."""
        return self._ask(lambda reader: reader.messages(topic, start, limit))

    async def topics(self) -> Mapping[str, int]:
        """Return the number of messages of each topic."""
        return self._ask(Reader.topics)

    async def root(self, size: int | None = None) -> bytes:
        """Return the Merkle root over the first ``size`` entries, all by default."""
        return self._ask(lambda reader: reader.root(size))

    async def inclusion(self, index: int, size: int | None = None) -> Sequence[bytes]:
        """Return the audit path of an entry in the tree of ``size`` entries."""
        return self._ask(lambda reader: reader.inclusion(index, size))

    async def consistency(self, first: int, second: int | None = None) -> Sequence[bytes]:
        """Return the proof that the tree of ``first`` entries is a prefix of that of ``second``."""
        return self._ask(lambda reader: reader.consistency(first, second))

    async def append(self, commit: Commit) -> Committed:
        """Refuse: raise ``EngineError``."""
        _refuse()

    async def checkpoint(self) -> Checkpoint:
        """Refuse: raise ``EngineError``, as only the writer has the key."""
        _refuse()

    async def close(self) -> None:
        """Release the file; calling it twice is fine."""
        self._reader.close()


def _refuse() -> NoReturn:
    raise EngineError(
        "the ledger is open for reading only", fix="write through the server that owns it", code="engine.read-only"
    )


def _scan(database: sqlite3.Connection, digest: bytes) -> int | None:
    rows = database.execute("SELECT idx, key FROM entries WHERE key IS NOT NULL")
    return next((index for index, key in rows if digest_of(key) == digest), None)
