"""What a stream has told is counted once, over restarts, crashes and failed writes."""

from __future__ import annotations

import asyncio

import pytest
from tests.runtime.shop import CARDS, GREET, Payment
from tests.runtime.world import MINUTE, NOON, World

from steward.errors import EngineError
from steward.testing.faults import unwritable


def payment(n: int, card: str = "c1") -> Payment:
    return Payment(card=card, at=NOON + n * MINUTE, amount_eur=1.25)


async def seen(world: World, n: int, card: str = "c1") -> tuple[object, object]:
    world.clock.set(NOON + n * MINUTE)
    features = (await world.runtime.decide("cards.check", payment(n, card))).record.features
    return features["cards_payments_count_1h"], features["amount_eur_sum_1h"]


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_direct_events_of_an_own_stream_are_counted_once_over_a_restart(world: World, how: str) -> None:
    await world.open(CARDS)
    assert [await seen(world, n) for n in (1, 2, 3)] == [(1, 1.25), (2, 2.5), (3, 3.75)]
    await getattr(world, how)()
    assert await seen(world, 4) == (4, 5.0)
    await world.later()  # the consumer meets the same events on the bus
    assert await seen(world, 5) == (5, 6.25)
    await getattr(world, how)()
    await world.later()
    assert await seen(world, 6) == (6, 7.5)
    assert (await world.counts())["decided"] == 6


async def test_bus_events_of_an_own_stream_are_decided_once(world: World) -> None:
    runtime = await world.open(CARDS)
    messages = [world.message("cards.payments", payment(n), f"p{n}", event_time=NOON + n * MINUTE) for n in range(3)]
    accepted = await runtime.publish([*messages, messages[0]])
    assert accepted.duplicates == 1
    world.clock.set(NOON + 3 * MINUTE)
    await runtime.advance()
    await runtime.publish(messages)
    await world.crash()
    await world.later()
    assert await seen(world, 4) == (4, 5.0)
    await world.later()
    records = await world.bodies("decided")
    assert [record.features["cards_payments_count_1h"] for record in records] == [1, 2, 3, 4]
    assert [record.provenance.source for record in records] == ["tests", "tests", "tests", "direct"]


async def test_own_events_by_contract_name_survive_a_restart(world: World) -> None:
    runtime = await world.open(CARDS)
    await runtime.publish([world.message("payment", payment(n), f"p{n}") for n in range(3)])
    world.clock.set(NOON + 3 * MINUTE)
    await runtime.advance()
    await world.crash()
    assert await seen(world, 4) == (4, 5.0)
    await world.later()
    assert (await world.counts())["decided"] == 4


async def test_a_stream_seen_before_gives_the_same_features_after_a_crash(world: World) -> None:
    from tests.runtime.shop import Greet, Visit

    runtime = await world.open(GREET)
    visits = [world.message("shop.visits", Visit(customer="ann", at=NOON), f"v{n}") for n in range(5)]
    await runtime.publish(visits)
    await runtime.advance()
    before = (await runtime.decide("shop.greet", Greet(customer="ann"))).record
    runtime = await world.crash()
    after = (await runtime.decide("shop.greet", Greet(customer="ann"))).record
    assert before.features == after.features == {"shop_visits_count_1h": 5}
    assert after.choice is True


async def test_an_event_that_could_not_be_made_durable_leaves_no_trace(world: World) -> None:
    await world.open(CARDS)
    assert await seen(world, 1) == (1, 1.25)
    world.ledger.fault = unwritable
    with pytest.raises(EngineError):
        await seen(world, 2)
    world.ledger.fault = lambda commit: None
    assert await seen(world, 3) == (2, 2.5)
    await world.later()
    assert await seen(world, 4) == (3, 3.75)


async def test_a_decision_made_from_an_event_that_is_lost_is_lost_with_it(world: World) -> None:
    runtime = await world.open(CARDS)
    fails = iter([EngineError("the disk failed", retryable=True), None, None])
    world.ledger.fault = lambda commit: next(fails, None)
    told = await asyncio.gather(
        *(runtime.decide("cards.check", payment(n), key=f"k{n}") for n in range(3)), return_exceptions=True
    )
    # They were decided together, each counting those before it; the first could not be written.
    assert [getattr(error, "code", None) for error in told] == ["engine", "engine.basis", "engine.basis"]
    assert await seen(world, 3) == (1, 1.25)
    await world.later()
    assert (await world.counts())["decided"] == 1


async def test_a_taken_key_is_not_counted_twice(world: World) -> None:
    runtime = await world.open(CARDS)
    await runtime.decide("cards.check", payment(1), key="k1")
    await asyncio.gather(
        runtime.decide("cards.check", payment(1), key="k1"),
        runtime.decide("cards.check", payment(2, "other")),
    )
    assert await seen(world, 3) == (2, 2.5)
    assert await seen(world, 4, "other") == (2, 2.5)
