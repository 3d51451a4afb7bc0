"""An emergency through the real loop: in order, verified, held, put back; and whatever fails is taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from tests.runtime.world import World

from steward import Choice, Decision, Event, Features, Prediction, Risk, Status, minutes, seconds
from steward.cases.grid.emergency.automation import ALL_CLEAR, OwnAutomation
from steward.cases.grid.emergency.decision import CONFIRMATION, NAME, make_confirmation, make_decision
from steward.cases.grid.emergency.events import Relief
from steward.cases.grid.emergency.scheme import Feeder, Late, Scheme, Store
from steward.cases.grid.emergency.switchgear import Fault, SimulatedGrid
from steward.errors import DeclarationError, EngineError
from steward.ledger.port import Commit
from steward.loop.run import Answer

MARKET = "grid.market"


class Asked(Event):
    site: str


def hold(features: Features, prediction: Prediction[None]) -> Choice[str]:
    return Choice("hold", reasons=("nothing to do",))


market = Decision(name=MARKET, owner="trading", purpose="Trade", risk=Risk.LOW, event=Asked, policy=hold)
SCHEME = Scheme(
    order=(Store("battery", least_soc_mwh=4.0), Feeder("f1"), Feeder("f2"), Feeder("f3")),
    most_shed_mw=12.0,
    protected=frozenset({"hospital"}),
    freezes=(MARKET,),
)
FEEDERS = {"f1": 5.0, "f2": 6.0, "f3": 8.0, "hospital": 3.0}
DONE = [("battery", 10.0), ("f1", 5.0)]
UNDONE = [("f1", 0.0), ("battery", 0.0)]


class Plant:
    """A grid with its house: what outlives the process, and the automation that is attached anew."""

    def __init__(self, world: World, scheme: Scheme = SCHEME) -> None:
        self.world, self.scheme = world, scheme
        self.grid = SimulatedGrid("es", FEEDERS, frozenset({"hospital"}), shortfall_mw=14.0)
        self.automation = OwnAutomation()

    async def open(self) -> None:
        emergency = make_decision(self.scheme, grid=self.grid, automation=self.automation, clock=self.world.clock)
        confirmation = make_confirmation(self.scheme, automation=self.automation, ask_above_eur=20_000.0)
        self.automation.runtime = await self.world.open(market, emergency, confirmation)

    async def crash(self) -> None:
        self.automation.runtime = await self.world.crash()

    async def alarm(self, *, late_by: timedelta = timedelta(0)) -> UUID:
        event = self.grid.alarm(self.world.clock.now() - late_by)
        answer = await self.world.runtime.decide(NAME, event)
        await self.world.runtime.advance()
        return answer.record.decision_id

    async def status(self, run_id: UUID) -> Status:
        return (await self.world.runtime.run(run_id)).status

    async def why(self, run_id: UUID) -> str:
        run = await self.world.runtime.run(run_id)
        assert run.status is Status.FAILED
        assert run.failure is not None
        return run.failure.reason

    async def question(self) -> UUID:
        (asked,) = await self.world.runtime.approvals()
        return asked.decision_id

    @property
    def is_frozen(self) -> bool:
        return self.world.runtime.stops.is_stopped(MARKET)


def event_relief(answer: Answer) -> Relief:
    assert isinstance(answer.record.choice, Relief)
    return answer.record.choice


@pytest.fixture
async def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Plant]:
    world = World("memory", tmp_path, monkeypatch)
    plant = Plant(world)
    await plant.open()
    yield plant
    await world.close()


async def test_relieves_in_order_holds_and_restores_in_reverse(plant: Plant) -> None:
    run_id = await plant.alarm()
    assert (plant.grid.switched, plant.is_frozen) == (DONE, True)
    plant.grid.shortfall_mw = 0.0
    await plant.world.runtime.signal(run_id, ALL_CLEAR, "the line is back", by="ana")
    await plant.world.later()
    assert (await plant.status(run_id), plant.grid.switched) == (Status.ACTED, DONE + UNDONE)
    assert not plant.is_frozen


async def test_without_a_word_it_is_restored_when_the_longest_hold_is_over(plant: Plant) -> None:
    run_id = await plant.alarm()
    await plant.world.runtime.approve(await plant.question(), by="ana", reason="it must stay")
    plant.grid.shortfall_mw = 0.0
    await plant.world.later(minutes(29))
    assert plant.grid.relieving == {"battery": 10.0, "f1": 5.0}
    await plant.world.later(minutes(1))
    assert (await plant.status(run_id), plant.grid.relieving, plant.is_frozen) == (Status.ACTED, {}, False)


async def test_unconfirmed_it_is_restored_early(plant: Plant) -> None:
    run_id = await plant.alarm()
    plant.grid.shortfall_mw = 0.0
    await plant.question()
    await plant.world.later(minutes(10))
    await plant.world.later()
    assert (await plant.status(run_id), plant.grid.relieving) == (Status.ACTED, {})


async def test_loads_wait_until_the_frequency_bears_them(plant: Plant) -> None:
    run_id = await plant.alarm()
    await plant.world.runtime.signal(run_id, ALL_CLEAR, "too early", by="ana")
    for _ in range(20):
        await plant.world.later(seconds(5))
    assert (plant.grid.relieving, plant.is_frozen) == ({"battery": 10.0, "f1": 5.0}, True)
    plant.grid.shortfall_mw = 0.0
    await plant.world.later(seconds(5))
    assert (await plant.status(run_id), plant.grid.relieving, plant.is_frozen) == (Status.ACTED, {}, False)


@pytest.mark.parametrize("fault", [Fault.STUCK, Fault.SILENT])
async def test_what_fails_on_the_way_takes_everything_back(plant: Plant, fault: Fault) -> None:
    event = plant.grid.alarm(plant.world.clock.now())
    plant.grid.faults["f1"] = fault
    answer = await plant.world.runtime.decide(NAME, event)
    for _ in range(5):
        await plant.world.later()
        plant.world.clock.advance(seconds(3))
    assert plant.grid.relieving == {"battery": 10.0}  # held: the frequency could not bear it back
    plant.grid.shortfall_mw = 0.0
    plant.grid.faults.clear()
    await plant.world.later(seconds(5))
    assert "f1" in await plant.why(answer.record.decision_id)
    assert plant.grid.switched == [("battery", 10.0), ("battery", 0.0)]
    assert not plant.is_frozen


async def test_the_next_alarm_goes_round_a_device_that_is_silent(plant: Plant) -> None:
    plant.grid.faults["f1"] = Fault.SILENT
    await plant.alarm()
    assert plant.grid.switched == [("battery", 10.0), ("f2", 6.0)]


async def test_an_answer_that_was_lost_is_read_back(plant: Plant) -> None:
    plant.grid.faults["f1"] = Fault.DEAF
    await plant.alarm()
    await plant.world.later(seconds(1))
    assert plant.grid.switched == DONE


async def test_a_breaker_that_does_not_close_halts_with_a_question(plant: Plant) -> None:
    run_id = await plant.alarm()
    plant.grid.shortfall_mw, plant.grid.faults["f1"] = 0.0, Fault.STUCK
    await plant.world.runtime.signal(run_id, ALL_CLEAR, "over", by="ana")
    for _ in range(10):
        await plant.world.later(seconds(5))
    assert (await plant.status(run_id), plant.is_frozen) == (Status.HALTED, True)
    plant.grid.faults.clear()
    await plant.world.runtime.redrive(run_id, by="ana", reason="the breaker was freed")
    await plant.world.later(seconds(5))
    assert (plant.grid.relieving, plant.is_frozen) == ({}, False)


async def test_too_late_the_relays_act_alone(plant: Plant) -> None:
    run_id = await plant.alarm(late_by=seconds(1.5))
    assert "1.50 s have passed" in await plant.why(run_id)
    assert (plant.grid.switched, plant.is_frozen) == ([], False)


async def test_too_late_is_better_than_never_where_declared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("memory", tmp_path, monkeypatch)
    patient = Scheme(order=SCHEME.order, most_shed_mw=12.0, if_late=Late.ACT)
    plant = Plant(world, patient)
    await plant.open()
    await plant.alarm(late_by=minutes(5))
    assert plant.grid.switched == DONE
    await world.close()


async def test_an_emergency_that_passed_by_itself_touches_nothing(plant: Plant) -> None:
    event = plant.grid.alarm(plant.world.clock.now())
    plant.grid.shortfall_mw = 0.0
    answer = await plant.world.runtime.decide(NAME, event)
    await plant.world.later()
    assert "not below" in await plant.why(answer.record.decision_id)
    assert plant.grid.switched == []


async def test_what_became_a_priority_feeder_meanwhile_is_not_shed(plant: Plant) -> None:
    event = plant.grid.alarm(plant.world.clock.now())
    plant.grid._lines["f1"].is_priority = True
    answer = await plant.world.runtime.decide(NAME, event)
    await plant.world.later()
    plant.grid.shortfall_mw = 0.0
    await plant.world.later(seconds(5))
    assert "never shed" in await plant.why(answer.record.decision_id)
    assert plant.grid.switched == [("battery", 10.0), ("battery", 0.0)]


async def test_what_people_stopped_stays_stopped(plant: Plant) -> None:
    run_id = await plant.alarm()
    await plant.world.runtime.stop(MARKET, by="ana", reason="something else is wrong")
    plant.grid.shortfall_mw = 0.0
    await plant.world.runtime.signal(run_id, ALL_CLEAR, "over", by="ana")
    await plant.world.later()
    assert (await plant.status(run_id), plant.is_frozen) == (Status.ACTED, True)


async def test_a_second_emergency_adds_to_the_first_and_the_last_one_releases(plant: Plant) -> None:
    first = await plant.alarm()
    plant.grid.shortfall_mw = 20.0
    second = await plant.alarm()
    assert plant.grid.relieving == {"battery": 10.0, "f1": 5.0, "f2": 6.0}
    plant.grid.shortfall_mw = 0.0
    await plant.world.runtime.signal(first, ALL_CLEAR, "over", by="ana")
    await plant.world.later()
    assert (plant.grid.relieving, plant.is_frozen) == ({"f2": 6.0}, True)
    await plant.world.runtime.signal(second, ALL_CLEAR, "over", by="ana")
    await plant.world.later()
    assert (plant.grid.relieving, plant.is_frozen) == ({}, False)


async def test_what_people_stopped_before_stays_stopped_too(plant: Plant) -> None:
    await plant.world.runtime.stop(MARKET, by="ana", reason="something else is wrong")
    run_id = await plant.alarm()
    assert plant.grid.switched == DONE
    plant.grid.shortfall_mw = 0.0
    await plant.world.runtime.signal(run_id, ALL_CLEAR, "over", by="ana")
    await plant.world.later()
    assert (await plant.status(run_id), plant.is_frozen) == (Status.ACTED, True)


async def test_nothing_is_relieved_while_the_automation_is_at_work(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def thaw(decisions: Sequence[str]) -> str:
        return f"{decisions[0]} is not frozen"

    monkeypatch.setattr(plant.automation, "why_not_frozen", thaw)
    assert "not frozen" in await plant.why(await plant.alarm())
    assert (plant.grid.switched, plant.is_frozen) == ([], False)


async def test_a_load_that_grew_since_the_alarm_is_not_shed_beyond_the_limit(plant: Plant) -> None:
    first = await plant.alarm()
    plant.grid.shortfall_mw = 20.0
    event = plant.grid.alarm(plant.world.clock.now())
    plant.grid._lines["f2"].mw = 7.5  # with the 5 MW that the first one sheds it would be more than 12
    answer = await plant.world.runtime.decide(NAME, event)
    assert [part.device for part in event_relief(answer).parts] == ["f2"]
    await plant.world.later()
    assert "12.5 MW would be shed" in await plant.why(answer.record.decision_id)
    assert plant.grid.switched == DONE
    assert plant.is_frozen  # as the first one still holds
    assert (await plant.world.runtime.run(first)).failure is None


async def test_a_person_can_end_it_at_any_time(plant: Plant) -> None:
    run_id = await plant.alarm()
    plant.grid.shortfall_mw = 0.0
    await plant.world.runtime.abort(run_id, by="ana", reason="a false alarm")
    await plant.world.later()
    assert (await plant.status(run_id), plant.grid.relieving, plant.is_frozen) == (Status.UNDONE, {}, False)


def test_an_emergency_cannot_freeze_itself() -> None:
    scheme = Scheme(order=(Feeder("f1"),), most_shed_mw=1.0, freezes=(CONFIRMATION,))
    grid = SimulatedGrid("es", FEEDERS)
    with pytest.raises(DeclarationError, match="cannot freeze"):
        make_decision(scheme, grid=grid, automation=OwnAutomation(), clock=None)  # type: ignore[arg-type] # not used


class Crash:
    """Lets the process die at its ``nth`` append: before it is durable, or after but before it is known."""

    def __init__(self, world: World, nth: int, *, durable: bool) -> None:
        self.left = nth
        setattr(world.ledger, "fault_after" if durable else "fault", self)

    def __call__(self, commit: Commit) -> EngineError | None:
        self.left -= 1
        return EngineError("the process died here") if self.left < 0 else None


async def _until_the_end(plant: Plant) -> None:
    plant.grid.shortfall_mw = 0.0
    await plant.world.later(minutes(31))
    for _ in range(4):
        await plant.world.later(seconds(10))


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("nth", range(28))
async def test_killed_anywhere_each_effect_is_found_once(plant: Plant, nth: int, durable: bool) -> None:
    Crash(plant.world, nth, durable=durable)
    event = plant.grid.alarm(plant.world.clock.now())
    with suppress(EngineError):
        await plant.world.runtime.decide(NAME, event)
        await plant.world.later()
        await _until_the_end(plant)
    await plant.crash()
    await plant.world.later(seconds(1))
    await _until_the_end(plant)
    assert (plant.grid.relieving, plant.is_frozen) == ({}, False)
    assert plant.grid.switched in ([], DONE + UNDONE)
