"""Reading windows: each one compiled to a small function over a track.

The last step of each aggregate is the float expression of :mod:`steward.features.fixed`, written out here: a
call would cost as much as the rest. Tests hold both to the same bits.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from math import sqrt
from typing import NamedTuple

from steward.decision.stream import Aggregate, WindowFeature
from steward.features.columns import Column
from steward.features.fixed import mean_value, micros_of, quantile_value
from steward.features.plan import LAG_REACH, StreamPlan
from steward.features.ranks import Marks
from steward.features.tiles import Track
from steward.records import FeatureValue

Summed = Callable[[Column, int, int, int], FeatureValue]
"""``(column, start, end, count)``: the value of tiles ``start+1 .. end``, which hold ``count`` > 0 events."""
Ordered = Callable[[Column, list[int], int, int, int], FeatureValue]
"""``(column, times, start, end, tail)``: the same from the tiles themselves, those later than ``tail``."""
Pointed = Callable[[Column, Track, int, int], FeatureValue]
"""``(column, track, end, at)``: the value as of time ``at``; ``end`` is the last tile not later."""


def empty_value(window: WindowFeature) -> FeatureValue:
    """Return what a window without a value is: 0 for counts and sums, a row of ``None`` for series, else ``None``."""
    if window.aggregate is Aggregate.COUNT:
        return 0
    if window.aggregate is Aggregate.SUM:
        return 0.0
    if window.aggregate is Aggregate.SERIES and window.step:
        return (None,) * (window.over // window.step)
    return None


class TrackReader:
    """Reads some windows of one track of a plan.

    Args:
        plan: What is kept of the stream.
        windows: The windows, each with its place in the row of values.
        track: The track they all read.
    """

    __slots__ = ("_pointed", "_spans", "track")

    def __init__(self, plan: StreamPlan, windows: Sequence[tuple[int, WindowFeature]], track: int) -> None:
        self.track = track
        self._pointed: list[tuple[int, int, Pointed]] = []
        by_span: dict[tuple[int, int], _Span] = {}
        for place, window in windows:
            column = plan.place(window)[1]
            if window.aggregate in _POINTED:
                self._pointed.append((place, column, _POINTED[window.aggregate](window)))
                continue
            over_hop = (micros_of(window.over), micros_of(window.hop))
            span = by_span.setdefault(over_hop, _Span(*over_hop, [], [], []))
            if window.aggregate is Aggregate.COUNT:
                span.counted.append(place)
            elif window.aggregate in _SUMMED:
                span.summed.append((place, column, _SUMMED[window.aggregate](window)))
            else:
                quantiles = plan.tracks[track].columns[column].quantiles
                which = quantiles.index(over_hop) if window.aggregate is Aggregate.QUANTILE else 0
                span.ordered.append((place, column, _ORDERED[window.aggregate](window, which)))
        self._spans = list(by_span.values())

    def read(self, track: Track, at: int, values: list[FeatureValue]) -> None:
        """Put the windows' values as of ``at`` (microseconds) at their places; leave those of empty windows."""
        times, columns, merged, counts = track.times, track.columns, track.merged, track.counts
        end = len(times) - 1 if at >= times[-1] else bisect_right(times, at) - 1
        count_to_end = track.count_to(end)
        for over, hop, counted, summed, ordered in self._spans:
            tail = (at - over) // hop * hop if hop else at - over
            start = bisect_right(times, tail) - 1
            if start >= end:
                continue
            count = count_to_end - (counts[start] if start < merged else track.count_to(start))
            for place in counted:
                values[place] = count
            for place, column, read_sums in summed:
                values[place] = read_sums(columns[column], start, end, count)
            for place, column, read_tiles in ordered:
                values[place] = read_tiles(columns[column], times, start, end, tail)
        for place, column, read_at in self._pointed:
            values[place] = read_at(columns[column], track, end, at)


class _Span(NamedTuple):
    """The windows of one length and hop: each with its place in the row of values, and its column."""

    over: int
    hop: int
    counted: list[int]
    summed: list[tuple[int, int, Summed]]
    ordered: list[tuple[int, int, Ordered]]


