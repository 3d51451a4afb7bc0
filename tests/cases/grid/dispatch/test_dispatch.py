"""A dispatch in several steps, approved by a person: killed anywhere, each effect is found once."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from tests.runtime.world import World

from steward import (
    Choice,
    Decision,
    Economics,
    Feature,
    Features,
    Gate,
    Prediction,
    Receipt,
    Risk,
    Status,
    hours,
    impact_above,
    minutes,
)
from steward.cases.grid.battery import Battery
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.dispatch.decision import earned_eur, interval_start, make_decision
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.streams import HOLD, DispatchDue, MeteredInterval, Setpoint
from steward.errors import EngineError
from steward.ledger.port import Commit

MADRID = LocalDays("Europe/Madrid")
AT = MADRID.start(date(2018, 1, 2))
CHARGE = Setpoint(power_mw=-8.0)
KINDS = ["decided", "asked", "approved", *["stepped"] * 4, "acted"]


class Plant(SimulatedPlant):
    """Counts what really changed in the world, and can fall silent."""

    def __init__(self) -> None:
        super().__init__("es", MADRID, Battery())
        self.effects: Counter[str] = Counter()
        self.broken = False

    def take_control(self, at: datetime, *, key: str) -> Receipt:
        self.effects["control"] += self.has_control(at, key=key) is None
        return super().take_control(at, key=key)

    def take(self, setpoint: Setpoint, *, at: datetime, key: str) -> Receipt:
        if self.broken:
            raise EngineError("the battery does not answer", retryable=True)
        self.effects["setpoint"] += self.read_back(at, key=key) is None
        return super().take(setpoint, at=at, key=key)

    def release_control(self, at: datetime, *, key: str) -> Receipt:
        self.effects["released"] += self.has_control(at, key=key) is not None
        return super().release_control(at, key=key)

    def forget(self, at: datetime, *, key: str) -> Receipt:
        self.effects["hold"] += 1
        return super().forget(at, key=key)


def charge(features: Features, prediction: Prediction[None]) -> Choice[Setpoint]:
    return Choice(CHARGE, reasons=("the night is cheap",))


def much(features: Features, prediction: Prediction[None], choice: Setpoint) -> float:
    return 1_000.0


def dispatch(plant: SimulatedPlant) -> Decision[DispatchDue, None, Setpoint]:
    """Return the case's own dispatch and gate, with a policy that needs no models."""
    return Decision(
        name="grid.battery-dispatch",
        owner="grid-operations",
        purpose="Charge or discharge the battery for the next hour",
        risk=Risk.HIGH,
        event=DispatchDue,
        features=(Feature(interval_start),),
        policy=charge,
        gate=Gate(needed=impact_above(750), impact=much, approvers="grid-desk", within=minutes(10), otherwise=HOLD),
        action=make_decision(plant, has_load=False).action,
        economics=Economics(
            outcome=MeteredInterval, key=("site", "at"), within=hours(2), value=earned_eur, baseline=idle, unit="EUR"
        ),
    )


def idle(features: Features, outcome: MeteredInterval) -> float:
    return 0.0


@pytest.fixture(params=["memory", "sqlite"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    world = World(request.param, tmp_path, monkeypatch)
    world.clock.set(AT - minutes(30))
    yield world
    await world.close()


async def asked(world: World, plant: Plant) -> UUID:
    runtime = await world.open(dispatch(plant))
    answer = await runtime.decide("grid.battery-dispatch", plant.due(AT))
    assert answer.record.status is Status.WAITING
    return answer.record.decision_id


class Crash:
    """Lets the process die at its ``nth`` append: before it is durable, or after but before it is known."""

    def __init__(self, world: World, nth: int, *, durable: bool) -> None:
        self.left = nth
        place = "fault_after" if durable else "fault"
        setattr(world.ledger, place, self)

    def __call__(self, commit: Commit) -> EngineError | None:
        self.left -= 1
        return EngineError("the process died here") if self.left < 0 else None


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("nth", range(7))
async def test_killed_between_any_two_steps_each_effect_is_found_once(world: World, nth: int, durable: bool) -> None:
    plant = Plant()
    run_id = await asked(world, plant)
    Crash(world, nth, durable=durable)
    with suppress(EngineError):
        await world.runtime.approve(run_id, by="ana", reason="cheap indeed")
        await world.later()
    runtime = await world.crash()
    if (await runtime.run(run_id)).is_waiting:  # the approval itself was lost, and nobody was told that it was taken
        await runtime.approve(run_id, by="ana", reason="cheap indeed")
    await world.later(minutes(1))
    run = await runtime.run(run_id)
    assert (run.status, await world.kinds(run_id)) == (Status.ACTED, KINDS)
    assert plant.effects == {"control": 1, "setpoint": 1}
    assert plant.run_hour(AT, price_eur_mwh=20.0).energy_mwh == CHARGE.power_mw


async def test_nothing_happens_before_the_approval(world: World) -> None:
    plant = Plant()
    await asked(world, plant)
    await world.later(minutes(5))
    assert not plant.effects


async def test_without_an_answer_the_battery_is_told_to_hold(world: World) -> None:
    plant = Plant()
    run_id = await asked(world, plant)
    await world.later(minutes(11))
    run = await world.runtime.run(run_id)
    assert (run.status, run.choice) == (Status.EXPIRED, {"power_mw": 0.0})
    assert plant.run_hour(AT, price_eur_mwh=20.0).energy_mwh == 0.0


async def test_a_silent_battery_gives_control_back_and_leaves_a_dead_letter(world: World) -> None:
    plant = Plant()
    run_id = await asked(world, plant)
    plant.broken = True
    await world.runtime.approve(run_id, by="ana", reason="cheap indeed")
    for _ in range(10):
        await world.later(minutes(1))
    run = await world.runtime.run(run_id)
    assert run.status is Status.FAILED
    assert plant.effects == {"control": 1, "released": 1}
    plant.broken = False
    await world.runtime.effects.redrive(run_id, by="ana", reason="the battery answers again")
    await world.later(minutes(1))
    assert (await world.runtime.run(run_id)).status is Status.ACTED
    assert plant.run_hour(AT, price_eur_mwh=20.0).energy_mwh == CHARGE.power_mw


async def test_what_was_done_is_taken_back_in_reverse(world: World) -> None:
    plant = Plant()
    run_id = await asked(world, plant)
    await world.runtime.approve(run_id, by="ana", reason="cheap indeed")
    await world.later()
    await world.runtime.undo(run_id, by="bo", reason="storm warning")
    await world.later()
    assert (await world.runtime.run(run_id)).status is Status.UNDONE
    assert plant.effects == {"control": 1, "setpoint": 1, "hold": 1, "released": 1}
    assert plant.run_hour(AT, price_eur_mwh=20.0).energy_mwh == 0.0


async def test_too_late_is_too_late(world: World) -> None:
    plant = Plant()
    run_id = await asked(world, plant)
    plant.run_hour(AT, price_eur_mwh=20.0)
    plant.run_hour(AT + HOUR, price_eur_mwh=20.0)
    await world.runtime.approve(run_id, by="ana", reason="cheap indeed")
    await world.later(timedelta(minutes=1))
    run = await world.runtime.run(run_id)
    assert run.status is Status.FAILED
    assert run.failure is not None
    assert "is over" in run.failure.reason
    assert not plant.effects
