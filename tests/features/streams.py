"""A stream with every aggregate, an independent definition of each, and ways to disturb it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from math import sqrt

from steward.clock import EPOCH
from steward.decision.contract import Event
from steward.decision.feature import days, hours, minutes
from steward.decision.stream import Aggregate, Stream, WindowFeature
from steward.features.history import EventTable
from steward.features.online import Observed, OnlineFeatures
from steward.records import FeatureValue

MICROSECOND = timedelta(microseconds=1)
START = datetime(2026, 3, 1, tzinfo=UTC)


class Reading(Event):
    region: str
    load_mw: float
    price_eur: float | None = None


LOAD = Stream("grid.load", Reading, key="region")
SLOW = Stream("grid.load", Reading, key="region", lateness=timedelta(hours=30))
"""The same, but events may come so late that their neighbours are merged already."""


def windows_of(stream: Stream) -> list[WindowFeature]:
    """Return windows of every aggregate, exact and sawtooth with all three hops, over both kinds of fields."""
    return [
        stream.last("load_mw", within=hours(2)),
        stream.lag("load_mw", by=minutes(10)),
        stream.lag("load_mw", by=hours(24)),
        stream.count(over=minutes(30)),
        stream.count(over=hours(24)),
        stream.sum("load_mw", over=hours(6)),
        stream.mean("load_mw", over=minutes(5)),
        stream.mean("load_mw", over=days(14)),
        stream.min("load_mw", over=hours(3)),
        stream.max("load_mw", over=hours(24)),
        stream.max("load_mw", over=minutes(7)),
        stream.std("load_mw", over=hours(24)),
        stream.quantile("load_mw", 0.5, over=hours(24)),
        stream.quantile("load_mw", 0.9, over=hours(1)),
        stream.quantile("load_mw", 0.1, over=hours(24)),
        stream.quantile("load_mw", 0.75, over=days(14)),
        stream.series("load_mw", over=hours(5), step=hours(1)),
        stream.series("load_mw", over=minutes(30), step=minutes(10)),
        stream.mean("price_eur", over=hours(24)),
        stream.last("price_eur", within=hours(24)),
        stream.std("price_eur", over=hours(2), scale=100),
        stream.min("price_eur", over=hours(24)),
        stream.quantile("price_eur", 0.25, over=hours(12)),
    ]


@dataclass(frozen=True)
class Fact:
    """An event with its envelope."""

    event: Reading
    id: str
    event_time: datetime
    known_at: datetime


def counted(facts: list[Fact], lateness: timedelta) -> list[Fact]:
    """Return what may count at all: in time, each key and id once, the first known."""
    first: dict[tuple[str, str], Fact] = {}
    for fact in sorted(facts, key=lambda fact: fact.known_at):
        if fact.known_at - fact.event_time <= lateness:
            first.setdefault((fact.event.region, fact.id), fact)
    return list(first.values())


def expected(window: WindowFeature, facts: list[Fact], key: str, at: datetime, known_at: datetime) -> FeatureValue:
    """Compute a window from its definition alone, the slow and plain way."""
    seen = [
        (fact.event_time, fact.id, 0 if not window.field else round(getattr(fact.event, window.field) * window.scale))
        for fact in facts
        if fact.event.region == key
        and fact.known_at <= known_at
        and (not window.field or getattr(fact.event, window.field) is not None)
    ]
    if window.aggregate is Aggregate.SERIES:
        assert window.step is not None
        stop = EPOCH + (at - EPOCH) // window.step * window.step
        steps = window.over // window.step
        edges = [stop - window.step * k for k in range(steps, -1, -1)]
        return tuple(_mean([v for t, _, v in seen if begin <= t < end], window.scale) for begin, end in pairwise(edges))
    begin, end = at - window.over, at
    if window.aggregate is Aggregate.LAG:
        end = begin if not window.hop else _down(begin, window.hop)
        begin = end - (window.hop or hours(1))
    elif window.hop and window.aggregate is not Aggregate.LAST:
        begin = _down(begin, window.hop)
    inside = sorted((t, id, v) for t, id, v in seen if begin < t <= end)
    return _aggregate(window, [v for _, _, v in inside])


def _down(time: datetime, hop: timedelta) -> datetime:
    return EPOCH + (time - EPOCH) // hop * hop


def _mean(values: list[int], scale: int) -> float | None:
    return float(sum(values)) / (len(values) * scale) if values else None


def _aggregate(window: WindowFeature, values: list[int]) -> FeatureValue:
    kind, scale, n = window.aggregate, window.scale, len(values)
    if kind is Aggregate.COUNT:
        return n
    if kind is Aggregate.SUM:
        return float(sum(values)) / scale
    if not values:
        return None
    if kind is Aggregate.MEAN:
        return _mean(values, scale)
    if kind is Aggregate.STD:
        mean = Fraction(sum(values), n)
        under = sum((v - mean) ** 2 for v in values) * n
        assert under.denominator == 1
        return sqrt(float(under.numerator)) / (n * scale)
    if kind is Aggregate.QUANTILE:
        return sorted(values)[int((window.q or 0.0) * (n - 1))] / scale
    return {Aggregate.MIN: min(values), Aggregate.MAX: max(values)}.get(kind, values[-1]) / scale


def agrees(window: WindowFeature, got: FeatureValue, wanted: FeatureValue) -> bool:
    """Return whether a value is the expected one: the same bits; for a quantile, within 1 %."""
    if window.aggregate is Aggregate.QUANTILE and isinstance(got, float) and isinstance(wanted, float):
        return abs(got - wanted) <= 0.01 * abs(wanted)
    return repr(got) == repr(wanted)


def online_after(windows: list[WindowFeature], facts: list[Fact]) -> OnlineFeatures:
    """Return online features that were told the facts in the order in which they were known."""
    online = OnlineFeatures(windows)
    for fact in sorted(facts, key=lambda fact: fact.known_at):
        tell(online, fact)
    return online


def tell(online: OnlineFeatures, fact: Fact) -> Observed:
    """Tell online features a fact."""
    return online.observe("grid.load", fact.event, id=fact.id, event_time=fact.event_time, known_at=fact.known_at)


def table_of(facts: list[Fact], stream: Stream = LOAD) -> EventTable:
    """Return the facts as a table."""
    return EventTable.of(stream, [(fact.event, fact.id, fact.event_time, fact.known_at) for fact in facts])


def disturbed(facts: list[Fact], seed: int, *, delay: timedelta) -> list[Fact]:
    """Return the facts delayed by up to ``delay``, a fifth of them twice, in the order in which they are known."""
    chance = random.Random(seed)
    late = [replace(fact, known_at=fact.event_time + delay * chance.random()) for fact in facts]
    again = [
        replace(fact, known_at=fact.known_at + (fact.event_time + delay - fact.known_at) * chance.random())
        for fact in late
        if chance.random() < 0.2
    ]
    return sorted(late + again, key=lambda fact: fact.known_at)


def generated(count: int, seed: int, *, keys: int = 2, every: timedelta = timedelta(minutes=3)) -> list[Fact]:
    """Return an ordered, clean stream: irregular times, some exactly on boundaries, some prices missing."""
    chance = random.Random(seed)
    facts, time = [], START
    for n in range(count):
        time += every * chance.choice([0, 0.3, 1, 1, 1, 4, 20])
        if chance.random() < 0.2:
            time = _down(time, minutes(5)) + minutes(5)
        price = None if chance.random() < 0.3 else chance.uniform(-50, 200)
        event = Reading(region=f"r{n % keys}", load_mw=chance.gauss(25_000, 4_000), price_eur=price)
        facts.append(Fact(event, f"e{chance.randrange(10**9)}-{n}", time, time))
    return facts
