"""The smallest value of any window that ends now, in the time of one search."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from steward.features.grids import NEVER, Merges

Span = tuple[int, int, int, int, "array[int]"]
"""``(start, end, count, tail, times)``: tiles ``start+1 .. end``, those later than ``tail``; ``count`` > 0 events.

``times`` are those of all tiles."""


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
        >>> lowest, times, values = Lowest(1), array("q", [0, 10, 20, 30]), [0, 5, 9, 7]
        >>> lowest.read(values, (0, 3, 3, 0, times)), lowest.read(values, (1, 2, 1, 10, times))
        (5, 9)
    """

    __slots__ = ("seen", "sign", "stair_times", "stairs", "tiles")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.tiles = array("q", [0])
        self.seen = NEVER
        self.stairs: list[int] = []
        self.stair_times: list[int] = []

    def read(self, values: Sequence[int], span: Span) -> int:
        """Return the smallest value of a span of tiles.

        Args:
            values: The tiles' last values: of those that are not merged, the only ones.
            span: The tiles.
        """
        _, end, _, tail, times = span
        now, stairs, stair_times = times[end], self.stairs, self.stair_times
        if now != self.seen:
            if now < self.seen:
                return min(self._lowest_of(values, span[0] + 1, end + 1)) * self.sign
            # Mostly there is one new event. A tile that was seen in part is taken again, which changes nothing.
            single = times[end - 1] == self.seen and end >= len(self.tiles)
            first = end if single else max(bisect_right(times, self.seen), 1)
            for value in (values[end] * self.sign,) if single else self._lowest_of(values, first, end + 1):
                while stairs and stairs[-1] >= value:
                    stairs.pop()
                    stair_times.pop()
                stairs.append(value)
                stair_times.append(times[first])
                first += 1
            self.seen = now
        return (stairs[0] if stair_times[0] > tail else stairs[bisect_right(stair_times, tail)]) * self.sign

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
