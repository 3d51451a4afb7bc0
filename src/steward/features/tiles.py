"""Tiles: what is kept of one key's values, fine near the present and coarser with age.

A :class:`Track` is a row of tiles in order of ``(event_time, id)``. A new event is a tile of its own. When events
grow old, neighbours are merged as far as no window can end or begin between them any more (:class:`Grid`). So
every window that may still be read begins and ends between two tiles, and its value is exact. Tile 0 stands for
all before the first window: of it only the last event is left.

Each aggregate keeps one column beside the tiles' times. Counts and sums are kept as running totals, so that a
window is the difference of two of them; late values shift the totals after them.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from steward.errors import IntegrityError


class Grid(NamedTuple):
    """Boundaries that windows need: multiples of ``size``, up to ``age`` before the oldest readable time.

    Attributes:
        size: Distance between boundaries, microseconds.
        shift: 1 if an event on a boundary belongs before it (windows), 0 if after it (steps of a series).
        age: How far back boundaries are needed, microseconds.
    """

    size: int
    shift: int
    age: int


class Part(Protocol):
    """One column of a track: an aggregate of each tile, or a running total up to it. Index 0 is the start."""

    def append(self, value: int) -> None:
        """Take a value that is the newest."""

    def insert(self, at: int, time: int, value: int) -> None:
        """Take a value that belongs before others, as tile ``at``."""

    def merge(self, lasts: Sequence[int]) -> None:
        """Merge tiles: group ``k`` is what lies after ``lasts[k-1]`` up to ``lasts[k]``; group 0 becomes the start."""

    def dump(self) -> object:
        """Return plain data for a snapshot."""

    def load(self, data: object) -> None:
        """Take back what ``dump`` returned."""


class Track:
    """The tiles of one key for fields that always come together.

    Attributes:
        times: Event time of each tile's last event, microseconds; the first is that of the last one before all.
        parts: The columns, as the plan orders them.

    Example:
        >>> from steward.features.totals import Sums
        >>> track = Track([Sums()], [0], (Grid(1, 1, 0),), retained=60, slack=0)
        >>> for time, name, value in (10, "a", 5), (30, "c", 7), (20, "b", 1):
        ...     track.add(time, name, [value])
        >>> track.parts[0].totals.tolist()
        [0, 5, 6, 13]
    """

    __slots__ = ("grids", "ids", "limit", "parts", "retained", "slack", "sources", "times")

    def __init__(
        self, parts: list[Part], sources: Sequence[int], grids: Sequence[Grid], *, retained: int, slack: int
    ) -> None:
        self.times = array("q", [-(2**63)])
        self.ids: list[str] = [""]
        self.parts = parts
        self.sources = sources
        self.grids = grids
        self.retained, self.slack = retained, slack
        self.limit = 64

    def add(self, time: int, id: str, values: Sequence[int]) -> None:
        """Take an event at its place by ``(time, id)``; one before the start changes nothing."""
        times = self.times
        if time > times[-1]:
            times.append(time)
            self.ids.append(id)
            for part, source in zip(self.parts, self.sources, strict=True):
                part.append(values[source])
        elif time > times[0] or (time == times[0] and id > self.ids[0]):
            self._insert(time, id, values)

    def _insert(self, time: int, id: str, values: Sequence[int]) -> None:
        at = bisect_right(self.times, time)
        while self.times[at - 1] == time and self.ids[at - 1] > id:
            at -= 1
        self.times.insert(at, time)
        self.ids.insert(at, id)
        for part, source in zip(self.parts, self.sources, strict=True):
            part.insert(at, time, values[source])

    def compact(self, now: int, ids_from: int) -> None:
        """Merge and forget what no window read at or after ``now - slack`` can tell apart.

        The result depends only on the events and ``now``, not on when this was called before.
        """
        lasts = self._groups(now - self.slack)
        times, ids = self.times, self.ids
        for part in self.parts:
            part.merge(lasts)
        self.times = array("q", [times[last] for last in lasts])
        # An event may still come with the time of a tile; only then the id decides which is the later one.
        self.ids = [ids[last] if times[last] >= ids_from else "" for last in lasts]
        self.limit = 2 * len(self.times) + 64

    def _groups(self, oldest: int) -> list[int]:
        """Return the index of the last tile of each group; the first group is what no window begins or ends in."""
        times = self.times
        cuts = sorted((_cut(grid, oldest), grid) for grid in self.grids)
        begin = max(bisect_left(times, cuts[0][0]), 1)
        lasts = [begin - 1]
        needed: list[Grid] = []
        for cut, grid in cuts:
            end = max(bisect_left(times, cut), begin)
            lasts += _last_of_cells(times, begin, end, needed)
            needed.append(grid)
            begin = end
        lasts += _last_of_cells(times, begin, len(times), needed)
        return lasts

    def dump(self) -> tuple[bytes, list[str], list[object]]:
        """Return plain data for a snapshot."""
        return packed(self.times), self.ids, [part.dump() for part in self.parts]

    def load(self, times: bytes, ids: list[str], parts: list[object]) -> None:
        """Take back what ``dump`` returned; the plan must be the same."""
        self.times, self.ids = unpacked(times), ids
        for part, data in zip(self.parts, parts, strict=True):
            part.load(data)
        self.limit = 2 * len(self.times) + 64


def _cut(grid: Grid, oldest: int) -> int:
    """Return the first time whose place among the grid's boundaries still matters, itself on one of them."""
    return max((oldest - grid.age) // grid.size * grid.size + grid.shift, -(2**63))


def _last_of_cells(times: array[int], begin: int, end: int, needed: Sequence[Grid]) -> Sequence[int]:
    """Return the last index of each run of ``begin..end`` that no boundary of a needed grid cuts."""
    if begin >= end:
        return ()
    if any(grid.size == 1 for grid in needed):
        return range(begin, end)
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


def packed(numbers: Sequence[int]) -> bytes:
    """Return 64-bit integers as little-endian bytes."""
    return struct.pack(f"<{len(numbers)}q", *numbers)


def unpacked(data: object) -> array[int]:
    """Return the integers that :func:`packed` wrote.

    Raises:
        IntegrityError: It is something else.
    """
    if not isinstance(data, bytes) or len(data) % 8:
        raise IntegrityError("a snapshot's column is not a row of 64-bit integers")
    return array("q", struct.unpack(f"<{len(data) // 8}q", data))
