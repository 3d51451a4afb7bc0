"""The independent verifier: checks a ledger or a proof bundle without one line of the code that wrote it.

It reads the SQLite file by itself, computes the tree in another way than the writer, and parses notes on its own, so
that a fault in the writer cannot hide itself. An import contract keeps it apart.
"""

from __future__ import annotations

import json
import os
import sqlite3
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct

from steward.errors import ContractError, EngineError, NotFound
from steward.ledger.verify_entries import repeats
from steward.ledger.verify_proofs import STORED_HEIGHT, Head, hash_leaf, open_checkpoint, root_of_path, split_key
from steward.ledger.verify_store import Break, Progress, Report, StoreCheck

__all__ = ["Break", "Proven", "Report", "check_key", "verify_bundle", "verify_entry", "verify_index", "verify_store"]


class Proven(Struct, frozen=True, kw_only=True):
    """An entry of one run and its way up to the root of the tree.

    Attributes:
        index: Its place in the ledger.
        kind: What it is.
        body: Its bytes, as text.
        size: Size of the tree that the proof is for.
        path: The inclusion proof, from the leaf up, in hex.
        signed: Whether that tree's root is the one in the checkpoint outside the database.
        breaks: What does not hold.
        leaf: Hash of the body as it stands there, in hex.
        root: The root that the proof must lead to, in hex.

    Example:
        >>> Proven(index=3, kind="acted", body="{}", size=9, path=[], signed=True).ok
        True
    """

    index: int
    kind: str
    body: str
    size: int
    path: list[str]
    signed: bool
    breaks: list[Break] = []
    leaf: str = ""
    root: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return not self.breaks


def check_key(public_key: str | None) -> None:
    """Refuse a trusted key that cannot be one: nothing could hold under it, and nothing be told of the ledger.

    Raises:
        ContractError: It is not a signed-note verifier key.

    Example:
        >>> check_key("my key")
        Traceback (most recent call last):
        ...
        steward.errors.ContractError: the public key that is trusted is malformed. Why: it is not NAME+ID+KEY ...
    """
    if public_key is None:
        return
    try:
        split_key(public_key)
    except ValueError as error:
        raise ContractError(
            "the public key that is trusted is malformed",
            why="it is not NAME+ID+KEY with the id that fits, an Ed25519 key as signed notes write it",
            fix="copy the whole key, from where you noted it",
            field="public_key",
        ) from error


