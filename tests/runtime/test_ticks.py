"""Timer decisions: each tick once, over restarts, missed ones as declared, whatever the clock does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from tests.runtime.shop import HOURLY, Due, make_due
from tests.runtime.world import HOUR, MINUTE, NOON, World

from steward import Choice, Every, Features, Missed, Prediction, hours, minutes
from steward.errors import EngineError

SKIPPING = replace(HOURLY, schedule=Every(hours(1), make=make_due, missed=Missed.SKIP))


async def ticks(world: World) -> list[str]:
    return [record.event["at"][11:16] for record in await world.bodies("decided")]


async def test_each_hour_one_decision(world: World) -> None:
    await world.open(HOURLY)
    for _ in range(12):
        await world.later(15 * MINUTE)
    assert await ticks(world) == ["13:00", "14:00", "15:00"]
    record = (await world.bodies("decided"))[0]
    assert record.provenance.source == "timer"
    assert record.provenance.event_id == "shop.hourly/2026-01-01T13:00:00+00:00"


@pytest.mark.parametrize("how", ["restart", "crash"])
@pytest.mark.parametrize(
    ("decision", "expected"),
    [(HOURLY, ["13:00", "14:00", "15:00", "16:00"]), (SKIPPING, ["13:00", "16:00"])],
    ids=["catch-up", "skip"],
)
async def test_missed_ticks_are_caught_up_or_skipped_as_declared(
    world: World, decision: Any, expected: list[str], how: str
) -> None:
    await world.open(decision)
    await world.later(HOUR)
    await (world.die() if how == "crash" else world.runtime.close())
    world.clock.set(NOON + 4.5 * HOUR)
    await world.open()
    await world.later()
    await world.later()
    assert await ticks(world) == expected


async def test_ticks_missed_before_the_first_one_are_known_too(world: World) -> None:
    world.clock.set(NOON + 50 * MINUTE)
    await world.open(HOURLY)
    await world.die()
    world.clock.set(NOON + 70 * MINUTE)
    await world.open()
    await world.later()
    assert await ticks(world) == ["13:00"]


async def test_no_tick_twice_when_the_clock_jumps_back(world: World) -> None:
    await world.open(HOURLY)
    await world.later(2 * HOUR)
    world.clock.set(NOON - 3 * HOUR)
    await world.later()
    await world.restart()
    for _ in range(6):
        await world.later(HOUR)
    assert await ticks(world) == ["13:00", "14:00", "15:00"]


async def test_a_tick_whose_commit_was_not_acknowledged_is_not_repeated(world: World) -> None:
    await world.open(HOURLY)
    world.ledger.fault_after = lambda commit: EngineError("gone", retryable=True) if commit.entries else None
    with pytest.raises(EngineError):
        await world.later(HOUR)
    world.ledger.fault_after = lambda commit: None
    await world.later()
    await world.later(HOUR)
    assert await ticks(world) == ["13:00", "14:00"]


async def test_a_failing_policy_skips_its_tick_and_is_written_down(world: World) -> None:
    def not_at_one(features: Features, prediction: Prediction[None]) -> Choice[int]:
        if world.clock.now().hour == 13:
            raise RuntimeError("lunch")
        return Choice(1, reasons=("ok",))

    await world.open(replace(HOURLY, policy=not_at_one))
    await world.later(HOUR)
    await world.later(HOUR)
    assert await ticks(world) == ["14:00"]
    (failed,) = await world.bodies("failed")
    assert (failed.stage, failed.code) == ("choose", "choose-failed")


@pytest.mark.parametrize("made", ["raises", "another type"])
async def test_a_tick_that_cannot_be_made_is_written_down_and_blocks_nothing(world: World, made: str) -> None:
    def make(at: datetime) -> Due:
        if at.hour != 13:
            return Due(at=at)
        if made == "raises":
            raise RuntimeError("lunch")
        return "soup"  # type: ignore[return-value]  # on purpose

    await world.open(replace(HOURLY, schedule=Every(hours(1), make=make)))
    await world.later(HOUR)
    await world.later(HOUR)
    assert await ticks(world) == ["14:00"]
    (failed,) = await world.bodies("failed")
    assert failed.stage == "receive"
    assert "shop.hourly/2026-01-01T13:00:00+00:00" in failed.reason


async def test_a_long_absence_is_caught_up_in_pieces(memory: World) -> None:
    await memory.open(replace(HOURLY, schedule=Every(minutes(1), make=make_due)))
    memory.clock.advance(3 * 24 * HOUR)
    first = await memory.runtime._parts.ticks.step()
    assert 0 < first <= 1000
    await memory.runtime.advance()
    assert len(await ticks(memory)) == 3 * 24 * 60


async def test_a_live_runtime_ticks_by_itself(memory: World) -> None:
    runtime = await memory.open(HOURLY)
    runtime.start()
    for expected in (1, 2):
        seen = runtime._parts.journal.bell.rung
        for _ in range(5):
            await asyncio.sleep(0)  # the job reaches its wait
        memory.clock.advance(HOUR)
        await asyncio.wait_for(runtime._parts.journal.bell.wait(seen), 5)
        assert len(await ticks(memory)) == expected
    assert runtime.failure() is None
