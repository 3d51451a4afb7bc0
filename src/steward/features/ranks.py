"""Quantiles: logarithmic buckets of each tile, and running bucket counts for each window that asks."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

from steward.errors import IntegrityError
from steward.features.fixed import bucket_of, rank_of

Mark = int | dict[int, int]
"""What a tile holds: the value of its one event, or the counts of its buckets."""


class Marks:
    """The buckets of each tile, and one :class:`Ranking` for each quantile window of the field.

    Args:
        windows: How many quantile windows there are.

    Example:
        >>> marks = Marks(1)
        >>> for value in 100, 90, 120, 110:
        ...     marks.append(value)
        >>> marks.read(0, 0, 4, 0, 0.5), marks.read(0, 2, 4, 0, 0.5)
        (100, 110)
    """

    __slots__ = ("rankings", "tiles")

    def __init__(self, windows: int) -> None:
        self.tiles: list[Mark] = [{}]
        self.rankings: list[Ranking | None] = [None] * windows

    def append(self, value: int) -> None:
        """Take a value that is the newest."""
        self.tiles.append(value)

    def insert(self, at: int, time: int, value: int) -> None:
        """Take a value that belongs before others."""
        self.tiles.insert(at, value)
        for ranking in self.rankings:
            if ranking is not None:
                ranking.insert(at, time, value)

    def read(self, window: int, start: int, end: int, tail: int, q: float) -> int:
        """Return the bucket with the ``q``-quantile of tiles ``start+1 .. end`` (not none), those after ``tail``."""
        ranking = self.rankings[window]
        if ranking is None:
            ranking = self.rankings[window] = Ranking(start)
        if start < ranking.start or end < ranking.end:
            ranking = Ranking(start)
        ranking.move(self.tiles, start, end, tail)
        return ranking.bucket_at(rank_of(q, ranking.total))

    def merge(self, lasts: Sequence[int]) -> None:
        """Add up the buckets of each group."""
        tiles = self.tiles
        merged: list[Mark] = [{}]
        before = lasts[0]
        for last in lasts[1:]:
            group = tiles[before + 1 : last + 1]
            merged.append(group[0] if len(group) == 1 else _added(group))
            before = last
        self.tiles = merged
        self.rankings = [ranking and ranking.renumbered(lasts) for ranking in self.rankings]

    def dump(self) -> list[object]:
        """Return plain data for a snapshot; the rankings are built again from it."""
        return [tile if isinstance(tile, int) else sorted(tile.items()) for tile in self.tiles]

    def load(self, data: object) -> None:
        """Take back what ``dump`` returned."""
        if not isinstance(data, list):
            raise IntegrityError("a snapshot's buckets are not a list")
        self.tiles = [tile if isinstance(tile, int) else dict(tile) for tile in data]
        self.rankings = [None] * len(self.rankings)


class Ranking:
    """Bucket counts of one moving window, and a finger on the bucket that was asked for last.

    Both ends of the window only move forward; each value enters and leaves once, and the finger moves by a few
    buckets a time.

    Args:
        start: The tile after which the window begins; it is empty at first.

    Example:
        >>> ranking = Ranking(0)
        >>> ranking.move([{}, 7, 3, 5], 0, 3, 0)
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

    def move(self, tiles: Sequence[Mark], start: int, end: int, tail: int) -> None:
        """Move both ends forward, to tiles ``start+1 .. end``."""
        if start > self.end:
            self.__init__(start)  # type: ignore[misc]  # nothing of the old window is left
        for at in range(self.end + 1, end + 1):
            self._count(tiles[at], 1)
        for at in range(self.start + 1, start + 1):
            self._count(tiles[at], -1)
        self.start, self.end, self.tail = start, end, tail

    def insert(self, at: int, time: int, value: int) -> None:
        """Take note of a late value, now tile ``at``."""
        if time <= self.tail:
            self.start += 1
            self.end += 1
        elif at <= self.end:
            self.end += 1
            self._count(value, 1)

    def _count(self, mark: Mark, sign: int) -> None:
        if isinstance(mark, int):
            self._change(bucket_of(mark), sign)
        else:
            for bucket, count in mark.items():
                self._change(bucket, sign * count)

    def _change(self, bucket: int, by: int) -> None:
        at = bisect_left(self.buckets, bucket)
        if at < len(self.buckets) and self.buckets[at] == bucket:
            self.counts[at] += by
        else:
            self.buckets.insert(at, bucket)
            self.counts.insert(at, by)
            # The finger stays on its bucket; what was put in before it is counted below it.
            self.finger += at <= self.finger
        self.total += by
        if at < self.finger:
            self.below += by
        if not self.counts[at]:
            del self.buckets[at], self.counts[at]
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


def _added(marks: Iterable[Mark]) -> dict[int, int]:
    counts: Counter[int] = Counter()
    for mark in marks:
        counts.update([bucket_of(mark)] if isinstance(mark, int) else mark)
    return dict(counts)
