"""Quantiles: logarithmic buckets of merged tiles, and running bucket counts for each window that asks."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain

import msgspec

from steward.features.fixed import bucket_of
from steward.features.grids import EACH, NEVER, Grid, Grids, Merges

Cell = int | bytes
"""The bucket of one value, or the packed counts of several."""
MarksState = tuple[int, list[int], list[Cell]]
"""How many tiles are merged, the cells' times, and the cells."""


class Marks:
    """The bucket counts of what is merged, and one :class:`Ranking` for each quantile window of the field.

    Only quantile windows begin between cells, so that these can be much coarser than tiles.

    Args:
        windows: The quantile windows, as ``(over, hop)`` in microseconds.
        each: How long before the oldest readable time each event is a tile of its own, microseconds.

    Attributes:
        times: The time of each cell's last value; cell 0 stands for all before the windows.
        cells: The counts of each cell.

    Example:
        >>> marks, times, values = Marks(((9, 0),), each=9), array("q", range(5)), array("q", [0, 100, 90, 120, 110])
        >>> [marks.window(0, values, 4, tail, times).bucket_at(1) for tail in (0, 2)]
        [100, 120]
    """

    __slots__ = ("_grids", "_windows", "cells", "merged", "rankings", "times")

    def __init__(self, windows: Sequence[tuple[int, int]], each: int) -> None:
        self.times = array("q", [NEVER])
        self.cells: list[Cell] = [b""]
        self.merged = 1
        self.rankings: list[Ranking | None] = [None] * len(windows)
        # For each window the boundaries that its old end lies on.
        singles = Grid(*EACH, each)
        self._windows = [Grid(hop, 1, over + hop) if hop else singles for over, hop in windows]
        self._grids = Grids(tuple({singles, *self._windows}))

    def window(self, window: int, values: array[int], end: int, tail: int, times: array[int]) -> Ranking:
        """Return the ranking of the tiles up to ``end`` that are later than ``tail``, for one of the windows."""
        ranking = self.rankings[window]
        now = times[end]
        if ranking is None or tail < ranking.tail or now < ranking.seen:
            fresh = self._ranked(values, end, tail, times)
            if ranking is None or now >= ranking.seen:
                self.rankings[window] = fresh
            return fresh
        if now != ranking.seen:
            if times[end - 1] == ranking.seen:
                ranking.change(bucket_of(values[end]), 1)
            else:
                ranking.count_values(values[bisect_right(times, ranking.seen) : end + 1])
            ranking.seen = now
        if tail != ranking.tail:
            self._leave(ranking, values, tail, times)
        return ranking

    def _ranked(self, values: array[int], end: int, tail: int, times: array[int]) -> Ranking:
        ranking = Ranking(tail)
        ranking.count(self.cells[bisect_right(self.times, tail) :], 1)
        ranking.count_values(values[max(bisect_right(times, tail), self.merged) : end + 1])
        ranking.seen = times[end]
        return ranking

    def _leave(self, ranking: Ranking, values: array[int], tail: int, times: array[int]) -> None:
        """Take out what is not later than ``tail``."""
        old, ranking.tail = ranking.tail, tail
        first = bisect_right(times, old)
        if first < self.merged:
            ranking.count(self.cells[bisect_right(self.times, old) : bisect_right(self.times, tail)], -1)
            first = self.merged
        for value in values[first : bisect_right(times, tail)]:
            ranking.change(bucket_of(value), -1)

    def insert(self, at: int, time: int, value: int, *, among_merged: bool) -> None:
        """Take a value that belongs before others."""
        bucket = bucket_of(value)
        if among_merged:
            self.merged += 1
            place = bisect_right(self.times, time)
            self.times.insert(place, time)
            self.cells.insert(place, bucket)
        for ranking in self.rankings:
            if ranking is not None and ranking.tail < time <= ranking.seen:
                ranking.change(bucket, 1)

    def reopen(self) -> None:
        """Take note that a value came whose neighbours are in cells already."""
        self._grids.reopen()

    def merge(self, times: Sequence[int], values: Sequence[int], of_tiles: Merges, oldest: int) -> None:
        """Take the tiles that are merged now into cells.

        Args:
            times: The tiles' times, before merging.
            values: Their values.
            of_tiles: How tiles are merged.
            oldest: The oldest readable time.
        """
        cell_times, cells, end = self.times, self.cells, of_tiles.end
        cell_times.extend(times[self.merged : end])
        cells.extend(map(bucket_of, values[self.merged : end]))
        merges = self._grids.merges(cell_times, oldest)
        for first, last in merges.groups:
            group = cells[first : last + 1]
            counts = Counter([cell for cell in group if isinstance(cell, int)])
            for bucket, count in chain.from_iterable([unpack(cell) for cell in group if isinstance(cell, bytes)]):
                counts[bucket] += count
            cells[last] = pack(counts)
        merges.squeeze(cell_times)
        merges.squeeze(cells)
        cell_times[0], cells[0] = NEVER, b""
        self.merged = of_tiles.left
        # A ranking goes on as long as neither of its ends lies inside a cell.
        self.rankings = [
            ranking if ranking and ranking.seen >= times[end - 1] and ranking.tail >= grid.cut(oldest) - 1 else None
            for ranking, grid in zip(self.rankings, self._windows, strict=True)
        ]

    def dump(self) -> MarksState:
        """Return plain data for a snapshot."""
        return self.merged, self.times.tolist(), self.cells

    def load(self, state: MarksState) -> None:
        """Take back what ``dump`` returned."""
        self.merged, times, self.cells = state
        self.times = array("q", times)


