from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from tests.cases.grid.field.network import Heard, Line
from tests.cases.grid.field.test_world import LAYOUT, MIDNIGHT, POINTS, plant

from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.field.modbus.client import ModbusClient
from steward.cases.grid.field.modbus.registers import Kind, Register, RegisterMap, plant_registers
from steward.cases.grid.field.modbus.server import ModbusServer
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Quality
from steward.cases.grid.field.source import Backoff
from steward.cases.grid.field.world import FieldPlant
from steward.clock import SystemClock
from steward.errors import ContractError, EngineError

TABLE = plant_registers(LAYOUT)
LOAD, SETPOINT = Point("es.feeder-1", "load_mw"), Point("es.battery", "setpoint_mw")
SOON = timedelta(milliseconds=20)


class Inverter:
    """A server whose set-point is held up to 10 MW, and that can fail."""

    def __init__(self) -> None:
        self.world: FieldPlant = plant()
        self.written: list[float] = []
        self.broken = False
        self.server = ModbusServer(TABLE, self.write, port=0)

    def write(self, point: Point, value: float) -> float:
        if self.broken:
            raise EngineError("the inverter is off")
        self.written.append(value)
        return max(min(value, 10.0), -10.0)


@pytest.fixture
async def inverter() -> AsyncIterator[Inverter]:
    inverter = Inverter()
    await inverter.server.start()
    inverter.server.publish(inverter.world.readings())
    yield inverter
    await inverter.server.stop()


@asynccontextmanager
async def connected(
    port: int, *, table: RegisterMap = TABLE, **options: Any
) -> AsyncIterator[tuple[ModbusClient, Heard]]:
    heard = Heard()
    client = ModbusClient(
        "127.0.0.1", port, table, heard.take, clock=SystemClock(), every=SOON,
        answer_within=timedelta(seconds=0.2), on_gap=heard.tell_gap, backoff=Backoff(first=SOON, longest=SOON),
        **options,
    )  # fmt: skip
    async with client.running():
        yield client, heard


async def test_every_point_is_heard_to_the_scale_of_its_register(inverter: Inverter) -> None:
    async with connected(inverter.server.port) as (_, heard):
        await heard.until(lambda: len(heard.readings) >= POINTS)
    said = {Point.of(reading): reading.value for reading in inverter.world.readings()}
    for reading in heard.readings[:POINTS]:
        assert reading.value == pytest.approx(said[Point.of(reading)], abs=0.05)
        assert reading.is_good
    assert {Point.of(reading) for reading in heard.readings} == set(LAYOUT.points)


async def test_what_has_no_value_is_bad(inverter: Inverter) -> None:
    inverter.world.faults[LOAD] = Quality.BAD
    inverter.server.publish(inverter.world.readings())
    async with connected(inverter.server.port) as (client, _):
        reading = await client.read(LOAD)
    assert (reading.value, reading.quality) == (None, Quality.BAD)


async def test_a_set_point_is_written_and_looked_at(inverter: Inverter) -> None:
    async with connected(inverter.server.port) as (client, _):
        assert (await client.write(SETPOINT, -8.0)).value == -8.0
        assert (await client.write(SETPOINT, 0.0)).value == 0.0
        with pytest.raises(EngineError, match="after 12") as caught:
            await client.write(SETPOINT, 12.5)
        assert caught.value.code == "not-held"
        for wrong in (float("nan"), float("inf"), 1e12):
            with pytest.raises(ContractError):
                await client.write(SETPOINT, wrong)
    assert inverter.written == [-8.0, 0.0, 12.5]


async def test_what_a_device_refuses_is_told_and_never_tried_twice(inverter: Inverter) -> None:
    inverter.broken = True
    async with connected(inverter.server.port) as (client, _):
        with pytest.raises(EngineError, match="it failed") as caught:
            await client.write(SETPOINT, 1.0)
        assert (caught.value.code, caught.value.retryable) == ("modbus-refused", False)
        with pytest.raises(EngineError, match="no such register"):
            await client.write(LOAD, 1.0)
    assert inverter.written == []


