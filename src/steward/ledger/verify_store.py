"""The verifier's walk through a ledger's database: every row that means something is checked against another."""

from __future__ import annotations

import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import msgspec
from msgspec import Struct, field

from steward.ledger.verify_entries import UNREADABLE, all_hold, breaks_of, index_rows
from steward.ledger.verify_proofs import BLOCK_LEAVES, Head, Peaks, open_checkpoint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

APPLICATION_ID = 0x53544C47
FORMAT = 1
SCHEMA_SHA256 = "9b041b978b81e24311e1760639e708960f43b1aad55750069013706b6cb82a37"
MOST_BREAKS = 1000
_PROGRESS_EVERY = 16_384
_OFFSET_BITS = 40

Progress = Callable[[int, int], None]
"""Called with the entries checked so far and their number."""

_Row = tuple[Any, ...]
"""What SQLite hands over: in a damaged file, any column may have any type."""


class Break(Struct, frozen=True):
    """One thing that does not hold; ``index`` is the entry's, if it belongs to one.

    Example:
        >>> print(Break(7, "its body is not the one that was hashed"))
        entry 7: its body is not the one that was hashed
    """

    index: int | None
    what: str

    def __str__(self) -> str:
        return self.what if self.index is None else f"entry {self.index}: {self.what}"


class Report(Struct, kw_only=True):
    """What was checked and what is broken.

    Attributes:
        entries: Entries whose bytes were hashed.
        messages: Messages of the event log whose checksums were compared.
        checkpoints: Signed heads that were compared with the tree.
        origin: The ledger's name in its checkpoints.
        root: Root over all entries, in hex.
        signed_entries: Entries under the largest good checkpoint; later ones are held by their own hashes only.
        breaks: What does not hold; no more than 1,000 are listed.

    Example:
        >>> Report(entries=3).ok
        True
    """

    entries: int = 0
    messages: int = 0
    checkpoints: int = 0
    origin: str = ""
    root: str = ""
    signed_entries: int = 0
    breaks: list[Break] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return not self.breaks

    def add(self, index: int | None, what: str) -> None:
        """Note a break."""
        if len(self.breaks) < MOST_BREAKS:
            self.breaks.append(Break(index, what))


class _MessageNames(Struct):
    """The fields of a message by which duplicates are recognised."""

    topic: str
    source: str
    id: str


_decode_message = msgspec.msgpack.Decoder(_MessageNames).decode