def _sum(window: WindowFeature) -> Summed:
    scale = window.scale

    def read(column: Column, start: int, end: int, count: int) -> FeatureValue:
        sums = column.sums
        return float(sums[end] - sums[start]) / scale  # type: ignore[index]  # planned for this window

    return read


def _mean(window: WindowFeature) -> Summed:
    scale = window.scale

    def read(column: Column, start: int, end: int, count: int) -> FeatureValue:
        sums = column.sums
        return float(sums[end] - sums[start]) / (count * scale)  # type: ignore[index]  # planned for this window

    return read


def _std(window: WindowFeature) -> Summed:
    scale = window.scale

    def read(column: Column, start: int, end: int, count: int) -> FeatureValue:
        sums, squares = column.sums, column.squares
        total = sums[end] - sums[start]  # type: ignore[index]  # planned for this window
        square = squares[end] - squares[start]  # type: ignore[index]  # planned for this window
        return sqrt(float(count * square - total * total)) / (count * scale)

    return read


def _min(window: WindowFeature, which: int) -> Ordered:
    scale = window.scale

    def read(column: Column, times: list[int], start: int, end: int, tail: int) -> FeatureValue:
        return column.lowest.read(times, column.values, start, end, tail) / scale  # type: ignore[union-attr]  # planned

    return read


def _max(window: WindowFeature, which: int) -> Ordered:
    scale = window.scale

    def read(column: Column, times: list[int], start: int, end: int, tail: int) -> FeatureValue:
        return column.highest.read(times, column.values, start, end, tail) / scale  # type: ignore[union-attr]  # planned

    return read


def _quantile(window: WindowFeature, which: int) -> Ordered:
    scale, q = window.scale, window.q or 0.0

    def read(column: Column, times: list[int], start: int, end: int, tail: int) -> FeatureValue:
        marks: Marks = column.marks  # type: ignore[assignment]  # planned for this window
        return quantile_value(marks.read(column.values, start, end, tail, window=which, q=q), scale)

    return read


def _last(window: WindowFeature) -> Pointed:
    over, scale = micros_of(window.over), window.scale

    def read(column: Column, track: Track, end: int, at: int) -> FeatureValue:
        return column.values[end] / scale if track.times[end] > at - over else None

    return read


def _lag(window: WindowFeature) -> Pointed:
    by, hop, scale = micros_of(window.over), micros_of(window.hop), window.scale
    reach = hop or micros_of(LAG_REACH)

    def read(column: Column, track: Track, end: int, at: int) -> FeatureValue:
        then = (at - by) // hop * hop if hop else at - by
        found = bisect_right(track.times, then) - 1
        return column.values[found] / scale if track.times[found] > then - reach else None

    return read


def _series(window: WindowFeature) -> Pointed:
    scale = window.scale
    over, step = micros_of(window.over), micros_of(window.step) if window.step else 1

    def read(column: Column, track: Track, end: int, at: int) -> FeatureValue:
        times, sums = track.times, column.sums
        stop = at // step * step
        means: list[float | None] = []
        before = bisect_left(times, stop - over) - 1
        count = track.count_to(before)
        for edge in range(stop - over + step, stop + 1, step):
            after = bisect_left(times, edge, before + 1) - 1
            if after == before:
                means.append(None)
                continue
            counted = track.count_to(after)
            total = sums[after] - sums[before]  # type: ignore[index]  # planned for this window
            means.append(mean_value(counted - count, total, scale))
            before, count = after, counted
        return tuple(means)

    return read


_SUMMED: dict[Aggregate, Callable[[WindowFeature], Summed]] = {
    Aggregate.SUM: _sum,
    Aggregate.MEAN: _mean,
    Aggregate.STD: _std,
}
_ORDERED: dict[Aggregate, Callable[[WindowFeature, int], Ordered]] = {
    Aggregate.MIN: _min,
    Aggregate.MAX: _max,
    Aggregate.QUANTILE: _quantile,
}
_POINTED: dict[Aggregate, Callable[[WindowFeature], Pointed]] = {
    Aggregate.LAST: _last,
    Aggregate.LAG: _lag,
    Aggregate.SERIES: _series,
}
