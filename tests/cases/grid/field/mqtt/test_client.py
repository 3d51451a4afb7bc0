from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import json
from tests.cases.grid.field.network import Heard, Line
from tests.cases.grid.field.test_world import MIDNIGHT, POINTS, plant

from steward.cases.grid.field.lazily import lazily
from steward.cases.grid.field.mqtt.broker import LocalBroker
from steward.cases.grid.field.mqtt.client import Broker, MqttPlant, MqttSource, reading_of, topic_of
from steward.cases.grid.field.opcua.identity import Identity
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Quality, Reading
from steward.cases.grid.field.source import Backoff
from steward.cases.grid.field.world import FieldPlant
from steward.clock import SystemClock
from steward.errors import ContractError, Denied, EngineError

aiomqtt = lazily("aiomqtt")
LOAD = Point("es.feeder-1", "load_mw")
SOON = timedelta(milliseconds=20)
QUICKLY = Backoff(first=SOON, longest=SOON)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    broker = LocalBroker(port=0)
    await broker.start()
    yield broker.port
    await broker.stop()


@pytest.fixture
def world() -> FieldPlant:
    return plant()


class Refused(list[str]):
    """The topics of messages that were none."""

    def tell(self, topic: str, error: ContractError) -> None:
        self.append(topic)


@asynccontextmanager
async def hearing(port: int, **options: Any) -> AsyncIterator[tuple[MqttSource, Heard]]:
    heard = Heard()
    options = {"take": heard.take, "identifier": "steward", **options}
    source = MqttSource(
        Broker(host="127.0.0.1", port=port), options.pop("take"), clock=SystemClock(), on_gap=heard.tell_gap,
        backoff=QUICKLY, **options,
    )  # fmt: skip
    async with source.running():
        yield source, heard


def saying(port: int, world: FieldPlant) -> MqttPlant:
    broker = Broker(host="127.0.0.1", port=port)
    return MqttPlant(broker, "es", clock=SystemClock(), now=lambda: world.now, last=world.readings, backoff=QUICKLY)


async def test_json_and_sparkplug_say_the_same(port: int, world: FieldPlant) -> None:
    async with hearing(port, site=None, group="grid") as (_, sparkplug):
        async with hearing(port, identifier="json") as (_, plain), saying(port, world).running() as said:
            await sparkplug.until(lambda: len(sparkplug.readings) == POINTS)
            assert sparkplug.readings == world.readings()
            world.advance(MIDNIGHT + timedelta(minutes=1))
            await said.publish(world.readings())
            await plain.until(lambda: len(plain.readings) == POINTS)
            await sparkplug.until(lambda: len(sparkplug.readings) == 2 * POINTS)
            assert plain.readings == sparkplug.readings[POINTS:] == world.readings()
        await sparkplug.until(lambda: len(sparkplug.readings) == 3 * POINTS)  # the node is dead
    assert {(reading.value, reading.quality) for reading in sparkplug.readings[2 * POINTS :]} == {(None, Quality.BAD)}


async def test_a_node_that_is_cut_off_is_dead_and_comes_back_with_a_birth(port: int, world: FieldPlant) -> None:
    async with (
        hearing(port, site=None, group="grid") as (_, heard),
        Line().to(port) as line,
        saying(line.port, world).running(),
    ):
        await heard.until(lambda: len(heard.readings) == POINTS)
        line.cut()
        await heard.until(lambda: len(heard.readings) == 3 * POINTS)
        values = [reading.value is None for reading in heard.readings]
    assert values == [False] * POINTS + [True] * POINTS + [False] * POINTS
    assert heard.gaps == []  # the broker was there all the time


async def test_a_host_that_comes_late_asks_for_a_birth(port: int, world: FieldPlant) -> None:
    async with saying(port, world).running() as said, hearing(port, site=None, group="grid") as (_, heard):
        await said.publish(world.readings())
        await heard.until(lambda: len(heard.readings) == POINTS)
        await said.publish(world.readings())
        await heard.until(lambda: len(heard.readings) == 2 * POINTS)
    assert all(reading.is_good for reading in heard.readings)


async def test_what_is_no_message_is_told_and_keeps_nobody_from_being_heard(port: int, world: FieldPlant) -> None:
    refused = Refused()
    good = world.readings()[0]
    poison = [
        b"",
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        json.encode(good).replace(b"load_mw", b"soc_mwh"),
        b"x" * 2_000_000,
    ]
    async with hearing(port, group="grid", on_refused=refused.tell) as (_, heard):
        async with aiomqtt.Client("127.0.0.1", port) as client:
            for payload in poison[:5]:
                await client.publish(topic_of("es", LOAD), payload, qos=1)
            await client.publish("spBv1.0/grid/NDATA/es", b"\x12\x7f", qos=1)
            await client.publish("spBv1.0/grid/WHAT/es", b"", qos=1)
            await client.publish(topic_of("es", LOAD), json.encode(good), qos=1)
        await heard.until(lambda: bool(heard.readings))
    assert heard.readings == [good]
    assert len(refused) == 7
    with pytest.raises(ContractError, match="too large"):
        reading_of(topic_of("es", LOAD), poison[5])