def pack(counts: dict[int, int]) -> bytes:
    """Return counts by bucket as bytes, mostly two for each: how far the bucket is from the one before, the count.

    Example:
        >>> len(pack({1245: 2, 1240: 7, 1244: 1})), list(unpack(pack({1245: 2, 1240: 7})))
        (9, [(1240, 7), (1245, 2)])
    """
    buckets = sorted(counts)
    steps = [bucket - before for before, bucket in zip([0, *buckets], buckets, strict=False)]
    return msgspec.msgpack.encode(steps + [counts[bucket] for bucket in buckets])


def unpack(cell: Cell) -> Iterable[tuple[int, int]]:
    """Return a cell's buckets with their counts."""
    if isinstance(cell, int):
        return ((cell, 1),)
    numbers = msgspec.msgpack.decode(cell, type=list[int])
    half = len(numbers) // 2
    return zip(accumulate(numbers[:half]), numbers[half:], strict=True)


class Ranking:
    """Bucket counts of one moving window, and a finger on the bucket that was asked for last.

    Both ends of the window only move forward; each value enters and leaves once, and the finger moves by a few
    buckets a time.

    Args:
        tail: Where the window begins; it is empty at first.

    Attributes:
        seen: The time of the newest value counted.

    Example:
        >>> ranking = Ranking(0)
        >>> ranking.count_values([7, 3, 5])
        >>> [ranking.bucket_at(rank) for rank in range(3)]
        [3, 5, 7]
    """

    __slots__ = ("below", "buckets", "counts", "finger", "seen", "tail")

    def __init__(self, tail: int) -> None:
        self.tail = self.seen = tail
        self.buckets = array("h")
        self.counts = array("q")
        self.finger = self.below = 0

    def count(self, cells: Iterable[Cell], sign: int) -> None:
        """Add cells, or take them out (``sign`` -1)."""
        for cell in cells:
            for bucket, count in unpack(cell):
                self.change(bucket, sign * count)

    def count_values(self, values: Iterable[int]) -> None:
        """Add values."""
        for value in values:
            self.change(bucket_of(value), 1)

    def change(self, bucket: int, by: int) -> None:
        """Add to one bucket's count."""
        buckets, counts = self.buckets, self.counts
        at = bisect_left(buckets, bucket)
        if at < len(buckets) and buckets[at] == bucket:
            counts[at] += by
            if at < self.finger:
                self.below += by
            if counts[at]:
                return
            del buckets[at], counts[at]
            self.finger -= at < self.finger
        else:
            buckets.insert(at, bucket)
            counts.insert(at, by)
            # The finger stays on its bucket; what was put in before it is counted below it.
            if at <= self.finger:
                self.finger += 1
                self.below += by

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
