"""The smallest value of any window that ends now, in the time of one search."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from steward.features.tiles import packed, unpacked


class Lowest:
    """The smallest value of each tile, and a staircase over them that answers windows without a scan.

    The staircase holds the values that no later value undercuts: they rise with time, and the smallest value
    after any time is the first stair after it. It follows the newest window's end; a window that ends earlier
    is scanned.

    Args:
        sign: 1; or -1 to keep the largest values: the smallest of the negated ones.

    Example:
        >>> lowest, times = Lowest(1), [0]
        >>> for time, value in (10, 5), (20, 9), (30, 7):
        ...     times.append(time)
        ...     lowest.append(value)
        >>> lowest.read(times, 0, 3, 0), lowest.read(times, 1, 3, 10), lowest.read(times, 1, 2, 10)
        (5, 7, 9)
    """

    __slots__ = ("seen", "sign", "stair_times", "stairs", "tiles")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.tiles = array("q", [0])
        self._restart()

    def _restart(self) -> None:
        self.seen = 0
        self.stairs: list[int] = []
        self.stair_times: list[int] = []

    def append(self, value: int) -> None:
        """Take a value that is the newest."""
        self.tiles.append(value * self.sign)

    def insert(self, at: int, time: int, value: int) -> None:
        """Take a value that belongs before others."""
        value *= self.sign
        self.tiles.insert(at, value)
        if at > self.seen:
            return
        self.seen += 1
        stairs, times = self.stairs, self.stair_times
        after = bisect_right(times, time)
        if after < len(stairs) and stairs[after] <= value:
            return
        first = after
        while first and stairs[first - 1] >= value:
            first -= 1
        stairs[first:after] = [value]
        times[first:after] = [time]

    def read(self, times: Sequence[int], start: int, end: int, tail: int) -> int:
        """Return the smallest of tiles ``start+1 .. end`` (not none), those later than ``tail``, times ``sign``."""
        if end < self.seen:
            return min(self.tiles[start + 1 : end + 1]) * self.sign
        if end > self.seen:
            self._climb(times, end)
        return self.stairs[bisect_right(self.stair_times, tail)] * self.sign

    def _climb(self, times: Sequence[int], end: int) -> None:
        stairs, stair_times, tiles = self.stairs, self.stair_times, self.tiles
        for at in range(self.seen + 1, end + 1):
            value = tiles[at]
            while stairs and stairs[-1] >= value:
                stairs.pop()
                stair_times.pop()
            stairs.append(value)
            stair_times.append(times[at])
        self.seen = end

    def merge(self, lasts: Sequence[int]) -> None:
        """Keep the smallest value of each group."""
        tiles = self.tiles
        merged = array("q", [0])
        before = lasts[0]
        for last in lasts[1:]:
            merged.append(tiles[last] if last == before + 1 else min(tiles[before + 1 : last + 1]))
            before = last
        self.tiles = merged
        self._restart()

    def dump(self) -> bytes:
        """Return plain data for a snapshot; the staircase is built again from it."""
        return packed(self.tiles)

    def load(self, data: object) -> None:
        """Take back what ``dump`` returned."""
        self.tiles = unpacked(data)
        self._restart()
