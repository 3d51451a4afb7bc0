"""When a ledger's heads were signed, by the hour of the last entry that each is over: a head itself tells no time."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from steward.ledger.sqlite_store import connect

MOST_HOURS: Final = 24 * 92
"""How far back it is told, in hours in which something was signed."""
_HOUR: Final = timedelta(hours=1)
_BUSY_S: Final = 10.0


class SignedHour(Struct, frozen=True, kw_only=True):
    """The heads that were signed over the entries of one hour.

    Attributes:
        start: When the hour began.
        heads: How many were signed.
        first: The size of the first: over how many entries it is.
        last: The size of the last.

    Example:
        >>> from datetime import UTC
        >>> SignedHour(start=datetime(2026, 7, 1, 12, tzinfo=UTC), heads=2, first=3, last=9).last
        9
    """

    start: datetime
    heads: int
    first: int
    last: int


class _Told(Struct):
    """The two names by which entries say when they were made."""

    at: datetime | UnsetType = UNSET
    decided_at: datetime | UnsetType = UNSET


_decode_told = msgspec.json.Decoder(_Told).decode


def signed_hours(path: Path | str) -> list[SignedHour]:
    """Return the hours in which heads were signed, the oldest first.

    It reads a few entries for each hour, whatever the ledger's size; entries are taken to be in the order of time.

    Raises:
        sqlite3.DatabaseError: The file cannot be read.

    Example:
        >>> signed_hours(":memory:")
        Traceback (most recent call last):
        ...
        sqlite3.OperationalError: no such table: checkpoints
    """
    database = connect(Path(path), timeout_s=_BUSY_S, query_only=True)
    try:
        database.execute("BEGIN")
        sizes = [size for (size,) in database.execute("SELECT size FROM checkpoints WHERE size > 0 ORDER BY size")]
        return _Walk(database, sizes).hours()
    finally:
        database.close()


class _Walk:
    """Walks from the newest head to older ones, hour by hour."""

    def __init__(self, database: sqlite3.Connection, sizes: list[int]) -> None:
        self._database, self._sizes = database, sizes

    def hours(self) -> list[SignedHour]:
        found, end = list[SignedHour](), len(self._sizes)
        while end and len(found) < MOST_HOURS:
            at = self._time(end - 1)
            if at is None:
                break
            start = at.replace(minute=0, second=0, microsecond=0)
            begin = self._first_since(start, end)
            sizes = self._sizes
            found.append(SignedHour(start=start, heads=end - begin, first=sizes[begin], last=sizes[end - 1]))
            end = begin
        return found[::-1]

    def _first_since(self, start: datetime, end: int) -> int:
        """Return the first head before ``end`` whose hour is ``start`` or later: in steps that double, then halving."""
        low, step = end - 1, 1
        while low > 0 and self._is_since(low - 1, start):
            low, step = max(low - step, 0), step * 2
            if not self._is_since(low, start):
                break
        high = min(low + step, end - 1)
        while low < high:
            middle = (low + high) // 2
            if self._is_since(middle, start):
                high = middle
            else:
                low = middle + 1
        return low

    def _is_since(self, head: int, start: datetime) -> bool:
        at = self._time(head)
        return at is not None and at >= start

    def _time(self, head: int) -> datetime | None:
        last = self._sizes[head] - 1
        row = self._database.execute("SELECT body FROM entries WHERE idx = ?", (last,)).fetchone()
        if row is None:
            return None
        try:
            told = _decode_told(row[0])
        except msgspec.MsgspecError:
            return None
        at = told.decided_at if told.at is UNSET else told.at
        return None if at is UNSET else at
