"""The reader's side of the SQLite ledger: plain functions of one connection, never waiting for the writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import msgspec

from steward.errors import IntegrityError
from steward.ledger.limits import check_range
from steward.ledger.merkle import consistency_path, inclusion_path, root_at
from steward.ledger.port import Entry, Message, StoredMessage
from steward.ledger.sqlite_digests import digest_of
from steward.ledger.sqlite_errors import damaged
from steward.ledger.sqlite_store import OFFSET_BITS, OFFSET_MASK, cursor_crc, message_crc, topic_sizes
from steward.ledger.sqlite_tree import StoredTree

FindKey = Callable[[sqlite3.Connection, bytes], int | None]
_COLUMNS = "SELECT idx, kind, run_id, body, key FROM entries"
_decode_message = msgspec.msgpack.Decoder(Message).decode


def _entries(rows: sqlite3.Cursor) -> list[Entry]:
    entries = [Entry(index, kind, UUID(bytes=run_id), body, key) for index, kind, run_id, body, key in rows]
    for entry in entries:
        if type(entry.kind) is not str or type(entry.body) is not bytes:
            raise damaged(f"entry {entry.index} has a {type(entry.kind).__name__} as kind, or no bytes as body")
    return entries


class Reader:
    """What one connection sees: everything that was committed before the call.

    Args:
        database: A connection of its own.
        find_key: Looks up a key's digest.
    """

    def __init__(self, database: sqlite3.Connection, find_key: FindKey) -> None:
        self._database = database
        self._find_key = find_key

    def size(self) -> int:
        """Return the number of entries."""
        row = self._database.execute("SELECT coalesce(max(idx) + 1, 0) FROM entries").fetchone()
        return int(row[0])

    def read(self, start: int, limit: int, kind: str | None) -> list[Entry]:
        """Return up to ``limit`` entries from ``start`` on, of one kind if given."""
        where, values = "idx >= ?", [max(start, 0), max(limit, 0)]
        if kind is None:
            return _entries(self._database.execute(f"{_COLUMNS} WHERE {where} ORDER BY idx LIMIT ?", values))
        # Most entries are 'decided': they are found by walking the table; all other kinds have an index.
        where += " AND kind = 'decided'" if kind == "decided" else " AND kind = ? AND kind <> 'decided'"
        arguments = (values[0], values[1]) if kind == "decided" else (values[0], kind, values[1])
        return _entries(self._database.execute(f"{_COLUMNS} WHERE {where} ORDER BY idx LIMIT ?", arguments))

    def of_run(self, run_id: UUID) -> list[Entry]:
        """Return all entries of one run."""
        return _entries(self._database.execute(f"{_COLUMNS} WHERE run_id = ? ORDER BY idx", (run_id.bytes,)))

    def by_key(self, key: str) -> Entry | None:
        """Return the entry that took ``key``."""
        index = self._find_key(self._database, digest_of(key))
        if index is None:
            return None
        found = _entries(self._database.execute(f"{_COLUMNS} WHERE idx = ?", (index,)))
        if not found or found[0].key != key:
            raise IntegrityError(
                f"the index of keys says that entry {index} has the key {key!r}, but it has not",
                fix="run `steward verify --all`, then restore from a backup",
            )
        return found[0]

    def cursor(self, name: str) -> int:
        """Return a consumer's position."""
        row = self._database.execute("SELECT position, crc32 FROM cursors WHERE name = ?", (name,)).fetchone()
        if row is None:
            return 0
        if row[1] != cursor_crc(name, row[0]):
            raise IntegrityError(f"the cursor {name!r} is damaged", fix="run `steward verify --all`")
        return int(row[0])

    def messages(self, topic: str, start: int, limit: int) -> list[StoredMessage]:
        """Return up to ``limit`` messages of a topic from ``start`` on."""
        row = self._database.execute("SELECT no FROM topics WHERE name = ?", (topic,)).fetchone()
        if row is None:
            return []
        first = row[0] << OFFSET_BITS
        rows = self._database.execute(
            "SELECT id, crc32, body FROM messages WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
            (first + min(max(start, 0), OFFSET_MASK), first + OFFSET_MASK, max(limit, 0)),
        )
        return [_stored(topic, message_id, crc, body) for message_id, crc, body in rows]

    def topics(self) -> Mapping[str, int]:
        """Return the number of messages of each topic."""
        return topic_sizes(self._database)

    def root(self, size: int | None) -> bytes:
        """Return the root over the first ``size`` entries."""
        have = self.size()
        size = have if size is None else size
        check_range(size, have)
        return root_at(StoredTree(self._database).node, size)

    def inclusion(self, index: int, size: int | None) -> Sequence[bytes]:
        """Return the audit path of an entry."""
        have = self.size()
        size = have if size is None else size
        check_range(size, have, index=index)
        return inclusion_path(StoredTree(self._database).node, index, size)

    def consistency(self, first: int, second: int | None) -> Sequence[bytes]:
        """Return the proof that one tree begins another."""
        have = self.size()
        second = have if second is None else second
        check_range(second, have, first=first)
        return consistency_path(StoredTree(self._database).node, first, second)

    def close(self) -> None:
        """Close the connection."""
        self._database.close()


def _stored(topic: str, message_id: int, crc: int, body: bytes) -> StoredMessage:
    offset = message_id & OFFSET_MASK
    if message_crc(message_id, body) != crc:
        raise IntegrityError(
            f"message {offset} of {topic!r} is damaged", fix="run `steward verify --all`, restore from a backup"
        )
    return StoredMessage(offset, _decode_message(body))
