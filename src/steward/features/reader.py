"""Reading windows: each one compiled to a small function over a column.

The last step of each aggregate is the float expression of :mod:`steward.features.fixed`, written out here: a
call would cost as much as the rest. Tests hold both to the same bits.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from math import sqrt

from steward.decision.stream import Aggregate, WindowFeature
from steward.features.columns import Column
from steward.features.fixed import mean_value, micros_of, quantile_value
from steward.features.plan import LAG_REACH, StreamPlan
from steward.features.tiles import Track
from steward.records import FeatureValue

Span = tuple[int, int, int, int, "array[int]"]
"""``(start, end, count, tail, times)``: tiles ``start+1 .. end``, those later than ``tail``; ``count`` > 0 events.

``times`` are those of all tiles."""
Ranged = Callable[[Column, Span], FeatureValue]
"""The value of a span of tiles."""
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
        spans: dict[tuple[int, int], tuple[list[int], list[_Lag], list[tuple[int, int, Ranged]]]] = {}
        for place, window in windows:
            column = plan.place(window)[1]
            over, hop = micros_of(window.over), micros_of(window.hop)
            if window.aggregate in _POINTED:
                self._pointed.append((place, _POINTED[window.aggregate](window, column)))
                continue
            counts, lags, reads = spans.setdefault((over, hop), ([], [], []))
            if window.aggregate is Aggregate.COUNT:
                counts.append(place)
            elif window.aggregate is Aggregate.LAG:
                lags.append((place, column, window.scale, hop or micros_of(LAG_REACH)))
            elif window.aggregate is Aggregate.QUANTILE:
                which = plan.tracks[track].columns[column].quantiles.index((over, hop))
                reads.append((place, column, _quantile(window, which)))
            else:
                reads.append((place, column, _RANGED[window.aggregate](window.scale)))
        self._spans = [(*over_hop, *its) for over_hop, its in spans.items()]

    def read(self, track: Track, at: int, values: list[FeatureValue]) -> None:
        """Put the windows' values as of ``at`` (microseconds) at their places; leave those of empty windows."""
        times, columns, counts = track.times, track.columns, track.counts
        merged = len(counts)
        end = len(times) - 1 if at >= times[-1] else bisect_right(times, at) - 1
        # Tiles from ``merged`` on hold one event each (see Track.count_to); a readable window ends there.
        count_to_end = counts[-1] + 1 - merged + end
        for over, hop, counted, lags, reads in self._spans:
            tail = at - over
            if hop:
                tail -= tail % hop
            start = bisect_right(times, tail) - 1
            for place, which, scale, reach in lags:
                if times[start] > tail - reach:
                    values[place] = columns[which].values[start] / scale
            if start < end:
                count = count_to_end - counts[start] if start < merged else end - start
                span = start, end, count, tail, times
                for place in counted:
                    values[place] = count
                for place, which, read in reads:
                    values[place] = read(columns[which], span)
        for place, read_at in self._pointed:
            values[place] = read_at(track, end, at)


_Lag = tuple[int, int, int, int]
"""Place in the row, column, scale, and how far before the tail a value is looked for."""


def _sum(scale: int) -> Ranged:
    def read(column: Column, span: Span) -> FeatureValue:
        sums = column.sums
        return float(sums[span[1]] - sums[span[0]]) / scale  # type: ignore[index]  # planned for this window

    return read


def _mean(scale: int) -> Ranged:
    def read(column: Column, span: Span) -> FeatureValue:
        sums = column.sums
        return float(sums[span[1]] - sums[span[0]]) / (span[2] * scale)  # type: ignore[index]  # planned for this window

    return read


def _std(scale: int) -> Ranged:
    def read(column: Column, span: Span) -> FeatureValue:
        start, end, count, _, _ = span
        sums, squares = column.sums, column.squares
        total = sums[end] - sums[start]  # type: ignore[index]  # planned for this window
        square = squares[end] - squares[start]  # type: ignore[index]  # planned for this window
        return sqrt(float(count * square - total * total)) / (count * scale)

    return read


def _min(scale: int) -> Ranged:
    def read(column: Column, span: Span) -> FeatureValue:
        _, end, _, tail, times = span
        return column.lowest.read(column.values, end, tail, times) / scale  # type: ignore[union-attr]  # planned

    return read


def _max(scale: int) -> Ranged:
    def read(column: Column, span: Span) -> FeatureValue:
        _, end, _, tail, times = span
        return column.highest.read(column.values, end, tail, times) / scale  # type: ignore[union-attr]  # planned

    return read


def _quantile(window: WindowFeature, which: int) -> Ranged:
    scale, q = window.scale, window.q or 0.0
    values: dict[int, float] = {}

    def read(column: Column, span: Span) -> FeatureValue:
        _, end, count, tail, times = span
        ranking = column.marks.window(which, column.values, end, tail, times)  # type: ignore[union-attr]  # planned
        bucket = ranking.bucket_at(int(q * (count - 1)))
        value = values.get(bucket)
        if value is None:
            value = values[bucket] = quantile_value(bucket, scale)
        return value

    return read


def _last(window: WindowFeature, column: int) -> Pointed:
    over, scale = micros_of(window.over), window.scale

    def read(track: Track, end: int, at: int) -> FeatureValue:
        return track.columns[column].values[end] / scale if track.times[end] > at - over else None

    return read


def _series(window: WindowFeature, column: int) -> Pointed:
    over, step = micros_of(window.over), micros_of(window.step) if window.step else 1
    which = column, over, step

    def read(track: Track, end: int, at: int) -> FeatureValue:
        stop = at - at % step
        known_to, known = track.finished.get(which, (None, ()))
        if known_to == stop:
            return known
        if known_to is None or stop < known_to:
            known_to, known = stop - over, ()
        begin = max(known_to, stop - over)
        means = (*known[(stop - known_to) // step :], *_means(track, column, range(begin, stop, step), window.scale))
        track.finished[which] = stop, means
        track.settled = max(track.settled, stop)
        return means

    return read


def _means(track: Track, column: int, steps: range, scale: int) -> Iterable[float | None]:
    """Return the mean of each of the steps with these beginnings."""
    times, sums = track.times, track.columns[column].sums
    before = bisect_left(times, steps.start) - 1
    count = track.count_to(before)
    for begin in steps:
        after = bisect_left(times, begin + steps.step, before + 1) - 1
        if after == before:
            yield None
            continue
        counted = track.count_to(after)
        yield mean_value(counted - count, sums[after] - sums[before], scale)  # type: ignore[index]  # planned for this window
        before, count = after, counted


_RANGED: dict[Aggregate, Callable[[int], Ranged]] = {
    Aggregate.SUM: _sum,
    Aggregate.MEAN: _mean,
    Aggregate.STD: _std,
    Aggregate.MIN: _min,
    Aggregate.MAX: _max,
}
_POINTED: dict[Aggregate, Callable[[WindowFeature, int], Pointed]] = {
    Aggregate.LAST: _last,
    Aggregate.SERIES: _series,
}
