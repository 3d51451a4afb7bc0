from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest
from tests.cases.grid.field.network import Heard
from tests.cases.grid.field.test_world import LAYOUT, MIDNIGHT, POINTS, plant

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.field.modbus.client import ModbusClient
from steward.cases.grid.field.modbus.registers import plant_registers
from steward.cases.grid.field.mqtt.client import Broker, MqttSource
from steward.cases.grid.field.opcua.identity import Identity, TrustList, certificate_of, paired
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.remote import RemotePlant
from steward.cases.grid.field.serve import Addresses, PlantOptions, make_plant, serve, speaking
from steward.cases.grid.field.source import Backoff, Connection
from steward.cases.grid.streams import Setpoint
from steward.clock import SystemClock
from steward.errors import ContractError, Denied, EngineError

SETPOINT = Point("es.battery", "setpoint_mw")


@pytest.fixture
def options(tmp_path: Path) -> PlantOptions:
    return PlantOptions(folder=tmp_path, opcua_port=None, modbus_port=0, mqtt_port=0, speed=600.0)


@pytest.fixture(autouse=True)
def _short_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make keys that no server should have, but in a tenth of the time."""
    monkeypatch.setattr("steward.cases.grid.field.opcua.identity._KEY_BITS", 1024)


def port_of(address: str | None) -> int:
    assert address is not None
    return int(address.rsplit(":", 1)[1])


async def test_a_plant_speaks_modbus_and_mqtt_and_follows_what_it_is_told(options: PlantOptions) -> None:
    clock, world, by_modbus, by_mqtt = SystemClock(), plant(), Heard(), Heard()
    async with speaking(world, options, clock) as voices:
        broker = Broker(host="127.0.0.1", port=port_of(voices.addresses.mqtt))
        table = plant_registers(LAYOUT)
        inverter = ModbusClient("127.0.0.1", port_of(voices.addresses.modbus), table, by_modbus.take, clock=clock)
        source = MqttSource(broker, by_mqtt.take, identifier="steward", clock=clock, group="grid")
        async with inverter.running(), source.running():
            await inverter.write(SETPOINT, -8.0)
            assert (await inverter.write(SETPOINT, -6.0)).value == -6.0
            (hour,) = world.advance(world.hour + HOUR)
            await voices.publish()
            await by_mqtt.until(lambda: len(by_mqtt.readings) == 2 * POINTS)  # as JSON, and as Sparkplug B
            await by_modbus.until(lambda: len(by_modbus.readings) >= POINTS)
    assert hour.energy_mwh == pytest.approx(-6.0)
    assert sorted(by_mqtt.readings[:POINTS], key=Point.of) == sorted(world.readings(), key=Point.of)


async def test_what_comes_over_modbus_leaves_alone_what_was_decided(options: PlantOptions) -> None:
    world = plant()
    world.take_control(MIDNIGHT, key="decision")
    world.take(Setpoint(power_mw=-8.0), at=MIDNIGHT, key="decision")
    async with speaking(world, replace(options, mqtt_port=None), SystemClock()) as voices:
        table, heard = plant_registers(LAYOUT), Heard()
        port = port_of(voices.addresses.modbus)
        async with ModbusClient("127.0.0.1", port, table, heard.take, clock=SystemClock()).running() as inverter:
            with pytest.raises(EngineError, match=r"says -8"):
                await inverter.write(SETPOINT, 5.0)
    standing = world.standing(MIDNIGHT)
    assert standing is not None
    assert standing.detail == {"power_mw": "-8.0"}


async def test_it_lives_until_it_is_told_to_stop(options: PlantOptions, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[Addresses] = []

    def ready(addresses: Addresses) -> None:
        told.append(addresses)
        os.kill(os.getpid(), signal.SIGINT)

    world = await asyncio.wait_for(serve(replace(options, ready=ready, every=timedelta(hours=1))), 10)
    assert str(told[0].modbus) in capsys.readouterr().out
    assert world.hour == world.now
    assert told[0].opcua is None


async def test_it_lives_for_as_long_as_it_was_told(options: PlantOptions) -> None:
    short = replace(options, mqtt_port=None, run_for=timedelta(seconds=0.1), every=timedelta(seconds=0.02))
    world = await serve(short)
    lived = world.now - make_plant(short, now=SystemClock().now()).now
    assert timedelta(seconds=30) <= lived <= timedelta(seconds=120)  # 600 times as fast, in whole steps


def test_a_plant_of_options_lives_in_the_hour_that_runs(options: PlantOptions) -> None:
    made = make_plant(replace(options, feeders=2, site="x"), now=MIDNIGHT + HOUR / 3)
    assert (made.now, made.layout.name, made.local) == (MIDNIGHT, "x", LocalDays("Europe/Madrid"))
    loads = [reading.value or 0.0 for reading in made.readings() if reading.reading_type == "load_mw"]
    assert 30 < sum(loads) < 90
    assert made.local.day_of(made.now) == date(2018, 1, 2)


@pytest.mark.parametrize("wrong", [{"modbus_port": None, "mqtt_port": None}, {"speed": 0.0}, {"every": timedelta(0)}])
def test_a_plant_that_nobody_hears_or_where_no_time_passes_is_refused(
    options: PlantOptions, wrong: dict[str, object]
) -> None:
    with pytest.raises(ContractError):
        replace(options, **wrong)  # type: ignore[arg-type] # wrong on purpose


async def test_a_port_that_is_taken_and_a_broker_that_is_away_are_told(
    options: PlantOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steward.cases.grid.field.serve._ANSWER_WITHIN_S", 0.2)
    taken = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    for wrong in (
        replace(options, modbus_port=port, mqtt_port=None),
        replace(options, modbus_port=None, mqtt_port=port),
        replace(options, modbus_port=None, mqtt_port=None, mqtt_broker=Broker(host="127.0.0.1", port=1)),
    ):
        with pytest.raises(EngineError):
            async with speaking(plant(), wrong, SystemClock()):
                pass
    taken.close()
    await taken.wait_closed()


@pytest.mark.parametrize(
    ("protocol", "package"), [("opcua_port", "asyncua"), ("modbus_port", "pymodbus"), ("mqtt_broker", "aiomqtt")]
)
async def test_a_library_that_is_missing_is_named(
    options: PlantOptions, monkeypatch: pytest.MonkeyPatch, protocol: str, package: str
) -> None:
    def missing(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr("steward.cases.grid.field.lazily.import_module", missing)
    alone: dict[str, Any] = {"modbus_port": None, "mqtt_port": None}
    alone[protocol] = Broker(host="127.0.0.1") if protocol == "mqtt_broker" else 0
    with pytest.raises(EngineError, match=f"needs {package}.*steward-aios.grid"):
        async with speaking(plant(), replace(options, **alone), SystemClock()):
            pass


async def test_a_broker_that_is_missing_is_named(options: PlantOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "amqtt.broker", None)
    with pytest.raises(EngineError, match="install amqtt"):
        async with speaking(plant(), replace(options, modbus_port=None), SystemClock()):
            pass


def test_keys_and_password_are_made_once_and_for_their_owner_only(tmp_path: Path) -> None:
    now = SystemClock().now()
    server, client = paired(tmp_path / "keys", now=now)
    assert paired(tmp_path / "keys", now=now) == (server, client)
    assert server.users["steward"].password == client.password
    assert client.password not in repr((server, client))
    assert server.trusted.trusts(certificate_of(client.identity.certificate))
    assert not server.trusted.trusts(certificate_of(server.identity.certificate))
    for secret in (client.identity.key, server.identity.key, tmp_path / "keys" / "steward.password"):
        assert secret.stat().st_mode & 0o077 == 0
    with pytest.raises(ContractError, match="no certificate"):
        TrustList.of([client.identity.key])


def test_a_certificate_that_is_no_longer_valid_is_made_anew(tmp_path: Path) -> None:
    now = SystemClock().now()
    made = Identity.made(tmp_path, "plant", now=now)
    first = certificate_of(made.certificate)
    Identity.made(tmp_path, "plant", now=now + timedelta(days=800))
    assert certificate_of(made.certificate) == first
    Identity.made(tmp_path, "plant", now=now + timedelta(days=900))
    assert certificate_of(made.certificate) != first


def test_a_key_that_was_changed_is_read_again(tmp_path: Path) -> None:
    now = SystemClock().now()
    one, other = (Identity.made(tmp_path, name, now=now) for name in ("one", "other"))
    certificate, key = one.loaded()
    assert one.loaded()[1] is key
    one.key.write_bytes(other.key.read_bytes())
    one.certificate.write_bytes(other.certificate.read_bytes())
    assert one.loaded()[0] == other.loaded()[0] != certificate
    one.key.write_text("no key")
    with pytest.raises(ContractError, match="no key"):
        one.loaded()
    one.key.unlink()
    with pytest.raises(ContractError, match="cannot be read"):
        one.loaded()


class Failing(Connection):
    """Is lost three times, and then refused."""

    tries = 0

    async def _listen(self) -> NoReturn:
        self.tries += 1
        self._up()
        await asyncio.sleep(0)
        raise EngineError("lost", retryable=True) if self.tries < 4 else Denied("refused")


async def test_a_refusal_ends_a_connection_and_a_loss_does_not(caplog: pytest.LogCaptureFixture) -> None:
    soon = Backoff(first=timedelta(milliseconds=1), longest=timedelta(milliseconds=1))
    failing = Failing("there", clock=SystemClock(), backoff=soon)
    with pytest.raises(Denied):
        await failing.run()
    assert failing.tries == 4
    assert [record.message for record in caplog.records] == ["lost", "lost", "lost", "refused"]
    assert not failing.is_connected


async def test_a_refusal_that_comes_later_is_told_on_leaving() -> None:
    soon = Backoff(first=timedelta(milliseconds=1), longest=timedelta(milliseconds=1))
    failing = Failing("there", clock=SystemClock(), backoff=soon)
    entered = []

    async def enter() -> None:
        async with failing.running(), asyncio.timeout(5):
            entered.append(failing.tries)
            while failing.tries < 4 or failing.is_connected:  # noqa: ASYNC110 - it only counts
                await asyncio.sleep(0.005)

    with pytest.raises(Denied):
        await enter()
    assert entered == [1]


@pytest.mark.deep
async def test_a_plant_speaks_opcua(options: PlantOptions) -> None:
    from steward.cases.grid.field.opcua.client import OpcUaClient

    clock, world, heard = SystemClock(), plant(), Heard()
    async with speaking(world, replace(options, opcua_port=0), clock) as voices:
        _, security = paired(options.folder, now=clock.now())
        url = str(voices.addresses.opcua)
        source = OpcUaClient(url, LAYOUT.points, heard.take, security=security, clock=clock)
        async with source.running():
            await heard.until(lambda: len(heard.readings) == POINTS)
            far = RemotePlant(LAYOUT, world.local, Battery(), source.call)
            await far.take_control(MIDNIGHT, key="a")
            assert (await far.take(Setpoint(power_mw=-8.0), at=MIDNIGHT, key="a")).detail == {"power_mw": "-8.0"}


@pytest.mark.deep
async def test_who_is_anonymous_may_look_where_that_is_configured_and_never_order(tmp_path: Path) -> None:
    from steward.cases.grid.field.opcua.client import OpcUaClient
    from steward.cases.grid.field.opcua.server import OpcUaServer

    clock, world, heard = SystemClock(), plant(), Heard()
    security, _ = paired(tmp_path, now=clock.now())
    server = OpcUaServer(LAYOUT, world, security=replace(security, anonymous=True), clock=clock, port=0)
    await server.start()
    await server.publish(world.readings())
    async with OpcUaClient(server.url, LAYOUT.points, heard.take, security=None, clock=clock).running() as client:
        await heard.until(lambda: len(heard.readings) == POINTS)
        with pytest.raises(Denied):
            await client.call("TakeControl", MIDNIGHT, "a")
    await server.stop()
    assert world.has_control(MIDNIGHT, key="a") is None
