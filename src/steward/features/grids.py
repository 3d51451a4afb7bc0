"""Where windows can begin and end, and so which neighbours can be merged."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import MutableSequence, Sequence
from typing import Any, NamedTuple

NEVER = -(2**63)
"""Before every time."""

EACH = (1, 1)
"""Size and shift of the grid that keeps each event apart."""


class Grid(NamedTuple):
    """Boundaries that windows need: multiples of ``size``, up to ``age`` before the oldest readable time.

    Attributes:
        size: Distance between boundaries, microseconds.
        shift: 1 if an event on a boundary belongs before it (windows), 0 if after it (steps of a series).
        age: How far back boundaries are needed, microseconds.

    Example:
        >>> Grid(size=10, shift=1, age=60).cut(oldest=1_000)
        941
    """

    size: int
    shift: int
    age: int

    def cut(self, oldest: int) -> int:
        """Return the first time whose place among the boundaries still matters, itself on one of them."""
        return max((oldest - self.age) // self.size * self.size + self.shift, NEVER)


class Merges(NamedTuple):
    """What can be merged in a row.

    Attributes:
        start: The last place that lies before all windows.
        groups: First and last place of each group of several that become one, ascending.
        end: From this place on, everything stays single.

    Example:
        >>> row = [0, 1, 2, 3, 4, 5]
        >>> Merges(1, [(2, 4)], 5).squeeze(row)
        >>> row
        [1, 4, 5]
    """

    start: int
    groups: list[tuple[int, int]]
    end: int

    @property
    def left(self) -> int:
        """How many places there will be before what stays single."""
        return self.end - self.start - sum([last - first for first, last in self.groups])

    def squeeze(self, row: MutableSequence[Any]) -> None:
        """Keep the last one of each group, and of what lies before all windows."""
        for first, last in reversed(self.groups):
            del row[first:last]
        del row[: self.start]


class Grids:
    """The boundaries of a row that only grows older, and how far it was merged the last time.

    Args:
        grids: The boundaries; that of single events is among them.

    Attributes:
        single_from: What is not older than this was left single the last time.

    Example:
        >>> grids = Grids((Grid(1, 1, 5), Grid(10, 1, 60)))
        >>> times = [NEVER, 920, 975, 977, 979, 983, 985, 996]
        >>> grids.merges(times, oldest=1_000)
        Merges(start=1, groups=[(2, 4), (5, 6)], end=7)
    """

    __slots__ = ("_done", "_grids", "single_from")

    def __init__(self, grids: Sequence[Grid]) -> None:
        self._grids = grids
        self._done: dict[Grid, int] = {}
        self.single_from = NEVER

    def reopen(self) -> None:
        """Take note that something came whose neighbours are merged already: all is looked at again."""
        self._done = {}

    def merges(self, times: Sequence[int], oldest: int) -> Merges:
        """Return what no window that ends at or after ``oldest`` can tell apart; the caller merges it."""
        done = self._done
        cuts = sorted((grid.cut(oldest), grid) for grid in self._grids)
        begin = max(bisect_left(times, cuts[0][0]), 1)
        start = begin - 1
        groups: list[tuple[int, int]] = []
        for at in range(1, len(cuts)):
            end = max(bisect_left(times, cuts[at][0]), begin)
            # What was as old as this the last time is merged already; the newest of it may grow.
            old = bisect_left(times, min(done.get(grid, NEVER) for _, grid in cuts[at:]), begin, end)
            groups += _cells(times, max(old - 1, begin), end, [grid for _, grid in cuts[:at]])
            begin = end
        self._done = {grid: cut for cut, grid in cuts}
        self.single_from = cuts[-1][0]
        return Merges(start, groups, begin)


def _cells(times: Sequence[int], begin: int, end: int, needed: Sequence[Grid]) -> list[tuple[int, int]]:
    """Return first and last place of each run of several in ``begin..end`` that no boundary of a needed grid cuts."""
    cells: list[tuple[int, int]] = []
    while begin < end:
        time = times[begin]
        edge = min([time - (time - shift) % size + size for size, shift, _ in needed])
        after = bisect_left(times, edge, begin, end)
        if after > begin + 1:
            cells.append((begin, after - 1))
        begin = after
    return cells