class Acknowledged(list[int]):
    """Stands in for the connection, and counts what is acknowledged."""

    def __init__(self) -> None:
        self._client = self

    def ack(self, mid: int, qos: int) -> None:
        self.append(mid)


async def test_what_was_not_kept_is_not_acknowledged(world: FieldPlant) -> None:
    kept: list[Reading] = []

    async def take(readings: Sequence[Reading]) -> None:
        if not kept:
            kept.extend(readings)
            raise EngineError("the ledger is full", retryable=True)

    readings = world.readings()
    messages: list[Any] = [
        aiomqtt.Message(topic_of("es", Point.of(said)), json.encode(said), 1, False, mid, None)
        for mid, said in enumerate(readings)
    ]
    source = MqttSource(Broker(host="127.0.0.1"), take, identifier="steward", clock=SystemClock())
    connection: Any = Acknowledged()
    with pytest.raises(EngineError, match="full"):
        await source._take_all(connection, messages)
    assert (connection, kept) == ([], readings)
    await source._take_all(connection, [*messages, aiomqtt.Message("steward/es/x/y", b"poison", 1, False, 99, None)])
    assert connection == [*range(POINTS), 99]  # what is no message would come again for ever


async def test_a_message_is_acknowledged_once_it_is_kept(world: FieldPlant) -> None:
    said = world.readings()[0]
    topic, payload = topic_of("es", Point.of(said)).encode(), json.encode(said)
    kept, acknowledged, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say what MQTT 3.1.1 wants to hear: that it is connected and subscribed, and then one message."""
        await reader.read(1_000)
        writer.write(b"\x20\x02\x00\x00")
        subscribe = await reader.read(1_000)
        writer.write(b"\x90\x03" + subscribe[2:4] + b"\x01")
        body = len(topic).to_bytes(2, "big") + topic + b"\x00\x07" + payload
        writer.write(b"\x32" + bytes([len(body) % 128 | 128, len(body) // 128]) + body)
        assert await reader.read(1_000) == b"\x40\x02\x00\x07"
        acknowledged.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        over.set()

    async def take(readings: Sequence[Reading]) -> None:
        await asyncio.sleep(0.05)  # an acknowledgement would be there long before
        assert not acknowledged.is_set()
        kept.set()

    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    async with hearing(server.sockets[0].getsockname()[1], take=take), asyncio.timeout(5):
        await kept.wait()
        await acknowledged.wait()
    await over.wait()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(("code", "error"), [(4, Denied), (5, Denied), (3, EngineError)])
async def test_a_broker_that_refuses_is_told_from_one_that_is_ill(code: int, error: type[Exception]) -> None:
    over = asyncio.Event()

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(b"\x20\x02\x00" + bytes([code]))
        await reader.read()
        writer.close()
        await writer.wait_closed()
        over.set()

    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    there = Broker(host="127.0.0.1", port=server.sockets[0].getsockname()[1], user="ana", password="wrong")
    source = MqttSource(there, Heard().take, identifier="steward", clock=SystemClock())
    with pytest.raises(error):
        await source._listen()
    await over.wait()
    server.close()
    await server.wait_closed()


def test_a_password_is_not_told_to_everybody(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="unencrypted"):
        Broker(host="broker.example", user="ana", password="s3cret")
    broker = Broker(host="broker.example", user="ana", password="s3cret", authority=tmp_path / "ca.pem")
    assert "s3cret" not in repr(broker)
    Broker(host="broker.example")


@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
async def test_a_broker_is_believed_if_its_certificate_is_vouched_for(tmp_path: Path) -> None:
    now = SystemClock().now()
    ours, other = (Identity.made(tmp_path, name, now=now) for name in ("broker", "other"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ours.certificate, ours.key)
    asked: list[bytes] = []

    async def broker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(1_000))
        writer.write(b"\x20\x02\x00\x05")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(broker, "localhost", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    for authority, error in ((ours.certificate, Denied), (other.certificate, EngineError)):
        there = Broker(host="localhost", port=port, user="ana", password="s3cret", authority=authority)
        source = MqttSource(there, Heard().take, identifier="steward", clock=SystemClock())
        with pytest.raises(error):
            await source._listen()
    assert [b"s3cret" in said for said in asked] == [True]
    server.close()
    await server.wait_closed()
    gc.collect()  # paho leaves the socket of a failed handshake to the collector


async def test_a_lost_connection_is_set_up_again_and_the_gap_is_told(port: int, world: FieldPlant) -> None:
    async with saying(port, world).running() as said, Line().to(port) as line, hearing(line.port) as (_, heard):
        await said.publish(world.readings())
        await heard.until(lambda: len(heard.readings) == POINTS)
        line.cut()
        async with asyncio.timeout(5):
            while not heard.gaps:
                await said.publish(world.readings()[:1])
                await asyncio.sleep(0.02)
    assert heard.gaps[0].why


async def test_a_broker_that_is_not_there_is_told() -> None:
    world = plant()
    said = saying(1, world)
    with pytest.raises(EngineError, match="no connection") as caught:
        await said.publish(world.readings())
    assert caught.value.retryable
