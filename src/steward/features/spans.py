"""Exact aggregates of many spans of a sorted column at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steward.features.table import Float64, Int64

_HUGE = 2**63 - 1

Integers = NDArray[Any]
"""64-bit integers, or Python's where those do not fit."""


@dataclass(frozen=True)
class Holes:
    """Single events inside spans that do not belong to them, for the rows that have some.

    Attributes:
        rows: The rows, ascending.
        starts: Where each row's events begin in ``events``, and where the last one's end.
        events: Positions of the events, row after row, ascending for each.

    Example:
        >>> holes = Holes(np.array([1]), np.array([0, 2]), np.array([4, 6]))
        >>> holes.not_before(np.array([0, 5])).events.tolist()
        [6]
    """

    rows: Int64
    starts: Int64
    events: Int64

    @property
    def row_of(self) -> Int64:
        """The row of each event."""
        return np.repeat(self.rows, np.diff(self.starts))

    @classmethod
    def of(cls, row_of: Int64, events: Int64) -> Holes | None:
        """Return the events with their rows, both ascending; ``None`` if there are none."""
        if not len(events):
            return None
        first = np.flatnonzero(np.diff(row_of, prepend=-1))
        return cls(row_of[first], np.append(first, len(events)), events)

    def not_before(self, begin: Int64) -> Holes | None:
        """Return those at positions from each row's ``begin`` on."""
        row_of = self.row_of
        inside = self.events >= begin[row_of]
        return self if inside.all() else Holes.of(row_of[inside], self.events[inside])


@dataclass(frozen=True)
class Spans:
    """For each row the events ``begin .. end-1``, perhaps without single ones.

    Attributes:
        begin: First position.
        end: Position after the last.
        holes: Events that were not known although later ones were.

    Example:
        >>> Spans(np.array([0, 1]), np.array([2, 1])).count.tolist()
        [2, 0]
    """

    begin: Int64
    end: Int64
    holes: Holes | None = None

    @property
    def count(self) -> Int64:
        """How many events each row has."""
        count = self.end - self.begin
        if self.holes is not None:
            count[self.holes.rows] -= np.diff(self.holes.starts)
        return count

    @property
    def last(self) -> Int64:
        """Position of each row's last event; -1 if it has none."""
        last = self.end - 1
        if self.holes is not None:
            row_of = self.holes.row_of
            # A hole is among the last ones without a gap if as many holes as positions follow it.
            following = np.repeat(self.holes.starts[1:], np.diff(self.holes.starts)) - np.arange(len(row_of)) - 1
            at_end = self.end[row_of] - 1 - self.holes.events == following
            last -= np.bincount(row_of[at_end], minlength=len(last))
        return np.where(last >= self.begin, last, -1)


def span_sums(values: Integers, spans: Spans, largest: int) -> Integers:
    """Return the sum of each span, exactly.

    Args:
        values: The column.
        spans: The spans.
        largest: A bound of every ``abs(value)``; it decides whether 64 bits are enough.
    """
    longest = int(spans.count.max(initial=0))
    if largest * longest <= _HUGE:
        # Running totals may wrap around; differences of them do not, as each span's sum fits.
        return _differences(values, spans)
    return _differences(values.astype(object), spans)


def _differences(values: Integers, spans: Spans) -> Integers:
    totals = running(values)
    sums = totals.take(spans.end) - totals.take(spans.begin)
    if spans.holes is not None:
        missing = running(values[spans.holes.events])
        sums[spans.holes.rows] -= missing[spans.holes.starts[1:]] - missing[spans.holes.starts[:-1]]
    return sums


def running(values: NDArray[Any]) -> Integers:
    """Return the sum of all values before each position, and of all."""
    totals = np.zeros(len(values) + 1, np.int64 if values.dtype == np.bool_ else values.dtype)
    np.cumsum(values, out=totals[1:])
    return totals


def span_minima(values: Int64, spans: Spans) -> Int64:
    """Return the smallest value of each span; the largest 64-bit integer for an empty one."""
    begin, end, holes = spans.begin, spans.end, spans.holes
    if holes is None:
        return _minima(values, begin, end)
    # A row's span is cut into the piece before its first hole, and the piece after each hole.
    first_end, next_end = end.copy(), np.append(holes.events[1:], 0)
    first_end[holes.rows] = holes.events[holes.starts[:-1]]
    next_end[holes.starts[1:] - 1] = end[holes.rows]
    pieces = _minima(values, np.concatenate((begin, holes.events + 1)), np.concatenate((first_end, next_end)))
    lowest, after = pieces[: len(begin)], pieces[len(begin) :]
    lowest[holes.rows] = np.minimum(lowest[holes.rows], np.minimum.reduceat(after, holes.starts[:-1]))
    return lowest


def _minima(values: Int64, begin: Int64, end: Int64) -> Int64:
    lowest = np.full(len(begin), _HUGE)
    length = end - begin
    full = np.flatnonzero(length > 0)
    # Two overlapping powers of two cover a span; level k holds the minimum of 2**k values from each position.
    level_of = np.frexp(length[full].astype(np.float64))[1] - 1
    level, width = values, 1
    for k in range(int(level_of.max(initial=-1)) + 1):
        at = full[level_of == k]
        if len(at):
            lowest[at] = np.minimum(level.take(begin[at]), level.take(end[at] - width))
        level = np.minimum(level[: len(level) - width], level[width:]) if len(level) > width else level
        width *= 2
    return lowest


