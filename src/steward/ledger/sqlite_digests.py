"""Which index belongs to which random digest: a sealed-segment index that stays fast while it grows.

A B-tree over random keys dirties a page a key, so that appends slow down as the table grows. Here new rows are
only logged (one blob a commit, at the end of a table) and held in a dictionary. Once enough have gathered they are
written as one sealed segment, cut into 256 blobs by the digest's first byte, and never touched again. A Bloom
filter in memory answers nearly all questions for unknown digests, which is what appends ask. See
``docs/decisions/002-ledger-on-sqlite.md``.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Set
from hashlib import sha256
from sqlite3 import Connection
from typing import NamedTuple

DIGEST_BYTES = 16
ROW_BYTES = DIGEST_BYTES + 8
SEAL_AT_ROWS = 65_536
_BITS_PER_ROW = 16
_FIRST_FILTER_ROWS = 1 << 18
_BIT_SHIFTS = (34, 40, 46, 52, 58)


def digest_of(text: str) -> bytes:
    """Return the 16 bytes under which a text is looked up.

    Example:
        >>> digest_of("order-17").hex()[:8]
        '72a90ea3'
    """
    return sha256(text.encode("utf-8", "surrogatepass")).digest()[:DIGEST_BYTES]


class BloomFilter:
    """A set of digests that may say yes in error (below 1 %), never no; grows by adding a four times larger layer.

    Example:
        >>> seen = BloomFilter()
        >>> seen.add(digest_of("a") + digest_of("b"), stride=16)
        >>> seen.suspects([digest_of("c"), digest_of("a")]) == [digest_of("a")]
        True
    """

    def __init__(self) -> None:
        self._layers: list[tuple[array[int], int]] = []
        self._free_rows = 0
        self._next_rows = _FIRST_FILTER_ROWS

    def add(self, rows: bytes, *, stride: int = ROW_BYTES) -> None:
        """Add the digests that begin every ``stride`` bytes of ``rows``."""
        import numpy as np  # noqa: PLC0415 - heavy; a small ledger never needs it

        count = len(rows) // stride
        if self._free_rows < count:
            while self._next_rows < count:
                self._next_rows *= 4
            words_count = self._next_rows * _BITS_PER_ROW // 64
            self._layers.append((array("Q", bytes(8 * words_count)), words_count - 1))
            self._free_rows, self._next_rows = self._next_rows, self._next_rows * 4
        self._free_rows -= count
        words, mask = self._layers[-1]
        digests = np.frombuffer(rows, np.uint8).reshape(count, stride)[:, :8]
        hashes = np.ascontiguousarray(digests).view("<u8").ravel()
        bits = np.zeros(count, np.uint64)
        for shift in _BIT_SHIFTS:
            bits |= np.uint64(1) << ((hashes >> np.uint64(shift)) & np.uint64(63))
        places = (hashes & np.uint64(mask)).astype(np.intp)
        np.bitwise_or.at(np.frombuffer(words, np.uint64), places, bits)

    def suspects(self, digests: Iterable[bytes]) -> list[bytes]:
        """Return those digests that may have been added."""
        layers, suspects = self._layers, list[bytes]()
        if not layers:
            return suspects
        for digest in digests:
            number = int.from_bytes(digest[:8], "little")
            bits = (
                1 << (number >> 34 & 63)
                | 1 << (number >> 40 & 63)
                | 1 << (number >> 46 & 63)
                | 1 << (number >> 52 & 63)
                | 1 << (number >> 58)
            )
            for words, mask in layers:
                if words[number & mask] & bits == bits:
                    suspects.append(digest)
                    break
        return suspects


def search(rows: bytes, digest: bytes) -> int | None:
    """Return the value that follows ``digest`` in packed rows, if it is there.

    Example:
        >>> search(digest_of("a") + (7).to_bytes(8, "big"), digest_of("a"))
        7
    """
    place = rows.find(digest)
    while place >= 0:
        if place % ROW_BYTES == 0:
            return int.from_bytes(rows[place + DIGEST_BYTES : place + ROW_BYTES], "big")
        place = rows.find(digest, place + 1)
    return None


class DigestIndex:
    """Maps digests to numbers, in two tables ``<name>_recent`` and ``<name>_sealed`` of a SQLite database.

    Only the writer's thread may call :meth:`log` and :meth:`learn`; :meth:`find` may run anywhere.

    Args:
        name: Prefix of its two tables.
        seal_at_rows: How many recent rows are gathered before they are sealed.

    Example:
        >>> import sqlite3
        >>> database = sqlite3.connect(":memory:")
        >>> index = DigestIndex("keys", seal_at_rows=2)
        >>> _ = database.executescript(index.schema)
        >>> for number, word in enumerate(["a", "b", "c"]):
        ...     index.learn(index.log(database, {digest_of(word): number}))
        >>> index.find(database, digest_of("b")), index.find(database, digest_of("z"))
        (1, None)
    """

    def __init__(self, name: str, *, seal_at_rows: int = SEAL_AT_ROWS) -> None:
        self._name = name
        self._seal_at_rows = seal_at_rows
        self._recent: dict[bytes, int] = {}
        self._recent_rows: list[bytes] = []
        self._filter = BloomFilter()
        self._sealed_rows = 0
        self._segments = 0

    @property
    def schema(self) -> str:
        """The SQL that makes its tables."""
        return "".join(
            f"CREATE TABLE IF NOT EXISTS {self._name}_{part} (id INTEGER PRIMARY KEY, rows BLOB NOT NULL);\n"
            for part in ("recent", "sealed")
        )

    def load(self, database: Connection) -> None:
        """Forget what is in memory and read it from the database again."""
        self._recent, self._recent_rows, self._filter, self._sealed_rows = {}, [], BloomFilter(), 0
        for (rows,) in database.execute(f"SELECT rows FROM {self._name}_recent ORDER BY id"):
            self._recent_rows.append(rows)
            for start in range(0, len(rows), ROW_BYTES):
                value = int.from_bytes(rows[start + DIGEST_BYTES : start + ROW_BYTES], "big")
                self._recent[rows[start : start + DIGEST_BYTES]] = value
        last = -1
        gathered: list[bytes] = []
        for segment_id, rows in database.execute(f"SELECT id, rows FROM {self._name}_sealed"):
            last = max(last, segment_id & 0xFFFF_FFFF)
            gathered.append(rows)
            self._sealed_rows += len(rows) // ROW_BYTES
        if gathered:
            self._filter.add(b"".join(gathered))
        self._segments = last + 1

    def find(self, database: Connection, digest: bytes) -> int | None:
        """Return the number of ``digest``, or ``None``."""
        value = self._recent.get(digest)
        if value is None and self._filter.suspects((digest,)):
            value = self._find_sealed(database, digest)
        return value

    def _find_sealed(self, database: Connection, digest: bytes) -> int | None:
        first = digest[0] << 32
        segments = database.execute(
            f"SELECT rows FROM {self._name}_sealed WHERE id BETWEEN ? AND ? ORDER BY id DESC",
            (first, first + 0xFFFF_FFFF),
        )
        return next((value for (rows,) in segments if (value := search(rows, digest)) is not None), None)

    def knows_any(self, database: Connection, digests: Set[bytes]) -> bool:
        """Tell whether one of many digests is known: about a microsecond each if none is."""
        if not self._recent.keys().isdisjoint(digests):
            return True
        return any(self._find_sealed(database, digest) is not None for digest in self._filter.suspects(digests))

    def log(self, database: Connection, new: Mapping[bytes, int]) -> Logged:
        """Write new rows inside the caller's transaction; pass the answer to :meth:`learn` once it is committed."""
        packed = b"".join([digest + value.to_bytes(8, "big") for digest, value in new.items()])
        if len(self._recent) + len(new) < max(self._seal_at_rows, self._sealed_rows >> 8):
            if packed:
                database.execute(f"INSERT INTO {self._name}_recent (rows) VALUES (?)", (packed,))
            return Logged(new, packed)
        sealed = b"".join((*self._recent_rows, packed))
        parts = [(first << 32 | self._segments, rows) for first, rows in _by_first_byte(sealed)]
        database.executemany(f"INSERT INTO {self._name}_sealed (id, rows) VALUES (?, ?)", parts)
        database.execute(f"DELETE FROM {self._name}_recent")
        return Logged(new, sealed, is_segment=True)

    def learn(self, logged: Logged) -> None:
        """Remember rows that are durable now."""
        if not logged.is_segment:
            if logged.new:
                self._recent.update(logged.new)
                self._recent_rows.append(logged.rows)
            return
        # The filter learns before the dictionary forgets: a reader in between must not miss a digest.
        self._filter.add(logged.rows)
        self._sealed_rows += len(logged.rows) // ROW_BYTES
        self._segments += 1
        self._recent, self._recent_rows = {}, []


class Logged(NamedTuple):
    """Rows on their way from the database into memory; all of a new segment if ``is_segment``.

    Example:
        >>> Logged({}, b"").is_segment
        False
    """

    new: Mapping[bytes, int]
    rows: bytes
    is_segment: bool = False


def _by_first_byte(rows: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut packed rows into one blob for each first byte that occurs, in order."""
    import numpy as np  # noqa: PLC0415 - heavy; a small ledger never needs it

    table = np.frombuffer(rows, np.uint8).reshape(-1, ROW_BYTES)
    ordered = table[np.argsort(table[:, 0], kind="stable")].tobytes()
    end = 0
    for first, count in enumerate(np.bincount(table[:, 0], minlength=256).tolist()):
        start, end = end, end + count * ROW_BYTES
        if count:
            yield first, ordered[start:end]
