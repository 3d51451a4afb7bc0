from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from tests.cases.grid.field.test_world import LAYOUT, MIDNIGHT, plant

from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.field.hourly import HourlyMeans
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Quality, Reading
from steward.cases.grid.streams import LoadReading, TemperatureReading
from steward.clock import VirtualClock
from steward.decision.contract import Contract
from steward.errors import EngineError
from steward.ledger.port import Message

FEEDERS = [Point(LAYOUT.feeder(number), "load_mw") for number in (1, 2, 3)]


class Bus:
    """Keeps what was published."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.full = False

    async def publish(self, messages: Sequence[Message]) -> None:
        if self.full:
            raise EngineError("the bus is full", retryable=True)
        self.messages += messages

    @property
    def loads(self) -> dict[datetime, float]:
        decode = Contract.of(LoadReading).decode
        events = [decode(message.data) for message in self.messages if message.topic == "grid.load"]
        return {event.at: event.load_mw for event in events}


@pytest.fixture
def bus() -> Bus:
    return Bus()


def means(bus: Bus, **options: float) -> HourlyMeans:
    return HourlyMeans(LAYOUT, bus.publish, clock=VirtualClock(MIDNIGHT), **options)


def said(minutes: int, value: float, *points: Point, quality: Quality = Quality.GOOD) -> list[Reading]:
    at = MIDNIGHT + timedelta(minutes=minutes)
    feeders = points or FEEDERS
    return [point.reading(value, quality=quality, source_time=at, server_time=at, now=at) for point in feeders]


async def test_a_plant_of_a_share_of_the_region_says_the_regions_load(bus: Bus) -> None:
    world, taker = plant(), means(bus, load_share=0.002)
    for minute in range(0, 150, 5):
        world.advance(MIDNIGHT + timedelta(minutes=minute))
        await taker.take(world.readings())
    assert bus.loads == {MIDNIGHT: pytest.approx(30_000), MIDNIGHT + HOUR: pytest.approx(30_000)}
    celsius = [Contract.of(TemperatureReading).decode(m.data) for m in bus.messages if m.topic == "grid.temperature"]
    assert celsius[0] == TemperatureReading(site="es", at=MIDNIGHT, temperature_c=10.0)
    assert {message.key for message in bus.messages} == {"es"}


async def test_what_is_bad_comes_twice_or_late_does_not_count(bus: Bus) -> None:
    taker = means(bus)
    await taker.take([*said(0, 1.0), *said(30, 2.0), *said(30, 2.0), *said(40, 9.0, quality=Quality.UNCERTAIN)])
    await taker.take(said(45, float("nan")))
    assert bus.messages == []
    await taker.take([*said(20, 3.0), *said(60, 5.0)])
    assert bus.loads == {MIDNIGHT: 6.0}  # of three feeders
    await taker.take([*said(50, 99.0), *said(120, 5.0)])
    assert bus.loads == {MIDNIGHT: 6.0, MIDNIGHT + HOUR: 15.0}


async def test_an_hour_in_which_a_feeder_was_silent_has_no_load(bus: Bus) -> None:
    taker = means(bus)
    await taker.take([*said(0, 1.0, *FEEDERS[:2]), *said(0, 1.0, FEEDERS[2], quality=Quality.BAD)])
    await taker.take([*said(60, 1.0), *said(180, 1.0)])
    assert bus.loads == {MIDNIGHT + HOUR: 3.0}  # and the hour that nobody spoke in is none, too


async def test_while_the_bus_is_full_nothing_is_forgotten(bus: Bus) -> None:
    taker, bus.full = means(bus), True
    for _ in range(2):
        with pytest.raises(EngineError):
            await taker.take([*said(0, 1.0), *said(60, 1.0)])
    bus.full = False
    await taker.take([])
    assert bus.loads == {MIDNIGHT: 3.0}
