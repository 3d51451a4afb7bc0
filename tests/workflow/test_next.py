"""What people are told that a run waits for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.workflow.stories import PLANS, tell

from steward.ledger.run import Run
from steward.testing.conformance.site import MINUTE, START, Plant
from steward.workflow.next import Next
from steward.workflow.plan import Plan


def plan_of(name: str) -> Plan:
    return Plan.of(PLANS[name](Plant()), code="new")


async def after(name: str, count: int) -> Run:
    """Return a run of a story as it stood after some of its entries."""
    entries = await tell(name)
    return Run.of(entries[:count], entries[0].run_id)


@pytest.mark.parametrize(
    ("kind", "waits_for", "name", "until"),
    [
        ("decided", "try", "open_breaker", START + timedelta(hours=2)),
        ("open_breaker", "time", "settle", START + MINUTE),
        ("settle", "try", "feeder_is_dead", None),
        ("feeder_is_dead", "try", "tell_crew", None),
        ("tell_crew", "signal", "crew-clear", START + 31 * MINUTE),
        ("crew-clear", "time", "at-one", START + timedelta(hours=1)),
        ("at-one", "try", "close_breaker", START + timedelta(hours=1) + 10 * MINUTE),
    ],
)
async def test_each_kind_of_step_is_told_by_its_name(kind: str, waits_for: str, name: str, until: object) -> None:
    whole = await after("switching-ends-well", 100)
    count = next(
        place for place, each in enumerate(whole.history, 1) if kind in (getattr(each.body, "step", "decided"),)
    )
    run = await after("switching-ends-well", count)
    following = Next.of(plan_of("switching"), run, run.since)
    assert following is not None
    assert (following.waits_for, following.name, following.until or None) == (waits_for, name, until)


async def test_the_end_waits_for_nothing() -> None:
    run = await after("switching-ends-well", 100)
    assert Next.of(plan_of("switching"), run, run.since) is None


async def test_what_an_operator_must_decide_is_told_by_its_code() -> None:
    plan, run = plan_of("switching"), await after("switching-ends-well", 1)
    assert Next.of(None, run, run.since) == Next(waits_for="operator", name="code-gone")
    assert Next.of(plan, run, run.since, is_stopped=True) == Next(waits_for="operator", name="stopped")
    entries = await tell("switching-undo-fails")
    count = next(place for place, entry in enumerate(entries, 1) if entry.kind == "halted")
    halted = await after("switching-undo-fails", count)
    assert Next.of(plan, halted, halted.since) == Next(waits_for="operator", name="undo-failed")
    turned = await after("switching-undo-fails", count - 1)
    assert Next.of(plan, turned, turned.since) == Next(waits_for="try", name="open_breaker/undo")
