"""Tiles: what is kept of one key's values, fine near the present and coarser with age.

A :class:`Track` is a row of tiles in order of ``(event_time, id)``. A new event is a tile of its own. When events
grow old, neighbours are merged as far as no window can end or begin between them any more (:class:`Grid`). So
every window that may still be read begins and ends between two tiles, and its value is exact. Tile 0 stands for
all before the first window: of it only the last event is left.

Counts and sums are running totals, so that a window is the difference of two of them. What is not kept for a
tile of one event is what its value says anyway.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from steward.features.columns import Column, ColumnState, packed, unpacked

TrackState = tuple[bytes, list[str], list[int], list[ColumnState]]
"""A track as plain data: times, ids, counts, columns."""

_NEVER = -(2**63)


class Grid(NamedTuple):
    """Boundaries that windows need: multiples of ``size``, up to ``age`` before the oldest readable time.

    Attributes:
        size: Distance between boundaries, microseconds.
        shift: 1 if an event on a boundary belongs before it (windows), 0 if after it (steps of a series).
        age: How far back boundaries are needed, microseconds.

    Example:
        >>> Grid(size=3_600_000_000, shift=1, age=86_400_000_000).shift
        1
    """

    size: int
    shift: int
    age: int


class Track:
    """The tiles of one key for fields that always come together.

    Attributes:
        times: Event time of each tile's last event, microseconds; the first is that of the last one before all.
        merged: How many tiles at the beginning may hold several events; the others hold one each.
        counts: How many events there are up to each of the merged tiles.
        columns: The values, one column a field and scale.

    Example:
        >>> track = Track([Column(sums=True)], (Grid(1, 1, 0),), slack=0)
        >>> for time, name, value in (10, "a", 5), (30, "c", 7), (20, "b", 1):
        ...     track.add(time, name, [value])
        >>> track.count_to(3), list(track.columns[0].sums)
        (3, [0, 5, 6, 13])
    """

    __slots__ = ("columns", "counts", "done", "grids", "ids", "limit", "merged", "slack", "times")

    def __init__(self, columns: list[Column], grids: Sequence[Grid], *, slack: int) -> None:
        self.times = [_NEVER]
        self.ids: list[str] = [""]
        self.merged = 1
        self.counts = [0]
        self.columns = columns
        self.grids = grids
        self.done: dict[Grid, int] = {}
        self.slack = slack
        self.limit = 64

    def add(self, time: int, id: str, values: Sequence[int]) -> None:
        """Take an event at its place by ``(time, id)``; one before the start changes nothing."""
        times = self.times
        if time > times[-1]:
            times.append(time)
            self.ids.append(id)
            for column, value in zip(self.columns, values, strict=True):
                column.append(value)
        elif time > times[0] or (time == times[0] and id > self.ids[0]):
            self._insert(time, id, values)

    def _insert(self, time: int, id: str, values: Sequence[int]) -> None:
        at = bisect_right(self.times, time)
        while self.times[at - 1] == time and self.ids[at - 1] > id:
            at -= 1
        self.times.insert(at, time)
        self.ids.insert(at, id)
        among_merged = at < self.merged
        if among_merged:
            self.merged += 1
            self.done = {}
            self.counts[at:] = [count + 1 for count in self.counts[at - 1 :]]
        for column, value in zip(self.columns, values, strict=True):
            column.insert(at, time, value, among_merged=among_merged)

    def count_to(self, tile: int) -> int:
        """Return how many events there are from after the start up to a tile."""
        counts = self.counts
        return counts[tile] if tile < self.merged else counts[-1] + tile - self.merged + 1

    def compact(self, now: int, ids_from: int) -> None:
        """Merge and forget what no window read at or after ``now - slack`` can tell apart.

        The result depends only on the events and ``now``, not on when this was called before.
        """
        lasts, merged = self._groups(now - self.slack)
        times, ids = self.times, self.ids
        before = self.count_to(lasts[0])
        counts = [self.count_to(last) - before for last in lasts[:merged]]
        for column in self.columns:
            column.merge(lasts, self.merged, merged)
        self.times = [times[last] for last in lasts]
        # An event may still come with the time of a tile; only then the id decides which is the later one.
        self.ids = [ids[last] if times[last] >= ids_from else "" for last in lasts]
        self.counts, self.merged = counts, merged
        self.limit = len(lasts) + max(len(lasts) // 2, 128)

    def _groups(self, oldest: int) -> tuple[list[int], int]:
        """Return the last tile of each group, and how many groups there are before single events begin.

        The first group is what no window begins or ends in.
        """
        times, done = self.times, self.done
        cuts = sorted((_cut(grid, oldest), grid) for grid in self.grids)
        begin = max(bisect_left(times, cuts[0][0]), 1)
        lasts = [begin - 1]
        for at in range(1, len(cuts)):
            cut, needed = cuts[at][0], [grid for _, grid in cuts[:at]]
            end = max(bisect_left(times, cut), begin)
            # Tiles that were as old as this the last time are merged already; the newest of them may grow.
            old = bisect_left(times, min(done.get(grid, _NEVER) for _, grid in cuts[at:]), begin, end)
            lasts += range(begin, old - 1)
            lasts += _last_of_cells(times, max(old - 1, begin), end, needed)
            begin = end
        self.done = {grid: cut for cut, grid in cuts}
        merged = len(lasts)
        lasts += range(begin, len(times))
        return lasts, merged

    def dump(self) -> TrackState:
        """Return plain data for a snapshot."""
        return packed(self.times), self.ids, self.counts, [column.dump() for column in self.columns]

    def load(self, state: TrackState) -> None:
        """Take back what ``dump`` returned; the plan must be the same."""
        times, self.ids, self.counts, columns = state
        self.times, self.merged = unpacked(times).tolist(), len(self.counts)
        for column, data in zip(self.columns, columns, strict=True):
            column.load(data)
        self.limit = len(self.times) + max(len(self.times) // 2, 128)


def _cut(grid: Grid, oldest: int) -> int:
    """Return the first time whose place among the grid's boundaries still matters, itself on one of them."""
    return max((oldest - grid.age) // grid.size * grid.size + grid.shift, _NEVER)


def _last_of_cells(times: Sequence[int], begin: int, end: int, needed: Sequence[Grid]) -> Sequence[int]:
    """Return the last index of each run of ``begin..end`` that no boundary of a needed grid cuts."""
    if begin >= end:
        return ()
    lasts: list[int] = []
    before: list[int] | None = None
    for at in range(begin, end):
        time = times[at]
        cell = [(time - shift) // size for size, shift, _ in needed]
        if cell != before and before is not None:
            lasts.append(at - 1)
        before = cell
    lasts.append(end - 1)
    return lasts
