from __future__ import annotations

import shutil
from datetime import date, timedelta
from math import sin
from pathlib import Path

import msgspec
import numpy as np
import pytest

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.generator import COLUMNS
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.dispatch.feed import Feed
from steward.cases.grid.dispatch.holdout import DrivenDay, driven_days, hold_out, proven
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.dispatch.scoring import Decided
from steward.cases.grid.dispatch.simulation import Answer, Simulation, open_runtime
from steward.cases.grid.dispatch.skills import clock_plan, replan
from steward.clock import VirtualClock
from steward.errors import ContractError

decode = msgspec.json.Decoder(Decided).decode
FIRST, DAYS = date(2024, 3, 5), 2


async def test_whole_days_are_drawn_and_the_ledger_says_who_drove(
    region: History, trained_folder: Path, tmp_path: Path
) -> None:
    """Through the real loop: the rule keeps its days, the forecasts have the others, and no day is shared."""
    shutil.copytree(trained_folder, tmp_path / "case")
    local, market = region.local, Market.of(region, COLUMNS.price)
    start = local.start(FIRST)
    clock, plant = VirtualClock(start - HOUR), SimulatedPlant("region", local, Battery())
    means = market.by_the_clock(FIRST)
    runtime = await open_runtime(
        tmp_path / "case",
        plant,
        COLUMNS,
        clock,
        approve_above_eur=1e9,
        plan=clock_plan(means),
        challenger=replan(),
    )
    async with runtime:
        await hold_out(runtime, share=0.5, by="ana", reason="prove what it saves")
        feed = Feed("region", region, COLUMNS)
        simulation = Simulation(runtime, clock=clock, plant=plant, feed=feed, market=market)
        await simulation.warm_up()
        earned: dict[date, float] = {}
        for number in range(24 * DAYS):
            at = start + number * HOUR
            await simulation.begin(at)
            await simulation.answer_all(Answer(agrees=True, by="ana", reason="fine"))
            metered = simulation.end(at)
            earned[local.day_of(at)] = earned.get(local.day_of(at), 0.0) + metered.energy_mwh * metered.price_eur_mwh
        await simulation.finish(start + 24 * DAYS * HOUR)
        days = await driven_days(runtime)
        records = [decode(entry.body) for entry in await runtime.ledger.read(0, 100, kind="decided")]
    assert [day.day for day in days] == [FIRST + timedelta(days=n) for n in range(DAYS)]  # each in one arm only
    assert {day.is_automated for day in days} == {True, False}
    assert [day.eur for day in days] == pytest.approx([earned[day.day] for day in days], abs=0.2)
    for record in records:
        hour = (record.event.at - record.event.day_start) // HOUR
        known = record.prediction.price_eur_mwh[:hour] == tuple(market.day(record.event.day)[:hour].round(4).tolist())
        assert known == (hour == 0 or {day.day: day.is_automated for day in days}[record.event.day])


def drawn(saved_eur: float, count: int = 364) -> list[DrivenDay]:
    """Make days whose level swings much more than automation saves."""
    chance = np.random.default_rng(5)
    days = [FIRST + timedelta(days=n) for n in range(count)]
    automated = chance.random(count) > 0.2
    return [
        DrivenDay(day, bool(is_automated), level(day) + saved_eur * is_automated + chance.normal(0, 10))
        for day, is_automated in zip(days, automated, strict=True)
    ]


def level(day: date) -> float:
    return 400.0 + 300.0 * sin(day.toordinal() * 1.7)


def test_what_is_saved_is_found_and_the_rule_on_the_same_days_narrows_it() -> None:
    proof = proven(drawn(30.0), level)
    assert proof.adjusted_eur.low < 30.0 < proof.adjusted_eur.high
    assert proof.adjusted_eur.low > 0
    assert proof.plain_eur.high - proof.plain_eur.low > 5 * (proof.adjusted_eur.high - proof.adjusted_eur.low)
    assert proof.automated_days + proof.held_out_days == 364


def test_nothing_saved_is_not_proved() -> None:
    proof = proven(drawn(0.0), level)
    assert proof.adjusted_eur.low < 0.0 < proof.adjusted_eur.high


def test_days_of_one_kind_prove_nothing() -> None:
    days = [day for day in drawn(30.0, 30) if day.is_automated]
    with pytest.raises(ContractError, match="both kinds"):
        proven(days, level)
