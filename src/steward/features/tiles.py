"""Tiles: what is kept of one key's values, fine near the present and coarser with age.

A :class:`Track` is a row of tiles in order of ``(event_time, id)``. A new event is a tile of its own. When events
grow old, neighbours are merged as far as no window can end or begin between them any more
(:mod:`steward.features.grids`). So every window that may still be read begins and ends between two tiles, and its
value is exact. Tile 0 stands for all before the first window: of it only the last event is left.

Counts and sums are running totals, so that a window is the difference of two of them. What is not kept for a
tile of one event is what its value says anyway.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from steward.features.columns import Column, ColumnState, packed, unpacked
from steward.features.grids import NEVER, Grid, Grids

TrackState = tuple[bytes, list[str], bytes, list[ColumnState]]
"""A track as plain data: times, ids, counts, columns."""


class Track:
    """The tiles of one key for fields that always come together.

    Attributes:
        times: Event time of each tile's last event, microseconds; the first is that of the last one before all.
        counts: The running count of events at each tile that may hold several; the tiles after those hold one each.
        columns: The values, one column a field and scale.
        finished: The finished steps of series that were read: where they stop, and their means.
        settled: An event before this time undoes what was concluded: finished steps, merged neighbours.

    Example:
        >>> track = Track([Column(sums=True)], (Grid(1, 1, 0),), slack=0)
        >>> for time, name, value in (10, "a", 5), (30, "c", 7), (20, "b", 1):
        ...     track.add(time, name, [value])
        >>> track.count_to(3), list(track.columns[0].sums)
        (3, [0, 5, 6, 13])
    """

    __slots__ = ("_grids", "columns", "counts", "finished", "ids", "limit", "settled", "slack", "times")

    def __init__(self, columns: list[Column], grids: Sequence[Grid], *, slack: int) -> None:
        self.times = array("q", [NEVER])
        self.ids: list[str] = [""]
        self.counts = array("q", [0])
        self.columns = columns
        self.slack = slack
        self.limit = 64
        self.finished: dict[tuple[int, int, int], tuple[int, tuple[float | None, ...]]] = {}
        self.settled = NEVER
        self._grids = Grids(grids)

    def add(self, time: int, id: str, values: Sequence[int]) -> None:
        """Take an event at its place by ``(time, id)``; one before the start changes nothing."""
        times = self.times
        if time < self.settled:
            self._unsettle(time)
        if time > times[-1]:
            times.append(time)
            self.ids.append(id)
            for column, value in zip(self.columns, values):  # noqa: B905 - both are of one plan; the check costs time
                column.append(value)
        elif time > times[0] or (time == times[0] and id > self.ids[0]):
            self._insert(time, id, values)

    def _unsettle(self, time: int) -> None:
        self.finished.clear()
        self.settled = self._grids.single_from
        if time < self.settled:
            self._grids.reopen()
            for column in self.columns:
                column.reopen()

    def _insert(self, time: int, id: str, values: Sequence[int]) -> None:
        at = bisect_right(self.times, time)
        while self.times[at - 1] == time and self.ids[at - 1] > id:
            at -= 1
        self.times.insert(at, time)
        self.ids.insert(at, id)
        among_merged = at < len(self.counts)
        if among_merged:
            self.counts[at:] = array("q", map((1).__add__, self.counts[at - 1 :]))
        for column, value in zip(self.columns, values, strict=True):
            column.insert(at, time, value, among_merged=among_merged)

    def count_to(self, tile: int) -> int:
        """Return how many events there are from after the start up to a tile."""
        counts = self.counts
        last = len(counts) - 1
        return (counts[tile] if tile < last else counts[last] + tile - last) - counts[0]

    def compact(self, now: int) -> None:
        """Merge and forget what no window read at or after ``now - slack`` can tell apart.

        The result depends only on the events and ``now``, not on when this was called before.
        """
        times, counts, ids = self.times, self.counts, self.ids
        oldest = now - self.slack
        merges = self._grids.merges(times, oldest)
        for column in self.columns:
            column.merge(times, merges, oldest)
        singles = counts[-1] + 1 - len(counts)
        counts.extend(range(len(counts) + singles, merges.end + singles))
        for row in (times, ids, counts):
            merges.squeeze(row)
        # Copies have no room for what was merged away.
        self.times, self.counts = times[:], counts[:]
        # An event may still come with the time of a tile; only then the id decides which is the later one.
        self.settled = max(self.settled, self._grids.single_from)
        self._limit()

    def forget_ids(self, before: int) -> None:
        """Forget the ids of events before a time: none can come with the time of one of them any more."""
        old = bisect_left(self.times, before)
        self.ids[:old] = [""] * old

    def _limit(self) -> None:
        # Each merge costs about as much as ten events, however little there is to merge.
        self.limit = len(self.times) + max(len(self.times) // 8, 128)

    def dump(self) -> TrackState:
        """Return plain data for a snapshot."""
        start = self.counts[0]
        counts = packed([count - start for count in self.counts])
        return packed(self.times), self.ids, counts, [column.dump() for column in self.columns]

    def load(self, state: TrackState) -> None:
        """Take back what ``dump`` returned; the plan must be the same."""
        times, self.ids, counts, columns = state
        self.times, self.counts = unpacked(times), unpacked(counts)
        for column, data in zip(self.columns, columns, strict=True):
            column.load(data)
        self._limit()
