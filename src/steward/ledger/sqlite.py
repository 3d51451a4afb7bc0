"""The ledger in one SQLite file: durable group commits, provable by the checkpoints kept beside it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from steward.clock import Clock
from steward.errors import EngineError, IntegrityError
from steward.ledger.limits import check_commit
from steward.ledger.port import Checkpoint, Commit, Committed, Entry, StoredMessage
from steward.ledger.sqlite_errors import UNREADABLE, meaning_of
from steward.ledger.sqlite_files import beside
from steward.ledger.sqlite_head import Head
from steward.ledger.sqlite_reader import Reader
from steward.ledger.sqlite_store import connect
from steward.ledger.sqlite_writer import Writer

T = TypeVar("T")
FEW_ROWS = 64
"""Reads up to this size are faster than the way to another thread and back."""


class SqliteLedger:
    """A ledger in one file; make it with :meth:`open`.

    Beside ``PATH`` it keeps ``PATH.key`` (signs checkpoints, mode 0600), ``PATH.checkpoint`` (the last signed head,
    by which a shortened or exchanged database is found) and ``PATH.lock`` (one writing process at a time).

    Example:
        >>> import tempfile
        >>> from steward.clock import SystemClock
        >>> from steward.ledger.port import Draft
        >>> async def main(path: str) -> tuple[int, str]:
        ...     ledger = await SqliteLedger.open(path, clock=SystemClock())
        ...     await ledger.append(Commit(entries=[Draft("decided", UUID(int=1), b"{}", key="order-17")]))
        ...     found = await ledger.size(), (await ledger.root()).hex()[:8]
        ...     await ledger.close()
        ...     return found
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asyncio.run(main(f"{folder}/ledger.db"))
        (1, '28a3a18f')
    """

    def __init__(self, head: Head, writer: Writer, reader: Reader, far_reader: Reader) -> None:
        self._head, self._writer = head, writer
        self._reader, self._far_reader = reader, far_reader
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="steward-ledger-reader")
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str],
        *,
        clock: Clock,
        origin: str | None = None,
        checkpoint_every: timedelta = timedelta(seconds=1),
        checkpoint_file: str | os.PathLike[str] | None = None,
        key_file: str | os.PathLike[str] | None = None,
        lock_timeout: timedelta = timedelta(seconds=5),
    ) -> SqliteLedger:
        """Open the ledger in ``path``, or make it.

        Args:
            path: The database file; its folder must exist.
            clock: Tells when the next checkpoint is due, and names a new ledger.
            origin: The name in a new ledger's checkpoints, unique in the world, without spaces and plus signs.
            checkpoint_every: The longest time that entries stay without a checkpoint while others arrive.
            checkpoint_file: Where the last checkpoint is kept outside the database; best on another disk.
            key_file: Where the signing key is kept.
            lock_timeout: How long to wait for another program that locks the database.

        Raises:
            EngineError: The file cannot be used, or another process writes it.
            IntegrityError: The database is behind, or differs from, its own last checkpoint.
        """
        place = Path(path)
        head = Head(
            place,
            checkpoint_file=beside(place, "checkpoint") if checkpoint_file is None else Path(checkpoint_file),
            key_file=beside(place, "key") if key_file is None else Path(key_file),
            lock_timeout_s=lock_timeout.total_seconds(),
        )
        name = origin or f"steward.local/ledger/{clock.new_id()}"

        def start() -> SqliteLedger:
            try:
                store = head.open(name)
                readers = [
                    Reader(connect(place, timeout_s=lock_timeout.total_seconds(), query_only=True), store.keys.find)
                    for _ in range(2)
                ]
            except UNREADABLE as error:
                head.close()
                raise meaning_of(error) from error
            except BaseException:
                head.close()
                raise
            writer = Writer(store, clock=clock, checkpoint=head.checkpoint, checkpoint_every=checkpoint_every)
            return cls(head, writer, *readers)

        return await asyncio.to_thread(start)

    @property
    def public_key(self) -> str:
        """The key that checks this ledger's checkpoints, as a signed-note verifier key."""
        return self._head.signer.vkey

    @property
    def failures(self) -> int:
        """How many times appending has failed, as far as told."""
        return self._writer.failures

    @property
    def database_file(self) -> Path:
        """The database, which may be read beside this process."""
        return self._head.database_file

    @property
    def checkpoint_file(self) -> Path:
        """Where the last signed head is kept outside the database."""
        return self._head.checkpoint_file

    async def append(self, commit: Commit) -> Committed:
        """Write ``commit`` durably; all that wait share one transaction and one fsync. See the port."""
        self._check_open()
        check_commit(commit)
        return await self._writer.append(commit)

    def _check_open(self) -> None:
        if self._closing is not None:
            raise EngineError("the ledger is closed", fix="open it again", code="engine.closed")

    def _near(self, ask: Callable[[Reader], T]) -> T:
        """Read in this thread: right for what takes a few dozen microseconds."""
        self._check_open()
        try:
            return ask(self._reader)
        except UNREADABLE as error:
            raise meaning_of(error) from error

    async def _far(self, ask: Callable[[Reader], T]) -> T:
        """Read in the reader's thread, so that a long read holds up nobody."""
        self._check_open()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, ask, self._far_reader)
        except UNREADABLE as error:
            raise meaning_of(error) from error

    async def size(self) -> int:
        """Return the number of entries."""
        return self._near(Reader.size)

    async def read(self, start: int = 0, limit: int = 1000, *, kind: str | None = None) -> Sequence[Entry]:
        """Return up to ``limit`` entries from index ``start`` on, in order, of one ``kind`` if given."""
        if kind is None and limit <= FEW_ROWS:
            return self._near(lambda reader: reader.read(start, limit, None))
        return await self._far(lambda reader: reader.read(start, limit, kind))

    async def of_run(self, run_id: UUID) -> Sequence[Entry]:
        """Return all entries of one run, in order."""
        return self._near(lambda reader: reader.of_run(run_id))

    async def by_key(self, key: str) -> Entry | None:
        """Return the entry that took ``key``, if any."""
        return self._near(lambda reader: reader.by_key(key))

    async def cursor(self, name: str) -> int:
        """Return a consumer's position, 0 if it has none."""
        return self._near(lambda reader: reader.cursor(name))

    async def messages(self, topic: str, start: int = 0, limit: int = 1000) -> Sequence[StoredMessage]:
        """Return up to ``limit`` messages of a topic from offset ``start`` on, in order."""
        if limit <= FEW_ROWS:
            return self._near(lambda reader: reader.messages(topic, start, limit))
        return await self._far(lambda reader: reader.messages(topic, start, limit))

    async def topics(self) -> Mapping[str, int]:
        """Return the number of messages of each topic."""
        return self._near(Reader.topics)

    async def root(self, size: int | None = None) -> bytes:
        """Return the Merkle root (32 bytes, RFC 6962) over the first ``size`` entries, all by default."""
        return await self._far(lambda reader: reader.root(size))

    async def inclusion(self, index: int, size: int | None = None) -> Sequence[bytes]:
        """Return the audit path of an entry in the tree of ``size`` entries (RFC 6962, 2.1.1)."""
        return await self._far(lambda reader: reader.inclusion(index, size))

    async def consistency(self, first: int, second: int | None = None) -> Sequence[bytes]:
        """Return the proof that the tree of ``first`` entries is a prefix of that of ``second`` (2.1.2)."""
        return await self._far(lambda reader: reader.consistency(first, second))

    async def checkpoint(self) -> Checkpoint:
        """Sign the current head, store it inside and outside the database, and return it."""
        self._check_open()
        answer = await self._writer.call(self._head.checkpoint)
        if not isinstance(answer, Checkpoint):
            raise IntegrityError("the writer did not make a checkpoint")
        return answer

    async def close(self) -> None:
        """Sign a last checkpoint and release everything; calling it twice is fine."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            await self._writer.call(self._head.checkpoint)
        finally:
            await self._writer.call(self._head.close, last=True)
            await asyncio.to_thread(self._readers.shutdown)
            self._reader.close()
            self._far_reader.close()
