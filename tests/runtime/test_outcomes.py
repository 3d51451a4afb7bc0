"""Outcomes: joined by key or id, early, late, twice, and worth exact money."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from tests.runtime.shop import CARDS, ECONOMICS, Due, Refund, Settled, refund
from tests.runtime.world import HOUR, NOON, Till, World

from steward import Choice, Decision, Economics, Features, Prediction, Risk, hours
from steward.bus.deadletters import DEAD_LETTERS, DeadLetter
from steward.errors import ContractError, DeclarationError, NotFound, StewardError


def small(n: int = 1) -> Refund:
    return Refund(order_id=f"A-{n}", amount_eur=20.0)


def settled(n: int = 1, kept_eur: float = 3.0) -> Settled:
    return Settled(order_id=f"A-{n}", kept_eur=kept_eur)


async def decided(world: World, n: int = 1) -> UUID:
    return (await world.runtime.decide("shop.refund", small(n))).record.decision_id


async def savings(world: World, run_id: UUID) -> list[str]:
    return [str(body.saving.amount) for body in await world.bodies("valued") if body.decision_id == run_id]


@pytest.mark.parametrize("door", ["direct", "bus"])
async def test_joined_by_key(world: World, till: Till, door: str) -> None:
    runtime = await world.open(refund(till))
    first, _other, again = await decided(world, 1), await decided(world, 2), await decided(world, 1)
    if door == "direct":
        assert await runtime.observe("shop.refund", settled(), outcome_id="o1") == [first, again]
    else:
        await runtime.publish([world.message("settled", settled(), "o1")])
        await runtime.advance()
    assert [body.decision_id for body in await world.bodies("valued")] == [first, again]


async def test_joined_by_id(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    first, again = await decided(world), await decided(world)
    assert await runtime.observe("shop.refund", settled(), outcome_id="o1", decision_id=again) == [again]
    assert await savings(world, first) == []


async def test_late_by_the_declared_window(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    await decided(world)
    for after, late in ((2, False), (2.001, True)):
        world.clock.set(NOON + after * HOUR)
        await runtime.observe("shop.refund", settled(), outcome_id=f"o{after}")
        assert (await world.bodies("observed"))[-1].late is late


async def test_a_key_that_repeats_is_joined_to_the_runs_of_its_time_only(world: World, till: Till) -> None:
    """An outcome tells about the runs whose window it lies in, not about all that ever had its key."""
    runtime = await world.open(refund(till))
    first = await decided(world)
    world.clock.set(NOON + 48 * HOUR)
    second = await decided(world)
    world.clock.set(NOON + 49 * HOUR)
    assert await runtime.observe("shop.refund", settled(), outcome_id="on-time") == [second]
    world.clock.set(NOON + 99 * HOUR)
    assert await runtime.observe("shop.refund", settled(kept_eur=9.0), outcome_id="late") == [second]
    assert await savings(world, first) == []
    assert [body.late for body in await world.bodies("observed")] == [False, True]


@pytest.mark.parametrize("restart", [False, True])
async def test_a_second_outcome_restates_the_value(world: World, till: Till, restart: bool) -> None:
    runtime = await world.open(refund(till))
    run_id = await decided(world)
    await runtime.observe("shop.refund", settled(kept_eur=3.0), outcome_id="o1")
    if restart:
        runtime = await world.crash()
    await runtime.observe("shop.refund", settled(kept_eur=5.0), outcome_id="o2")
    assert [body.restates for body in await world.bodies("valued")] == [False, True]
    run = await runtime.run(run_id)
    assert run.valued is not None
    assert str(run.valued.saving.amount) == "4.00"
    await runtime.catch_up()
    (row,) = runtime.views.totals()
    assert row.decision == "shop.refund"
    assert [str(view.saving.amount) for view in runtime.views.runs() if view.saving] == ["4.00"]


async def test_two_outcomes_of_one_batch_restate_in_order(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    await decided(world)
    await runtime.publish([world.message("settled", settled(kept_eur=float(n)), f"o{n}") for n in range(3)])
    await runtime.advance()
    assert [body.restates for body in await world.bodies("valued")] == [False, True, True]


@pytest.mark.parametrize("door", ["direct", "bus"])
async def test_the_same_outcome_twice_has_one_effect(world: World, till: Till, door: str) -> None:
    runtime = await world.open(refund(till))
    run_id = await decided(world)
    for _ in range(2):
        if door == "direct":
            assert await runtime.observe("shop.refund", settled(), outcome_id="o1") == [run_id]
        else:
            await runtime.publish([world.message("settled", settled(), "o1")])
            await runtime.advance()
    runtime = await world.crash()
    if door == "direct":
        await runtime.observe("shop.refund", settled(), outcome_id="o1")
    await runtime.advance()
    assert (await world.counts())["valued"] == 1


@pytest.mark.parametrize("decision_door", ["direct", "bus"])
@pytest.mark.parametrize("restart", ["no", "restart", "crash"])
async def test_an_outcome_before_its_decision_waits_for_it(
    world: World, till: Till, restart: str, decision_door: str
) -> None:
    runtime = await world.open(refund(till))
    assert await runtime.observe("shop.refund", settled(), outcome_id="o1") == []
    assert await runtime.observe("shop.refund", settled(), outcome_id="o1") == []
    if restart != "no":
        runtime = await getattr(world, restart)()
    if decision_door == "direct":
        await decided(world)
    else:
        await runtime.publish([world.message("refund", small(), "e1")])
    await runtime.advance()
    assert await world.counts() == {"decided": 1, "observed": 1, "valued": 1, "acted": 1}
    await world.crash()
    await world.later()
    assert (await world.counts())["valued"] == 1


async def test_a_crash_between_decision_and_waiting_outcome_loses_nothing(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    await runtime.observe("shop.refund", settled(), outcome_id="o1")
    await decided(world)
    assert (await world.counts())["valued"] == 0
    await world.crash()
    await world.later()
    assert (await world.counts())["valued"] == 1


async def test_a_waiting_outcome_that_cannot_be_valued_does_not_cost_the_answer(world: World, till: Till) -> None:
    def broken(features: Features, choice: str, outcome: Settled) -> float:
        raise ZeroDivisionError("no")

    runtime = await world.open(refund(till, economics=replace(ECONOMICS, value=broken)))
    await runtime.observe("shop.refund", settled(), outcome_id="o1")
    run_id = await decided(world)
    await runtime.advance()
    assert await world.kinds(run_id) == ["decided", "acted"]
    (letter,) = [DeadLetter.of(stored.message) for stored in await runtime.ledger.messages(DEAD_LETTERS)]
    assert (letter.code, letter.message.id) == ("value-failed", "o1")
    await world.crash()
    await world.later()
    assert (await world.runtime.ledger.topics())[DEAD_LETTERS] == 1


async def test_unknown_runs_and_decisions(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till), CARDS)
    run_id = await decided(memory)
    with pytest.raises(NotFound):
        await runtime.observe("shop.refund", settled(), outcome_id="o1", decision_id=UUID(int=7))
    with pytest.raises(NotFound):
        await runtime.observe("shop.x", settled(), outcome_id="o1")
    with pytest.raises(DeclarationError) as raised:
        await runtime.observe("cards.check", settled(), outcome_id="o1", decision_id=run_id)
    assert raised.value.code == "no-outcome"
    other = (await runtime.decide("cards.check", {"card": "c", "at": NOON.isoformat(), "amount_eur": 1.0})).record
    with pytest.raises(ContractError, match="is a run of"):
        await runtime.observe("shop.refund", settled(), outcome_id="o1", decision_id=other.decision_id)
    for bad in (b'{"order_id":"A-1"}', b'{"order_id":"A-1","kept_eur":1e999}', {"order_id": 1, "kept_eur": 1.0}):
        with pytest.raises(ContractError):
            await runtime.observe("shop.refund", bad, outcome_id="o1")
    assert (await memory.counts())["observed"] == 0


@pytest.mark.parametrize(
    ("earned", "value"),
    [
        (2.345, "2.34"),
        (2.355, "2.36"),
        (Decimal("2.345"), "2.34"),
        (Decimal("2.3450000001"), "2.35"),
        (0.1 + 0.2, "0.30"),
        (-2.345, "-2.34"),
        (np.float64(2.345), "2.34"),
        (7, "7.00"),
        (2**53 + 1, "9007199254740993.00"),
    ],
)
async def test_money_is_rounded_half_to_even_and_exact(memory: World, till: Till, earned: Any, value: str) -> None:
    economics = replace(ECONOMICS, value=lambda features, choice, outcome: earned)
    runtime = await memory.open(refund(till, economics=economics))
    await decided(memory)
    await runtime.observe("shop.refund", settled(), outcome_id="o1")
    (valued,) = await memory.bodies("valued")
    assert str(valued.value.amount) == value
    assert valued.saving.amount == valued.value.amount - valued.baseline.amount


@pytest.mark.parametrize("earned", [float("nan"), float("inf"), Decimal("NaN"), "3", None, 1e40])
async def test_a_value_that_is_no_money_is_refused(memory: World, till: Till, earned: Any) -> None:
    economics = replace(ECONOMICS, value=lambda features, choice, outcome: earned)
    runtime = await memory.open(refund(till, economics=economics))
    await decided(memory)
    with pytest.raises(StewardError) as raised:
        await runtime.observe("shop.refund", settled(), outcome_id="o1")
    assert raised.value.code == "value-failed"
    assert (await memory.counts())["observed"] == 0


async def test_sums_of_savings_are_exact(memory: World, till: Till) -> None:
    economics = replace(ECONOMICS, baseline=lambda features, outcome: 0.0)
    runtime = await memory.open(refund(till, economics=economics))
    for n in range(300):
        await decided(memory, n)
        await runtime.observe("shop.refund", settled(n, 0.1), outcome_id=f"o{n}")
    await runtime.catch_up()
    day = runtime.views.value_by_day("shop.refund")
    assert [worth.saving_minor for worth in day[0].worth] == [3000]


async def test_an_outcome_over_the_bus_that_does_not_fit_is_a_dead_letter(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    await decided(world)
    bad = world.message("settled", b'{"order_id":"A-1"}', "o1")
    with pytest.raises(ContractError):
        await runtime.publish([bad])
    await runtime.bus.publish([bad, world.message("settled", settled(), "o2")])
    await runtime.advance()
    assert (await world.counts())["valued"] == 1
    (letter,) = [DeadLetter.of(stored.message) for stored in await runtime.ledger.messages(DEAD_LETTERS)]
    assert (letter.message, letter.consumer) == (bad, "settled")
    assert "kept_eur" in letter.reason


async def test_objects_join_like_bytes(memory: World, till: Till) -> None:
    """A key of times joins whatever offset each side was written with."""
    cet = timezone(timedelta(hours=1))

    def hold(features: Features, prediction: Prediction[None]) -> Choice[str]:
        return Choice("hold", reasons=("always",))

    metered: Decision[Due, None, str] = Decision(
        name="shop.metered",
        owner="o",
        purpose="p",
        risk=Risk.LOW,
        event=Due,
        policy=hold,
        economics=Economics(
            outcome=Due,
            key=("at",),
            within=hours(2),
            value=lambda features, choice, outcome: 1.0,
            baseline=lambda features, outcome: 0.0,
            unit="EUR",
        ),
    )
    runtime = await memory.open(metered)
    run_id = (await runtime.decide("shop.metered", Due(at=NOON.astimezone(cet)))).record.decision_id
    assert await runtime.observe("shop.metered", b'{"at":"2026-01-01T14:00:00+02:00"}', outcome_id="1") == [run_id]
