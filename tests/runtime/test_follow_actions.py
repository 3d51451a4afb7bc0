"""Actions in virtual time, over each ledger: their tries, their receipts, and taking them back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.runtime.shop import Refund, asked, refund, small
from tests.runtime.world import HOUR, MINUTE, SECOND, Till, World

from steward import Action, Call, Choice, Features, Prediction, Receipt, Status, seconds
from steward.errors import Conflict, ContractError
from steward.ledger.run import Run
from steward.testing.faults import unwritable

# The action


async def test_an_event_that_says_waiting_does_not_hide_its_action(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    await runtime.decide("shop.refund", Refund(order_id="A", amount_eur=1.0, status="waiting"))
    await world.later()
    assert till.verbs == ["do"]


async def test_the_receipt_is_kept(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await world.later()
    (acted,) = await world.bodies("acted")
    assert (acted.receipt, acted.attempt, acted.choice) == (Receipt(reference="paid-1"), 1, "pay")
    assert till.calls[0][2].key == f"shop.refund/{run_id}" == acted.action.key
    assert till.calls[0][2].features == {"amount_eur": 20.0}


async def test_a_failed_try_is_repeated_after_waits_under_one_key(world: World, till: Till) -> None:
    runtime = await world.open(refund(till, action=Action(do=till.pay, attempts=4, backoff=seconds(10))))
    till.fails += [ConnectionError("1"), ConnectionError("2")]
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    tries = [len(till.calls)]
    for _ in range(45):
        await world.later(SECOND)
        tries.append(len(till.calls))
    waits = [second for second in range(1, len(tries)) if tries[second] > tries[second - 1]]
    first, second = waits[1] - waits[0], waits[2] - waits[1]
    assert 0 < first <= 11
    assert 0 < second <= 21
    assert len({call.key for _, _, call in till.calls}) == 1
    assert [call.attempt for _, _, call in till.calls] == [1, 2, 3]
    assert await world.kinds(run_id) == ["decided", "acted"]


async def test_the_world_is_read_back_before_the_second_try(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    till.lost_receipts = 1
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await world.later()
    await world.later(MINUTE)
    assert till.verbs == ["do", "verify"]
    receipt = (await runtime.run(run_id)).receipt
    assert receipt == Receipt(reference="seen")


async def test_the_world_is_read_back_after_a_crash_too(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    world.ledger.fault = unwritable  # the effect happens, but its entry is lost
    await world.later()
    assert till.verbs == ["do"]
    await world.crash()
    await world.later()
    assert till.verbs == ["do", "verify"]
    assert await world.kinds(run_id) == ["decided", "acted"]


async def test_an_effect_whose_entry_could_not_be_written_is_read_back(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    await runtime.decide("shop.refund", small())
    world.ledger.fault = unwritable
    await world.later()
    world.ledger.fault = lambda commit: None
    await world.later(2 * SECOND)
    assert till.verbs == ["do", "verify"]
    assert (await world.counts())["acted"] == 1


async def test_an_action_gives_up(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    till.fails += [ConnectionError("down")] * 3
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    for _ in range(5):
        await world.later(HOUR)
    run = await runtime.run(run_id)
    assert run.status is Status.FAILED
    assert run.failure is not None
    assert (run.failure.stage, run.failure.code, run.failure.attempt) == ("act", "action-failed", 3)
    assert "ConnectionError: down" in run.failure.reason
    await world.crash()
    await world.later(HOUR)
    assert till.verbs.count("do") == 3


async def test_a_refusal_for_good_is_not_repeated(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till))
    till.fails.append(ContractError("no such account"))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    assert (await runtime.run(run_id)).status is Status.FAILED
    assert till.verbs == ["do"]


async def test_an_async_action_that_hangs_is_timed_out_and_holds_up_nobody(memory: World, till: Till) -> None:
    async def hang(choice: str, call: Call) -> Receipt:
        await asyncio.Event().wait()
        return Receipt(reference="never")

    action = Action(do=hang, attempts=1, timeout=seconds(0.05))
    runtime = await memory.open(refund(till, action=action))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    failure = (await runtime.run(run_id)).failure
    assert failure is not None
    assert failure.code == "action-timeout"


async def test_a_live_runtime_acts_beside_an_action_that_hangs(memory: World, till: Till) -> None:
    release, done = asyncio.Event(), asyncio.Event()

    async def first_hangs(choice: str, call: Call) -> Receipt:
        if call.features["amount_eur"] == 1.0:
            await release.wait()
        else:
            done.set()
        return Receipt(reference="ok")

    runtime = await memory.open(refund(till, action=Action(do=first_hangs)))
    runtime.start()
    await runtime.decide("shop.refund", Refund(order_id="A", amount_eur=1.0))
    for _ in range(20):
        await asyncio.sleep(0)
    await runtime.decide("shop.refund", Refund(order_id="B", amount_eur=2.0))
    await asyncio.wait_for(done.wait(), 5)
    release.set()
    assert runtime.failure() is None


@pytest.mark.parametrize("returned", [None, "ok", 7])
async def test_no_receipt_is_a_failure(memory: World, till: Till, returned: Any) -> None:
    def careless(choice: str, call: Call) -> Receipt:
        return returned  # type: ignore[no-any-return]  # on purpose

    runtime = await memory.open(refund(till, action=Action(do=careless)))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    failure = (await runtime.run(run_id)).failure
    assert failure is not None
    assert failure.code == "no-receipt"


async def test_a_receipt_that_cannot_be_read_back_is_a_failure(memory: World, till: Till) -> None:
    def numbered(choice: str, call: Call) -> Receipt:
        return Receipt(reference=17)  # type: ignore[arg-type]  # on purpose

    runtime = await memory.open(refund(till, action=Action(do=numbered)))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    failure = (await runtime.run(run_id)).failure
    assert failure is not None
    assert failure.code == "no-receipt"


async def test_a_choice_of_another_type_than_now_declared_fails_its_run_only(world: World, till: Till) -> None:
    run_id = await asked(world, till)

    def by_number(features: Features, prediction: Prediction[None]) -> Choice[int]:
        return Choice(1, reasons=("numbers now",))

    changed = refund(till, policy=by_number, gate=None)
    runtime = await world.restart(changed)
    await runtime.approve(run_id, by="ann", reason="ok")
    await world.later()
    assert (await runtime.run(run_id)).status is Status.FAILED
    await runtime.decide("shop.refund", small())
    await world.later()
    assert list(till.effects.values()) == [1]


# Undo


async def test_an_effect_is_taken_back_once(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    with pytest.raises(Conflict) as raised:
        await runtime.undo(run_id, by="ann", reason="too early")
    assert raised.value.code == "nothing-to-undo"
    await world.later()
    run = await runtime.undo(run_id, by="ann", reason="a mistake")
    assert (run.status, till.effects) == (Status.UNDONE, {})
    with pytest.raises(Conflict):
        await runtime.undo(run_id, by="ann", reason="again")
    assert till.verbs == ["do", "undo"]
    runtime = await world.crash()
    assert (await runtime.run(run_id)).status is Status.UNDONE


async def test_two_who_take_back_at_once_do_it_once(world: World, till: Till) -> None:
    async def slowly(choice: str, call: Call) -> Receipt:
        await asyncio.sleep(0)
        return till.take_back(choice, call)

    runtime = await world.open(refund(till, action=Action(do=till.pay, undo=slowly)))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await world.later()
    both = [runtime.undo(run_id, by=name, reason="a mistake") for name in ("ann", "bob")]
    first, second = await asyncio.gather(*both, return_exceptions=True)
    assert isinstance(first, Run)
    assert first.status is Status.UNDONE
    assert isinstance(second, Conflict)
    assert second.code == "undo-in-flight"
    assert till.verbs == ["do", "undo"]


async def test_a_failed_undo_is_tried_on_by_itself(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    till.fails.append(ConnectionError("down"))
    run = await runtime.undo(run_id, by="ann", reason="a mistake")
    assert run.undone is None
    assert run.aborted is not None
    with pytest.raises(Conflict) as raised:
        await runtime.undo(run_id, by="ann", reason="a mistake")
    assert raised.value.code == "undo-in-flight"
    await memory.crash()
    await memory.later(MINUTE)
    run = await memory.runtime.run(run_id)
    assert (run.status, till.effects) == (Status.UNDONE, {})
    assert run.undone is not None
    assert (run.undone.by, run.undone.reason) == ("ann", "a mistake")


async def test_an_undo_without_a_receipt_asks_a_person(memory: World, till: Till) -> None:
    def silent(choice: str, call: Call) -> Receipt:
        return None  # type: ignore[return-value]  # on purpose

    runtime = await memory.open(refund(till, action=Action(do=till.pay, undo=silent)))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    run = await runtime.undo(run_id, by="ann", reason="a mistake")
    assert run.status is Status.HALTED
    assert run.halted is not None
    assert "receipt" in run.halted.question


async def test_no_undo_declared(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till, action=Action(do=till.pay)))
    run_id = (await runtime.decide("shop.refund", small())).record.decision_id
    await memory.later()
    with pytest.raises(Conflict) as raised:
        await runtime.undo(run_id, by="ann", reason="a mistake")
    assert raised.value.code == "no-undo"
