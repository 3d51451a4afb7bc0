"""The smallest value of any window that ends now, in the time of one search."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable

from steward.features.grids import NEVER, Merges


class Extreme:
    """The smallest value of each merged tile (or the largest), and a staircase that answers windows without a scan.

    The staircase holds the values that no later value undercuts: they rise with time, and the smallest value
    after any time is the first stair after it. It follows the newest window's end; a window that ends earlier
    is scanned.

    Args:
        sign: 1 for the smallest values, -1 for the largest.

    Attributes:
        tiles: The smallest (largest) value of each merged tile.

    Example:
        >>> lowest, times, values = Extreme(1), array("q", [0, 10, 20, 30]), array("q", [0, 5, 9, 7])
        >>> lowest.read(values, 3, 0, times), lowest.read(values, 2, 10, times)
        (5, 9)
    """

    __slots__ = ("_pick", "seen", "sign", "stair_times", "stairs", "tiles")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.tiles = array("q", [0])
        self.seen = NEVER
        # Of the largest values the stairs are the negated ones, so that both rise.
        self.stairs: list[int] = []
        self.stair_times: list[int] = []
        self._pick: Callable[[array[int]], int] = min if sign > 0 else max

    def read(self, values: array[int], end: int, tail: int, times: array[int]) -> int:
        """Return the smallest value of the tiles up to ``end`` that are later than ``tail``; there must be one.

        Args:
            values: The tiles' last values: of those that are not merged, the only ones.
            end: The last tile.
            tail: Where the window begins.
            times: The tiles' times.
        """
        now, stairs, stair_times = times[end], self.stairs, self.stair_times
        if now != self.seen:
            if now < self.seen:
                return self._pick(self._between(values, bisect_right(times, tail), end + 1))
            if times[end - 1] == self.seen and end >= len(self.tiles):
                value = values[end] * self.sign
                while stairs and stairs[-1] >= value:
                    stairs.pop()
                    stair_times.pop()
                stairs.append(value)
                stair_times.append(now)
            else:
                self._follow(values, end, times)
            self.seen = now
        return (stairs[0] if stair_times[0] > tail else stairs[bisect_right(stair_times, tail)]) * self.sign

    def _follow(self, values: array[int], end: int, times: array[int]) -> None:
        # A tile that was seen in part is taken again, which changes nothing.
        first = max(bisect_right(times, self.seen), 1)
        stairs, stair_times = self.stairs, self.stair_times
        for at, unsigned in enumerate(self._between(values, first, end + 1), first):
            value = unsigned * self.sign
            while stairs and stairs[-1] >= value:
                stairs.pop()
                stair_times.pop()
            stairs.append(value)
            stair_times.append(times[at])

    def _between(self, values: array[int], first: int, end: int) -> array[int]:
        merged = len(self.tiles)
        return values[first:end] if first >= merged else self.tiles[first:end] + values[merged:end]

    def insert(self, at: int, time: int, value: int, *, among_merged: bool) -> None:
        """Take a value that belongs before others."""
        if among_merged:
            self.tiles.insert(at, value)
        if time > self.seen:
            return
        value *= self.sign
        stairs, times = self.stairs, self.stair_times
        after = bisect_right(times, time)
        if after < len(stairs) and stairs[after] <= value:
            return
        first = after
        while first and stairs[first - 1] >= value:
            first -= 1
        stairs[first:after] = [value]
        times[first:after] = [time]

    def merge(self, times: array[int], values: array[int], merges: Merges) -> None:
        """Keep the smallest value of each group, and no stair before all windows."""
        tiles, pick = self.tiles, self._pick
        tiles.extend(values[len(tiles) : merges.end])
        for first, last in merges.groups:
            tiles[last] = pick(tiles[first : last + 1])
        merges.squeeze(tiles)
        tiles[0] = 0
        self.tiles = tiles[:]
        gone = bisect_right(self.stair_times, times[merges.start])
        del self.stairs[:gone], self.stair_times[:gone]
