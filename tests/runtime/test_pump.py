"""Events over the bus: in order, once, poisoned ones aside with their reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.runtime.shop import CARDS, GREET, Greet, Payment, Refund, Visit, payments, refund
from tests.runtime.world import HOUR, MINUTE, NOON, Till, World

from steward import Choice, Features, Prediction
from steward.bus.deadletters import DEAD_LETTERS, DeadLetter
from steward.errors import Conflict, ContractError, DeclarationError, EngineError, NotFound, StewardError
from steward.ledger.port import Commit
from steward.testing.faults import unwritable


async def letters(world: World) -> list[DeadLetter]:
    return [DeadLetter.of(stored.message) for stored in await world.runtime.ledger.messages(DEAD_LETTERS)]


def ask(world: World, n: int, amount_eur: float = 20.0) -> Any:
    return world.message("refund", Refund(order_id=f"A-{n}", amount_eur=amount_eur), f"e{n}")


async def test_events_are_decided_in_order_and_once(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    accepted = await runtime.publish([ask(world, n) for n in range(5)])
    assert list(accepted.offsets) == [0, 1, 2, 3, 4]
    await runtime.advance()
    await runtime.publish([ask(world, n) for n in range(7)])
    await world.crash()
    await world.later()
    records = await world.bodies("decided")
    assert [record.provenance.event_id for record in records] == [f"e{n}" for n in range(7)]
    assert len(till.effects) == 7


async def test_an_unknown_topic_is_refused(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till))
    with pytest.raises(NotFound, match="did you mean 'refund'"):
        await runtime.publish([memory.message("refunds", Refund(order_id="A", amount_eur=1.0), "e1")])


async def test_what_does_not_fit_is_refused_before_the_bus_has_it(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till))
    with pytest.raises(ContractError):
        await runtime.publish([ask(memory, 1), memory.message("refund", b'{"order_id":"A"}', "e2")])
    assert await runtime.ledger.topics() == {}


async def test_a_source_may_not_pass_for_our_own(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till))
    with pytest.raises(ContractError) as raised:
        await runtime.publish([memory.message("refund", Refund(order_id="A", amount_eur=1.0), "e", source="direct/x")])
    assert raised.value.field == "source"


async def test_a_poisoned_event_goes_aside_and_blocks_nothing(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    bad = world.message("refund", b'{"order_id":"A","amount_eur":-1}', "bad")
    # Put on the bus by somebody else's hand, past the check at the door.
    await runtime.bus.publish([ask(world, 1), bad, ask(world, 2, amount_eur=13.0), ask(world, 3)])
    await runtime.advance()
    assert [record.provenance.event_id for record in await world.bodies("decided")] == ["e1", "e3"]
    contract, policy = await letters(world)
    assert (contract.message, contract.offset, contract.code) == (bad, 1, "contract")
    assert "amount_eur" in contract.reason
    assert (policy.message.id, policy.code) == ("e2", "choose-failed")
    assert "thirteen" in policy.reason
    (failed,) = await world.bodies("failed")
    assert "event e2 of tests" in failed.reason
    await world.crash()
    await world.later()
    assert len(await letters(world)) == 2


async def test_a_decision_sees_nothing_that_came_after_it(world: World) -> None:
    runtime = await world.open(CARDS)
    await runtime.publish([payment_message(world, n) for n in range(6)])
    world.clock.advance(MINUTE)
    world.ledger.fault = unwritable
    await runtime.advance()
    await world.later(MINUTE)
    world.ledger.fault = lambda commit: None
    await world.later(MINUTE)
    records = await world.bodies("decided")
    assert [record.features["cards_payments_count_1h"] for record in records] == [1, 2, 3, 4, 5, 6]


async def test_a_batch_that_is_halved_sees_each_state_once(world: World) -> None:
    runtime = await world.open(CARDS)
    await runtime.publish([payment_message(world, n) for n in range(8)])
    world.clock.advance(MINUTE)
    refused = [False, True, True]

    def busy(commit: Commit) -> StewardError | None:
        return Conflict("busy") if commit.entries and refused and refused.pop() else None

    world.ledger.fault = busy
    await runtime.advance()
    await world.later(MINUTE)
    records = await world.bodies("decided")
    assert [record.features["cards_payments_count_1h"] for record in records] == list(range(1, 9))


async def test_a_direct_failure_does_not_forget_a_batch_under_way(world: World) -> None:
    """While a batch of the bus waits for the disk, a direct request fails and the state is restored."""
    runtime = await world.open(CARDS)
    await runtime.publish([payment_message(world, n) for n in range(3)])
    pump = runtime._parts.pumps["cards.payments"]
    await pump.handle(await runtime.ledger.messages("cards.payments"))
    world.ledger.fault = unwritable
    with pytest.raises(EngineError):
        await runtime.decide("cards.check", Payment(card="c", at=NOON, amount_eur=1.0))
    world.ledger.fault = lambda commit: None
    answer = await runtime.decide("cards.check", Payment(card="c", at=NOON, amount_eur=1.0))
    assert answer.record.features["cards_payments_count_1h"] == 4


def payment_message(world: World, n: int) -> Any:
    return world.message("cards.payments", Payment(card="c", at=NOON, amount_eur=1.0), f"p{n}")


async def test_duplicates_change_no_feature(world: World) -> None:
    runtime = await world.open(GREET)
    visit = world.message("shop.visits", Visit(customer="ann", at=NOON), "v1")
    await runtime.publish([visit, visit])
    await runtime.advance()
    await runtime.publish([visit])
    await runtime.advance()
    answer = await runtime.decide("shop.greet", Greet(customer="ann"))
    assert answer.record.features == {"shop_visits_count_1h": 1}


async def test_late_events_count_for_their_time(world: World) -> None:
    runtime = await world.open(GREET)
    world.clock.advance(30 * MINUTE)
    on_time = world.message("shop.visits", Visit(customer="ann", at=NOON + 20 * MINUTE), "v2")
    late = world.message("shop.visits", Visit(customer="ann", at=NOON), "v1")
    await runtime.publish([on_time, late])
    await runtime.advance()
    answer = await runtime.decide("shop.greet", Greet(customer="ann"))
    assert answer.record.features == {"shop_visits_count_1h": 2}
    world.clock.set(NOON + HOUR)
    answer = await runtime.decide("shop.greet", Greet(customer="ann"))
    assert answer.record.features == {"shop_visits_count_1h": 1}


async def test_one_topic_means_one_thing(memory: World) -> None:
    def other(features: Features, prediction: Prediction[None]) -> Choice[bool]:
        return Choice(True, reasons=("yes",))

    clash = replace(payments, name="shop.visits")
    twin = replace(CARDS, name="cards.twin", features=(clash.count(over=HOUR),))
    with pytest.raises(DeclarationError, match="declared in two ways"):
        await memory.open(GREET, twin)


async def test_two_decisions_of_one_event_are_both_asked(world: World, till: Till) -> None:
    runtime = await world.open(refund(till), refund(till, name="shop.refund-b", gate=None))
    await runtime.publish([ask(world, n) for n in range(3)])
    await runtime.advance()
    names = sorted(record.decision for record in await world.bodies("decided"))
    assert names == ["shop.refund"] * 3 + ["shop.refund-b"] * 3
