from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.runtime.world import World

from steward import Choice, Decision, Event, Features, Prediction, Risk, minutes
from steward.cases.grid.field import bridge
from steward.cases.grid.field.bridge import Bridge, FieldReading, event_of
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Quality, Reading
from steward.cases.grid.field.source import Backoff
from steward.clock import SystemClock, VirtualClock
from steward.decision.contract import Contract
from steward.errors import EngineError
from steward.ledger.port import Message

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LOAD = Point("es.feeder-1", "load_mw")


def said(minute: int, value: float | None = None) -> Reading:
    at = NOON + timedelta(minutes=minute)
    number = float(minute) if value is None else value
    return LOAD.reading(number, source_time=at, server_time=at, now=at)


class LoadDue(Event, contract="grid.test-load-due"):
    point: str


def watch(features: Features, prediction: Prediction[None]) -> Choice[float]:
    return Choice(features.number("value_mean_10m"), reasons=("it was measured",))


def watching() -> Decision[LoadDue, None, float]:
    return Decision(
        name="grid.watch-feeder", owner="grid", purpose="Watch a feeder", risk=Risk.LOW, event=LoadDue,
        features=(bridge.readings.mean("value", over=minutes(10)),), policy=watch,
    )  # fmt: skip


async def test_readings_that_come_twice_and_out_of_order_are_known_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World("memory", tmp_path, monkeypatch)
    runtime = await world.open(watching())
    readings = [said(-minute) for minute in range(10)]
    several = [*readings, *readings[3:7]]
    random.Random(5).shuffle(several)
    taker = Bridge(runtime.publish, clock=world.clock)
    for reading in several:
        await taker.take([reading])
    await taker.take([LOAD.reading(None, source_time=NOON, server_time=NOON, now=NOON)])
    await runtime.advance()
    assert await runtime.bus.topics() == {"grid.reading": 11}
    answer = await runtime.decide("grid.watch-feeder", LoadDue(point=LOAD.name))
    assert answer.record.choice == pytest.approx(sum(-minute for minute in range(10)) / 10)
    await world.close()


async def test_a_bad_reading_is_kept_as_it_came() -> None:
    sent: list[Message] = []

    async def publish(messages: Sequence[Message]) -> None:
        sent.extend(messages)

    bad = LOAD.reading(float("nan"), source_time=NOON, server_time=None, now=NOON)
    await Bridge(publish, clock=VirtualClock(NOON)).take([bad, said(0, 4.2)])
    assert len({message.id for message in sent}) == 2  # what is bad and what is good of one time are two readings
    events = [Contract.of(FieldReading).decode(message.data) for message in sent]
    assert events == [event_of(bad), event_of(said(0, 4.2))]
    assert (events[0].value, events[0].quality) == (None, Quality.BAD)


async def test_while_the_bus_is_full_a_source_waits() -> None:
    tries = 0

    async def publish(messages: Sequence[Message]) -> None:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise EngineError("the bus is full", retryable=True)

    soon = Backoff(first=timedelta(milliseconds=1), longest=timedelta(milliseconds=1))
    await Bridge(publish, clock=SystemClock(), backoff=soon).take([said(0)])
    assert tries == 4


async def test_a_bus_that_is_broken_is_told() -> None:
    async def publish(messages: Sequence[Message]) -> None:
        raise EngineError("the disk is gone")

    with pytest.raises(EngineError, match="gone"):
        await Bridge(publish, clock=VirtualClock(NOON)).take([said(0)])
