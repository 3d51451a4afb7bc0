"""The writer's side of the SQLite ledger: its tables, and how a group of commits becomes one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import msgspec

from steward.errors import Conflict, EngineError
from steward.ledger.merkle import Frontier
from steward.ledger.port import Commit, Committed, Draft, Message
from steward.ledger.sqlite_digests import DigestIndex, digest_of
from steward.ledger.sqlite_errors import damaged
from steward.ledger.sqlite_tree import STORED_HEIGHT, StoredTree, node_id

APPLICATION_ID = 0x53544C47
FORMAT = 1
OFFSET_BITS = 40
OFFSET_MASK = (1 << OFFSET_BITS) - 1
MOST_ROWS_A_STATEMENT = 1024
FEW_ROWS = 64
"""Up to so many rows are one statement, whatever their number."""
_WAL_PAGES = 4096

SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entries (
    idx INTEGER PRIMARY KEY, kind TEXT NOT NULL, run_id BLOB NOT NULL, leaf BLOB NOT NULL, key TEXT, body BLOB NOT NULL
);
CREATE INDEX entries_by_run ON entries (run_id);
CREATE INDEX entries_by_kind ON entries (kind) WHERE kind <> 'decided';
CREATE TABLE nodes (id INTEGER PRIMARY KEY, hash BLOB NOT NULL);
CREATE TABLE checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL);
CREATE TABLE topics (no INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE messages (id INTEGER PRIMARY KEY, crc32 INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE cursors (name TEXT PRIMARY KEY, position INTEGER NOT NULL, crc32 INTEGER NOT NULL) WITHOUT ROWID;
"""

encode_message = msgspec.msgpack.Encoder().encode


