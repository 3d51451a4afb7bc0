"""The smallest value of any window that ends now, in the time of one search."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

Span = tuple[int, int, int, list[int], int]
"""``(start, end, count, times, tail)``: tiles ``start+1 .. end``, those later than ``tail``; ``count`` > 0 events."""


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
        >>> lowest.read(values, (0, 3, 3, times, 0)), lowest.read(values, (1, 2, 1, times, 10))
        (5, 9)
    """

    __slots__ = ("seen", "sign", "stair_times", "stairs", "tiles")

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.tiles = array("q", [0])
        self.seen = 0
        self.stairs: list[int] = []
        self.stair_times: list[int] = []

    def read(self, values: Sequence[int], span: Span) -> int:
        """Return the smallest value of a span of tiles.

        Args:
            values: The tiles' last values: of those that are not merged, the only ones.
            span: The tiles.
        """
        start, end, _, times, tail = span
        if end != self.seen:
            if end < self.seen:
                return min(self._lowest_of(values, start + 1, end + 1)) * self.sign
            stairs, stair_times = self.stairs, self.stair_times
            first, self.seen = self.seen + 1, end
            # Mostly there is one new tile, with one event.
            single = end == first and end >= len(self.tiles)
            for value in (values[end] * self.sign,) if single else self._lowest_of(values, first, end + 1):
                while stairs and stairs[-1] >= value:
                    stairs.pop()
                    stair_times.pop()
                stairs.append(value)
                stair_times.append(times[first])
                first += 1
        if self.stair_times[0] > tail:
            return self.stairs[0] * self.sign
        return self.stairs[bisect_right(self.stair_times, tail)] * self.sign

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

    def merge(self, values: Sequence[int], lasts: Sequence[int], merged: int, now_merged: int) -> None:
        """Keep the smallest value of each group; see :meth:`steward.features.columns.Column.merge`."""
        of_tile = self._lowest_of(values, 0, lasts[now_merged - 1] + 1)
        grouped = [0]
        before = lasts[0]
        for last in lasts[1:now_merged]:
            grouped.append(of_tile[last] if last == before + 1 else min(of_tile[before + 1 : last + 1]))
            before = last
        self.tiles = array("q", grouped)
        seen = bisect_left(lasts, self.seen)
        if seen < len(lasts) and lasts[seen] == self.seen and len(self.stairs) <= len(lasts):
            self.seen = seen
        else:
            self.seen = 0
            self.stairs, self.stair_times = [], []
