"""One real server, many clients: most of them unwelcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
import pytest_asyncio
from msgspec import structs
from tests.cases.grid.field.network import Heard, Line
from tests.cases.grid.field.opcua.place import LOAD, SECOND, SELDOM, Place, asyncua, ua
from tests.cases.grid.field.test_world import LAYOUT, MADRID, MIDNIGHT, POINTS
from tests.runtime.world import World

from steward import Choice, Decision, Feature, Features, Prediction, Risk, Status
from steward.cases.grid.battery import Battery
from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.field.bridge import Bridge, FieldReading
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Quality, Reading
from steward.cases.grid.field.remote import RemotePlant, dispatch_over
from steward.cases.grid.streams import Setpoint
from steward.clock import EPOCH
from steward.errors import Conflict, ContractError, Denied, EngineError, StewardError

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    with pytest.MonkeyPatch.context() as patch:
        # Keys that no server should have, but in a tenth of the time.
        patch.setattr("steward.cases.grid.field.opcua.identity._KEY_BITS", 1024)
        place = Place(tmp_path_factory.mktemp("opcua"))
    await place.server.start()
    yield place
    await place.server.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def place(shared: Place) -> Place:
    await shared.server.publish(shared.new_world().readings())
    return shared


async def test_every_point_is_heard_as_it_was_said(place: Place) -> None:
    said = place.world.readings()
    async with place.connected() as (client, heard):
        await heard.until(lambda: len(heard.readings) == len(said))
        assert sorted(heard.readings, key=Point.of) == sorted(said, key=Point.of)
        assert await client.read(LOAD) == said[0]


async def test_a_value_that_stays_is_news_if_its_time_moves(place: Place) -> None:
    weather = Point("es.weather", "temperature_c")
    async with place.connected(points=(weather,)) as (_, heard):
        await heard.until(lambda: len(heard.readings) == 1)
        place.world.advance(MIDNIGHT + 10 * SECOND)
        await place.server.publish(place.world.readings())
        await heard.until(lambda: len(heard.readings) == 2)
    first, second = heard.readings
    assert first.value == second.value == 10.0
    assert second.source_time - first.source_time == 10 * SECOND


@pytest.mark.parametrize(
    "said", ["x" * 200_000, float("nan"), float("inf"), True, [1.0, 2.0]], ids=lambda said: str(said)[:9]
)
async def test_what_is_no_number_is_no_value(place: Place, said: object) -> None:
    place.say(ua.DataValue(ua.Variant(said), SourceTimestamp=MIDNIGHT, ServerTimestamp=MIDNIGHT))
    async with place.connected(points=(LOAD,)) as (_, heard):
        await heard.until(lambda: bool(heard.readings))
    assert (heard.readings[0].value, heard.readings[0].quality) == (None, Quality.BAD)


async def test_a_sensor_that_failed_has_no_value(place: Place) -> None:
    place.world.faults[LOAD] = Quality.BAD
    await place.server.publish(place.world.readings())
    async with place.connected(points=(LOAD,)) as (_, heard):
        await heard.until(lambda: bool(heard.readings))
    assert (heard.readings[0].value, heard.readings[0].quality) == (None, Quality.BAD)


@pytest.mark.parametrize(
    ("status", "quality"),
    [(0x40900000, Quality.UNCERTAIN), (0x808D0000, Quality.BAD)],
    ids=["last usable value", "out of service"],
)
async def test_quality_is_what_the_status_says(place: Place, status: int, quality: Quality) -> None:
    place.say(ua.DataValue(ua.Variant(4.2), StatusCode=ua.StatusCode(status), SourceTimestamp=MIDNIGHT))
    async with place.connected(points=(LOAD,)) as (client, heard):
        await heard.until(lambda: bool(heard.readings))
        assert (heard.readings[0].quality, heard.readings[0].value) == (quality, 4.2)
        assert (await client.read(LOAD)).quality is quality


async def test_a_set_point_is_written_once_under_its_key_and_read_back(place: Place) -> None:
    async with place.connected(points=()) as (client, _):
        plant = RemotePlant(LAYOUT, MADRID, Battery(), client.call)
        assert await plant.has_control(MIDNIGHT, key="a") is None
        control = await plant.take_control(MIDNIGHT, key="a")
        assert await plant.has_control(MIDNIGHT, key="a") == control == place.world.has_control(MIDNIGHT, key="a")
        receipt = await plant.take(Setpoint(power_mw=-25.0), at=MIDNIGHT, key="a")
        assert receipt.detail == {"power_mw": "-10.0"}
        assert await plant.take(Setpoint(power_mw=3.0), at=MIDNIGHT, key="a") == receipt
        assert await plant.read_back(MIDNIGHT, key="a") == await plant.standing(MIDNIGHT) == receipt
        assert await plant.read_back(MIDNIGHT, key="b") is None
        assert (await plant.forget(MIDNIGHT, key="a")).detail == {"power_mw": "0.0"}
        await plant.release_control(MIDNIGHT, key="a")
        assert await plant.has_control(MIDNIGHT, key="a") is None
        place.world.advance(MIDNIGHT + HOUR)
        assert "is over" in (await plant.obstacle(MIDNIGHT) or "")
        assert await plant.obstacle(MIDNIGHT + HOUR) is None


async def test_what_the_plant_refuses_is_refused_here_and_nothing_is_left_open(place: Place) -> None:
    place.world.advance(MIDNIGHT + HOUR)
    later = MIDNIGHT + HOUR
    refusals: list[tuple[tuple[object, ...], type[StewardError], str]] = [
        (("TakeControl", MIDNIGHT, "a"), EngineError, "too-late"),
        (("Take", 1.0, later, "a"), EngineError, "no-control"),
        (("Forget", later, "a"), Conflict, "not-waiting"),
        (("Take", "much", later, "a"), ContractError, "contract"),
        (("Take", float("nan"), later, "a"), ContractError, "contract"),
        (("Take", float("inf"), later, "a"), ContractError, "contract"),
        (("Take", True, later, "a"), ContractError, "contract"),
        (("Take", [1.0, 2.0], later, "a"), ContractError, "contract"),
        (("Take", 1.0, later, "x" * 100_000), ContractError, "contract"),
        (("Take", 1.0, later, ""), ContractError, "contract"),
        (("Take", 1.0, "tomorrow", "a"), ContractError, "contract"),
        (("Take", 1.0), ContractError, "contract"),
        (("Take", 1.0, later, "a", "b"), ContractError, "contract"),
        (("Explode",), EngineError, "opcua-refused"),
    ]
    async with place.connected(points=()) as (client, _):
        for (method, *arguments), error, code in refusals:
            with pytest.raises(error) as caught:
                await client.call(str(method), *arguments)
            assert (caught.value.code, getattr(caught.value, "retryable", False)) == (code, False), method
    assert place.world.standing(later) is None


async def test_who_may_look_may_not_order_and_nobody_writes_what_is_measured(place: Place) -> None:
    async with place.connected(security=place.security(user="ben", password="look")) as (client, heard):
        await heard.until(lambda: bool(heard.readings))
        with pytest.raises(Denied):
            await client.call("TakeControl", MIDNIGHT, "a")
        with pytest.raises(Denied):
            await client.write(LOAD, 1.0)
    assert place.world.has_control(MIDNIGHT, key="a") is None
    async with place.connected(points=()) as (client, _):
        with pytest.raises((Denied, EngineError)):
            await client.write(LOAD, 1.0)
        assert (await client.read(LOAD)).value != 1.0


async def test_a_variable_of_another_server_is_written_and_looked_at(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = place.server._server.get_node(place.node(LOAD))
    await node.set_writable()
    async with place.connected(points=()) as (client, _):
        assert (await client.write(LOAD, 3.0)).value == 3.0
        held = await client.read(LOAD)
        monkeypatch.setattr(client, "read", AsyncMock(return_value=held))
        with pytest.raises(EngineError) as caught:
            await client.write(LOAD, 2.0)
        assert caught.value.code == "not-held"
    await node.set_writable(False)


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "wrong"},
        {"password": ""},
        {"user": "nobody"},
        {"user": "nil", "password": ""},
        {"user": "admin", "password": "admin"},
        {"identity": "stranger"},
        {"identity": "expired"},
        {"identity": "bridge under another name"},
    ],
    ids=str,
)
async def test_who_is_not_known_is_refused(place: Place, changes: dict[str, Any]) -> None:
    if "identity" in changes:
        renamed = replace(place.bridge, uri="urn:steward:other")
        identities = {"stranger": place.stranger, "expired": place.expired}
        changes = {"identity": identities.get(changes["identity"], renamed)}
    with pytest.raises(Denied):
        async with place.connected(security=place.security(**changes)):
            pass


async def test_a_stranger_who_shows_no_certificate_to_the_session_is_refused_by_that_of_the_channel(
    place: Place,
) -> None:
    server = place.server._server.iserver
    check, server.certificate_validator = server.certificate_validator, None
    try:
        with pytest.raises(Denied):
            async with place.connected(security=place.security(identity=place.stranger)):
                pass
    finally:
        server.certificate_validator = check


async def test_nobody_is_anonymous_and_nothing_goes_unencrypted(place: Place) -> None:
    for user, password in ((None, None), ("ana", "s3cret")):
        client = asyncua.Client(place.server.url, timeout=2)
        if user and password:
            client.set_user(user)
            client.set_password(password)
        with pytest.raises(ua.UaError):
            await client.connect()
        client.disconnect_socket()


async def test_another_server_than_the_one_that_is_known_is_not_talked_to(place: Place) -> None:
    heard = Heard()
    client = place.client(heard, security=place.security(server=place.stranger.certificate), backoff=SELDOM)
    run = asyncio.ensure_future(client.run())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.wait_connected(), 0.3)
    with pytest.raises(EngineError, match="no connection") as caught:
        await client.call("Standing", MIDNIGHT)
    assert caught.value.retryable
    run.cancel()
    assert heard.readings == []


async def test_a_point_that_the_server_does_not_have_is_told(place: Place) -> None:
    client = place.client(Heard(), points=(Point("es.feeder-9", "load_mw"),), backoff=SELDOM)
    run = asyncio.ensure_future(client.run())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.wait_connected(), 0.3)
    with pytest.raises(EngineError, match="feeder-9"):
        await client.read(LOAD)
    run.cancel()


async def test_what_is_lost_is_set_up_again_and_the_gap_is_told(place: Place) -> None:
    async with Line().to(place.server._port) as line, place.connected(port=line.port) as (client, heard):
        await heard.until(lambda: len(heard.readings) == POINTS)
        line.cut()
        await heard.until(lambda: len(heard.gaps) == 1)
        await heard.until(lambda: len(heard.readings) == 2 * POINTS)
        ((lost,), (gap,)) = heard.lost, heard.gaps
        assert (lost.since, lost.why, lost.lasted) == (gap.since, gap.why, None)
        assert gap.lasted is not None
        assert timedelta(0) < gap.lasted < 5 * SECOND
        assert await client.read(LOAD) == place.world.readings()[0]


async def test_a_server_that_is_killed_is_found_again_when_it_is_back(place: Place) -> None:
    listener = place.server._server.bserver
    async with place.connected() as (client, heard):
        await heard.until(lambda: len(heard.readings) == POINTS)
        await listener.stop()
        with pytest.raises(EngineError) as caught:
            await client.call("Standing", MIDNIGHT)
        assert (caught.value.code, caught.value.retryable) == ("opcua-unreachable", True)
        await listener.start()
        await heard.until(lambda: len(heard.readings) == 2 * POINTS)
        assert len(heard.gaps) == 1
        assert await client.call("Standing", MIDNIGHT) == ("", "")


async def test_a_connection_that_is_half_open_is_given_up(place: Place) -> None:
    async with Line().to(place.server._port) as line, place.connected(port=line.port) as (client, heard):
        await heard.until(lambda: len(heard.readings) == POINTS)
        line.mute = True
        plant = RemotePlant(LAYOUT, MADRID, Battery(), client.call)
        with pytest.raises(EngineError) as caught:
            await plant.take_control(MIDNIGHT, key="a")
        assert caught.value.retryable
        line.mute = False
        await heard.until(lambda: len(heard.readings) == 2 * POINTS)
        # The answer was lost, not the order: whoever reads back finds it done.
        assert await plant.has_control(MIDNIGHT, key="a") is not None


async def test_a_watch_dog_finds_out_that_nobody_is_there(place: Place) -> None:
    async with Line().to(place.server._port) as line, place.connected(points=(LOAD,), port=line.port) as (_, heard):
        await heard.until(lambda: bool(heard.readings))
        line.mute = True
        await asyncio.wait_for(heard.until(lambda: bool(heard.lost)), 3)


async def test_who_falls_too_far_behind_starts_anew_and_tells_the_gap(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steward.cases.grid.field.opcua.client._QUEUE", 20)
    slow, heard = asyncio.Event(), Heard()

    async def take(readings: Sequence[Reading]) -> None:
        await slow.wait()
        await heard.take(readings)

    client = place.client(Heard(), take=take, on_gap=heard.tell_gap)
    async with client.running():
        for second in range(1, 4):
            place.world.advance(MIDNIGHT + 10 * second * SECOND)
            await place.server.publish(place.world.readings())
        slow.set()
        await heard.until(lambda: bool(heard.lost) and bool(heard.gaps))
    assert "too slow" in heard.lost[0].why


def hour_of_reading(event: FieldReading) -> str:
    return (event.at - (event.at - EPOCH) % HOUR).isoformat()


def relieve(features: Features, prediction: Prediction[None]) -> Choice[Setpoint]:
    return Choice(Setpoint(power_mw=-8.0 if features.number("value") > 20 else 0.0), reasons=("it was measured",))


def relieving(plant: RemotePlant) -> Decision[FieldReading, None, Setpoint]:
    interval_start: Feature[FieldReading] = Feature(hour_of_reading, name="interval_start")
    return Decision(
        name="grid.relieve", owner="grid-operations", purpose="Relieve a feeder", risk=Risk.LOW, event=FieldReading,
        features=(interval_start, Feature("value")), policy=relieve, action=dispatch_over(plant),
    )  # fmt: skip


async def test_a_reading_becomes_a_decision_and_a_set_point_that_is_verified(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = World("memory", tmp_path, monkeypatch)
    loop.clock.set(MIDNIGHT)
    heard = Heard()
    # The client is known before the runtime is, and the plant's orders go over it.
    client = place.client(heard, points=(LOAD,))
    runtime = await loop.open(relieving(RemotePlant(LAYOUT, MADRID, Battery(), client.call)))
    bridge = Bridge(runtime.publish, clock=loop.clock)
    async with client.running():
        await heard.until(lambda: len(heard.readings) == 1)
        await bridge.take(heard.readings)
        await bridge.take(heard.readings)  # at least once is also twice
        for _ in range(8):
            await runtime.advance()
        (decided,) = {entry.run_id for entry in await loop.entries() if entry.kind == "decided"}
        run = await runtime.run(decided)
    await loop.close()
    assert run.status is Status.ACTED
    assert [step.step for step in run.stepped] == ["hour_is_ahead", "take_control", "write_setpoint", "setpoint_stands"]
    standing = place.world.standing(MIDNIGHT)
    assert standing is not None
    assert standing.detail == {"power_mw": "-8.0"}
    assert place.world.advance(MIDNIGHT + HOUR)[0].energy_mwh == pytest.approx(-8.0)


async def test_a_remote_plant_asks_what_the_plant_itself_would_ask(place: Place) -> None:
    async with place.connected() as (client, heard):
        plant = RemotePlant(LAYOUT, MADRID, Battery(), client.call)
        with pytest.raises(EngineError, match="has not said"):
            plant.due(MIDNIGHT)
        await heard.until(lambda: len(heard.readings) == POINTS)
    for reading in heard.readings:
        plant.hear(reading)
    assert plant.due(MIDNIGHT) == place.world.due(MIDNIGHT)
    plant.hear(replace_time(heard.readings[5], -10 * SECOND))
    assert plant.due(MIDNIGHT) == place.world.due(MIDNIGHT)


def replace_time(reading: Reading, by: timedelta) -> Reading:
    return structs.replace(reading, value=99.0, source_time=reading.source_time + by)
