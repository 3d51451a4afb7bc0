"""Runs and the systems they call: an outage fails nobody, is written down, and stays where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.runtime.shop import Refund, refund
from tests.runtime.world import HOUR, NOON, SECOND, Till, World

from steward import Action, Call, Destination, Receipt, Status, seconds
from steward.entries import Restored, Tripped
from steward.errors import DeclarationError, EngineError

BANK = Destination(name="bank", failures=3, open_for=seconds(5))


def order(n: int) -> Refund:
    return Refund(order_id=f"A-{n}", amount_eur=20.0)


async def run_of(world: World, n: int) -> UUID:
    return (await world.runtime.decide("shop.refund", order(n))).record.decision_id


async def seen(condition: Callable[[], bool]) -> None:
    """Let everything go on until it is so; the time-out only ends a test that fails."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nobody rings for it
            await asyncio.sleep(0)


async def until(world: World, run_ids: list[UUID], status: Status, step: timedelta = SECOND) -> None:
    """Let time pass until all runs have that status."""
    for _ in range(600):
        await world.later(step)
        if all([(await world.runtime.run(run_id)).status is status for run_id in run_ids]):
            return
    raise AssertionError([(await world.runtime.run(run_id)).status for run_id in run_ids])


async def test_an_outage_uses_up_the_attempts_of_those_that_probe_only(world: World, till: Till) -> None:
    """Each run alone would have used up its four attempts after some seconds; the bank is away for a minute."""
    await world.open(refund(till, gate=None, action=Action[str](do=till.pay, attempts=4, backoff=seconds(1), to=BANK)))
    till.fails = [ConnectionRefusedError("no bank")] * 10_000
    run_ids = [await run_of(world, n) for n in range(20)]
    for _ in range(60):
        await world.later(SECOND)
    assert 3 + 60 // 10 <= len(till.calls) <= 3 + 60 // 5  # those that opened it, and a probe every 5 to 10 s
    till.fails = []
    await until(world, run_ids, Status.ACTED)
    tripped, restored = await world.bodies("tripped"), await world.bodies("restored")
    assert [type(body) for body in [*tripped, *restored]] == [Tripped, Restored]
    assert (tripped[0].destination, tripped[0].failures, tripped[0].at) == ("bank", 3, NOON + SECOND)
    assert len(till.effects) == 20


async def test_held_back_is_no_attempt(world: World, till: Till) -> None:
    action = Action[str](do=till.pay, attempts=1, to=BANK)
    await world.open(refund(till, gate=None, action=action))
    till.fails = [ConnectionRefusedError("no bank")] * 3
    first = [await run_of(world, n) for n in range(3)]
    await world.later()
    later = await run_of(world, 9)
    await world.later()
    assert (await world.runtime.run(later)).status is Status.DECIDED  # it was not tried, so its one attempt is left
    await until(world, [later], Status.ACTED)
    assert {(await world.runtime.run(run_id)).status for run_id in first} == {Status.FAILED}
    assert [call.attempt for _, _, call in till.calls] == [1, 1, 1, 1]


async def test_no_try_comes_earlier_than_the_receiver_asked_for(world: World, till: Till) -> None:
    action = Action[str](do=till.pay, attempts=3, backoff=seconds(1))
    await world.open(refund(till, gate=None, action=action))
    till.fails = [EngineError("busy", retryable=True, held_until=NOON + 2 * HOUR)]
    run_id = await run_of(world, 1)
    await world.later()
    await world.later(2 * HOUR - SECOND)
    assert len(till.calls) == 1
    await world.later(SECOND)
    assert (await world.runtime.run(run_id)).status is Status.ACTED


async def test_what_hangs_holds_up_nobody_else(world: World, till: Till) -> None:
    async def hang(choice: str, call: Call) -> Receipt:
        await asyncio.Event().wait()
        raise AssertionError

    hung = refund(till, name="shop.hung", gate=None, action=Action[Any](do=hang), economics=None)
    runtime = await world.open(refund(till, gate=None, action=Action[Any](do=till.pay)), hung)
    for n in range(40):
        await runtime.decide("shop.hung", order(n))
    advancing = asyncio.create_task(runtime.advance())
    await seen(lambda: bool(runtime.lines.facts()) and runtime.lines.facts()[0].waiting == 24)
    await run_of(world, 99)
    assert not advancing.done()
    await runtime._parts.follow.begin()
    await seen(lambda: bool(till.effects))
    facts = {line.destination: line for line in runtime.lines.facts()}
    assert (facts["shop.hung/hang"].under_way, facts["shop.hung/hang"].waiting) == (16, 24)
    advancing.cancel()
    await asyncio.wait([advancing])


async def test_a_thousand_that_hang_leave_room_for_others(world: World, till: Till) -> None:
    """What waits for a place waits in the ledger, not on the list of what is looked at side by side."""

    async def hang(choice: str, call: Call) -> Receipt:
        await asyncio.Event().wait()
        raise AssertionError

    hung = refund(till, name="shop.hung", gate=None, action=Action[Any](do=hang), economics=None)
    runtime = await world.open(refund(till, gate=None, action=Action[Any](do=till.pay)), hung)
    await runtime.decide_batch("shop.hung", [order(n) for n in range(1200)])
    advancing = asyncio.create_task(runtime.advance())
    await seen(lambda: bool(runtime.lines.facts()) and runtime.lines.facts()[0].held >= 800)
    await run_of(world, 9999)
    await runtime._parts.follow.begin()
    await seen(lambda: bool(till.effects))
    advancing.cancel()
    await asyncio.wait([advancing])


async def test_one_name_is_one_destination(world: World, till: Till) -> None:
    first = refund(till, gate=None, action=Action[str](do=till.pay, to=BANK))
    other = Action[str](do=till.pay, to=Destination(name="bank", at_once=2))
    second = refund(till, name="shop.other", gate=None, action=other)
    with pytest.raises(DeclarationError, match="'bank'"):
        await world.open(first, second)
