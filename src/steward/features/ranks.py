"""Quantiles: logarithmic buckets of merged tiles, and running bucket counts for each window that asks."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

from steward.features.extremes import Span
from steward.features.fixed import bucket_of


class Marks:
    """The bucket counts of each merged tile, and one :class:`Ranking` for each quantile window of the field.

    Args:
        windows: How many quantile windows there are.

    Attributes:
        tiles: The buckets of each merged tile with their counts, in turn: ``[bucket, count, bucket, count ...]``.

    Example:
        >>> marks, values = Marks(1), [0, 100, 90, 120, 110]
        >>> [marks.window(0, values, (start, 4, 4 - start, [], 0)).bucket_at(1) for start in (0, 2)]
        [100, 120]
    """

    __slots__ = ("rankings", "tiles")

    def __init__(self, windows: int) -> None:
        self.tiles = [array("i")]
        self.rankings: list[Ranking | None] = [None] * windows

    def window(self, window: int, values: Sequence[int], span: Span) -> Ranking:
        """Return the ranking of a span of tiles, for one of the windows."""
        start, end, _, _, tail = span
        ranking = self.rankings[window]
        if ranking is None or start > ranking.end:
            ranking = self.rankings[window] = Ranking(start)
        if start < ranking.start or end < ranking.end:
            ranking = Ranking(start)
        ranking.move(self.tiles, values, start, end, tail)
        return ranking

    def insert(self, at: int, time: int, value: int, *, among_merged: bool) -> None:
        """Take a value that belongs before others."""
        bucket = bucket_of(value)
        if among_merged:
            self.tiles.insert(at, array("i", (bucket, 1)))
        for ranking in self.rankings:
            if ranking is not None:
                ranking.insert(at, time, bucket)

    def merge(self, values: Sequence[int], lasts: Sequence[int], merged: int, now_merged: int) -> None:
        """Add up the buckets of each group; see :meth:`steward.features.columns.Column.merge`."""
        tiles = self.tiles
        grouped = [array("i")]
        before = lasts[0]
        for last in lasts[1:now_merged]:
            if last == before + 1 and last < merged:
                grouped.append(tiles[last])
            else:
                counts = Counter(map(bucket_of, values[max(before + 1, merged) : last + 1]))
                for tile in tiles[before + 1 : last + 1]:
                    for bucket, count in _pairs(tile):
                        counts[bucket] += count
                grouped.append(array("i", [number for pair in sorted(counts.items()) for number in pair]))
            before = last
        self.tiles = grouped
        self.rankings = [ranking and ranking.renumbered(lasts) for ranking in self.rankings]


def _pairs(tile: array[int]) -> Iterable[tuple[int, int]]:
    return zip(tile[::2], tile[1::2], strict=True)


class Ranking:
    """Bucket counts of one moving window, and a finger on the bucket that was asked for last.

    Both ends of the window only move forward; each value enters and leaves once, and the finger moves by a few
    buckets a time.

    Args:
        start: The tile after which the window begins; it is empty at first.

    Example:
        >>> ranking = Ranking(0)
        >>> ranking.move([array("i")], [0, 7, 3, 5], 0, 3, 0)
        >>> [ranking.bucket_at(rank) for rank in range(3)]
        [3, 5, 7]
    """

    __slots__ = ("below", "buckets", "counts", "end", "finger", "start", "tail")

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.tail = -(2**63)
        self.buckets: list[int] = []
        self.counts: list[int] = []
        self.finger = self.below = 0

    def move(self, tiles: Sequence[array[int]], values: Sequence[int], start: int, end: int, tail: int) -> None:
        """Move both ends forward, to tiles ``start+1 .. end``."""
        if end == self.end + 1 and end >= len(tiles):
            self._change(bucket_of(values[end]), 1)
        elif end > self.end:
            self._count(tiles, values, self.end + 1, end + 1, 1)
        if start > self.start:
            self._count(tiles, values, self.start + 1, start + 1, -1)
        self.start, self.end, self.tail = start, end, tail

    def insert(self, at: int, time: int, bucket: int) -> None:
        """Take note of a late value, now tile ``at``."""
        if time <= self.tail:
            self.start += 1
            self.end += 1
        elif at <= self.end:
            self.end += 1
            self._change(bucket, 1)

    def _count(self, tiles: Sequence[array[int]], values: Sequence[int], first: int, end: int, sign: int) -> None:
        change = self._change
        for tile in tiles[first:end]:
            for bucket, count in _pairs(tile):
                change(bucket, sign * count)
        for at in range(max(first, len(tiles)), end):
            change(bucket_of(values[at]), sign)

    def _change(self, bucket: int, by: int) -> None:
        buckets, counts = self.buckets, self.counts
        at = bisect_left(buckets, bucket)
        if at < len(buckets) and buckets[at] == bucket:
            counts[at] += by
        else:
            buckets.insert(at, bucket)
            counts.insert(at, by)
            # The finger stays on its bucket; what was put in before it is counted below it.
            self.finger += at <= self.finger
        if at < self.finger:
            self.below += by
        if not counts[at]:
            del buckets[at], counts[at]
            self.finger -= at < self.finger

    def bucket_at(self, rank: int) -> int:
        """Return the bucket of the value with this 0-based rank; it must be below the number of values."""
        counts, finger, below = self.counts, self.finger, self.below
        while below > rank:
            finger -= 1
            below -= counts[finger]
        while below + counts[finger] <= rank:
            below += counts[finger]
            finger += 1
        self.finger, self.below = finger, below
        return self.buckets[finger]

    def renumbered(self, lasts: Sequence[int]) -> Ranking | None:
        """Return the same ranking for merged tiles, or ``None`` if an end now lies inside a tile."""
        start, end = bisect_left(lasts, self.start), bisect_left(lasts, self.end)
        if end == len(lasts) or lasts[start] != self.start or lasts[end] != self.end:
            return None
        self.start, self.end = start, end
        return self
