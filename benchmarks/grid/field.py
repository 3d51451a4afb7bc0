"""The field: from a reading on a plant's server to a set-point written there, and readings a second by protocol.

All of it goes over real sockets on loopback, in one process and on one core: what is measured is server, client and
Steward together, OPC UA signed and encrypted.

Usage: ``python -m benchmarks.grid.field [--json] [--quick]``
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.report import Figure, report

from steward import Choice, Decision, Feature, Features, Prediction, Risk
from steward.cases.grid.battery import Battery
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.field.bridge import Bridge, FieldReading
from steward.cases.grid.field.modbus.client import ModbusClient
from steward.cases.grid.field.modbus.registers import Kind, Register, RegisterMap
from steward.cases.grid.field.modbus.server import ModbusServer
from steward.cases.grid.field.mqtt.broker import LocalBroker
from steward.cases.grid.field.mqtt.client import Broker, MqttPlant, MqttSource
from steward.cases.grid.field.opcua.client import OpcUaClient
from steward.cases.grid.field.opcua.identity import paired
from steward.cases.grid.field.opcua.server import OpcUaServer
from steward.cases.grid.field.points import Layout, Point
from steward.cases.grid.field.reading import Reading
from steward.cases.grid.field.remote import RemotePlant, dispatch_over
from steward.cases.grid.field.world import Conditions, FieldPlant
from steward.cases.grid.streams import Setpoint
from steward.clock import EPOCH, SystemClock
from steward.records import Receipt
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

LOCAL = LocalDays("Europe/Madrid")
NOON = datetime(2018, 7, 1, 12, tzinfo=UTC)
FEEDERS = 100
LAYOUT = Layout("es", feeders=FEEDERS)
LOADS = LAYOUT.points[:FEEDERS]
SOON = timedelta(milliseconds=10)


class Plant(FieldPlant):
    """Tells when a set-point was written to it."""

    def __init__(self) -> None:
        super().__init__(LAYOUT, LOCAL, Battery(), conditions=lambda at: Conditions(60.0, 25.0, 40.0), start=NOON)
        self.written: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def take(self, setpoint: Setpoint, *, at: datetime, key: str) -> Receipt:
        """Take it, and say when."""
        receipt = super().take(setpoint, at=at, key=key)
        if not self.written.done():
            self.written.set_result(time.perf_counter())
        return receipt


@dataclass
class Count:
    """Takes readings and counts them."""

    readings: int = 0
    wanted: int = 0

    def __post_init__(self) -> None:
        self.reached = asyncio.Event()

    async def take(self, readings: Sequence[Reading]) -> None:
        """Count, and wake who waits for so many."""
        self.readings += len(readings)
        if self.readings >= self.wanted:
            self.reached.set()

    async def until(self, wanted: int) -> None:
        """Return once so many were taken."""
        self.wanted = wanted
        self.reached.clear()
        if self.readings < wanted:
            await self.reached.wait()


def interval_start(event: FieldReading) -> str:
    """The hour that the reading is of."""
    return (event.at - (event.at - EPOCH) % HOUR).isoformat()


def relieve(features: Features, prediction: Prediction[None]) -> Choice[Setpoint]:
    """Charge a little more for each event, so that each set-point is a new one."""
    return Choice(Setpoint(power_mw=-features.number("value") / 100), reasons=("it was measured",))


def relieving(plant: RemotePlant) -> Decision[FieldReading, None, Setpoint]:
    """Return a decision without a model: what is measured is the way, not the thinking."""
    return Decision(
        name="grid.relieve", owner="grid", purpose="Relieve a feeder", risk=Risk.LOW, event=FieldReading,
        features=(Feature(interval_start), Feature("value")), policy=relieve, action=dispatch_over(plant),
    )  # fmt: skip


def reading(point: Point, value: float, at: datetime) -> Reading:
    """Return a good reading."""
    return point.reading(value, source_time=at, server_time=at, now=at)


@asynccontextmanager
async def opcua(folder: Path, plant: Plant) -> AsyncIterator[tuple[OpcUaServer, Any]]:
    """Serve a plant, and give what makes clients of it."""
    clock = SystemClock()
    theirs, ours = paired(folder, now=clock.now())
    server = OpcUaServer(LAYOUT, plant, security=theirs, clock=clock, port=0)
    await server.start()

    def client(points: Sequence[Point], take: Any) -> OpcUaClient:
        return OpcUaClient(server.url, points, take, security=ours, clock=clock, publishing=SOON)

    yield server, client
    await server.stop()


async def deadline(folder: Path, events: int) -> list[Figure]:
    """Measure from a reading on the server to the set-point on the server: bus, ledger, decision and steps between."""
    plant, settings = Plant(), Settings(ledger=f"sqlite:////{folder}/steward.db", registry=str(folder / "models"))
    took: list[float] = []
    async with opcua(folder, plant) as (server, client_of):
        bridged: list[Bridge] = []

        async def take(readings: Sequence[Reading]) -> None:
            await bridged[0].take(readings)

        client: OpcUaClient = client_of(LOADS[:1], take)
        decision = relieving(RemotePlant(LAYOUT, LOCAL, Battery(), client.call))
        async with await Runtime.open([decision], settings=settings) as runtime:
            bridged.append(Bridge(runtime.publish, clock=runtime.clock))
            runtime.start()
            await server.publish([reading(LOADS[0], 1.0, NOON)])
            async with client.running():
                await plant.written
                for n in range(1, events + 1):
                    plant.written = asyncio.get_running_loop().create_future()
                    began = time.perf_counter()
                    await server.publish([reading(LOADS[0], float(n), NOON + n * HOUR)])
                    took.append(await plant.written - began)
                orders = await _orders(client, events)
    return [
        Figure("event_to_setpoint_p50", _ms(took, 50), "ms", 100, below=True),
        Figure("event_to_setpoint_p99", _ms(took, 99), "ms", 250, below=True),
        Figure("order_round_trip_p50", _ms(orders, 50), "ms", 5, below=True),
        Figure("order_round_trip_p99", _ms(orders, 99), "ms", 25, below=True),
    ]


async def _orders(client: OpcUaClient, count: int) -> list[float]:
    took = []
    for _ in range(count):
        began = time.perf_counter()
        await client.call("Standing", NOON)
        took.append(time.perf_counter() - began)
    return took


async def by_opcua(folder: Path, rounds: int) -> float:
    """Return the readings a second of a subscription to 100 points."""
    plant, count = Plant(), Count()
    async with opcua(folder, plant) as (server, client_of):
        await server.publish([reading(point, 0.0, NOON) for point in LOADS])
        async with client_of(LOADS, count.take).running():
            await count.until(FEEDERS)
            seconds = itertools.count(1)

            async def say() -> None:
                n = next(seconds)
                await server.publish([reading(point, float(n), NOON + timedelta(seconds=n)) for point in LOADS])

            return await _rate(count, say, rounds)


async def by_modbus(rounds: int) -> float:
    """Return the readings a second of polling 100 registers of 32 bits, as fast as they are answered."""
    table = RegisterMap(
        tuple(
            Register(unit=1, address=2 * n, kind=Kind.INT32, scale=0.001, point=point) for n, point in enumerate(LOADS)
        )
    )
    server, count = ModbusServer(table, lambda point, value: value, port=0), Count()
    await server.start()
    server.publish([reading(point, 1.0, NOON) for point in LOADS])
    client = ModbusClient(
        "127.0.0.1", server.port, table, count.take, clock=SystemClock(), every=timedelta(microseconds=1)
    )
    async with client.running():
        await count.until(FEEDERS)
        first, began = count.readings, time.perf_counter()
        await count.until(FEEDERS * (rounds + 1))
        rate = (count.readings - first) / (time.perf_counter() - began)
    await server.stop()
    return rate


async def by_mqtt(rounds: int) -> tuple[float, float]:
    """Return the readings a second as JSON (each its own message, acknowledged) and as Sparkplug B (100 a message)."""
    broker, clock, json, sparkplug = LocalBroker(port=0), SystemClock(), Count(), Count()
    await broker.start()
    there = Broker(host="127.0.0.1", port=broker.port)
    said = [reading(point, 1.0, NOON) for point in LOADS]
    plant = MqttPlant(there, "es", clock=clock, now=lambda: NOON, last=lambda: said)
    one = MqttSource(there, json.take, identifier="json", clock=clock)
    other = MqttSource(there, sparkplug.take, identifier="sparkplug", clock=clock, site=None, group="grid")
    async with one.running(), plant.running():
        json_rate = await _rate(json, lambda: plant.publish_json(said), rounds)
    async with other.running(), plant.running():
        await sparkplug.until(FEEDERS)  # the birth
        sparkplug_rate = await _rate(sparkplug, lambda: plant.publish_sparkplug(said), rounds)
    await broker.stop()
    return json_rate, sparkplug_rate


async def _rate(count: Count, say: Callable[[], Awaitable[None]], rounds: int) -> float:
    """Return the readings a second of saying all points again and again, each time once all were heard."""
    first, began = count.readings, time.perf_counter()
    for n in range(1, rounds + 1):
        await say()
        await count.until(first + FEEDERS * n)
    return FEEDERS * rounds / (time.perf_counter() - began)


async def to_the_bus(folder: Path, rounds: int) -> float:
    """Return the readings a second that the bridge makes durable, 100 at a time."""
    decision = relieving(RemotePlant(LAYOUT, LOCAL, Battery(), _nowhere))
    settings = Settings(ledger=f"sqlite:////{folder}/bus.db", registry=str(folder / "models"), max_lag=10_000_000)
    async with await Runtime.open([decision], settings=settings) as runtime:
        bridge = Bridge(runtime.publish, clock=runtime.clock)
        batches = [[reading(point, float(n), NOON + timedelta(seconds=n)) for point in LOADS] for n in range(rounds)]
        began = time.perf_counter()
        for batch in batches:
            await bridge.take(batch)
        return FEEDERS * rounds / (time.perf_counter() - began)


async def _nowhere(method: str, *arguments: object) -> tuple[str, str]:
    return "", ""


def a_day() -> float:
    """Return how many times faster than the clock a plant can live."""
    plant = FieldPlant(Layout("es"), LOCAL, Battery(), conditions=lambda at: Conditions(60.0, 25.0, 40.0), start=NOON)
    began = time.perf_counter()
    plant.advance(NOON + 24 * HOUR)
    return 86_400 / (time.perf_counter() - began)


def _ms(seconds: Sequence[float], percentile: float) -> float:
    return float(np.percentile(seconds, percentile) * 1000)


async def _measure(folder: Path, *, quick: bool) -> list[Figure]:
    rounds = 20 if quick else 100
    figures = await deadline(folder, 50 if quick else 300)
    json, sparkplug = await by_mqtt(rounds // 4)
    return [
        *figures,
        Figure("readings_per_s_opcua", await by_opcua(folder, rounds), "1/s", 1_000),
        Figure("readings_per_s_modbus", await by_modbus(rounds), "1/s", 1_000),
        Figure("readings_per_s_mqtt_json", json, "1/s", 500),
        Figure("readings_per_s_sparkplug", sparkplug, "1/s", 1_000),
        Figure("readings_per_s_to_the_bus", await to_the_bus(folder, rounds), "1/s", 10_000),
        Figure("plant_speed", a_day(), "x", 1_000),
    ]


def figures(*, quick: bool = False) -> list[Figure]:
    """Measure everything; ``quick`` with a fifth of the work."""
    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(_measure(Path(name), quick=quick))


if __name__ == "__main__":
    report("grid.field", figures(quick="--quick" in sys.argv))
