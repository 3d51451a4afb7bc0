"""Reading windows: each one compiled to a small function over a track's columns."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from steward.decision.stream import Aggregate, WindowFeature
from steward.features.fixed import mean_value, micros_of, quantile_value, std_value, total_value
from steward.features.plan import LAG_REACH, PartName, StreamPlan
from steward.features.tiles import Track
from steward.records import FeatureValue

Parts = list[Any]
Ranged = Callable[[Parts, Sequence[int], int, int, int], FeatureValue]
"""``(columns, times, start, end, tail)``: the value of tiles ``start+1 .. end``, those later than ``tail``."""
Pointed = Callable[[Parts, Sequence[int], int, int], FeatureValue]
"""``(columns, times, end, at)``: the value as of time ``at``; ``end`` is the last tile not later."""


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
    """Reads some windows of one track of one plan.

    Args:
        plan: What is kept of the stream.
        windows: The windows, each with its place in the row of values.
        track: The track they all read.
    """

    __slots__ = ("_pointed", "_ranged", "_tails", "track")

    def __init__(self, plan: StreamPlan, windows: Sequence[tuple[int, WindowFeature]], track: int) -> None:
        self.track = track
        tails: list[tuple[int, int]] = []
        self._ranged: list[tuple[int, int, Ranged]] = []
        self._pointed: list[tuple[int, Pointed]] = []
        for place, window in windows:
            columns = plan.place(window)[1]
            if window.aggregate in _POINTED:
                self._pointed.append((place, _POINTED[window.aggregate](window, columns)))
                continue
            tail = (micros_of(window.over), micros_of(window.hop))
            if tail not in tails:
                tails.append(tail)
            if window.aggregate is Aggregate.QUANTILE:
                source = plan.tracks[track].inputs.index((window.field, window.scale))
                which = plan.tracks[track].quantiles[source].index(tail)
                read = _quantile(window, columns["marks"], which)
            else:
                read = _RANGED[window.aggregate](window, columns)
            self._ranged.append((place, tails.index(tail), read))
        self._tails = tails

    def read(self, track: Track, at: int, values: list[FeatureValue]) -> None:
        """Put the windows' values as of ``at`` (microseconds) at their places."""
        times, parts = track.times, track.parts
        end = len(times) - 1 if at >= times[-1] else bisect_right(times, at) - 1
        starts = []
        for over, hop in self._tails:
            tail = (at - over) // hop * hop if hop else at - over
            starts.append((bisect_right(times, tail) - 1, tail))
        for place, which, ranged in self._ranged:
            start, tail = starts[which]
            if start < end:
                values[place] = ranged(parts, times, start, end, tail)
        for place, pointed in self._pointed:
            values[place] = pointed(parts, times, end, at)


def _count(window: WindowFeature, columns: dict[PartName, int]) -> Ranged:
    counts = columns["counts"]

    def read(parts: Parts, times: Sequence[int], start: int, end: int, tail: int) -> FeatureValue:
        totals = parts[counts].totals
        return totals[end] - totals[start]  # type: ignore[no-any-return]  # columns are integers

    return read


def _sum(window: WindowFeature, columns: dict[PartName, int]) -> Ranged:
    sums, scale = columns["sums"], window.scale

    def read(parts: Parts, times: Sequence[int], start: int, end: int, tail: int) -> FeatureValue:
        totals = parts[sums].totals
        return total_value(totals[end] - totals[start], scale)

    return read


def _mean(window: WindowFeature, columns: dict[PartName, int]) -> Ranged:
    counts, sums, scale = columns["counts"], columns["sums"], window.scale

    def read(parts: Parts, times: Sequence[int], start: int, end: int, tail: int) -> FeatureValue:
        counted, totals = parts[counts].totals, parts[sums].totals
        return mean_value(counted[end] - counted[start], totals[end] - totals[start], scale)

    return read


def _std(window: WindowFeature, columns: dict[PartName, int]) -> Ranged:
    counts, sums, squares, scale = columns["counts"], columns["sums"], columns["squares"], window.scale

    def read(parts: Parts, times: Sequence[int], start: int, end: int, tail: int) -> FeatureValue:
        counted, totals, squared = parts[counts].totals, parts[sums].totals, parts[squares].totals
        return std_value(
            counted[end] - counted[start], totals[end] - totals[start], squared[end] - squared[start], scale
        )

    return read


def _extreme(window: WindowFeature, columns: dict[PartName, int]) -> Ranged:
    part = columns["lowest" if window.aggregate is Aggregate.MIN else "highest"]
    scale = window.scale

    def read(parts: Parts, times: Sequence[int], start: int, end: int, tail: int) -> FeatureValue:
        return parts[part].read(times, start, end, tail) / scale  # type: ignore[no-any-return]  # columns are integers

    return read


def _quantile(window: WindowFeature, marks: int, which: int) -> Ranged:
    scale, q = window.scale, window.q or 0.0

    def read(parts: Parts, times: Sequence[int], start: int, end: int, tail: int) -> FeatureValue:
        return quantile_value(parts[marks].read(which, start, end, tail, q), scale)

    return read


def _last(window: WindowFeature, columns: dict[PartName, int]) -> Pointed:
    latest, over, scale = columns["latest"], micros_of(window.over), window.scale

    def read(parts: Parts, times: Sequence[int], end: int, at: int) -> FeatureValue:
        if times[end] > at - over:
            return parts[latest].values[end] / scale  # type: ignore[no-any-return]  # columns are integers
        return None

    return read


def _lag(window: WindowFeature, columns: dict[PartName, int]) -> Pointed:
    latest, by, hop, scale = columns["latest"], micros_of(window.over), micros_of(window.hop), window.scale
    reach = hop or micros_of(LAG_REACH)

    def read(parts: Parts, times: Sequence[int], end: int, at: int) -> FeatureValue:
        then = (at - by) // hop * hop if hop else at - by
        found = bisect_right(times, then) - 1
        if times[found] > then - reach:
            return parts[latest].values[found] / scale  # type: ignore[no-any-return]  # columns are integers
        return None

    return read


def _series(window: WindowFeature, columns: dict[PartName, int]) -> Pointed:
    counts, sums, scale = columns["counts"], columns["sums"], window.scale
    over, step = micros_of(window.over), micros_of(window.step) if window.step else 1

    def read(parts: Parts, times: Sequence[int], end: int, at: int) -> FeatureValue:
        counted, totals = parts[counts].totals, parts[sums].totals
        stop = at // step * step
        edges = range(stop - over, stop + 1, step)
        means: list[float | None] = []
        before = bisect_left(times, edges[0]) - 1
        for edge in edges[1:]:
            after = bisect_left(times, edge, before + 1) - 1
            count = counted[after] - counted[before]
            means.append(mean_value(count, totals[after] - totals[before], scale) if count else None)
            before = after
        return tuple(means)

    return read


_RANGED: dict[Aggregate, Callable[[WindowFeature, dict[PartName, int]], Ranged]] = {
    Aggregate.COUNT: _count,
    Aggregate.SUM: _sum,
    Aggregate.MEAN: _mean,
    Aggregate.STD: _std,
    Aggregate.MIN: _extreme,
    Aggregate.MAX: _extreme,
}
_POINTED: dict[Aggregate, Callable[[WindowFeature, dict[PartName, int]], Pointed]] = {
    Aggregate.LAST: _last,
    Aggregate.LAG: _lag,
    Aggregate.SERIES: _series,
}
