"""A drill changes the played world, and what is done about it stands in the record."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

import pytest

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.generator import COLUMNS
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.dispatch.decision import NAME as DISPATCH
from steward.cases.grid.dispatch.feed import Feed
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.dispatch.simulation import Simulation, open_runtime
from steward.cases.grid.field.points import Layout
from steward.cases.grid.field.reading import Quality
from steward.cases.grid.field.world import FieldPlant, conditions_of
from steward.cases.grid.live.drill import NAME, SPIKE_EUR_MWH, Drill, DrillWanted, Kind, Stage, make_drill
from steward.clock import VirtualClock
from steward.records import Status
from steward.runtime.parts import Origin

FIRST = date(2024, 3, 1)


@dataclass
class Played:
    """A world in the middle of its first day."""

    simulation: Simulation
    stage: Stage
    plant: FieldPlant
    at: datetime

    async def hour(self) -> None:
        await self.simulation.runtime.advance()
        self.simulation.tell(self.stage.news(self.at))
        await self.simulation.begin(self.at)
        self.simulation.end(self.at)
        self.at += HOUR

    async def ask(self, kind: Kind, hours: int) -> None:
        wanted = DrillWanted(site="region", kind=kind, at=self.at, hours=hours)
        await self.simulation.runtime.decide(NAME, wanted, origin=Origin(source="console", by="anna"))


@pytest.fixture
async def played(tmp_path: Path, trained_folder: Path, region: History) -> AsyncIterator[Played]:
    shutil.copytree(trained_folder, tmp_path, dirs_exist_ok=True)
    own = replace(region, columns={**region.columns, COLUMNS.price: region.columns[COLUMNS.price].copy()})
    conditions, start = conditions_of(own, COLUMNS), region.local.start(FIRST)
    plant = FieldPlant(Layout("region"), region.local, Battery(), conditions=conditions, start=start, step=HOUR)
    market, feed, clock = Market.of(own, COLUMNS.price), Feed("region", own, COLUMNS), VirtualClock(start - HOUR)
    stage = Stage(plant, feed, market)
    async with await open_runtime(
        tmp_path, plant, COLUMNS, clock, approve_above_eur=1e6, beside=[make_drill(stage)]
    ) as runtime:
        simulation = Simulation(runtime, clock=clock, plant=plant, feed=feed, market=market)
        await simulation.warm_up()
        world = Played(simulation, stage, plant, start)
        for _ in range(2):
            await world.hour()
        yield world


async def test_in_an_outage_the_plant_takes_nothing_and_rests_until_it_is_over(played: Played) -> None:
    runtime, begins = played.simulation.runtime, played.at
    await played.ask(Kind.OUTAGE, 3)
    for _ in range(4):
        await played.hour()
    rows = runtime.views.runs(decision=DISPATCH, limit=6)[::-1]
    assert [row.status for row in rows[2:5]] == [Status.FAILED] * 3
    assert all(row.status is Status.ACTED for row in (*rows[:2], rows[5]))
    for row in rows[2:5]:
        kinds = [entry.kind for entry in await runtime.ledger.of_run(row.decision_id)]
        assert "failed" in kinds
        assert row.saving is not None
        assert row.saving.minor == 0
    assert played.plant.is_out(begins)
    assert not played.plant.is_out(begins + 3 * HOUR)
    [drill] = runtime.views.runs(decision=NAME)
    assert drill.status is Status.ACTED
    assert (await runtime.run(drill.decision_id)).record.provenance.by == "anna"


async def test_what_is_said_in_an_outage_is_uncertain(played: Played) -> None:
    played.stage.play(Drill(Kind.OUTAGE, played.at, played.at + HOUR), "one")
    assert {reading.quality for reading in played.plant.readings()} == {Quality.UNCERTAIN}
    await played.hour()
    assert {reading.quality for reading in played.plant.readings()} == {Quality.GOOD}


async def test_dear_hours_are_settled_and_told_as_such(played: Played, region: History) -> None:
    row = region.index(played.at)
    before = region.columns[COLUMNS.price][row : row + 4].tolist()
    await played.ask(Kind.PRICE_SPIKE, 2)
    began = played.at
    for _ in range(3):
        await played.hour()
    market = played.simulation.market
    now = [market.at(began + n * HOUR) for n in range(4)]
    assert now == pytest.approx([before[0] + SPIKE_EUR_MWH, before[1] + SPIKE_EUR_MWH, *before[2:]])
    assert region.columns[COLUMNS.price][row] == before[0], "the history it was made from stays as it was"
    again = [m for m in await _prices(played) if m.count("/") > 1]
    assert len(again) == 2


async def test_a_drill_is_played_once_and_can_be_ended_early(played: Played) -> None:
    market, stage = played.simulation.market, played.stage
    drill = Drill(Kind.PRICE_SPIKE, played.at, played.at + 5 * HOUR)
    before = [market.at(played.at + n * HOUR) for n in range(5)]
    for _ in range(2):
        stage.play(drill, "one")
    began = played.at
    await played.hour()
    for _ in range(2):
        stage.end("one")
    added = [market.at(began + n * HOUR) - before[n] for n in range(5)]
    assert added == pytest.approx([SPIKE_EUR_MWH, SPIKE_EUR_MWH, 0.0, 0.0, 0.0])
    stage.play(Drill(Kind.OUTAGE, played.at, played.at + 5 * HOUR), "two")
    stage.end("two")
    assert [played.plant.is_out(played.at + n * HOUR) for n in range(3)] == [True, False, False]
    stage.end("never played")


async def test_hours_whose_prices_are_not_told_yet_are_told_once(played: Played) -> None:
    """Tomorrow's prices come at 13:00: whoever makes them dearer before that corrects nothing."""
    tomorrow = played.plant.local.start(date(2024, 3, 2))
    played.stage.play(Drill(Kind.PRICE_SPIKE, tomorrow - HOUR, tomorrow + HOUR), "one")
    assert len(played.stage.news(played.at)) == 1
    assert not played.stage.news(played.at)


async def _prices(played: Played) -> list[str]:
    ledger = played.simulation.runtime.ledger
    size = (await ledger.topics())["grid.price"]
    return [stored.message.id for stored in await ledger.messages("grid.price", size - 40, 40)]
