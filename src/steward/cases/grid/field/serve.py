"""A simulated plant that speaks: ``steward case grid plant``."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.generator import COLUMNS, synthetic_region
from steward.cases.grid.data.history import Source, read_history
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.field.modbus.registers import plant_registers
from steward.cases.grid.field.modbus.server import ModbusServer
from steward.cases.grid.field.mqtt.broker import LocalBroker
from steward.cases.grid.field.mqtt.client import Broker, MqttPlant
from steward.cases.grid.field.opcua.identity import paired
from steward.cases.grid.field.opcua.server import OpcUaServer
from steward.cases.grid.field.points import Layout, Point
from steward.cases.grid.field.world import FieldPlant, conditions_of
from steward.cases.grid.forecasting.training import Columns
from steward.cases.grid.streams import Setpoint
from steward.clock import EPOCH, Clock, SystemClock
from steward.errors import ContractError, EngineError

_DAYS = 366
_SHARE = 0.002
"""The part of a synthetic region's load that the site feeds: some 50 MW."""
_WRITER = "modbus"
_ANSWER_WITHIN_S = 5.0


@dataclass(frozen=True, kw_only=True)
class PlantOptions:
    """What the plant is, and what it speaks.

    Args:
        folder: Where certificates, keys and the password are kept.
        site: Its name.
        zone: Whose clock its customers live by.
        source: Play this file instead of a synthetic region.
        load_share: The part of the region's load that the site feeds.
        battery: As new.
        feeders: How many.
        host: Where to listen; nobody but this machine reaches the default.
        opcua_port: 0 takes a free port; ``None`` leaves the protocol out, here and below.
        modbus_port: It has neither users nor encryption.
        mqtt_port: A broker of its own is started there.
        mqtt_broker: Speak through this broker instead.
        speed: How many seconds pass there in one of ours.
        every: How often it says what it reads, in our time.
        run_for: End by itself after this time.
        seed: The same again for the same seed.
        ready: Is told where it listens.

    Raises:
        ContractError: It would speak to nobody, or time would not pass.

    Example:
        >>> PlantOptions(folder=Path("plant"), mqtt_port=1883).speed
        60.0
    """

    folder: Path
    site: str = "plant"
    zone: str = "Europe/Madrid"
    source: Source | None = None
    load_share: float = _SHARE
    battery: Battery = field(default_factory=Battery)
    feeders: int = 3
    host: str = "127.0.0.1"
    opcua_port: int | None = 4840
    modbus_port: int | None = None
    mqtt_port: int | None = None
    mqtt_broker: Broker | None = None
    speed: float = 60.0
    every: timedelta = timedelta(seconds=1)
    run_for: timedelta | None = None
    seed: int = 7
    ready: Callable[[Addresses], None] = lambda addresses: None

    def __post_init__(self) -> None:
        """Refuse a plant that nobody could hear."""
        if all(spoken is None for spoken in (self.opcua_port, self.modbus_port, self.mqtt_port, self.mqtt_broker)):
            raise ContractError("the plant speaks no protocol", fix="give it a port", field="plant")
        if self.speed <= 0 or self.every <= timedelta(0):
            raise ContractError("time must pass", fix="give a speed and an interval above 0", field="speed")


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where a plant listens; ``None`` where it does not.

    Example:
        >>> print(Addresses(modbus="127.0.0.1:502"))
        Modbus   127.0.0.1:502 (unit 1: meter and feeders, unit 2: inverter)
    """

    opcua: str | None = None
    modbus: str | None = None
    mqtt: str | None = None

    def __str__(self) -> str:
        said = (
            ("OPC UA", self.opcua, ""),
            ("Modbus", self.modbus, " (unit 1: meter and feeders, unit 2: inverter)"),
            ("MQTT", self.mqtt, " (steward/# as JSON, spBv1.0/grid/# as Sparkplug B)"),
        )
        return "\n".join(f"{name:<8} {address}{more}" for name, address, more in said if address)


def run(options: PlantOptions) -> None:
    """Let a plant live until Ctrl-C, or until its time is over.

    Raises:
        EngineError: An extra is not installed, or it cannot listen.
    """
    asyncio.run(serve(options))


async def serve(options: PlantOptions, *, clock: Clock | None = None) -> FieldPlant:
    """Let a plant live inside a running event loop; as :func:`run`. Return it as it was at the end."""
    clock = clock or SystemClock()
    plant = make_plant(options, now=clock.now())
    loop = asyncio.get_running_loop()
    async with speaking(plant, options, clock) as voices:
        with _told_to_stop() as stop:
            print(voices.addresses)
            if voices.opcua is not None:
                print(f"Certificates and the password of the user 'steward' are in {options.folder}.")
            print(f"{options.speed:g} times as fast as the clock; Ctrl-C ends it.", flush=True)
            options.ready(voices.addresses)
            began, start = loop.time(), plant.now
            ends = None if options.run_for is None else began + options.run_for.total_seconds()
            tick, every_s = 0, options.every.total_seconds()
            while not stop.is_set() and (ends is None or loop.time() < ends):
                plant.advance(start + timedelta(seconds=(loop.time() - began) * options.speed))
                await voices.publish()
                tick += 1
                await _until(stop, began + tick * every_s, ends)
    return plant


class Voices:
    """The servers of a plant that are running.

    Attributes:
        addresses: Where they listen.
    """

    def __init__(self, plant: FieldPlant) -> None:
        self.addresses = Addresses()
        self.opcua: OpcUaServer | None = None
        self.modbus: ModbusServer | None = None
        self.mqtt: MqttPlant | None = None
        self._plant = plant

    async def publish(self) -> None:
        """Let all of them say what the plant reads now; a broker that is away is passed over."""
        readings = self._plant.readings()
        if self.opcua is not None:
            await self.opcua.publish(readings)
        if self.modbus is not None:
            self.modbus.publish(readings)
        if self.mqtt is not None and self.mqtt.is_connected:
            try:
                await self.mqtt.publish(readings)
            except EngineError as lost:
                # It is set up again by itself, and begins with a birth that says the newest.
                logging.getLogger(__name__).warning("%s", lost)


def make_plant(options: PlantOptions, *, now: datetime) -> FieldPlant:
    """Return the plant that options describe.

    A synthetic one begins in the hour that ``now`` is in, one from a file with its first row.
    """
    if options.source is None:
        local, columns = LocalDays(options.zone), COLUMNS
        start = now - (now - EPOCH) % HOUR
        history = synthetic_region(options.zone, local.day_of(start), _DAYS, seed=options.seed)
    else:
        source = options.source
        history = read_history(source)
        local, start = history.local, history.start
        columns = Columns(source.price_column, load=source.load_column, temperature=source.temperature_column)
    return FieldPlant(
        Layout(options.site, feeders=options.feeders),
        local,
        options.battery,
        conditions=conditions_of(history, columns, share=options.load_share),
        start=start,
        seed=options.seed,
    )


@asynccontextmanager
async def speaking(plant: FieldPlant, options: PlantOptions, clock: Clock) -> AsyncIterator[Voices]:
    """Let a plant speak all the protocols of the options; whoever enters lets its time pass, and publishes.

    Args:
        plant: In its own time.
        options: What it speaks; how fast it lives is not looked at.
        clock: The machine's, for certificates and waits.

    Raises:
        EngineError: An extra is not installed, or it cannot listen.
    """
    voices = Voices(plant)
    async with AsyncExitStack() as stack:
        if options.opcua_port is not None:
            voices.opcua = await _start_opcua(stack, plant, options, clock)
        if options.modbus_port is not None:
            voices.modbus = await _start_modbus(stack, plant, options)
        broker = options.mqtt_broker
        if broker is None and options.mqtt_port is not None:
            broker = await _start_broker(stack, options)
        if broker is not None:
            voices.mqtt = await _start_mqtt(stack, plant, broker, clock)
        voices.addresses = Addresses(
            opcua=None if voices.opcua is None else voices.opcua.url,
            modbus=None if voices.modbus is None else voices.modbus.address,
            mqtt=None if broker is None else broker.address,
        )
        await voices.publish()
        yield voices


async def _start_opcua(stack: AsyncExitStack, plant: FieldPlant, options: PlantOptions, clock: Clock) -> OpcUaServer:
    security, _ = paired(options.folder, now=clock.now())
    with _extra("OPC UA", "asyncua"):
        server = OpcUaServer(
            plant.layout, plant, security=security, clock=clock, host=options.host, port=options.opcua_port or 0
        )
    await server.start()
    stack.push_async_callback(server.stop)
    return server


async def _start_modbus(stack: AsyncExitStack, plant: FieldPlant, options: PlantOptions) -> ModbusServer:
    server = ModbusServer(
        plant_registers(plant.layout), _writing(plant), host=options.host, port=options.modbus_port or 0
    )
    with _extra("Modbus", "pymodbus"):
        await server.start()
    stack.push_async_callback(server.stop)
    return server


async def _start_broker(stack: AsyncExitStack, options: PlantOptions) -> Broker:
    broker = LocalBroker(host=options.host, port=options.mqtt_port or 0)
    await broker.start()
    stack.push_async_callback(broker.stop)
    return Broker(host=options.host, port=broker.port)


async def _start_mqtt(stack: AsyncExitStack, plant: FieldPlant, broker: Broker, clock: Clock) -> MqttPlant:
    said = MqttPlant(broker, plant.site, clock=clock, now=lambda: plant.now, last=plant.readings)
    try:
        with _extra("MQTT", "aiomqtt"):
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                return await stack.enter_async_context(said.running())
    except TimeoutError as error:
        raise EngineError(
            f"the broker at {broker.address} does not answer", fix="start it, or give --mqtt a port of its own"
        ) from error


def _writing(plant: FieldPlant) -> Callable[[Point, float], float]:
    """Return what takes a set-point for the hour that runs; it leaves alone an hour that somebody else decides."""

    def write(point: Point, value: float) -> float:
        standing = plant.standing(plant.hour)
        if standing is None or plant.has_control(plant.hour, key=_WRITER) is not None:
            plant.take_control(plant.hour, key=_WRITER)
            standing = plant.take(Setpoint(power_mw=value), at=plant.hour, key=f"{_WRITER}/{value}")
        return float(standing.detail["power_mw"])

    return write


@contextmanager
def _extra(protocol: str, package: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise EngineError(
            f"{protocol} needs {package}, which is not installed",
            fix="pip install 'steward-aios[grid]'",
            code="extra-missing",
        ) from error


@contextmanager
def _told_to_stop() -> Iterator[asyncio.Event]:
    """Give an event that SIGINT and SIGTERM set; once left, a signal ends the process as it always would."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def _until(stop: asyncio.Event, when: float, ends: float | None) -> None:
    """Wait until the loop's clock shows ``when``, or it is over."""
    left = (when if ends is None else min(when, ends)) - asyncio.get_running_loop().time()
    try:
        await asyncio.wait_for(stop.wait(), max(left, 0.0))
    except TimeoutError:
        return
