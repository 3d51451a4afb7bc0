"""Opening the SQLite ledger and signing its head: where database, key and outside checkpoint must agree."""

from __future__ import annotations

from pathlib import Path

from steward.errors import EngineError, IntegrityError
from steward.ledger.merkle import root_at
from steward.ledger.note import Signer, Verifier, checkpoint_text, parse_checkpoint
from steward.ledger.port import Checkpoint
from steward.ledger.sqlite_files import WriterLock, beside, load_key, make_key, read_note, write_note
from steward.ledger.sqlite_store import Store, connect
from steward.ledger.sqlite_tree import StoredTree

_LOOK = "keep all files as they are, find out who replaced them, and restore the latest backup"


class Head:
    """The ledger's files, opened together.

    Args:
        path: The database.
        checkpoint_file: The last signed head, outside the database.
        key_file: The signing key.
        lock_timeout_s: How long to wait for another program that locks the database.
    """

    signer: Signer

    def __init__(self, path: Path, *, checkpoint_file: Path, key_file: Path, lock_timeout_s: float) -> None:
        self.database_file, self.checkpoint_file, self._key_file = path, checkpoint_file, key_file
        self._timeout_s = lock_timeout_s
        self._lock: WriterLock | None = None
        self._store: Store | None = None
        self._last: Checkpoint | None = None

    def open(self, origin: str) -> Store:
        """Lock, open or make, and check everything; ``origin`` names a new ledger.

        Raises:
            sqlite3.Error: The database cannot be used.
            EngineError: Another process writes it, or key and database do not belong together.
            IntegrityError: The database is behind, or differs from, the outside checkpoint.
        """
        self._lock = WriterLock(beside(self.database_file, "lock"))
        note = read_note(self.checkpoint_file)
        signer = load_key(self._key_file)
        self._store = store = Store(connect(self.database_file, timeout_s=self._timeout_s))
        if store.is_new:
            if note is not None:
                raise IntegrityError(
                    f"{self.database_file} is empty, but {self.checkpoint_file} says that it had entries",
                    why="the database was removed or replaced",
                    fix=_LOOK,
                    code="integrity.behind",
                )
            self.signer = signer or make_key(self._key_file, origin)
            store.create(self.signer.name, self.signer.vkey)
        else:
            store.check_format()
            if signer is None or signer.vkey != store.meta("public_key"):
                raise EngineError(
                    f"{self._key_file} is not the key that signs this ledger",
                    why="the file is missing" if signer is None else "it holds another key",
                    fix="put the key file that was made with the ledger back in its place",
                    code="engine.key",
                )
            self.signer = signer
        store.load()
        self._check_outside(store, note)
        return store

    def _check_outside(self, store: Store, note: str | None) -> None:
        row = store.database.execute("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()
        if note is None:
            if row is not None:
                raise IntegrityError(
                    f"the checkpoint {self.checkpoint_file} is missing",
                    why="the ledger has signed heads, and the last of them is always kept there too",
                    fix="restore the file; the table 'checkpoints' has the last note too, but one who cut off entries"
                    " could have cut off that as well",
                    code="integrity.no-checkpoint",
                )
            return
        origin, size, root = parse_checkpoint(Verifier(self.signer.vkey).open(note))
        have = store.frontier.size
        if origin != self.signer.name:
            raise IntegrityError(f"{self.checkpoint_file} belongs to another ledger, {origin}", fix=_LOOK)
        if size > have:
            raise IntegrityError(
                f"the ledger has {have} entries, but {self.checkpoint_file} was signed over {size}",
                why="entries were cut off, or an old copy of the database was put back",
                fix=_LOOK,
                code="integrity.behind",
            )
        if root_at(StoredTree(store.database).node, size) != root:
            raise IntegrityError(
                f"the first {size} entries are not those that {self.checkpoint_file} was signed over",
                why="the database was changed or exchanged",
                fix=_LOOK,
                code="integrity.differs",
            )
        self._last = Checkpoint(size, root, note)

    def checkpoint(self) -> Checkpoint:
        """Sign the current head and keep it outside and inside the database; in the writer's thread only."""
        store = self._store
        if store is None:
            raise EngineError("the ledger is closed", fix="open it again", code="engine.closed")
        size, root = store.frontier.size, store.frontier.root()
        if self._last is None or self._last.size != size:
            made = Checkpoint(size, root, self.signer.sign(checkpoint_text(self.signer.name, size, root)))
            # First outside: a stored checkpoint without its twin outside then always means that somebody removed it.
            write_note(self.checkpoint_file, made.note)
            store.database.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", (size, made.note))
            self._last = made
        return self._last

    def close(self) -> None:
        """Release everything; calling it twice is fine."""
        if self._store is not None:
            self._store.database.close()
            self._store = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None
