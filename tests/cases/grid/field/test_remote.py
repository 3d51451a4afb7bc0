"""The dispatch over a wire that loses answers: whatever is lost, the plant does it once."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.cases.grid.field.test_world import LAYOUT, MADRID, MIDNIGHT, plant
from tests.runtime.world import World

from steward import Choice, Decision, Features, Prediction, Risk, Status, hours
from steward.cases.grid.battery import Battery
from steward.cases.grid.dispatch.decision import ROWS, make_decision
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.field.opcua.names import ARGUMENTS, orders_of, refuse, status_of
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.remote import RemotePlant, over_the_field
from steward.cases.grid.field.world import FieldPlant
from steward.cases.grid.streams import DispatchDue, Setpoint
from steward.errors import Conflict, ContractError, EngineError, StewardError
from steward.ledger.run import Run

SECOND = timedelta(seconds=1)


class Wire:
    """Carries orders to a plant; of the calls in ``lost`` the answer is lost, of those in ``unheard`` the order is."""

    def __init__(self, world: FieldPlant) -> None:
        self.world, self.calls = world, 0
        self.lost: set[int] = set()
        self.unheard: set[int] = set()
        self.effects: Counter[str] = Counter()

    async def order(self, method: str, *arguments: object) -> tuple[str, str]:
        assert len(arguments) == len(ARGUMENTS[method])
        self.calls += 1
        if self.calls in self.unheard:
            raise EngineError("the plant does not answer", retryable=True)
        before = self.world.standing(MIDNIGHT)
        try:
            receipt = orders_of(self.world)[method](*arguments)
        except (EngineError, Conflict) as refusal:
            refuse(status_of(refusal), "plant")
        self.effects["setpoint"] += self.world.standing(MIDNIGHT) != before
        if self.calls in self.lost:
            raise EngineError("the answer was lost", retryable=True)
        return ("", "") if receipt is None else (receipt.reference, receipt.detail.get("power_mw", ""))


def charge(features: Features, prediction: Prediction[None]) -> Choice[Setpoint]:
    return Choice(Setpoint(power_mw=-8.0), reasons=("the night is cheap",))


def dispatch(remote: RemotePlant) -> Decision[DispatchDue, None, Setpoint]:
    """Return a decision that needs no models, with the case's dispatch over the wire."""
    bare: Decision[DispatchDue, None, Setpoint] = Decision(
        name="grid.battery-dispatch", owner="grid-operations", purpose="Charge or discharge the battery",
        risk=Risk.LOW, event=DispatchDue, features=ROWS, policy=charge,
    )  # fmt: skip
    return over_the_field(bare, remote)


@pytest.fixture
def wire() -> Wire:
    return Wire(plant())


@pytest.fixture
def remote(wire: Wire) -> RemotePlant:
    remote = RemotePlant(LAYOUT, MADRID, Battery(), wire.order)
    for reading in wire.world.readings():
        remote.hear(reading)
    return remote


@pytest.fixture
async def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    loop = World("memory", tmp_path, monkeypatch)
    loop.clock.set(MIDNIGHT - 600 * SECOND)
    yield loop
    await loop.close()


async def ran(loop: World, remote: RemotePlant) -> Run:
    runtime = await loop.open(dispatch(remote))
    answer = await runtime.decide("grid.battery-dispatch", remote.due(MIDNIGHT))
    for _ in range(60):
        await runtime.advance()
        loop.clock.advance(5 * SECOND)
    return await runtime.run(answer.record.decision_id)


@pytest.mark.parametrize("calls", [{1}, {2}, {3}, {4}, {5}, {2, 3}, {3, 4, 5}], ids=str)
@pytest.mark.parametrize("fate", ["lost", "unheard"])
async def test_whatever_calls_fail_the_set_point_is_written_once(
    loop: World, wire: Wire, remote: RemotePlant, calls: set[int], fate: str
) -> None:
    getattr(wire, fate).update(calls)
    run = await ran(loop, remote)
    assert (run.status, run.failure) == (Status.ACTED, None)
    standing = wire.world.standing(MIDNIGHT)
    assert standing is not None
    assert (standing.detail, wire.effects["setpoint"]) == ({"power_mw": "-8.0"}, 1)


async def test_a_plant_that_is_never_heard_gets_no_set_point(loop: World, wire: Wire, remote: RemotePlant) -> None:
    wire.unheard = set(range(1, 1_000))
    run = await ran(loop, remote)
    assert run.status is Status.FAILED
    assert wire.world.standing(MIDNIGHT) is None


async def test_an_hour_that_is_over_is_left_alone(loop: World, wire: Wire, remote: RemotePlant) -> None:
    due = remote.due(MIDNIGHT)
    wire.world.advance(MIDNIGHT + hours(1))
    runtime = await loop.open(dispatch(remote))
    answer = await runtime.decide("grid.battery-dispatch", due)
    await runtime.advance()
    run = await runtime.run(answer.record.decision_id)
    assert run.status is Status.FAILED
    assert wire.calls == 1


async def test_a_declared_dispatch_keeps_all_but_its_wire(remote: RemotePlant) -> None:
    declared = make_decision(SimulatedPlant("es", MADRID, Battery()), has_load=False)
    wired = over_the_field(declared, remote)
    assert (wired.name, wired.gate, wired.economics, wired.predict) == (
        declared.name, declared.gate, declared.economics, declared.predict
    )  # fmt: skip
    assert wired.schedule is not None
    assert wired.schedule.make(MIDNIGHT) == remote.due(MIDNIGHT)


def test_it_asks_what_the_plant_itself_would_ask_today_and_for_tomorrow(remote: RemotePlant, wire: Wire) -> None:
    world = wire.world
    for hour, power_mw in ((0, -10.0), (1, 8.0)):
        at = MIDNIGHT + hours(hour)
        world.take_control(at, key="a")
        world.take(Setpoint(power_mw=power_mw), at=at, key="a")
        world.advance(at + hours(1))
    world.advance(MIDNIGHT + hours(23.5))
    for reading in world.readings():
        remote.hear(reading)
    for hour in (23, 24, 30):
        here, there = world.due(MIDNIGHT + hours(hour)), remote.due(MIDNIGHT + hours(hour))
        assert (there.day, there.day_start, there.plan_at) == (here.day, here.day_start, here.plan_at)
        assert there.withdrawn_mwh == pytest.approx(here.withdrawn_mwh, abs=1e-6)
        assert there.soc_at_day_start_mwh == pytest.approx(here.soc_at_day_start_mwh, abs=1e-6)
        assert (there.withdrawn_mwh == 0.0) is (hour > 23)


def test_without_a_store_there_is_no_question(remote: RemotePlant) -> None:
    soc, later = Point("es.battery", "soc_mwh"), MIDNIGHT + SECOND
    remote.hear(soc.reading(None, source_time=later, server_time=later, now=later))
    with pytest.raises(EngineError, match="has not said its soc_mwh"):
        remote.due(later)


@pytest.mark.parametrize(
    "refusal",
    [
        EngineError("over", code="too-late"),
        EngineError("nobody", code="no-control"),
        Conflict("none", code="not-waiting"),
        ContractError("wrong"),
        EngineError("something else"),
    ],
)
def test_a_refusal_is_the_same_on_the_far_side(refusal: StewardError) -> None:
    with pytest.raises(type(refusal)) as caught:
        refuse(status_of(refusal), "plant")
    known = refusal.code != "engine"
    assert getattr(caught.value, "retryable", False) is not known
    assert not known or caught.value.code == refusal.code
