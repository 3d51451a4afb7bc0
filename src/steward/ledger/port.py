"""The ledger's port: an append-only, provable log, and the event log and cursors that commit with it.

Promises, each with a test of that name in :mod:`steward.testing.conformance`:

* ``append_is_atomic``: a :class:`Commit` is there whole or not at all.
* ``append_is_durable_before_return``: what was acknowledged survives a new opening.
* ``append_conflicts_on_known_key``: a key is taken once; a second commit with it changes nothing.
* ``concurrent_appends_are_independent``: a conflict fails its own commit only.
* ``urgent_commits_keep_every_promise``: what goes before others that wait is numbered, stored and refused as they are.
* ``urgent_is_durable_before_return``: so is what went before others: it survives a new opening.
* ``basis_of_now_is_accepted``: a commit made from the ``failures`` of now is written; a conflict is no failure.
* ``indexes_have_no_gaps``: entries are numbered 0, 1, 2 … in the order of their commits.
* ``read_is_ordered``: entries and messages come back by index, and by run.
* ``body_is_bytes_exact``: the bytes read are the bytes written.
* ``cursors_move_with_the_commit``: consumer positions are stored in the same transaction.
* ``messages_have_no_gaps``: offsets of one topic are 0, 1, 2 …
* ``duplicate_messages_are_stored_once``: the same (topic, source, id) is stored once, and says so.
* ``proofs_hold``: inclusion and consistency proofs verify against the published roots.
* ``closed_ledger_refuses``: after ``close`` every call raises ``EngineError``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from steward.errors import EngineError


class Draft(Struct, frozen=True):
    """An entry to be appended.

    Attributes:
        kind: The body's ``kind``, repeated so that readers can filter without decoding.
        run_id: The decision's id (UUIDv7); for governance entries an id of their own.
        body: The exact bytes that are stored, hashed and read back; at most 16 MiB.
        key: Unique over the whole ledger, or ``None``. At most 256 characters.

    Example:
        >>> Draft("decided", UUID(int=1), b"{}").key is None
        True
    """

    kind: str
    run_id: UUID
    body: bytes
    key: str | None = None


class Entry(Struct, frozen=True):
    """An entry as stored; ``index`` is its place in the ledger, from 0.

    Example:
        >>> Entry(0, "decided", UUID(int=1), b"{}").index
        0
    """

    index: int
    kind: str
    run_id: UUID
    body: bytes
    key: str | None = None


class Message(Struct, frozen=True):
    """An event on its way: a CloudEvent's attributes and its data.

    Attributes:
        topic: The CloudEvents ``type``: a stream's name or an event contract's name.
        key: Events with one key keep their order (CloudEvents ``partitionkey``).
        source: Who sent it (CloudEvents ``source``).
        id: Unique for the source (CloudEvents ``id``).
        data: The event as JSON bytes.
        version: The contract's version that ``data`` was written in.
        event_time: When it happened (CloudEvents ``time``).
        known_at: When Steward first knew it.
        trace: W3C ``traceparent``, if one came along.

    Example:
        >>> from datetime import UTC
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> Message("grid.load", "ES", "meter-7", "1", b"{}", 1, now, now).topic
        'grid.load'
    """

    topic: str
    key: str
    source: str
    id: str
    data: bytes
    version: int
    event_time: datetime
    known_at: datetime
    trace: str | None = None


class StoredMessage(Struct, frozen=True):
    """A message with its place in its topic, from 0.

    Example:
        >>> now = datetime.fromisoformat("2026-01-01T00:00:00Z")
        >>> StoredMessage(7, Message("grid.load", "ES", "meter-7", "1", b"{}", 1, now, now)).offset
        7
    """

    offset: int
    message: Message


class Commit(Struct, frozen=True, kw_only=True):
    """What is written in one transaction.

    Attributes:
        entries: Appended in this order.
        messages: Stored on the embedded event log.
        cursors: New positions of named consumers.
        urgent: Goes before all that waits to be written; for what must not wait, such as the stop switch.
        basis: The ledger's ``failures`` when what the commit was made from was read. If a commit has failed since,
            this one fails too (``code`` is ``engine.basis``): it may have been made from what that one said.

    Example:
        >>> Commit(entries=[Draft("decided", UUID(int=1), b"{}")]).cursors
        {}
    """

    entries: Sequence[Draft] = ()
    messages: Sequence[Message] = ()
    cursors: Mapping[str, int] = {}
    urgent: bool = False
    basis: int | None = None


class Committed(Struct, frozen=True):
    """Where a commit ended up.

    Attributes:
        first_index: Index of its first entry (the ledger's size before it, if it had none).
        offsets: The offset of each message, in order; a duplicate has the offset of the first.
        duplicates: How many of the messages were already there.

    Example:
        >>> Committed(first_index=41, offsets=[0, 1]).first_index
        41
    """

    first_index: int
    offsets: Sequence[int] = ()
    duplicates: int = 0


class Checkpoint(Struct, frozen=True):
    """The tree's head: ``root`` (32 bytes) over the first ``size`` entries, and its signed note.

    Example:
        >>> Checkpoint(0, bytes(32), "").size
        0
    """

    size: int
    root: bytes
    note: str


class Log(Protocol):
    """What a consumer needs of a ledger: to append, and to know how far it had come."""

    async def append(self, commit: Commit) -> Committed:
        """Write ``commit`` durably.

        Raises:
            Conflict: A key is already taken; ``error.field`` is the key. Nothing of the commit was written.
            EngineError: The store cannot write. Nothing was acknowledged.
        """
        ...

    async def cursor(self, name: str) -> int:
        """Return a consumer's position, 0 if it has none."""
        ...


class Ledger(Log, Protocol):
    """The append-only log; see the module's promises."""

    @property
    def failures(self) -> int:
        """How many times appending has failed, as far as told; see ``Commit.basis``."""
        ...

    async def size(self) -> int:
        """Return the number of entries."""
        ...

    async def read(self, start: int = 0, limit: int = 1000, *, kind: str | None = None) -> Sequence[Entry]:
        """Return up to ``limit`` entries from index ``start`` on, in order, of one ``kind`` if given."""
        ...

    async def of_run(self, run_id: UUID) -> Sequence[Entry]:
        """Return all entries of one run, in order."""
        ...

    async def by_key(self, key: str) -> Entry | None:
        """Return the entry that took ``key``, if any."""
        ...

    async def messages(self, topic: str, start: int = 0, limit: int = 1000) -> Sequence[StoredMessage]:
        """Return up to ``limit`` messages of a topic from offset ``start`` on, in order."""
        ...

    async def topics(self) -> Mapping[str, int]:
        """Return the number of messages of each topic."""
        ...

    async def root(self, size: int | None = None) -> bytes:
        """Return the Merkle root (32 bytes, RFC 6962) over the first ``size`` entries, all by default."""
        ...

    async def inclusion(self, index: int, size: int | None = None) -> Sequence[bytes]:
        """Return the audit path of an entry in the tree of ``size`` entries (RFC 6962, 2.1.1)."""
        ...

    async def consistency(self, first: int, second: int | None = None) -> Sequence[bytes]:
        """Return the proof that the tree of ``first`` entries is a prefix of that of ``second`` (2.1.2)."""
        ...

    async def checkpoint(self) -> Checkpoint:
        """Sign the current head, store it inside and outside the database, and return it."""
        ...

    async def close(self) -> None:
        """Sign a last checkpoint and release everything; calling it twice is fine."""
        ...


def stale_basis() -> EngineError:
    """Return the error for a commit that was made from what an earlier one said, which then failed.

    Example:
        >>> stale_basis().code
        'engine.basis'
    """
    return EngineError(
        "an earlier commit failed, and this one may have been made from what it said",
        fix="try again",
        retryable=True,
        code="engine.basis",
    )