def _read_outside(path: Path) -> str | Exception | None:
    """Return the note outside the database, why it cannot be read, or ``None`` if there is none."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        return error


class StoreCheck:
    """One verification of one database, within one read transaction.

    Args:
        database: A connection in a transaction.
        report: Where breaks are noted.
        public_key: The key that is trusted; ``None`` for the one in the database.
        progress: Told how far it is.
    """

    def __init__(
        self, database: sqlite3.Connection, report: Report, public_key: str | None, progress: Progress | None
    ) -> None:
        self._database, self._report, self._progress = database, report, progress
        self._public_key = public_key
        self._peaks = Peaks()

    def run(self, outside: Path) -> None:
        """Check everything; ``outside`` is the checkpoint file beside the database."""
        # Before the first look at the database, which fixes what is seen of it: what is signed later is not in there.
        signed_outside = _read_outside(outside)
        self._check_file()
        heads = self._heads(outside.name, signed_outside)
        keys = self._check_entries(heads)
        self._check_nodes()
        self._check_index("keys", keys)
        self._check_index("message_ids", self._check_messages())
        self._check_cursors()

    def _check_file(self) -> None:
        ask, add = self._database.execute, self._report.add
        (application,), (version,) = ask("PRAGMA application_id").fetchone(), ask("PRAGMA user_version").fetchone()
        if (application, version) != (APPLICATION_ID, FORMAT):
            add(None, f"the file's marks ({application:#x}, format {version}) are not a ledger's")
        statements = ask("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").fetchall()
        if sha256("\n".join(sql for (sql,) in statements).encode()).hexdigest() != SCHEMA_SHA256:
            add(None, "the tables are not those of a ledger")
        for (problem,) in ask("PRAGMA integrity_check(20)"):
            if problem != "ok":
                add(None, f"the database file is damaged: {problem}")

    def _heads(self, outside: str, signed: str | Exception | None) -> deque[Head]:
        """Return the signed heads, the smallest first, having checked their signatures."""
        report = self._report
        meta: Mapping[str, str] = dict(self._database.execute("SELECT name, value FROM meta"))
        if set(meta) != {"origin", "public_key"}:
            report.add(None, "the table 'meta' does not hold exactly origin and public key")
        report.origin = meta.get("origin", "")
        key = meta.get("public_key", "")
        if self._public_key is not None and self._public_key.strip() != key:
            report.add(None, "the ledger was signed with another key than the one that is trusted")
            key = self._public_key
        notes = [
            (f"the stored checkpoint of size {size}", size, note)
            for size, note in self._database.execute("SELECT size, note FROM checkpoints ORDER BY size")
        ]
        if isinstance(signed, str):
            notes.append((f"the checkpoint {outside} outside the database", None, signed))
        elif signed is not None:
            report.add(None, f"the checkpoint {outside} outside the database cannot be read: {signed}")
        elif notes:
            report.add(None, f"the checkpoint {outside} outside the database is missing")
        heads = list[Head]()
        for name, size, note in notes:
            try:
                head = open_checkpoint(note, key)
            except ValueError as error:
                report.add(None, f"{name} does not hold: {error}")
                continue
            if head.origin != report.origin or (size is not None and head.size != size):
                report.add(None, f"{name} belongs to another ledger or place")
            heads.append(head)
        return deque(sorted(heads, key=lambda head: head.size))

    def _check_entries(self, heads: deque[Head]) -> bytearray:
        """Hash every entry; return digest and index of every key, 24 bytes each."""
        report, peaks = self._report, self._peaks
        (total,) = self._database.execute("SELECT coalesce(max(idx) + 1, 0) FROM entries").fetchone()
        keys, expected = bytearray(), 0
        self._grow((), heads)
        rows = self._database.execute("SELECT idx, kind, run_id, leaf, key, body FROM entries ORDER BY idx")
        for block in _blocks(rows):
            indices, kinds, run_ids, leaves, named, bodies = zip(*block, strict=True)
            whole = indices == tuple(range(expected, expected + len(block)))
            if not (whole and all_hold(kinds, run_ids, leaves, bodies)):
                self._name_breaks(block, expected)
                leaves = tuple(leaf if isinstance(leaf, bytes) else b"" for leaf in leaves)
            expected = indices[-1] + 1
            keys += index_rows(
                [(str(key), index) for key, index in zip(named, indices, strict=True) if key is not None]
            )
            # The stored hash goes into the tree: so a changed body breaks itself only, and is named.
            self._grow(leaves, heads)
            if self._progress is not None and peaks.size % _PROGRESS_EVERY == 0:
                self._progress(peaks.size, total)
        report.entries, report.root = peaks.size, peaks.root().hex()
        for size in dict.fromkeys(head.size for head in heads):
            report.add(None, f"a checkpoint was signed over {size} entries, but only {peaks.size} are there")
        return keys

    def _name_breaks(self, block: Iterable[_Row], expected: int) -> None:
        for index, kind, run_id, leaf, _, body in block:
            if index != expected:
                self._report.add(expected, f"it is missing; the next entry is {index}")
            expected = index + 1
            for what in breaks_of(kind, run_id, leaf, body):
                self._report.add(index, what)

    def _grow(self, leaves: Sequence[bytes], heads: deque[Head]) -> None:
        """Add leaves to the tree, and compare it with every head that was signed on the way."""
        peaks, report = self._peaks, self._report
        start = peaks.size
        end = start + len(leaves)
        while heads and heads[0].size <= end:
            head = heads.popleft()
            peaks.push_all(leaves[peaks.size - start : head.size - start])
            report.checkpoints += 1
            if head.root != peaks.root():
                report.add(None, f"the first {head.size} entries are not those that were signed")
            else:
                report.signed_entries = head.size
        peaks.push_all(leaves[peaks.size - start :])

    def _check_nodes(self) -> None:
        nodes = self._peaks.nodes
        for node_id, hashed in self._database.execute("SELECT id, hash FROM nodes"):
            if nodes.pop(node_id, None) != hashed:
                height, index = node_id >> 56, node_id & (1 << 56) - 1
                self._report.add(None, f"node {index} of height {height} of the tree is not the hash of its entries")
        if nodes:
            self._report.add(None, f"{len(nodes)} nodes of the tree are missing")

    def _check_index(self, name: str, expected: bytearray) -> None:
        """Compare an index with the rows it should have, and find what has the same digest twice."""
        stored = bytearray()
        for part in ("recent", "sealed"):
            for row_id, rows in self._database.execute(f"SELECT id, rows FROM {name}_{part}"):  # noqa: S608 - names are ours
                if len(rows) % 24 or (part == "sealed" and set(rows[::24]) != {row_id >> 32}):
                    self._report.add(None, f"row {row_id} of the index '{name}' is malformed")
                stored += rows
        whole, found = _table(expected), _table(stored)
        found = found[found[:, 2].argsort()]  # as expected ones are: by number, of which there are no two
        for digest, number in _twice(whole):
            self._report.add(number, f"what identifies it in '{name}' ({digest}…) was taken before")
        if whole.shape != found.shape or (whole != found).any():
            wanted, had = Counter(map(tuple, whole.tolist())), Counter(map(tuple, found.tolist()))
            for state, rows in (("lacks", wanted - had), ("has too much for", had - wanted)):
                for row in sorted(rows)[:MOST_BREAKS]:
                    self._report.add(None, f"the index '{name}' {state} number {row[2]}")

    def _check_messages(self) -> bytearray:
        """Check the event log; return digest and id of every message, 24 bytes each."""
        add, ids = self._report.add, bytearray()
        topics: dict[int, str] = dict(self._database.execute("SELECT no, name FROM topics ORDER BY no"))
        if sorted(topics) != list(range(1, len(topics) + 1)) or len(set(topics.values())) != len(topics):
            add(None, "topics are missing or named twice")
        expected = dict.fromkeys(topics, 0)
        for block in _blocks(self._database.execute("SELECT id, crc32, body FROM messages ORDER BY id")):
            identified = list[tuple[str, int]]()
            for message_id, crc, body in block:
                number, offset = message_id >> _OFFSET_BITS, message_id & (1 << _OFFSET_BITS) - 1
                name = f"message {offset} of topic {topics.get(number)!r}"
                if expected.get(number) != offset:
                    add(None, f"{name}: it should be number {expected.get(number)}")
                expected[number] = offset + 1
                if crc32(body, message_id & 0xFFFF_FFFF) != crc:
                    add(None, f"{name}: its bytes are not those that were written")
                try:
                    names = _decode_message(body)
                except UNREADABLE:
                    add(None, f"{name}: it cannot be read")
                    continue
                if names.topic != topics.get(number):
                    add(None, f"{name}: it belongs to {names.topic!r}")
                identity = f"{len(names.topic)} {len(names.source)} {names.topic}{names.source}{names.id}"
                identified.append((identity, message_id))
                self._report.messages += 1
            ids += index_rows(identified)
        for number, count in expected.items():
            if count == 0:
                add(None, f"topic {topics.get(number)!r} has no messages")
        return ids

    def _check_cursors(self) -> None:
        for name, position, crc in self._database.execute("SELECT name, position, crc32 FROM cursors"):
            if crc32(f"{name} {position}".encode("utf-8", "surrogatepass")) != crc:
                self._report.add(None, f"the cursor {name!r} is not what was written")


def _blocks(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    """Yield rows by the number of leaves in a block of the tree; those before an error are yielded before it."""
    rows = iter(rows)
    while True:
        block = list[_Row]()
        try:
            block.extend(islice(rows, BLOCK_LEAVES))
        except sqlite3.DatabaseError:
            if block:
                yield block
            raise
        if not block:
            return
        yield block


def _table(packed: bytearray) -> NDArray[np.uint64]:
    """Return packed rows as three words each: millions of them fit in memory this way."""
    import numpy as np  # noqa: PLC0415 - heavy, and only verification needs it here

    return np.frombuffer(packed, ">u8", len(packed) // 24 * 3).reshape(-1, 3).astype(np.uint64)


def _twice(rows: NDArray[np.uint64]) -> Iterator[tuple[str, int]]:
    """Yield digest and number of every row whose digest one before has too."""
    import numpy as np  # noqa: PLC0415 - as above

    highest = np.sort(rows[:, 0])
    if not (highest[1:] == highest[:-1]).any():
        return
    rows = rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]
    same = (rows[1:, 0] == rows[:-1, 0]) & (rows[1:, 1] == rows[:-1, 1])
    for high, _, number in rows[1:][same].tolist():
        yield f"{high:016x}", number
