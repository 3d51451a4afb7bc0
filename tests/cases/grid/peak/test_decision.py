"""The declared decision, through the real loop: the same set-points as the quick way, and what they were worth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.runtime.world import World

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.generator import synthetic_region
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import LocalDays
from steward.cases.grid.peak.decision import NAME, follow_plan, make_decision
from steward.cases.grid.peak.demand import Demand, halved
from steward.cases.grid.peak.replay import replay
from steward.cases.grid.peak.rest_of_day import RestOfDay
from steward.cases.grid.peak.season import Outlook
from steward.cases.grid.peak.shaving import TUNED, ShavingPlan
from steward.cases.grid.peak.site import MeteredSite
from steward.cases.grid.peak.streams import MeteredDemand
from steward.cases.grid.streams import Setpoint
from steward.decision.feature import Features
from steward.records import Prediction

FIRST, UNTIL = date(2013, 6, 3), date(2013, 6, 5)
NEVER_ASK = 1e9


@pytest.fixture(scope="module")
def history() -> History:
    region = halved(synthetic_region("Australia/Melbourne", date(2013, 1, 1), 160))
    demand = Demand.of(region, "load_mw", peak_mw=500.0, first=FIRST, until=UNTIL)
    return replace(region, columns={"load_mw": demand.load_mw, "temperature_c": region.columns["temperature_c"]})


@pytest.fixture(scope="module")
def demand(history: History) -> Demand:
    return Demand.of(history, "load_mw", peak_mw=500.0, first=FIRST, until=UNTIL)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    world = World("memory", tmp_path, monkeypatch)
    yield world
    await world.close()


async def lived(
    world: World,
    site: MeteredSite,
    history: History,
    model: RestOfDay | None = None,
    *,
    ask_above_eur: float = NEVER_ASK,
) -> list[MeteredDemand]:
    world.clock.set(site.local.start(FIRST) - timedelta(hours=1))
    runtime = await world.open(make_decision(site, model, ask_above_eur=ask_above_eur))
    return await replay(runtime, site, history, FIRST, UNTIL, clock=world.clock)


def quickly(demand: Demand, outlook: Outlook) -> list[MeteredDemand]:
    site, at, said = MeteredSite("site", demand.local, Battery()), demand.local.start(FIRST), []
    for load in demand.during(FIRST, UNTIL).tolist():
        power = TUNED.plan(outlook(at), site.standing(at)).power_mw
        site.take(Setpoint(power_mw=power), at=at, key=at.isoformat())
        said.append(site.meter(at, load_mw=load))
        at += demand.step
    return said


@pytest.mark.parametrize("learned", [False, True])
async def test_the_loop_and_the_quick_way_write_the_same_set_points(
    world: World, history: History, demand: Demand, learned: bool
) -> None:
    model = RestOfDay.trained(history, until=date(2013, 6, 1)) if learned else None
    site = MeteredSite("site", demand.local, Battery())
    said = await lived(world, site, history, model)
    outlook: Outlook = (lambda at: model.outlook(history, at)) if model else demand.nearest_days
    assert said == quickly(demand, outlook)
    assert len({one.net_mw - one.load_mw for one in said}) > 3

    # In the ledger the half-hours' savings add up to the cut of the month's peak, at 70 EUR/kW and year.
    (total,) = [total for total in world.runtime.views.totals() if total.decision == NAME]
    cut_mw = max(one.load_mw for one in said) - max(one.net_mw for one in said)
    assert float(total.worth[0].saving.amount) == pytest.approx(cut_mw * 70_000 / 12, abs=0.05)


async def test_a_meter_that_is_silent_holds_the_battery(world: World, history: History, demand: Demand) -> None:
    rows = history.index(demand.local.start(FIRST))
    silent = history.columns["load_mw"].copy()
    silent[:rows] = np.nan
    said = await lived(
        world, MeteredSite("site", demand.local, Battery()), replace(history, columns={"load_mw": silent})
    )
    assert all(one.net_mw == one.load_mw for one in said)
    rules = {body.policy.rule for body in await world.bodies("decided")}
    assert rules == {"fallback-otherwise"}


async def test_a_new_peak_is_asked_about_and_answered_by_full_power_if_nobody_is_there(
    world: World, history: History, demand: Demand
) -> None:
    site = MeteredSite("site", demand.local, Battery())
    await lived(world, site, history, ask_above_eur=0.0)
    assert (await world.counts())["asked"] > 0
    decision = make_decision(site)
    assert decision.gate is not None
    assert decision.gate.otherwise == Setpoint(power_mw=10.0)
    assert not decision.gate.needed(25_000.0)


@pytest.mark.parametrize(
    ("power_mw", "next_mw", "rule"),
    [(10.0, 505.0, "discharge-all"), (8.0, 498.0, "discharge"), (0.0, 480.0, "hold"), (-4.0, 470.0, "charge")],
)
def test_every_choice_has_its_rule_and_its_reason(power_mw: float, next_mw: float, rule: str) -> None:
    plan = ShavingPlan(power_mw=power_mw, next_mw=next_mw, threshold_mw=490.0, ceiling_mw=474.0)
    choice = follow_plan(Features(), Prediction(value=plan))
    assert (choice.value.power_mw, choice.rule) == (power_mw, rule)
    assert all(choice.reasons)


def test_what_a_set_point_puts_at_stake_is_the_peak_it_may_make() -> None:
    decision = make_decision(MeteredSite("site", LocalDays("UTC"), Battery()), eur_per_kw_year=60.0)
    assert decision.gate is not None
    plan = Prediction(value=ShavingPlan(power_mw=10.0, next_mw=503.0, threshold_mw=493.0, ceiling_mw=489.0))
    assert decision.gate.impact(Features(paid_mw=489.0), plan, Setpoint(power_mw=10.0)) == 4 * 5_000.0
    assert decision.gate.impact(Features(paid_mw=495.0), plan, Setpoint(power_mw=10.0)) == 0.0
