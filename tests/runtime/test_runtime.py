"""The whole loop over each ledger: from event to value, with restarts in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from msgspec import UNSET
from tests.runtime.shop import CARDS, GREET, HOURLY, Due, Payment, Refund, Settled, refund, small
from tests.runtime.world import HOUR, MINUTE, NOON, Till, World

from steward import Choice, Features, Prediction, Status
from steward.entries import Failed, decode_body
from steward.errors import Conflict, ContractError, DeclarationError, EngineError, NotFound, StewardError
from steward.loop.run import Answer
from steward.records import Record
from steward.runtime.parts import Origin
from steward.testing.faults import unwritable


async def test_a_decision_goes_from_event_to_value(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    answer = await runtime.decide("shop.refund", small())
    record = answer.record
    assert (record.status, record.choice, record.reasons) == (Status.DECIDED, "pay", ("20.0 EUR asked",))
    await world.later()
    assert await runtime.observe("shop.refund", Settled(order_id="A-1", kept_eur=3.5), outcome_id="o1") == [
        record.decision_id
    ]
    run = await runtime.run(record.decision_id)
    assert run.status is Status.ACTED
    assert run.valued is not None
    assert (str(run.valued.value.amount), str(run.valued.saving.amount)) == ("3.50", "2.50")
    assert await world.kinds(record.decision_id) == ["decided", "acted", "observed", "valued"]


async def test_the_answer_is_the_stored_entry(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    answer = await runtime.decide("shop.refund", b'{"order_id":"A-1","amount_eur":20.0}')
    stored = (await runtime.ledger.of_run(answer.record.decision_id))[0]
    assert (stored.index, stored.body) == (answer.index, answer.body)
    assert decode_body(stored.body) == msgspec.json.decode(answer.body, type=Record)
    told = msgspec.json.decode(answer.json())
    assert told["provenance"].pop("ledger_index") == answer.index
    assert told == msgspec.json.decode(stored.body)


async def test_what_nobody_said_is_absent(memory: World, till: Till) -> None:
    runtime = await memory.open(replace(HOURLY, schedule=None))
    told = msgspec.json.decode((await runtime.decide("shop.hourly", Due(at=NOON))).body)
    for name in (
        *("prediction", "confidence", "interval", "attribution", "model_id", "model_version", "model_hash"),
        *("gate", "action", "expected_value", "cost", "outcome_key", "context"),
    ):
        assert name not in told
    assert set(told["policy"]) == {"hash"}
    assert set(told["provenance"]) == {"event_id", "source", "contract", "contract_version"}


async def test_the_record_says_where_it_came_from(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till))
    origin = Origin(event_id="e-7", source="checkout", trace_id="t-1", context={"channel": "web"})
    record = (await runtime.decide("shop.refund", small(), origin=origin)).record
    came = record.provenance
    assert (came.event_id, came.source, came.contract, came.contract_version, came.trace_id) == (
        "e-7",
        "checkout",
        "refund",
        1,
        "t-1",
    )
    assert record.context == {"channel": "web"}
    assert record.release.startswith("shop.refund@")
    assert record.policy.rule == "all"


async def test_one_bad_run_of_a_thousand_stops_only_itself(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    events = [Refund(order_id=str(n), amount_eur=13.0 if n == 500 else 20.0) for n in range(1000)]
    answers = await runtime.decide_batch("shop.refund", events)
    assert sum(isinstance(answer, Answer) for answer in answers) == 999
    error = answers[500]
    assert isinstance(error, StewardError)
    assert error.code == "choose-failed"
    assert "thirteen" in str(error)
    (failed,) = await world.bodies("failed")
    assert (failed.stage, failed.code) == ("choose", "choose-failed")
    assert (await world.counts())["decided"] == 999
    indexes = [answer.index for answer in answers if isinstance(answer, Answer)]
    for index, answer in zip(indexes, (a for a in answers if isinstance(a, Answer)), strict=True):
        assert (await runtime.ledger.read(index, 1))[0].body == answer.body


async def test_an_event_that_does_not_fit_is_the_senders_business(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    for bad in (
        *(b'{"order_id":"A"}', b'{"order_id":"A","amount_eur":NaN}', b'{"order_id":"A","amount_eur":1,"x":2}', b"{"),
        *(b'{"order_id":"A","amount_eur":1,"amount_eur":2}', {"order_id": "A", "amount_eur": -1.0}, 7),
    ):
        with pytest.raises(ContractError):
            await runtime.decide("shop.refund", bad)
    assert not await world.counts()


async def test_an_unknown_decision_is_named(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till))
    with pytest.raises(NotFound, match=r"did you mean 'shop\.refund'"):
        await runtime.decide("shop.refnud", small())
    with pytest.raises(NotFound):
        await runtime.decide_batch("x", [])
    with pytest.raises(NotFound):
        await runtime.observe("x", b"{}", outcome_id="1")


async def test_two_decisions_of_one_name_are_refused(memory: World, till: Till) -> None:
    with pytest.raises(DeclarationError, match="two decisions are named"):
        await memory.open(refund(till), refund(till))


async def test_a_release_is_published_once(world: World, till: Till) -> None:
    await world.open(refund(till))
    await world.restart()
    assert [body.release.split("@")[0] for body in await world.bodies("published")] == ["shop.refund"]

    def other(features: Features, prediction: Prediction[None]) -> Choice[str]:
        return Choice("hold", reasons=("never",))

    await world.restart(replace(refund(till), policy=other))
    first, second = await world.bodies("published")
    assert first.release != second.release


# Idempotency


async def test_one_key_one_decision(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    first = await runtime.decide("shop.refund", small(), key="k1")
    again = await runtime.decide("shop.refund", small(), key="k1")
    runtime = await world.restart()
    later = await runtime.decide("shop.refund", small(), key="k1")
    assert (first.replayed, again.replayed, later.replayed) == (False, True, True)
    assert first.body == again.body == later.body
    assert first.index == later.index
    assert (await world.counts())["decided"] == 1
    await world.later()
    assert len(till.effects) == 1


async def test_a_key_used_for_another_event_is_refused(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    await runtime.decide("shop.refund", small(1), key="k1")
    with pytest.raises(ContractError) as raised:
        await runtime.decide("shop.refund", small(2), key="k1")
    assert raised.value.code == "idempotency-key-reused"


async def test_a_key_under_way_conflicts(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    answers = await asyncio.gather(
        *(runtime.decide("shop.refund", small(), key="k1") for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(answer, Answer) for answer in answers) == 1
    assert {answer.code for answer in answers if isinstance(answer, Conflict)} == {"idempotency-in-flight"}
    assert (await world.counts())["decided"] == 1


async def test_a_taken_key_fails_its_own_run_only(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    await runtime.decide("shop.refund", small(1), key="k1")
    answers = await asyncio.gather(
        *(runtime.decide("shop.refund", small(n), key=f"k{n}" if n < 3 else None) for n in range(1, 6))
    )
    assert [answer.replayed for answer in answers] == [True, False, False, False, False]


async def test_a_failed_run_frees_its_key(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    with pytest.raises(StewardError, match="thirteen"):
        await runtime.decide("shop.refund", Refund(order_id="A", amount_eur=13.0), key="k1")
    answer = await runtime.decide("shop.refund", small(), key="k1")
    assert not answer.replayed


# Faults


async def test_a_ledger_that_cannot_write_stops_everything(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    world.ledger.fault = unwritable
    with pytest.raises(EngineError, match="disk is full"):
        await runtime.decide("shop.refund", small())
    await world.later()
    assert till.calls == []
    world.ledger.fault = lambda commit: None
    await runtime.decide("shop.refund", small())
    await world.later()
    assert till.verbs == ["do"]


async def test_a_closed_runtime_refuses(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    await runtime.close()
    await runtime.close()
    with pytest.raises(EngineError):
        await runtime.decide("shop.refund", small())


async def test_too_many_requests_are_refused(memory: World, till: Till) -> None:
    memory.settings = replace(memory.settings, max_waiting=3, max_batch=2)
    runtime = await memory.open(refund(till))
    answers = await asyncio.gather(
        *(runtime.decide("shop.refund", small(n)) for n in range(20)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, EngineError)]
    assert {error.code for error in refused} == {"overloaded"}
    assert all(error.retryable for error in refused)
    assert 0 < len(refused) < 20


async def test_ids_still_grow_when_the_clock_jumps_back(world: World, till: Till) -> None:
    runtime = await world.open(refund(till))
    first = (await runtime.decide("shop.refund", small(1))).record.decision_id
    world.clock.set(NOON - timedelta(days=1))
    second = (await runtime.decide("shop.refund", small(2))).record.decision_id
    assert first < second
    await world.later()
    assert len(till.effects) == 2


async def test_absent_context_differs_from_empty(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till))
    assert (await runtime.decide("shop.refund", small())).record.context is UNSET


# A day in virtual time


async def one_day(world: World, till: Till) -> list[bytes]:
    """Play a day by the world's seed and return every entry's bytes."""
    runtime = await world.open(refund(till), CARDS, GREET, HOURLY)
    chance = world.clock.chance
    for step in range(96):
        world.clock.set(NOON + step * 15 * MINUTE)
        await runtime.advance()
        amount_eur = round(chance() * 1000, 2)
        answer = await runtime.decide("shop.refund", Refund(order_id=f"o{step}", amount_eur=amount_eur))
        if chance() < 0.5:
            till.fails.append(ConnectionError("down"))
        if answer.record.status is Status.WAITING and chance() < 0.6:
            verdict = runtime.approve if chance() < 0.5 else runtime.reject
            await verdict(answer.record.decision_id, by="ann", reason="looked at it")
        if chance() < 0.7:
            at = NOON + step * 15 * MINUTE
            await runtime.publish(
                [world.message("cards.payments", Payment(card="c", at=at, amount_eur=2.0), f"p{step}")]
            )
        if chance() < 0.5:
            await runtime.observe(
                "shop.refund", Settled(order_id=f"o{int(chance() * 96)}", kept_eur=chance()), outcome_id=f"x{step}"
            )
        await world.later(6 * MINUTE)
        if step == 50:
            runtime = await world.restart()
    await world.later(HOUR)
    return [entry.body for entry in await world.entries()]


async def test_a_day_plays_the_same_for_the_same_seed(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = []
    for kind, seed in (("memory", 1), ("memory", 1), ("sqlite", 1), ("memory", 2)):
        world, till = World(kind, tmp_path_factory.mktemp("day"), monkeypatch, seed=seed), Till()
        days.append(await one_day(world, till))
        await world.close()
    assert days[0] == days[1] == days[2] != days[3]
    kinds = {msgspec.json.decode(body)["kind"] for body in days[0]}
    assert kinds >= {"decided", "asked", "approved", "rejected", "expired", "escalated", "acted", "observed", "valued"}


async def test_a_failed_entry_names_the_event(memory: World, till: Till) -> None:
    runtime = await memory.open(refund(till))
    with pytest.raises(StewardError):
        await runtime.decide(
            "shop.refund", Refund(order_id="A", amount_eur=13.0), origin=Origin(event_id="e-9", source="checkout")
        )
    (failed,) = await memory.bodies("failed")
    assert isinstance(failed, Failed)
    assert "event e-9 of checkout" in failed.reason
