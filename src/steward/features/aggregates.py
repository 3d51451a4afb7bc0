"""Each aggregate over many rows, ending with the same float expression as online."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from steward.decision.stream import Aggregate, WindowFeature
from steward.features.fixed import micros_of
from steward.features.past import Query
from steward.features.plan import LAG_REACH
from steward.features.spans import Spans, buckets_of, deviations, floats_of, span_minima, span_ranked, span_sums
from steward.features.table import Bool, Float64, Int64, SortedEvents

Column = tuple[Int64 | Float64, Bool]


def _spans(query: Query, events: SortedEvents, window: WindowFeature) -> Spans:
    hop = 0 if window.aggregate is Aggregate.LAST else micros_of(window.hop)
    return query.window(events, micros_of(window.over), hop)


def _count(query: Query, window: WindowFeature) -> Column:
    count = _spans(query, query.past.events, window).count
    return count, np.zeros(len(count), np.bool_)


def _sum(query: Query, window: WindowFeature) -> Column:
    values, events, largest = query.past.field(window.field, window.scale)
    spans = _spans(query, events, window)
    return floats_of(span_sums(values, spans, largest)) / window.scale, np.zeros(len(spans.begin), np.bool_)


def _mean(query: Query, window: WindowFeature) -> Column:
    values, events, largest = query.past.field(window.field, window.scale)
    return _means(values, _spans(query, events, window), largest, window.scale)


def _means(values: Int64, spans: Spans, largest: int, scale: int) -> Column:
    count = spans.count
    with np.errstate(invalid="ignore"):
        means: Float64 = floats_of(span_sums(values, spans, largest)) / floats_of(count * scale)
    return means, count == 0


def _std(query: Query, window: WindowFeature) -> Column:
    values, events, _ = query.past.field(window.field, window.scale)
    spans = _spans(query, events, window)
    count = spans.count
    # The variance does not change if all values are moved; near zero their squares fit 64 bits.
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    middle = (low + high) // 2 if low > 0 or high < 0 else 0
    moved = values - middle
    largest = max(high - middle, middle - low)
    longest = int(count.max(initial=0))
    totals = span_sums(moved, spans, largest)
    if largest * largest * longest < 2**63:
        under = deviations(count, totals.astype(np.int64), span_sums(moved * moved, spans, largest**2).astype(np.int64))
    else:
        squares = span_sums(moved.astype(object) ** 2, spans, largest**2)
        under = floats_of(count.astype(object) * squares - totals.astype(object) ** 2)
    with np.errstate(invalid="ignore"):
        deviation: Float64 = np.sqrt(under) / floats_of(count * window.scale)
    return deviation, count == 0


def _extreme(query: Query, window: WindowFeature) -> Column:
    values, events, _ = query.past.field(window.field, window.scale)
    sign = 1 if window.aggregate is Aggregate.MIN else -1
    spans = _spans(query, events, window)
    missing = spans.count == 0
    return _or_nan(span_minima(values * sign, spans) * sign / window.scale, missing), missing


def _quantile(query: Query, window: WindowFeature) -> Column:
    values, events, _ = query.past.field(window.field, window.scale)
    spans = _spans(query, events, window)
    count = spans.count
    rank = np.floor((window.q or 0.0) * (count - 1)).astype(np.int64)
    buckets = span_ranked(buckets_of(values), spans, np.maximum(rank, 0))
    size = np.abs(buckets)
    shift = np.maximum((size >> 6) - 1, 0)
    doubled: Int64 = ((size - (shift << 6)) << (shift + 1)) + (np.int64(1) << shift) - 1
    middles: Float64 = np.sign(buckets) * doubled / (2 * window.scale)
    return _or_nan(middles, count == 0), count == 0


def _last(query: Query, window: WindowFeature) -> Column:
    values, events, _ = query.past.field(window.field, window.scale)
    return _values_at(values, _spans(query, events, window).last, window.scale)


def _lag(query: Query, window: WindowFeature) -> Column:
    values, events, _ = query.past.field(window.field, window.scale)
    by, hop = micros_of(window.over), micros_of(window.hop)
    then = (query.ends - by) // hop * hop if hop else query.ends - by
    spans = query.spans(events, then - (hop or micros_of(LAG_REACH)), then)
    return _values_at(values, spans.last, window.scale)


def _values_at(values: Int64, positions: Int64, scale: int) -> Column:
    missing = positions < 0
    if not len(values):
        return np.full(len(positions), np.nan), missing
    return _or_nan(values[np.maximum(positions, 0)] / scale, missing), missing


def _series(query: Query, window: WindowFeature) -> Column:
    values, events, largest = query.past.field(window.field, window.scale)
    over, step = micros_of(window.over), micros_of(window.step) if window.step else 1
    stop = query.ends // step * step
    means: list[Float64] = []
    missing: list[Bool] = []
    for begin in range(-over, 0, step):
        # Steps begin on their boundary and end before the next: one microsecond earlier than a window's ends.
        spans = query.spans(events, stop + (begin - 1), stop + (begin + step - 1))
        mean, gap = _means(values, spans, largest, window.scale)
        means.append(mean.astype(np.float64, copy=False))
        missing.append(gap)
    return np.stack(means, axis=1), np.stack(missing, axis=1)


def _or_nan(values: Float64, missing: Bool) -> Float64:
    values[missing] = np.nan
    return values


AGGREGATES: dict[Aggregate, Callable[[Query, WindowFeature], Column]] = {
    Aggregate.LAST: _last,
    Aggregate.LAG: _lag,
    Aggregate.COUNT: _count,
    Aggregate.SUM: _sum,
    Aggregate.MEAN: _mean,
    Aggregate.STD: _std,
    Aggregate.MIN: _extreme,
    Aggregate.MAX: _extreme,
    Aggregate.QUANTILE: _quantile,
    Aggregate.SERIES: _series,
}
