"""What outcomes teach: a fold of the ledger that survives whatever happens, and that policies can rely on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from msgspec import UNSET
from tests.runtime.gauge import (
    FRAUD,
    GAUGE,
    Metered,
    Payment,
    Reading,
    Settled,
    measured,
    register_fraud,
    state,
    told,
)
from tests.runtime.world import HOUR, World

from steward import Calibration, Features, Pipeline
from steward.entries import decode_body
from steward.records import Record
from steward.runtime.calibrations import Calibrations
from steward.runtime.replay import replay


async def test_a_policy_sees_an_interval_once_enough_outcomes_came(world: World) -> None:
    await world.open(GAUGE)
    records = await measured(world, 30)
    facts = [record.calibration for record in records]
    assert [each.method for each in facts[:9]] == ["none"] * 9
    assert (facts[9].method, facts[9].learnt, facts[9].n, facts[9].coverage) == ("split", 9, 0, UNSET)
    assert [record.choice for record in records[:9]] == ["hold"] * 9
    assert all(record.interval is UNSET and record.confidence is UNSET for record in records[:9])
    first = records[9]
    assert first.interval.high - first.prediction == pytest.approx(facts[9].threshold)
    assert first.prediction - first.interval.low == pytest.approx(facts[9].threshold)
    assert (first.interval.level, first.confidence) == (0.9, 0.9)
    # Each region has its own nine outcomes by then, and one is three times as far off.
    assert {records[n].calibration.group for n in (26, 27)} == {"N", "S"}
    assert records[27].calibration.threshold > 1.5 * records[26].calibration.threshold
    assert (records[26].choice, records[27].choice) == ("run", "hold")


async def test_the_state_is_a_fold_of_the_ledger(world: World) -> None:
    runtime = await world.open(GAUGE)
    await measured(world, 130)
    learnt = state(runtime)
    assert {name: (tracker.n, tracker.method) for name, tracker in learnt.items()} == {
        "*": (130, "pi"),
        "N": (65, "split"),
        "S": (65, "split"),
    }
    fresh = Calibrations(None)
    fresh.find(GAUGE)
    assert await fresh.open(runtime.ledger) == 130
    assert {row.group or "*": row.tracker for row in fresh.rows("grid.gauge")} == learnt
    assert await fresh.open(runtime.ledger) == 0


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_nothing_is_learnt_twice_or_lost_over_a_start(world: World, how: str) -> None:
    await world.open(GAUGE)
    await measured(world, 20)
    await world.runtime.calibrations.save()
    await measured(world, 5, start=20)
    learnt = state(world.runtime)
    await getattr(world, how)()
    assert state(world.runtime) == learnt
    await measured(world, 5, start=25)
    assert state(world.runtime)["*"].n == 30
    # As though it had never been closed.
    fresh = Calibrations(None)
    fresh.find(GAUGE)
    await fresh.open(world.runtime.ledger)
    assert {row.group or "*": row.tracker for row in fresh.rows("grid.gauge")} == state(world.runtime)


async def test_a_snapshot_is_a_shortcut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World("sqlite", tmp_path, monkeypatch)
    await world.open(GAUGE)
    await measured(world, 12)
    learnt = state(world.runtime)
    await world.runtime.close()
    kept = tmp_path / "steward.db.calibrations"
    short = kept.read_bytes()
    runtime = await world.open()
    assert await reread(runtime, kept) == 0
    kept.write_bytes(short[:-5])
    assert await reread(runtime, kept) == 12
    version, states = msgspec.msgpack.decode(short)
    for name, value in ((0, b"?" * 32), (1, short)):
        for each in states.values():
            each["head"] = value if name == 0 else each["head"]
        kept.write_bytes(msgspec.msgpack.encode((version + name, states)))
        assert await reread(runtime, kept) == 12, "of another ledger, or of another version"
    kept.unlink()
    await world.close()
    await world.open()
    assert state(world.runtime) == learnt
    await world.close()


async def reread(runtime: object, kept: Path) -> int:
    fresh = Calibrations(kept)
    fresh.find(GAUGE)
    taken = await fresh.open(runtime.ledger)  # type: ignore[attr-defined]  # a Runtime
    assert {row.group or "*": row.tracker for row in fresh.rows("grid.gauge")} == state(runtime)  # type: ignore[arg-type]  # as above
    return taken


async def test_each_run_counts_once_by_the_first_outcome_that_says_the_truth(world: World) -> None:
    runtime = await world.open(GAUGE)
    for n in range(10):
        await runtime.decide("grid.gauge", Reading(meter=f"m{n}", region="N", told_mw=0.0))

    async def scores() -> tuple[float, ...]:
        await runtime.calibrations.step()
        rows = state(runtime)
        return rows["*"].first if rows else ()

    await runtime.observe("grid.gauge", Metered(meter="m0", load_mw=None), outcome_id="a")
    assert await scores() == ()
    for _ in range(2):
        await runtime.observe("grid.gauge", Metered(meter="m0", load_mw=5.0), outcome_id="b")
    assert await scores() == (5.0,)
    await runtime.observe("grid.gauge", Metered(meter="m0", load_mw=7.0), outcome_id="c")  # restated
    assert await scores() == (5.0,)
    world.clock.advance(48 * HOUR)
    await runtime.observe("grid.gauge", Metered(meter="m1", load_mw=-2.0), outcome_id="late")
    assert await scores() == (2.0, 5.0)
    await runtime.observe("grid.gauge", Metered(meter="m1", load_mw=99.0), outcome_id="later still")
    fresh = Calibrations(None)
    fresh.find(GAUGE)
    await fresh.open(runtime.ledger)
    assert fresh.rows("grid.gauge")[0].tracker.first == (2.0, 5.0), "also for whoever reads it afterwards"
    assert (await world.bodies("observed"))[-1].late


async def test_an_outcome_before_its_decision_is_learnt_from_once_they_are_joined(world: World) -> None:
    runtime = await world.open(GAUGE)
    await runtime.observe("grid.gauge", Metered(meter="m1", load_mw=3.0), outcome_id="early")
    await runtime.decide("grid.gauge", Reading(meter="m1", region="N", told_mw=1.0))
    await world.later()
    assert state(runtime)["*"].first == (2.0,)


async def test_a_calibration_that_is_declared_later_learns_from_all_that_is_known(world: World) -> None:
    await world.open(replace(GAUGE, calibration=None))
    records = await measured(world, 20)
    assert all(record.calibration is UNSET and record.interval is UNSET for record in records)
    await world.restart(GAUGE)
    [record] = await measured(world, 1, start=20, regions="W")
    assert (record.calibration.method, record.calibration.learnt) == ("split", 20)
    assert state(world.runtime)["*"].n == 21
    strict = replace(GAUGE, calibration=Calibration(truth=lambda outcome: outcome.load_mw, level=0.95))
    await world.restart(strict)
    [row] = world.runtime.calibrations.rows("grid.gauge")
    assert (row.tracker.n, row.tracker.given) == (21, 0), "nothing was promised to 0.95 yet"
    [record] = await measured(world, 1, start=21)
    assert (record.calibration.method, record.calibration.level, record.interval.level) == ("split", 0.95, 0.95)


async def test_each_calibration_learns_from_its_own_place_on(world: World) -> None:
    runtime = await world.open(GAUGE)
    await measured(world, 12)
    both = Calibrations(None)
    both.find(GAUGE)
    await both.open(runtime.ledger)
    both.find(replace(GAUGE, calibration=Calibration(truth=lambda outcome: outcome.load_mw, level=0.95)))
    both.find(replace(GAUGE, name="grid.other"))
    await measured(world, 1, start=12)
    await both.open(runtime.ledger)
    assert [row.tracker.n for row in both.rows("grid.gauge") if row.group is None] == [13, 13]
    assert both.rows("grid.other") == []


async def test_another_model_borrows_until_it_has_outcomes_of_its_own(world: World) -> None:
    def told_more(features: object) -> float:
        return 50.0

    runtime = await world.open(GAUGE)
    await measured(world, 20, regions="N")
    lent = runtime.calibrations.rows("grid.gauge")[0].tracker.threshold
    await world.restart(replace(GAUGE, predict=Pipeline(told_more)))
    records = await measured(world, 11, start=20, regions="N")
    assert (records[0].calibration.method, records[0].calibration.threshold) == ("borrowed", lent)
    assert (records[0].calibration.learnt, records[0].calibration.n) == (0, 0)
    assert (records[-1].calibration.method, records[-1].calibration.learnt) == ("split", 10)
    # What was borrowed is promised by nobody, and counts in no coverage.
    assert [row.tracker.given for row in world.runtime.calibrations.rows("grid.gauge")][:2] == [0, 2]


async def test_groups_beyond_the_declared_number_go_by_all_outcomes(world: World) -> None:
    runtime = await world.open(GAUGE)
    records = await measured(world, 40, regions="NSEW")
    assert set(state(runtime)) == {"*", "N", "S"}
    assert records[-2].calibration.group is UNSET
    assert (records[-2].calibration.method, records[-2].calibration.learnt) == ("split", 38)


async def test_labels_are_a_set_and_a_policy_can_hold_what_abstains(world: World) -> None:
    register_fraud(world)
    runtime = await world.open(FRAUD)
    choices = []
    for n in range(40):
        amount = (-3.0, 3.0, 0.1, -3.0, 3.0)[n % 5]
        record = (await runtime.decide("pay.fraud", Payment(order=f"p{n}", amount=amount))).record
        choices.append(record.choice)
        await runtime.observe("pay.fraud", Settled(order=f"p{n}", was_fraud=amount > 2), outcome_id=f"o{n}")
        await runtime.calibrations.step()
    assert choices[:4] == ["hold"] * 4, "nothing is known: both labels are possible"
    stored = [decode_body(entry.body) for entry in await world.entries("decided")]
    last = stored[-3:]
    assert [record.choice for record in last if isinstance(record, Record)] == ["hold", "release", "refuse"]
    assert [record.labels for record in last if isinstance(record, Record)][1:] == [("legit",), ("fraud",)]
    [row] = runtime.calibrations.rows("pay.fraud")
    assert row.tracker.n == 40


async def test_what_the_truth_function_does_wrong_is_told_and_stops_nothing(world: World) -> None:
    def wrong(outcome: Metered) -> str:
        return "many"

    runtime = await world.open(replace(GAUGE, calibration=Calibration(truth=wrong)))
    await measured(world, 2)
    [problem] = runtime.calibrations.problems()
    assert problem.startswith("grid.gauge: 2 outcomes taught nothing: calibration.truth failed: TypeError")
    assert runtime.calibrations.rows("grid.gauge") == []


async def test_a_pipelines_own_bounds_are_widened_or_narrowed(world: World) -> None:
    from steward.records import Interval

    def around(value: float) -> Interval:
        return Interval(value - 5, value + 5, 0.9)

    banded = replace(GAUGE, predict=Pipeline(told, interval=around))
    await world.open(banded)
    records = await measured(world, 12, regions="N", spread=1.0)
    assert records[0].interval == Interval(95.0, 105.0, 0.9)
    assert (records[0].calibration.method, records[0].calibration.band) == ("none", (95.0, 105.0))
    facts, interval = records[-1].calibration, records[-1].interval
    assert facts.threshold < 0
    assert (interval.low, interval.high) == (106.0 - facts.threshold, 116.0 + facts.threshold)


async def test_residuals_are_in_proportion_to_a_declared_scale(world: World) -> None:
    from steward import Feature

    def spread(event: Reading) -> float:
        return 0.0 if event.region == "Z" else 4.0

    scaled = replace(
        GAUGE,
        features=(*GAUGE.features, Feature(spread)),
        calibration=Calibration(truth=lambda outcome: outcome.load_mw, scale="spread"),
    )
    runtime = await world.open(scaled)
    records = await measured(world, 12, regions="NNNZ")
    assert records[3].calibration is UNSET, "without a positive scale nothing can be said"
    assert runtime.calibrations.rows("grid.gauge")[0].tracker.n == 9
    record = (await measured(world, 1, start=12))[0]
    assert record.interval.high - record.prediction == pytest.approx(4 * record.calibration.threshold)


async def test_what_if_uses_what_was_known_then_and_changes_nothing(world: World) -> None:
    runtime = await world.open(GAUGE)
    records = await measured(world, 40)
    then = await runtime.run(records[27].decision_id)
    before = state(runtime)
    again = await runtime.whatif.decide(then.record, {})
    assert (again.is_same, again.interval) == (True, then.record.interval)
    moved = await runtime.whatif.decide(then.record, {"region": "N"})
    assert moved.interval is not UNSET
    now = before["N"].threshold
    assert now is not None
    assert moved.interval.high - 127.0 == pytest.approx(now)
    assert state(runtime) == before


async def test_a_replay_calibrates_as_was_known_then_and_changes_nothing(world: World) -> None:
    runtime = await world.open(GAUGE)
    records = await measured(world, 25, learns=False)
    assert {record.calibration.method for record in records} == {"none"}, "outcomes came, and were not learnt from yet"
    records += await measured(world, 60, start=25)
    before = state(runtime)
    same = await replay(runtime.ledger, runtime.registry, GAUGE)
    assert (same.runs, same.agreed, same.failed) == (85, 85, 0)
    late = await replay(runtime.ledger, runtime.registry, GAUGE, since=records[30].decided_at)
    assert late.agreed == late.runs
    # Another model is judged by its own answers: one is as good, and runs as soon as it has nine outcomes.
    good = await replay(runtime.ledger, runtime.registry, replace(GAUGE, predict=Pipeline(as_good)))
    ran_early = [each.decision_id for each in good.differences if each.after == "run"]
    assert {record.decision_id for record in records[20:25:2]} <= set(ran_early)
    assert records[16].decision_id not in ran_early
    # The other is off by 100 more: what was recorded is of no use to it.
    off = await replay(runtime.ledger, runtime.registry, replace(GAUGE, predict=Pipeline(far_off)))
    assert {each.after for each in off.differences} == {"hold"}
    assert len(off.differences) == sum(record.choice == "run" for record in records) > 10
    assert state(runtime) == before


def as_good(features: Features) -> float:
    return features.number("told_mw") + 0.5


def far_off(features: Features) -> float:
    return features.number("told_mw") + 100
