"""Reading windows: each one compiled to a small function over a track.

The last step of each aggregate is the float expression of :mod:`steward.features.fixed`, written out here: a
call would cost as much as the rest. Tests hold both to the same bits.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from math import sqrt

from steward.decision.stream import Aggregate, WindowFeature
from steward.features.columns import Column
from steward.features.extremes import Span
from steward.features.fixed import mean_value, micros_of, quantile_value
from steward.features.plan import LAG_REACH, StreamPlan
from steward.features.tiles import Track
from steward.records import FeatureValue

Ranged = Callable[[list[Column], Span], FeatureValue]
"""The value of a span of a track with these columns."""
Pointed = Callable[[Track, int, int], FeatureValue]
"""``(track, end, at)``: the value as of time ``at``; ``end`` is the last tile not later."""


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

    Example:
        >>> from steward import Event, Stream, hours
        >>> from steward.features.plan import plan_streams
        >>> class Reading(Event):
        ...     region: str
        ...     load_mw: float
        >>> mean = Stream("grid.load", Reading, key="region").mean("load_mw", over=hours(1))
        >>> plan, values = plan_streams([mean])["grid.load"], [None]
        >>> track = plan.tracks[0].make(slack=0)
        >>> track.add(10, "a", [5_000]), track.add(20, "b", [6_000])
        (None, None)
        >>> TrackReader(plan, [(0, mean)], 0).read(track, 20, values)
        >>> values
        [5.5]
    """

    __slots__ = ("_pointed", "_spans", "track")

    def __init__(self, plan: StreamPlan, windows: Sequence[tuple[int, WindowFeature]], track: int) -> None:
        self.track = track
        self._pointed: list[tuple[int, Pointed]] = []
        by_span: dict[tuple[int, int], list[tuple[int, Ranged]]] = {}
        for place, window in windows:
            column = plan.place(window)[1]
            if window.aggregate in _POINTED:
                self._pointed.append((place, _POINTED[window.aggregate](window, column)))
                continue
            over_hop = (micros_of(window.over), micros_of(window.hop))
            if window.aggregate is Aggregate.QUANTILE:
                read = _quantile(window, column, plan.tracks[track].columns[column].quantiles.index(over_hop))
            else:
                read = _RANGED[window.aggregate](window, column)
            by_span.setdefault(over_hop, []).append((place, read))
        self._spans = [(*over_hop, reads) for over_hop, reads in by_span.items()]

    def read(self, track: Track, at: int, values: list[FeatureValue]) -> None:
        """Put the windows' values as of ``at`` (microseconds) at their places; leave those of empty windows."""
        times, columns, merged, counts = track.times, track.columns, track.merged, track.counts
        end = len(times) - 1 if at >= times[-1] else bisect_right(times, at) - 1
        # Tiles from ``merged`` on hold one event each: see Track.count_to.
        singles = counts[-1] + 1 - merged
        count_to_end = end + singles if end >= merged else counts[end]
        for over, hop, reads in self._spans:
            tail = (at - over) // hop * hop if hop else at - over
            start = bisect_right(times, tail) - 1
            if start < end:
                count = count_to_end - (counts[start] if start < merged else start + singles)
                span = (start, end, count, times, tail)
                for place, read in reads:
                    values[place] = read(columns, span)
        for place, read_at in self._pointed:
            values[place] = read_at(track, end, at)


def _sum(window: WindowFeature, column: int) -> Ranged:
    scale = window.scale

    def read(columns: list[Column], span: Span) -> FeatureValue:
        sums = columns[column].sums
        return float(sums[span[1]] - sums[span[0]]) / scale  # type: ignore[index]  # planned for this window

    return read


def _mean(window: WindowFeature, column: int) -> Ranged:
    scale = window.scale

    def read(columns: list[Column], span: Span) -> FeatureValue:
        sums = columns[column].sums
        return float(sums[span[1]] - sums[span[0]]) / (span[2] * scale)  # type: ignore[index]  # planned for this window

    return read


def _std(window: WindowFeature, column: int) -> Ranged:
    scale = window.scale

    def read(columns: list[Column], span: Span) -> FeatureValue:
        start, end, count, _, _ = span
        kept = columns[column]
        sums, squares = kept.sums, kept.squares
        total = sums[end] - sums[start]  # type: ignore[index]  # planned for this window
        square = squares[end] - squares[start]  # type: ignore[index]  # planned for this window
        return sqrt(float(count * square - total * total)) / (count * scale)

    return read


def _min(window: WindowFeature, column: int) -> Ranged:
    scale = window.scale

    def read(columns: list[Column], span: Span) -> FeatureValue:
        kept = columns[column]
        return kept.lowest.read(kept.values, span) / scale  # type: ignore[union-attr]  # planned

    return read


def _max(window: WindowFeature, column: int) -> Ranged:
    scale = window.scale

    def read(columns: list[Column], span: Span) -> FeatureValue:
        kept = columns[column]
        return kept.highest.read(kept.values, span) / scale  # type: ignore[union-attr]  # planned

    return read


def _quantile(window: WindowFeature, column: int, which: int) -> Ranged:
    scale, q = window.scale, window.q or 0.0
    values: dict[int, float] = {}

    def read(columns: list[Column], span: Span) -> FeatureValue:
        kept = columns[column]
        ranking = kept.marks.window(which, kept.values, span)  # type: ignore[union-attr]  # planned
        bucket = ranking.bucket_at(int(q * (span[2] - 1)))
        value = values.get(bucket)
        if value is None:
            value = values[bucket] = quantile_value(bucket, scale)
        return value

    return read


def _count(window: WindowFeature, column: int) -> Ranged:
    def read(columns: list[Column], span: Span) -> FeatureValue:
        return span[2]

    return read


def _last(window: WindowFeature, column: int) -> Pointed:
    over, scale = micros_of(window.over), window.scale

    def read(track: Track, end: int, at: int) -> FeatureValue:
        return track.columns[column].values[end] / scale if track.times[end] > at - over else None

    return read


def _lag(window: WindowFeature, column: int) -> Pointed:
    by, hop, scale = micros_of(window.over), micros_of(window.hop), window.scale
    reach = hop or micros_of(LAG_REACH)

    def read(track: Track, end: int, at: int) -> FeatureValue:
        then = (at - by) // hop * hop if hop else at - by
        found = bisect_right(track.times, then) - 1
        return track.columns[column].values[found] / scale if track.times[found] > then - reach else None

    return read


def _series(window: WindowFeature, column: int) -> Pointed:
    scale = window.scale
    over, step = micros_of(window.over), micros_of(window.step) if window.step else 1

    def read(track: Track, end: int, at: int) -> FeatureValue:
        times, sums = track.times, track.columns[column].sums
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


_RANGED: dict[Aggregate, Callable[[WindowFeature, int], Ranged]] = {
    Aggregate.COUNT: _count,
    Aggregate.SUM: _sum,
    Aggregate.MEAN: _mean,
    Aggregate.STD: _std,
    Aggregate.MIN: _min,
    Aggregate.MAX: _max,
}
_POINTED: dict[Aggregate, Callable[[WindowFeature, int], Pointed]] = {
    Aggregate.LAST: _last,
    Aggregate.LAG: _lag,
    Aggregate.SERIES: _series,
}