def span_ranked(values: Int64, spans: Spans, rank: Int64) -> Int64:
    """Return the value with the given 0-based rank of each span; 0 for an empty one.

    A wavelet matrix: the values' bits are decided from the highest on. At each bit the column is parted into
    zeros before ones, and a span's rank says into which part to follow.
    """
    distinct, column = _numbered(values)
    # Half as wide as positions could be, for half the memory; so many events do not fit it anyway.
    begin, end, left = (part.astype(np.int32) for part in (spans.begin, spans.end, rank))
    missing = None if spans.holes is None else _Missing(spans.holes, column)
    found, places = np.zeros(len(begin), np.int32), np.arange(len(column), dtype=np.int32)
    for bit in range(max(len(distinct) - 1, 0).bit_length() - 1, -1, -1):
        ones = column & (1 << bit) != 0
        zeros_before = np.zeros(len(column) + 1, np.int32)
        np.cumsum(~ones, out=zeros_before[1:])
        begin_zeros, end_zeros = zeros_before.take(begin), zeros_before.take(end)
        zeros = end_zeros - begin_zeros
        if missing is not None:
            zeros -= missing.zeros(bit, len(zeros)).astype(np.int32)
        right = left >= zeros
        np.subtract(left, zeros, out=left, where=right)
        n_zeros = zeros_before[-1]
        begin = np.where(right, n_zeros + begin - begin_zeros, begin_zeros).astype(np.int32, copy=False)
        end = np.where(right, n_zeros + end - end_zeros, end_zeros).astype(np.int32, copy=False)
        found |= right.astype(np.int32) << bit
        if missing is not None:
            missing.keep(right, bit)
        parted = np.empty_like(column)
        parted[np.where(ones, places + zeros_before[-1] - zeros_before[:-1], zeros_before[:-1])] = column
        column = parted
    chosen: Int64 = distinct[np.minimum(found, len(distinct) - 1)] if len(distinct) else found.astype(np.int64)
    return chosen


def _numbered(values: Int64) -> tuple[Int64, NDArray[np.int16]]:
    """Return the distinct values, ascending, and the place of each value among them; they lie close together."""
    lowest = values.min(initial=_HUGE)
    distinct = np.flatnonzero(np.bincount(values - lowest))
    place = np.zeros(int(distinct.max(initial=0)) + 1, np.int16)
    place[distinct] = np.arange(len(distinct))
    return distinct + lowest, place[values - lowest]


class _Missing:
    """The holes while a rank is followed bit by bit: only those that agree with their row so far."""

    def __init__(self, holes: Holes, column: NDArray[np.int16]) -> None:
        self.values = column[holes.events]
        self.rows = holes.row_of

    def zeros(self, bit: int, n_rows: int) -> Int64:
        return np.bincount(self.rows[(self.values >> bit) & 1 == 0], minlength=n_rows)

    def keep(self, right: NDArray[np.bool_], bit: int) -> None:
        agree = ((self.values >> bit) & 1 == 1) == right[self.rows]
        self.values, self.rows = self.values[agree], self.rows[agree]


def buckets_of(values: Int64) -> Int64:
    """Return each value's logarithmic bucket; the same as :func:`steward.features.fixed.bucket_of`."""
    size = np.abs(values)
    shift = np.maximum(np.frexp(size.astype(np.float64))[1].astype(np.int64) - 7, 0)
    buckets: Int64 = np.sign(values) * ((shift << 6) + (size >> shift))
    return buckets


def deviations(count: Int64, totals: NDArray[np.int64], squares: Int64) -> Float64:
    """Return ``float(count * squares - totals**2)``, rounded once from the exact 128-bit integer.

    All three must fit 64 bits, and ``count`` 31 bits.
    """
    size = np.abs(totals).astype(np.uint64)
    n, q = count.astype(np.uint64), squares.astype(np.uint64)
    half, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    # n * q and size**2 as high and low 64 bits.
    low_part, high_part = n * (q & mask), n * (q >> half)
    left_low = low_part + (high_part << half)
    left_high = (high_part >> half) + (left_low < low_part)
    a, b = size >> half, size & mask
    square_low, cross = b * b, a * b
    right_low = square_low + (cross << np.uint64(33))
    right_high = a * a + (cross >> np.uint64(31)) + (right_low < square_low)
    low = left_low - right_low
    high = left_high - right_high - (left_low < right_low)
    return _float_of_128(high, low)


def _float_of_128(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> Float64:
    result = low.astype(np.float64)
    wide = np.flatnonzero(high)
    if len(wide):
        high, low = high[wide], low[wide]
        bits = _bit_length(high)
        # The top 64 bits, with the last one standing for everything that was cut off, round as the whole would.
        top = (high << (np.uint64(64) - bits) % np.uint64(64)) | np.where(bits < 64, low >> bits, np.uint64(0))
        top = np.where(bits == 64, high, top)
        cut = np.where(bits == 64, low, low & ((np.uint64(1) << bits % np.uint64(64)) - np.uint64(1)))
        result[wide] = np.ldexp((top | (cut != 0)).astype(np.float64), bits.astype(np.int64))
    return result


def _bit_length(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    top = numbers >> np.uint64(32)
    upper = np.frexp(top.astype(np.float64))[1] + 32
    lower = np.frexp((numbers & np.uint64(0xFFFFFFFF)).astype(np.float64))[1]
    return np.where(top > 0, upper, lower).astype(np.uint64)


def floats_of(numbers: Integers) -> Float64:
    """Return integers as floats, each rounded once."""
    return numbers.astype(np.float64)
