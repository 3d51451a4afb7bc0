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
class Extras:
    """Single events beside the spans, for the rows that have some.

    Attributes:
        rows: The rows, ascending.
        starts: Where each row's events begin in ``events``, and where the last one's end.
        events: Positions of the events, row after row.

    Example:
        >>> extras = Extras(np.array([1]), np.array([0, 2]), np.array([4, 6]))
        >>> extras.not_before(np.array([0, 5])).events.tolist()
        [6]
    """

    rows: Int64
    starts: Int64
    events: Int64

    def not_before(self, begin: Int64) -> Extras | None:
        """Return those at positions from each row's ``begin`` on."""
        of_row = np.repeat(np.arange(len(self.rows)), np.diff(self.starts))
        inside = self.events >= begin[self.rows][of_row]
        if inside.all():
            return self
        counts = np.bincount(of_row[inside], minlength=len(self.rows))
        some = counts > 0
        if not some.any():
            return None
        return Extras(self.rows[some], np.concatenate(([0], np.cumsum(counts[some]))), self.events[inside])


@dataclass(frozen=True)
class Spans:
    """For each row the events ``begin .. end-1``, and perhaps single ones after them.

    Attributes:
        begin: First position.
        end: Position after the last.
        extras: Events that were known although events before them were not.

    Example:
        >>> Spans(np.array([0, 1]), np.array([2, 1])).count.tolist()
        [2, 0]
    """

    begin: Int64
    end: Int64
    extras: Extras | None = None

    @property
    def count(self) -> Int64:
        """How many events each row has."""
        count = self.end - self.begin
        if self.extras is not None:
            count[self.extras.rows] += np.diff(self.extras.starts)
        return count

    @property
    def last(self) -> Int64:
        """Position of each row's last event; -1 if it has none."""
        last = np.where(self.end > self.begin, self.end - 1, -1)
        if self.extras is not None:
            last[self.extras.rows] = self.extras.events[self.extras.starts[1:] - 1]
        return last


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
    totals = _running(values)
    sums = totals[spans.end] - totals[spans.begin]
    if spans.extras is not None:
        beside = _running(values[spans.extras.events])
        sums[spans.extras.rows] += beside[spans.extras.starts[1:]] - beside[spans.extras.starts[:-1]]
    return sums


def _running(values: Integers) -> Integers:
    totals = np.zeros(len(values) + 1, values.dtype)
    np.cumsum(values, out=totals[1:])
    return totals


def span_minima(values: Int64, spans: Spans) -> Int64:
    """Return the smallest value of each span; the largest 64-bit integer for an empty one."""
    lowest = np.full(len(spans.begin), _HUGE)
    length = spans.end - spans.begin
    full = np.flatnonzero(length > 0)
    # Two overlapping powers of two cover a span; level k holds the minimum of 2**k values from each position.
    level_of = np.frexp(length[full].astype(np.float64))[1] - 1
    level, width = values, 1
    for k in range(int(level_of.max(initial=-1)) + 1):
        at = full[level_of == k]
        if len(at):
            lowest[at] = np.minimum(level[spans.begin[at]], level[spans.end[at] - width])
        level = np.minimum(level[: len(level) - width], level[width:]) if len(level) > width else level
        width *= 2
    if spans.extras is not None:
        extras = spans.extras
        beside = np.minimum.reduceat(values[extras.events], extras.starts[:-1])
        lowest[extras.rows] = np.minimum(lowest[extras.rows], beside)
    return lowest


def span_ranked(values: Int64, spans: Spans, rank: Int64) -> Int64:
    """Return the value with the given 0-based rank of each span; 0 for an empty one.

    A wavelet matrix: the values' bits are decided from the highest on. At each bit the column is parted into
    zeros before ones, and a span's rank says into which part to follow.
    """
    distinct, column = np.unique(values, return_inverse=True)
    column = column.astype(np.int64)
    begin, end, rank = spans.begin.copy(), spans.end.copy(), rank.copy()
    beside = None if spans.extras is None else _Beside(spans.extras, column)
    found = np.zeros(len(begin), np.int64)
    for bit in range(max(len(distinct) - 1, 0).bit_length() - 1, -1, -1):
        ones = (column >> bit) & 1
        zeros_before = _running(1 - ones)
        begin_zeros, end_zeros = zeros_before[begin], zeros_before[end]
        zeros = end_zeros - begin_zeros
        if beside is not None:
            beside.add_zeros(zeros, bit)
        right = rank >= zeros
        rank -= np.where(right, zeros, 0)
        n_zeros = zeros_before[-1]
        begin = np.where(right, n_zeros + begin - begin_zeros, begin_zeros)
        end = np.where(right, n_zeros + end - end_zeros, end_zeros)
        found |= right.astype(np.int64) << bit
        if beside is not None:
            beside.keep(right, bit)
        column = np.concatenate((column[ones == 0], column[ones == 1]))
    chosen: Int64 = distinct[np.minimum(found, len(distinct) - 1)] if len(distinct) else found
    return chosen


class _Beside:
    """The extras while a rank is followed bit by bit: only those that agree with their row so far."""

    def __init__(self, extras: Extras, column: Int64) -> None:
        self.values = column[extras.events]
        self.rows = np.repeat(extras.rows, np.diff(extras.starts))

    def add_zeros(self, zeros: Int64, bit: int) -> None:
        zero = (self.values >> bit) & 1 == 0
        np.add.at(zeros, self.rows[zero], 1)

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