async def test_devices_and_registers_that_are_not_there_are_bad_and_the_others_go_on(inverter: Inverter) -> None:
    nowhere = Register(unit=1, address=900, kind=Kind.INT16, scale=1.0, point=Point("es.feeder-8", "load_mw"))
    nobody = Register(unit=9, address=0, kind=Kind.INT16, scale=1.0, point=Point("es.feeder-9", "load_mw"))
    table = RegisterMap((*TABLE.registers, nowhere, nobody))
    async with connected(inverter.server.port, table=table) as (client, heard):
        await heard.until(lambda: len(heard.readings) >= 2 * (POINTS + 2))
        with pytest.raises(EngineError, match="no such register"):
            await client.read(nowhere.point)
    bad = {reading.mrid for reading in heard.readings if not reading.is_good}
    assert bad == {"es.feeder-8", "es.feeder-9"}
    assert heard.gaps == []


@pytest.mark.parametrize("words", [[], [1], [1, 2, 3, 4]])
async def test_an_answer_of_another_length_is_no_reading(words: list[int]) -> None:
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(260):
            body = bytes([request[6], request[7], 2 * len(words)]) + b"".join(word.to_bytes(2, "big") for word in words)
            writer.write(request[:4] + len(body).to_bytes(2, "big") + body)
        writer.close()
        await writer.wait_closed()
        over.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    table = RegisterMap((TABLE.of(LOAD),))
    heard = Heard()
    client = ModbusClient(
        "127.0.0.1", server.sockets[0].getsockname()[1], table, heard.take, clock=SystemClock(),
        answer_within=timedelta(seconds=0.1), backoff=Backoff(first=SOON, longest=SOON),
    )  # fmt: skip
    async with client._connect():
        with pytest.raises(EngineError) as caught:
            await client.read(LOAD)
    assert caught.value.code in {"modbus-short", "modbus-unreachable"}
    assert caught.value.retryable
    await over.wait()
    server.close()
    await server.wait_closed()


async def test_a_line_that_is_cut_is_set_up_again_and_the_gap_is_told(inverter: Inverter) -> None:
    async with Line().to(inverter.server.port) as line, connected(line.port) as (_, heard):
        await heard.until(lambda: len(heard.readings) >= POINTS)
        line.cut()
        await heard.until(lambda: len(heard.gaps) == 1)
        before = len(heard.readings)
        await heard.until(lambda: len(heard.readings) >= before + POINTS)


async def test_a_device_that_falls_silent_is_given_up_and_found_again(inverter: Inverter) -> None:
    async with Line().to(inverter.server.port) as line, connected(line.port) as (client, heard):
        await heard.until(lambda: len(heard.readings) >= POINTS)
        line.mute = True
        with pytest.raises(EngineError) as caught:
            await client.write(SETPOINT, -8.0)
        assert (caught.value.code, caught.value.retryable) == ("modbus-unreachable", True)
        assert inverter.written == [-8.0]  # it was taken: only the answer was lost
        with pytest.raises(EngineError):
            await client.read(SETPOINT)
        line.mute = False
        await heard.until(lambda: len(heard.gaps) >= 1)
        assert (await client.read(SETPOINT)).value == -8.0


async def test_a_server_that_is_killed_is_found_again_when_it_is_back(inverter: Inverter) -> None:
    async with connected(inverter.server.port) as (client, heard):
        await heard.until(lambda: len(heard.readings) >= POINTS)
        await inverter.server.stop()
        with pytest.raises(EngineError) as caught:
            await client.read(LOAD)
        assert (caught.value.code, caught.value.retryable) == ("modbus-unreachable", True)
        await inverter.server.start()
        await heard.until(lambda: len(heard.gaps) == 1)
        inverter.world.advance(MIDNIGHT + HOUR)
        assert (await client.read(LOAD)).is_good
