"""One field's values in the tiles of a track, and what windows need of them."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from typing import TypeAlias

from steward.errors import IntegrityError
from steward.features.extremes import Extreme
from steward.features.grids import Merges
from steward.features.ranks import Marks, MarksState

Totals: TypeAlias = "array[int] | list[int]"
"""64-bit integers while they fit, Python's wide ones after."""
Packed = bytes | list[str]
ColumnState = tuple[bytes, list[Packed], list[bytes], MarksState | None]
"""A column as plain data: values, totals, extremes, marks."""


class Column:
    """The values of a field, in fixed point, and the running totals and tile aggregates that windows ask for.

    Args:
        sums: Keep sums.
        squares: Keep sums of squares.
        lowest: Keep smallest values.
        highest: Keep largest values.
        marks: Keep what quantiles need.

    Attributes:
        values: The value of each tile's last event.

    Example:
        >>> column = Column(sums=True, squares=True)
        >>> column.append(2**52), column.append(-(2**52))
        (None, None)
        >>> list(column.sums), column.squares[2] == 2**105
        ([0, 4503599627370496, 0], True)
    """

    __slots__ = ("_parts", "highest", "lowest", "marks", "squares", "sums", "values")

    def __init__(
        self,
        *,
        sums: bool = False,
        squares: bool = False,
        lowest: bool = False,
        highest: bool = False,
        marks: Marks | None = None,
    ) -> None:
        self.values = array("q", [0])
        self.sums: Totals | None = array("q", [0]) if sums else None
        self.squares: Totals | None = array("q", [0]) if squares else None
        self.lowest = Extreme(1) if lowest else None
        self.highest = Extreme(-1) if highest else None
        self.marks = marks
        self._parts = tuple(part for part in (self.lowest, self.highest, marks) if part is not None)

    def append(self, value: int) -> None:
        """Take a value that is the newest."""
        self.values.append(value)
        sums, squares = self.sums, self.squares
        if sums is not None:
            try:
                sums.append(sums[-1] + value)
            except OverflowError:
                self.sums = [*sums, sums[-1] + value]
        if squares is not None:
            try:
                squares.append(squares[-1] + value * value)
            except OverflowError:
                self.squares = [*squares, squares[-1] + value * value]

    def insert(self, at: int, time: int, value: int, *, among_merged: bool) -> None:
        """Take a value that belongs before others, as tile ``at``: all totals after it grow."""
        self.values.insert(at, value)
        if self.sums is not None:
            self.sums = _inserted(self.sums, at, value)
        if self.squares is not None:
            self.squares = _inserted(self.squares, at, value * value)
        for part in self._parts:
            part.insert(at, time, value, among_merged=among_merged)

    def reopen(self) -> None:
        """Take note that a value came whose neighbours are merged already."""
        if self.marks is not None:
            self.marks.reopen()

    def merge(self, times: array[int], merges: Merges, oldest: int) -> None:
        """Merge tiles.

        Args:
            times: Their times, before merging.
            merges: Which ones.
            oldest: The oldest readable time.
        """
        for extreme in (self.lowest, self.highest):
            if extreme is not None:
                extreme.merge(times, self.values, merges)
        if self.marks is not None:
            self.marks.merge(times, self.values, merges, oldest)
        merges.squeeze(self.values)
        self.values = self.values[:]
        for totals in (self.sums, self.squares):
            if totals is not None:
                merges.squeeze(totals)
        if self.sums is not None:
            self.sums = self.sums[:] if isinstance(self.sums, array) else _from_start(self.sums)
        if self.squares is not None:
            self.squares = self.squares[:] if isinstance(self.squares, array) else _from_start(self.squares)

    def dump(self) -> ColumnState:
        """Return plain data for a snapshot; what can be told from it is left out."""
        totals = [_dumped(_from_start(total)) for total in (self.sums, self.squares) if total is not None]
        extremes = [packed(part.tiles) for part in (self.lowest, self.highest) if part is not None]
        return packed(self.values), totals, extremes, self.marks.dump() if self.marks is not None else None

    def load(self, state: ColumnState) -> None:
        """Take back what ``dump`` returned; the plan must be the same."""
        values, totals, extremes, marks = state
        self.values = unpacked(values)
        kept = iter(totals)
        if self.sums is not None:
            self.sums = _loaded(next(kept))
        if self.squares is not None:
            self.squares = _loaded(next(kept))
        for part, tiles in zip([p for p in (self.lowest, self.highest) if p is not None], extremes, strict=True):
            part.tiles = unpacked(tiles)
        if self.marks is not None and marks is not None:
            self.marks.load(marks)


def _inserted(totals: Totals, at: int, added: int) -> Totals:
    shifted = list(map(added.__add__, totals[at - 1 :]))
    if isinstance(totals, list):
        totals[at:] = shifted
        return totals
    try:
        totals[at:] = array("q", shifted)
    except OverflowError:
        return [*totals[:at], *shifted]
    return totals


def _from_start(totals: Totals) -> Totals:
    """Return totals that count from the first tile on: what is before does not matter to any window."""
    start = totals[0]
    counted = [total - start for total in totals]
    try:
        return array("q", counted)
    except OverflowError:
        return counted


def _dumped(totals: Totals) -> Packed:
    return packed(totals) if isinstance(totals, array) else [f"{total:x}" for total in totals]


def _loaded(data: Packed) -> Totals:
    return unpacked(data) if isinstance(data, bytes) else [int(total, 16) for total in data]


def packed(numbers: Sequence[int]) -> bytes:
    """Return 64-bit integers as little-endian bytes."""
    return struct.pack(f"<{len(numbers)}q", *numbers)


def unpacked(data: bytes) -> array[int]:
    """Return the integers that :func:`packed` wrote.

    Raises:
        IntegrityError: It is something else.
    """
    if len(data) % 8:
        raise IntegrityError("a snapshot's column is not a row of 64-bit integers")
    return array("q", struct.unpack(f"<{len(data) // 8}q", data))
