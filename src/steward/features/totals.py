"""Running totals and latest values: the columns whose windows are a difference or a single tile."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from steward.errors import IntegrityError
from steward.features.tiles import packed, unpacked


class Totals:
    """Totals of all values up to each tile; a window's total is ``totals[end] - totals[start]``.

    Kept as 64-bit integers while they fit and as Python's wide ones afterwards.

    Example:
        >>> sums = Sums()
        >>> sums.append(5), sums.append(7), sums.insert(2, 0, 1)
        (None, None, None)
        >>> list(sums.totals)
        [0, 5, 6, 13]
    """

    __slots__ = ("totals",)

    def __init__(self) -> None:
        self.totals: array[int] | list[int] = array("q", [0])

    @staticmethod
    def weight(value: int) -> int:
        """Return what one value adds to the total."""
        raise NotImplementedError

    def append(self, value: int) -> None:
        """Take a value that is the newest."""
        self._push(self.totals[-1] + self.weight(value))

    def _push(self, total: int) -> None:
        try:
            self.totals.append(total)
        except OverflowError:
            self.totals = [*self.totals, total]

    def insert(self, at: int, time: int, value: int) -> None:
        """Take a value that belongs before others: all totals after it grow."""
        added, totals = self.weight(value), self.totals
        shifted = [total + added for total in totals[at - 1 :]]
        try:
            totals[at:] = array("q", shifted) if isinstance(totals, array) else shifted  # type: ignore[assignment]  # same kind on both sides
        except OverflowError:
            self.totals = [*totals[:at], *shifted]

    def merge(self, lasts: Sequence[int]) -> None:
        """Keep the totals at the groups' ends, counted from the first."""
        totals = self.totals
        start = totals[lasts[0]]
        self.totals = narrow([totals[last] - start for last in lasts])

    def dump(self) -> bytes | list[str]:
        """Return plain data for a snapshot: packed integers, or hexadecimal text if they are wide."""
        return packed(self.totals) if isinstance(self.totals, array) else [f"{total:x}" for total in self.totals]

    def load(self, data: object) -> None:
        """Take back what ``dump`` returned."""
        if isinstance(data, bytes):
            self.totals = unpacked(data)
        elif isinstance(data, list):
            self.totals = [int(total, 16) for total in data]
        else:
            raise IntegrityError("a snapshot's totals are neither bytes nor text")


class Counts(Totals):
    """How many values there were up to each tile.

    Example:
        >>> counts = Counts()
        >>> counts.append(99), counts.append(1)
        (None, None)
        >>> list(counts.totals)
        [0, 1, 2]
    """

    __slots__ = ()

    @staticmethod
    def weight(value: int) -> int:
        """Return 1."""
        return 1

    def append(self, value: int) -> None:
        """Take a value that is the newest."""
        self.totals.append(self.totals[-1] + 1)


class Sums(Totals):
    """The sum of the values up to each tile.

    Example:
        >>> sums = Sums()
        >>> sums.append(2**62), sums.append(2**62)
        (None, None)
        >>> sums.totals[-1] == 2**63
        True
    """

    __slots__ = ()

    @staticmethod
    def weight(value: int) -> int:
        """Return the value."""
        return value

    def append(self, value: int) -> None:
        """Take a value that is the newest."""
        self._push(self.totals[-1] + value)


class Squares(Totals):
    """The sum of the squared values up to each tile.

    Example:
        >>> squares = Squares()
        >>> squares.append(3), squares.append(-4)
        (None, None)
        >>> list(squares.totals)
        [0, 9, 25]
    """

    __slots__ = ()

    @staticmethod
    def weight(value: int) -> int:
        """Return the value squared."""
        return value * value


class Latest:
    """The value of each tile's last event.

    Example:
        >>> latest = Latest()
        >>> latest.append(5), latest.append(7), latest.insert(1, 0, 4)
        (None, None, None)
        >>> list(latest.values)
        [0, 4, 5, 7]
    """

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values = array("q", [0])

    def append(self, value: int) -> None:
        """Take a value that is the newest."""
        self.values.append(value)

    def insert(self, at: int, time: int, value: int) -> None:
        """Take a value that belongs before others."""
        self.values.insert(at, value)

    def merge(self, lasts: Sequence[int]) -> None:
        """Keep the last value of each group."""
        values = self.values
        self.values = array("q", [values[last] for last in lasts])

    def dump(self) -> bytes:
        """Return plain data for a snapshot."""
        return packed(self.values)

    def load(self, data: object) -> None:
        """Take back what ``dump`` returned."""
        self.values = unpacked(data)


def narrow(totals: list[int]) -> array[int] | list[int]:
    """Return the integers as a 64-bit array if they fit, else as they are."""
    try:
        return array("q", totals)
    except OverflowError:
        return totals
