"""The declared decision over a stretch of history, interval by interval, through the real runtime."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import numpy as np

from steward.cases.grid.data.history import History
from steward.cases.grid.peak.nearest_days import PAST
from steward.cases.grid.peak.rest_of_day import LOAD, TEMPERATURE
from steward.cases.grid.peak.site import MeteredSite
from steward.cases.grid.peak.streams import MeteredDemand
from steward.cases.grid.streams import LoadReading, TemperatureReading
from steward.clock import VirtualClock
from steward.decision.contract import Contract, Event
from steward.ledger.port import Message
from steward.runtime.runtime import Runtime

_TICK = timedelta(microseconds=1)
_Known = LoadReading | TemperatureReading | MeteredDemand


async def replay(
    runtime: Runtime, site: MeteredSite, history: History, first: date, until: date, *, clock: VirtualClock
) -> list[MeteredDemand]:
    """Let a site live through some local days, and return what its meter said.

    At the start of each interval the readings of the one before arrive, the decision falls due, and its set-point is
    written; then the interval passes. A question that the gate asks is left to whoever looks.

    Args:
        runtime: Opened on the decision of ``site``, with ``clock``, which stands before the first day.
        site: The site.
        history: Its load and, if there, the temperature; nothing of an interval is told before it is over.
        first: The first local day.
        until: The day after the last.
        clock: Moved on.
    """
    step, at, end = history.step, history.local.start(first), history.local.start(until)
    known: list[_Known] = []
    before = at - PAST - step
    while before < at:
        known += _readings(site, history, before)
        before += step
    said: list[MeteredDemand] = []
    while at < end:
        clock.set(at)
        await _publish(runtime, known, step)
        await runtime.advance()
        said.append(site.meter(at, load_mw=float(history.columns[LOAD][history.index(at)])))
        known = [*_readings(site, history, at), said[-1]]
        at += step
    clock.set(end - _TICK)  # no decision for the interval that begins now
    await _publish(runtime, known, step)
    await runtime.advance()
    return said


async def _publish(runtime: Runtime, known: Sequence[_Known], step: timedelta) -> None:
    """Put on the bus what the decision reads: without a model of it, no temperature."""
    messages = [_message(event, step) for event in known]
    await runtime.publish([message for message in messages if message.topic in runtime.topics])


def _readings(site: MeteredSite, history: History, at: datetime) -> list[_Known]:
    row = history.index(at)
    found: list[_Known] = []
    if 0 <= row < history.rows:
        if np.isfinite(load_mw := history.columns[LOAD][row]):
            found.append(LoadReading(site=site.name, at=at, load_mw=float(load_mw)))
        if TEMPERATURE in history.columns and np.isfinite(degrees := history.columns[TEMPERATURE][row]):
            found.append(TemperatureReading(site=site.name, at=at, temperature_c=float(degrees)))
    return found


def _message(event: _Known, step: timedelta) -> Message:
    contract = Contract[Event].of(type(event))
    known_at = event.at + step
    return Message(
        topic=contract.name,
        key=event.site,
        source="site-meter",
        id=f"{contract.name}/{event.at.isoformat()}",
        data=contract.encode(event),
        version=contract.version,
        event_time=known_at if isinstance(event, MeteredDemand) else event.at,
        known_at=known_at,
    )