def connect(path: Path, *, timeout_s: float, query_only: bool = False) -> sqlite3.Connection:
    """Open a connection whose commits survive a power loss; any thread may use it."""
    database = sqlite3.connect(
        path, timeout=timeout_s, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        if query_only:
            database.execute("PRAGMA query_only = ON")
        else:
            database.execute("PRAGMA page_size = 8192")
            (mode,) = database.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":  # it says so, and goes on in the old mode, when it could not write
                raise EngineError(
                    "the ledger's file cannot be brought into WAL mode",
                    why=f"SQLite left it in the mode {mode!r}, as it does after a failed write",
                    fix="check the disk, then start again",
                    retryable=True,
                )
            database.execute("PRAGMA synchronous = FULL")
            database.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    except (sqlite3.Error, EngineError):
        database.close()
        raise
    return database


def message_digest(message: Message) -> bytes:
    """Return what (topic, source, id) is recognised by; lengths keep two triples from meaning the same."""
    return digest_of(f"{len(message.topic)} {len(message.source)} {message.topic}{message.source}{message.id}")


def message_crc(message_id: int, body: bytes) -> int:
    """Return the checksum that finds accidental damage: the event log is not part of the Merkle tree."""
    return crc32(body, message_id & 0xFFFF_FFFF)


def cursor_crc(name: str, position: int) -> int:
    """Return a cursor's checksum; see :func:`message_crc`."""
    return crc32(f"{name} {position}".encode("utf-8", "surrogatepass"))


@cache
def _insert_sql(into: str, width: int, rows: int) -> str:
    row = f"({','.join('?' * width)})"
    return f"INSERT INTO {into} VALUES {','.join([row] * rows)}"


def insert_rows(database: sqlite3.Connection, into: str, width: int, values: list[object]) -> None:
    """Insert rows given as one flat list.

    One statement takes up to 1,024 rows because Python's sqlite3 gives the interpreter lock away at every step:
    row by row, each of them waits for a busy event loop (measured: 339 rows/s instead of 130,000).
    """
    start, left = 0, len(values) // width
    while left:
        rows = rows_of_a_statement(left)
        end = start + rows * width
        database.execute(_insert_sql(into, width, rows), values[start:end])
        start, left = end, left - rows


def rows_of_a_statement(left: int) -> int:
    """Return how many of ``left`` rows the next statement takes.

    A statement of each size is prepared once and kept: up to ``FEW_ROWS`` there is one for each, above for powers of 2.

    Example:
        >>> [rows_of_a_statement(left) for left in (1, 30, 64, 65, 1000, 5000)]
        [1, 30, 64, 64, 512, 1024]
    """
    return left if left <= FEW_ROWS else min(1 << (left.bit_length() - 1), MOST_ROWS_A_STATEMENT)


class Store:
    """The tables, and what the writer remembers of them. Used by the writer's thread only, except ``keys``.

    Args:
        database: A connection made by :func:`connect`.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        self.keys = DigestIndex("keys")
        self.message_ids = DigestIndex("message_ids")
        self.frontier = Frontier()
        self.topics: dict[str, int] = {}
        self.topic_sizes: dict[str, int] = {}

    @property
    def is_new(self) -> bool:
        """Whether the file holds nothing yet."""
        return bool(self.database.execute("SELECT count(*) = 0 FROM sqlite_schema").fetchone()[0])

    def check_format(self) -> None:
        """Refuse files that are not a ledger of this format.

        Raises:
            EngineError: It is another program's database, or a newer Steward's.
        """
        (application,) = self.database.execute("PRAGMA application_id").fetchone()
        (version,) = self.database.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise EngineError(
                "the file is not a ledger", why="it is another program's database", fix="name another file"
            )
        if version != FORMAT:
            raise EngineError(
                f"the ledger has format {version}",
                why=f"this Steward writes format {FORMAT}",
                fix="use the Steward that made it",
            )

    def create(self, origin: str, vkey: str) -> None:
        """Make the tables."""
        self.database.execute("BEGIN IMMEDIATE")
        for statement in f"{SCHEMA}{self.keys.schema}{self.message_ids.schema}".strip().split(";\n"):
            self.database.execute(statement)
        self.database.execute("INSERT INTO meta VALUES ('origin', ?), ('public_key', ?)", (origin, vkey))
        self.database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self.database.execute(f"PRAGMA user_version = {FORMAT}")
        self.database.execute("COMMIT")

    def meta(self, name: str) -> str:
        """Return a fact about the ledger; ``""`` if it is not there."""
        row = self.database.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def load(self) -> None:
        """Forget what is in memory and read it from the database again."""
        self.frontier = Frontier(self._size(), StoredTree(self.database).node)
        self.topics = {name: no for no, name in self.database.execute("SELECT no, name FROM topics")}
        self.topic_sizes = topic_sizes(self.database)
        self.keys.load(self.database)
        self.message_ids.load(self.database)

    def _size(self) -> int:
        return int(self.database.execute("SELECT coalesce(max(idx) + 1, 0) FROM entries").fetchone()[0])

    def write(self, commits: Sequence[Commit]) -> list[Committed | Conflict]:
        """Write a group in one durable transaction; a conflict is answered for its own commit only.

        Raises:
            sqlite3.Error: Nothing of the group was written.
        """
        batch = _Batch(self)
        answers = [batch.plan(commit) for commit in commits]
        if not batch.is_empty:
            batch.close()
            try:
                # A single statement is a transaction of its own. Each further one gives the interpreter lock away.
                if not batch.is_one_statement:
                    self.database.execute("BEGIN IMMEDIATE")
                batch.insert()
                if not batch.is_one_statement:
                    self.database.execute("COMMIT")
            except sqlite3.Error:
                if self.database.in_transaction:
                    self.database.execute("ROLLBACK")
                if self._size() != self.frontier.size:
                    # The commit is there although its answer was lost: nobody was told, but the tree has to know.
                    self.load()
                raise
            batch.remember()
        return answers


def topic_sizes(database: sqlite3.Connection) -> dict[str, int]:
    """Return the number of messages of each topic, read from where its last message stands."""
    last = "SELECT max(id) FROM messages WHERE id BETWEEN t.no << 40 AND (t.no << 40) + ?"
    rows = database.execute(f"SELECT t.name, ({last}) FROM topics t ORDER BY t.no", (OFFSET_MASK,))
    sizes = {name: 0 if last is None else (last & OFFSET_MASK) + 1 for name, last in rows}
    if any(type(name) is not str for name in sizes):
        raise damaged("a topic has no name")
    return sizes


class _Batch:
    """One transaction in the making: rows as flat lists, and what the store will know once it is durable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._size = store.frontier.size
        self._entries: list[object] = []
        self._leaves: list[bytes] = []
        self._nodes: list[object] = []
        self._keys: dict[bytes, int] = {}
        self._messages: list[object] = []
        self._message_ids: dict[bytes, int] = {}
        self._new_topics: dict[str, int] = {}
        self._topic_sizes: dict[str, int] = {}
        self._cursors: dict[str, int] = {}

    @property
    def is_empty(self) -> bool:
        return not (self._leaves or self._messages or self._cursors)

    def plan(self, commit: Commit) -> Committed | Conflict:
        first = self._size
        keys = self._claim(commit.entries, first)
        if isinstance(keys, Conflict):
            return keys
        self._keys.update(keys)
        self._add_entries(commit.entries)
        known_before = len(self._message_ids)
        offsets = [self._add_message(message) for message in commit.messages]
        self._cursors.update(commit.cursors)
        return Committed(first, offsets, len(offsets) - (len(self._message_ids) - known_before))

    def _claim(self, drafts: Sequence[Draft], first: int) -> dict[bytes, int] | Conflict:
        keyed = [(draft.key, index) for index, draft in enumerate(drafts, first) if draft.key is not None]
        claimed = {digest_of(key): index for key, index in keyed}
        store, taken = self._store, self._keys
        if (
            len(claimed) == len(keyed)
            and claimed.keys().isdisjoint(taken)
            and not store.keys.knows_any(store.database, claimed.keys())
        ):
            return claimed
        seen: set[bytes] = set()
        for key, _ in keyed:
            digest = digest_of(key)
            if digest in seen or digest in taken or store.keys.find(store.database, digest) is not None:
                return Conflict(f"the key {key!r} is already taken", fix="read its entry instead", field=key)
            seen.add(digest)
        return claimed

    def _add_entries(self, drafts: Sequence[Draft]) -> None:
        rows, leaves = self._entries, self._leaves
        index = self._size
        for draft in drafts:
            body = draft.body
            leaf = sha256(b"\x00" + body).digest()
            leaves.append(leaf)
            rows += (index, draft.kind, draft.run_id.bytes, leaf, draft.key, body)
            index += 1
        self._size = index

    def _add_message(self, message: Message) -> int:
        digest = message_digest(message)
        known = self._message_ids.get(digest)
        if known is None:
            known = self._store.message_ids.find(self._store.database, digest)
        if known is not None:
            return known & OFFSET_MASK
        topic, store = message.topic, self._store
        number = store.topics.get(topic) or self._new_topics.get(topic)
        if number is None:
            number = self._new_topics[topic] = 1 + len(store.topics) + len(self._new_topics)
        offset = self._topic_sizes.get(topic)
        if offset is None:
            offset = store.topic_sizes.get(topic, 0)
        self._topic_sizes[topic] = offset + 1
        message_id = number << OFFSET_BITS | offset
        self._message_ids[digest] = message_id
        body = encode_message(message)
        self._messages += (message_id, message_crc(message_id, body), body)
        return offset

    def close(self) -> None:
        """Compute what the new entries add to the tree."""
        before = self._store.frontier.size
        self._frontier = self._store.frontier.copy()
        for height, hashes in enumerate(self._frontier.extend(self._leaves)[STORED_HEIGHT:], STORED_HEIGHT):
            for index, hashed in enumerate(hashes, before >> height):
                self._nodes += (node_id(height, index), hashed)

    @property
    def is_one_statement(self) -> bool:
        """Whether there are a few entries and nothing else to write."""
        more = self._nodes or self._keys or self._messages or self._cursors
        return not more and 0 < len(self._leaves) <= FEW_ROWS

    def insert(self) -> None:
        store = self._store
        database = store.database
        insert_rows(database, "entries", 6, self._entries)
        insert_rows(database, "nodes", 2, self._nodes)
        self._logged_keys = store.keys.log(database, self._keys)
        insert_rows(database, "topics", 2, [cell for name, no in self._new_topics.items() for cell in (no, name)])
        insert_rows(database, "messages", 3, self._messages)
        self._logged_ids = store.message_ids.log(database, self._message_ids)
        for name, position in self._cursors.items():
            database.execute(
                "INSERT OR REPLACE INTO cursors VALUES (?, ?, ?)", (name, position, cursor_crc(name, position))
            )

    def remember(self) -> None:
        store = self._store
        store.frontier = self._frontier
        store.keys.learn(self._logged_keys)
        store.message_ids.learn(self._logged_ids)
        store.topics.update(self._new_topics)
        store.topic_sizes.update(self._topic_sizes)
