"""Quantiles: logarithmic buckets of merged tiles, and running bucket counts for each window that asks."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from steward.features.fixed import bucket_of, rank_of


class Marks:
    """The bucket counts of each merged tile, and one :class:`Ranking` for each quantile window of the field.

    Args:
        windows: How many quantile windows there are.

    Attributes:
        tiles: The bucket counts of each merged tile.

    Example:
        >>> marks, values = Marks(1), [0, 100, 90, 120, 110]
        >>> [marks.read(values, start, 4, 0, window=0, q=0.5) for start in (0, 2)]
        [100, 110]
    """

    __slots__ = ("rankings", "tiles")

    def __init__(self, windows: int) -> None:
        self.tiles: list[dict[int, int]] = [{}]
        self.rankings: list[Ranking | None] = [None] * windows

    def read(self, values: Sequence[int], start: int, end: int, tail: int, *, window: int, q: float) -> int:
        """Return the bucket with the ``q``-quantile of tiles ``start+1 .. end`` (not none), those after ``tail``."""
        ranking = self.rankings[window]
        if ranking is None or start > ranking.end:
            ranking = self.rankings[window] = Ranking(start)
        if start < ranking.start or end < ranking.end:
            ranking = Ranking(start)
        ranking.move(self.tiles, values, start, end, tail)
        return ranking.bucket_at(rank_of(q, ranking.total))

    def insert(self, at: int, time: int, value: int, *, among_merged: bool) -> None:
        """Take a value that belongs before others."""
        bucket = bucket_of(value)
        if among_merged:
            self.tiles.insert(at, {bucket: 1})
        for ranking in self.rankings:
            if ranking is not None:
                ranking.insert(at, time, bucket)

    def merge(self, values: Sequence[int], lasts: Sequence[int], merged: int, now_merged: int) -> None:
        """Add up the buckets of each group; see :meth:`steward.features.columns.Column.merge`."""
        tiles = self.tiles
        grouped: list[dict[int, int]] = [{}]
        before = lasts[0]
        for last in lasts[1:now_merged]:
            if last == before + 1 and last < merged:
                grouped.append(tiles[last])
            else:
                counts = Counter(map(bucket_of, values[max(before + 1, merged) : last + 1]))
                for tile in tiles[before + 1 : last + 1]:
                    counts.update(tile)
                grouped.append(dict(counts))
            before = last
        self.tiles = grouped
        self.rankings = [ranking and ranking.renumbered(lasts) for ranking in self.rankings]


class Ranking:
    """Bucket counts of one moving window, and a finger on the bucket that was asked for last.

    Both ends of the window only move forward; each value enters and leaves once, and the finger moves by a few
    buckets a time.

    Args:
        start: The tile after which the window begins; it is empty at first.

    Example:
        >>> ranking = Ranking(0)
        >>> ranking.move([{}], [0, 7, 3, 5], 0, 3, 0)
        >>> [ranking.bucket_at(rank) for rank in range(3)]
        [3, 5, 7]
    """

    __slots__ = ("below", "buckets", "counts", "end", "finger", "start", "tail", "total")

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.tail = -(2**63)
        self.buckets: list[int] = []
        self.counts: list[int] = []
        self.total = self.finger = self.below = 0

    def move(self, tiles: Sequence[dict[int, int]], values: Sequence[int], start: int, end: int, tail: int) -> None:
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

    def _count(self, tiles: Sequence[dict[int, int]], values: Sequence[int], first: int, end: int, sign: int) -> None:
        change = self._change
        if first < len(tiles):
            for tile in tiles[first:end]:
                for bucket, count in tile.items():
                    change(bucket, sign * count)
            first = len(tiles)
        for at in range(first, end):
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
        self.total += by
        if at < self.finger:
            self.below += by
        if not counts[at]:
            del buckets[at], counts[at]
            self.finger -= at < self.finger

    def bucket_at(self, rank: int) -> int:
        """Return the bucket of the value with this 0-based rank; it must be below the total."""
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
