"""The smallest value of any window that ends now, in the time of one search."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from steward.features.grids import NEVER, Merges


class Lowest:
    """The smallest value of each merged tile, and a staircase that answers windows without a scan.

    The staircase holds the values that no later value undercuts: they rise with time, and the smallest value
    after any time is the first stair after it. It follows the newest window's end; a window that ends earlier
    is scanned.

    Args:
        sign: 1; or -1 to keep the largest values: the smallest of the negated ones.

    Attributes:
        tiles: The smallest value of each merged tile, times ``sign``.

    Example:
        >>> lowest, times, values = Lowest(1), [0, 10, 20, 30], [0, 5, 9, 7]
        >>> lowest.read(values, times, 3, 0), lowest.read(values, times, 2, 10)
        (5, 9)
    """

    __slots__ = ("seen", "sign", "stair_times", "stairs", "tiles")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.tiles = array("q", [0])
        self.seen = NEVER
        self.stairs: list[int] = []
        self.stair_times: list[int] = []

    def read(self, values: Sequence[int], times: Sequence[int], end: int, tail: int) -> int:
        """Return the smallest value of the tiles later than ``tail`` up to tile ``end``; there must be one.

        Args:
            values: The tiles' last values: of those that are not merged, the only ones.
            times: The tiles' times.
            end: The last tile.
            tail: Where the window begins.
        """
        now, stairs, stair_times = times[end], self.stairs, self.stair_times
        if now != self.seen:
            if now < self.seen:
                return min(self._lowest_of(values, bisect_right(times, tail), end + 1)) * self.sign
            if times[end - 1] == self.seen and end >= len(self.tiles):
                self._climb(now, values[end] * self.sign)
            else:
                # A tile that was seen in part is taken again, which changes nothing.
                first = max(bisect_right(times, self.seen), 1)
                for tile, value in enumerate(self._lowest_of(values, first, end + 1), first):
                    self._climb(times[tile], value)
            self.seen = now
        return (stairs[0] if stair_times[0] > tail else stairs[bisect_right(stair_times, tail)]) * self.sign

    def _climb(self, time: int, value: int) -> None:
        """Add a stair for a later value; those that are not lower go."""
        stairs, times = self.stairs, self.stair_times
        while stairs and stairs[-1] >= value:
            del stairs[-1], times[-1]
        stairs.append(value)
        times.append(time)

    def _lowest_of(self, values: Sequence[int], first: int, end: int) -> Sequence[int]:
        tiles, sign = self.tiles, self.sign
        if first >= len(tiles):
            return [value * sign for value in values[first:end]]
        return [*tiles[first:end], *[value * sign for value in values[len(tiles) : end]]]

    def insert(self, at: int, time: int, value: int, *, among_merged: bool) -> None:
        """Take a value that belongs before others."""
        value *= self.sign
        if among_merged:
            self.tiles.insert(at, value)
        if time > self.seen:
            return
        stairs, times = self.stairs, self.stair_times
        after = bisect_right(times, time)
        if after < len(stairs) and stairs[after] <= value:
            return
        first = after
        while first and stairs[first - 1] >= value:
            first -= 1
        stairs[first:after] = [value]
        times[first:after] = [time]

    def merge(self, times: Sequence[int], values: Sequence[int], merges: Merges, oldest: int) -> None:
        """Keep the smallest value of each group, and no stair before all windows."""
        tiles, sign = self.tiles, self.sign
        tiles.extend([value * sign for value in values[len(tiles) : merges.end]])
        for first, last in merges.groups:
            tiles[last] = min(tiles[first : last + 1])
        merges.squeeze(tiles)
        tiles[0] = 0
        gone = bisect_right(self.stair_times, times[merges.start])
        del self.stairs[:gone], self.stair_times[:gone]