@contextmanager
def _snapshot(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the database for reading, all in one transaction, so that a writer at work does not look like a fault."""
    if not path.is_file():
        raise NotFound(f"there is no ledger {path}", fix="name the database file of a ledger")
    # SQLite needs a writable folder for a database in WAL mode, unless it is told that nobody writes.
    mode = "mode=ro" if os.access(path.parent, os.W_OK) else "mode=ro&immutable=1"
    database = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
    try:
        database.execute("PRAGMA cache_size = -65536")
        database.execute("BEGIN")
        yield database
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise EngineError("the ledger is locked by another process", retryable=True, why=str(error)) from error
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_ROLLBACK:
            raise EngineError(
                "the ledger was left in the middle of a write, which only its owner can take back",
                why=str(error),
                fix="start it once: steward serve; then verify it",
            ) from error
        raise
    finally:
        database.close()


def _outside(path: Path, checkpoint_file: Path | str | None) -> Path:
    return path.with_name(f"{path.name}.checkpoint") if checkpoint_file is None else Path(checkpoint_file)


def verify_store(
    path: Path | str,
    *,
    checkpoint_file: Path | str | None = None,
    public_key: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check everything in a ledger's database file, which may be in use.

    Args:
        path: The database file.
        checkpoint_file: The last checkpoint outside it; ``PATH.checkpoint`` by default.
        public_key: The key you trust, as a signed-note verifier key. Without it the one in the database is used, which
            finds damage, but not an exchange of database, key and checkpoint together.
        progress: Told how far it is.

    Raises:
        ContractError: The key you trust is malformed.
        NotFound: There is no such file.
        EngineError: Another program has locked it.
    """
    check_key(public_key)
    report, place = Report(), Path(path)
    try:
        with _snapshot(place) as database:
            StoreCheck(database, report, public_key, progress).run(_outside(place, checkpoint_file))
    except (sqlite3.DatabaseError, UnicodeDecodeError, TypeError, AttributeError, OverflowError) as error:
        # Damaged files have values of wrong types in any column: whatever they break, it is a finding.
        report.add(None, f"the database cannot be read: {error}")
    return report


class _BundleEntry(Struct, forbid_unknown_fields=True):
    index: int
    body: str


class _Bundle(Struct, forbid_unknown_fields=True):
    format: str
    entry: _BundleEntry
    size: int
    proof: list[str]
    checkpoint: str
    public_key: str


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a field stands there twice")
    return dict(pairs)


def verify_bundle(bundle: bytes, *, public_key: str | None = None) -> Report:
    """Check a proof bundle, which needs nothing else.

    Args:
        bundle: JSON as ``steward.ledger.bundle`` makes it.
        public_key: The key you trust; without it the bundle's own is used, which proves only that it fits together.

    Raises:
        ContractError: The key you trust is malformed.

    Example:
        >>> str(verify_bundle(b"{}").breaks[0])
        'the bundle cannot be read: Object missing required field `format`'
    """
    check_key(public_key)
    report = Report()
    index = None
    try:
        json.loads(bundle, object_pairs_hook=_no_duplicates)
        parsed = msgspec.json.decode(bundle, type=_Bundle)
        index = parsed.entry.index
        path = [b64decode(hashed, validate=True) for hashed in parsed.proof]
        leaf = hash_leaf(parsed.entry.body.encode())
    except (ValueError, RecursionError) as error:
        report.add(index, f"the bundle cannot be read: {error}")
        return report
    if parsed.format != "steward.bundle/1":
        report.add(index, f"the bundle has the unknown format {parsed.format!r}")
    if public_key is not None and public_key.strip() != parsed.public_key.strip():
        report.add(index, "the bundle was signed with another key than the one that is trusted")
    try:
        head = open_checkpoint(parsed.checkpoint, public_key or parsed.public_key)
        report.origin, report.root, report.checkpoints = head.origin, head.root.hex(), 1
        if head.size != parsed.size:
            report.add(index, f"the checkpoint is over {head.size} entries, the proof over {parsed.size}")
        report.entries = 1
        if root_of_path(leaf, parsed.entry.index, head.size, path) != head.root:
            report.add(index, "its proof does not lead to the signed root")
        elif report.ok:
            report.signed_entries = 1
    except ValueError as error:
        report.add(index, f"the bundle does not hold: {error}")
    except RecursionError:  # whoever signs it themselves may say that the tree is of any size
        report.add(index, "the bundle does not hold: its proof is longer than any ledger needs")
    return report


def verify_entry(
    path: Path | str,
    run_id: UUID,
    *,
    checkpoint_file: Path | str | None = None,
    public_key: str | None = None,
) -> list[Proven]:
    """Prove every entry of one run against the checkpoint outside the database; quick at any size.

    Entries younger than that checkpoint (a second at most) are proven against the tree as it stands, unsigned.
    Entries are found by their column ``run_id``: that one was moved to another run, only the whole ledger tells.

    Raises:
        ContractError: The key you trust is malformed.
        NotFound: There is no such file, or no entry of this run.
        EngineError: The file cannot be read, or another program has locked it.
    """
    where, missing = "run_id = ? ORDER BY idx", f"the ledger has no entry of {run_id}"
    return _prove_all(Path(path), where, run_id.bytes, missing, checkpoint_file, public_key)


def verify_index(
    path: Path | str,
    index: int,
    *,
    checkpoint_file: Path | str | None = None,
    public_key: str | None = None,
) -> Proven:
    """Prove one entry by its place in the ledger, as :func:`verify_entry` proves all of a run; the same errors."""
    missing = f"the ledger has no entry {index}"
    [proven] = _prove_all(Path(path), "idx = ?", min(index, _LAST), missing, checkpoint_file, public_key)
    return proven


_LAST = (1 << 63) - 1
"""The largest number that SQLite knows."""


def _prove_all(  # noqa: PLR0917 - the parts of one question
    place: Path, where: str, value: object, missing: str, checkpoint_file: Path | str | None, public_key: str | None
) -> list[Proven]:
    check_key(public_key)
    try:
        with _snapshot(place) as database:
            question = f"SELECT idx, kind, run_id, leaf, body FROM entries WHERE {where}"  # noqa: S608 - ours
            rows = database.execute(question, (value,)).fetchall()
            if not rows:
                raise NotFound(missing, fix="check the id")
            head, broken = _trusted_head(database, _outside(place, checkpoint_file), public_key)
            return [_prove(database, head, broken, row) for row in rows]
    except sqlite3.DatabaseError as error:
        raise EngineError("the ledger cannot be read", why=str(error), fix="verify the whole ledger") from error


def _trusted_head(database: sqlite3.Connection, outside: Path, key: str | None) -> tuple[Head | None, list[Break]]:
    if key is None:
        row = database.execute("SELECT value FROM meta WHERE name = 'public_key'").fetchone()
        key = str(row[0]) if row else ""
    try:
        return open_checkpoint(outside.read_text("utf-8"), key), []
    except FileNotFoundError:
        if database.execute("SELECT count(*) FROM checkpoints").fetchone() == (0,):
            return None, []  # a ledger so young that none was signed yet
        return None, [Break(None, f"the checkpoint {outside.name} outside the database is missing")]
    except (OSError, ValueError) as error:
        return None, [Break(None, f"the checkpoint {outside.name} does not hold: {error}")]


def _prove(
    database: sqlite3.Connection, head: Head | None, broken: list[Break], row: tuple[int, str, bytes, bytes, object]
) -> Proven:
    index, kind, run_id, leaf, stored = row
    body = stored if isinstance(stored, bytes) else str(stored).encode()
    (have,) = database.execute("SELECT max(idx) + 1 FROM entries").fetchone()
    signed = head is not None and index < head.size
    size = head.size if head is not None and signed else have
    breaks = list(broken)
    if body is not stored or hash_leaf(body) != leaf:
        breaks.append(Break(index, "its body is not the one that was hashed"))
    if not repeats(body, kind, run_id):
        # Only the body is in the tree: a proof says nothing about columns that tell another story.
        breaks.append(Break(index, "its columns do not repeat its body"))
    path = _path(database, index, size)
    root = head.root if head is not None and signed else _range_root(database, 0, size)
    if root_of_path(hash_leaf(body), index, size, path) != root:
        breaks.append(Break(index, "its proof does not lead to the root"))
    return Proven(
        index=index,
        kind=kind,
        body=body.decode(errors="replace"),
        size=size,
        path=[hashed.hex() for hashed in path],
        signed=signed,
        breaks=breaks,
        leaf=hash_leaf(body).hex(),
        root=root.hex(),
    )


def _path(database: sqlite3.Connection, index: int, size: int) -> list[bytes]:
    start, end, path = 0, size, list[bytes]()
    while end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if index < middle:
            path.insert(0, _range_root(database, middle, end))
            end = middle
        else:
            path.insert(0, _range_root(database, start, middle))
            start = middle
    return path


def _range_root(database: sqlite3.Connection, start: int, end: int) -> bytes:
    """Return the root over some leaves; a missing row gives a wrong hash, which no proof survives."""
    width = end - start
    if width >= 1 << STORED_HEIGHT and width & width - 1 == 0:
        height = width.bit_length() - 1
        row = database.execute("SELECT hash FROM nodes WHERE id = ?", (height << 56 | start >> height,)).fetchone()
        return bytes(row[0]) if row else bytes(32)
    if width == 1:
        row = database.execute("SELECT leaf FROM entries WHERE idx = ?", (start,)).fetchone()
        return bytes(row[0]) if row else bytes(32)
    middle = start + (1 << ((width - 1).bit_length() - 1))
    return sha256(b"\x01" + _range_root(database, start, middle) + _range_root(database, middle, end)).digest()
