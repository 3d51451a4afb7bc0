"""The declared decision over a stretch of history, interval by interval, through the real runtime."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import numpy as np

from steward.cases.grid.peak.demand import Demand
from steward.cases.grid.peak.nearest_days import PAST
from steward.cases.grid.peak.site import MeteredSite
from steward.cases.grid.peak.streams import MeteredDemand
from steward.cases.grid.streams import LoadReading, load
from steward.clock import VirtualClock
from steward.decision.contract import Contract, Event
from steward.ledger.port import Message
from steward.runtime.runtime import Runtime

_TICK = timedelta(microseconds=1)
_Known = LoadReading | MeteredDemand | None


async def replay(
    runtime: Runtime, site: MeteredSite, demand: Demand, first: date, until: date, *, clock: VirtualClock
) -> list[MeteredDemand]:
    """Let a site live through some local days, and return what its meter said.

    At the start of each interval the meter readings of the one before arrive, the decision falls due, and its set-point
    is written; then the interval passes. What the gate asks is left to whoever looks, so that unasked set-points count.

    Args:
        runtime: Opened on the decision of ``site``, with ``clock``, which stands before the first day.
        site: The site.
        demand: Its load.
        first: The first local day.
        until: The day after the last.
        clock: Moved on.
    """
    at = demand.local.start(first)
    past = demand.between(at - PAST - demand.step, at).tolist()
    known = [_reading(site, at - (len(past) - n) * demand.step, value) for n, value in enumerate(past)]
    said: list[MeteredDemand] = []
    for value in demand.during(first, until).tolist():
        clock.set(at)
        await runtime.publish(list(_messages(known, demand.step)))
        await runtime.advance()
        said.append(site.meter(at, load_mw=value))
        known = [_reading(site, at, value), said[-1]]
        at += demand.step
    clock.set(at - _TICK)  # no decision for the interval that begins now
    await runtime.publish(list(_messages(known, demand.step)))
    await runtime.advance()
    return said


def _reading(site: MeteredSite, at: datetime, load_mw: float) -> _Known:
    return LoadReading(site=site.name, at=at, load_mw=load_mw) if np.isfinite(load_mw) else None


def _messages(events: Iterable[_Known], step: timedelta) -> Iterable[Message]:
    for event in events:
        if event is None:
            continue
        contract = Contract[Event].of(type(event))
        reading, known_at = isinstance(event, LoadReading), event.at + step
        topic = load.name if reading else contract.name
        yield Message(
            topic=topic,
            key=event.site,
            source="site-meter",
            id=f"{topic}/{event.at.isoformat()}",
            data=contract.encode(event),
            version=contract.version,
            event_time=event.at if reading else known_at,
            known_at=known_at,
        )
