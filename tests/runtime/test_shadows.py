"""Shadows: the same question, an entry, and nothing else; dropped first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.rolling import CAUTIOUS, NAME, NOON, PAY, House, Payment, decided, version

from steward import Action, Call, Choice, Feature, Features, Prediction, Receipt
from steward.clock import SystemClock, VirtualClock
from steward.decision.lane import Lane
from steward.entries import Shadowed
from steward.runtime.shadows import MOST_WAITING

ANA: Any = {"by": "ana", "reason": "what would it have done?"}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, VirtualClock(NOON))


async def said(runtime: Any, record: Any) -> list[Shadowed]:
    run = await runtime.run(record.decision_id)
    return [placed.body for placed in run.history if isinstance(placed.body, Shadowed)]


async def test_each_shadow_says_what_it_would_have_chosen_and_is_worth(house: House) -> None:
    house.challengers = [CAUTIOUS]
    async with house.opened() as runtime:
        two, cautious = await version(runtime, "2"), await runtime.lineups.vary(NAME, challenger=CAUTIOUS.fingerprint)
        for ready in (two, cautious):
            live = await runtime.rollouts.start(ready, is_shadow=True, **ANA)
        record = await decided(runtime, amount_eur=30.0)
        assert (record.choice, bool(record.rollout)) == ("pay", False)
        await runtime.advance()
        first, second = await said(runtime, record)
        assert (first.release, first.choice, str(first.expected_value.amount)) == (two.release, "pay", "2.00")  # type: ignore[union-attr]
        assert (second.release, second.choice) == (cautious.release, "hold")
        assert live.rollout is not None
        assert {first.rollout, second.rollout} == {live.rollout.name}
        assert runtime.shadows.facts() == (2, 0, 0)


async def test_a_shadow_has_no_effect_and_is_no_status(house: House) -> None:
    paid: list[str] = []

    def pay(choice: str, call: Call) -> Receipt:
        paid.append(choice)
        return Receipt(reference="paid")

    house.decisions = [replace(PAY, action=Action(do=pay))]
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), is_shadow=True, **ANA)
        record = await decided(runtime)
        await runtime.advance()
        run = await runtime.run(record.decision_id)
        assert (paid, run.choice, run.status.value) == (["pay"], "pay", "acted")


def knows_more(features: Features, prediction: Prediction[float]) -> Choice[str]:
    return Choice("pay" if features["who"] == "ana" else "hold", reasons=("by name",))


def fails(features: Features, prediction: Prediction[float]) -> Choice[str]:
    raise ZeroDivisionError("on purpose")


async def test_what_the_champion_does_not_know_is_computed_for_the_shadow(house: House) -> None:
    more = replace(PAY, features=(Feature("amount_eur"), Feature("who")), policy=knows_more)
    house.challengers = [more]
    async with house.opened() as runtime:
        await runtime.rollouts.start(
            await runtime.lineups.vary(NAME, challenger=more.fingerprint), is_shadow=True, **ANA
        )
        for who, choice in (("ana", "pay"), ("bo", "hold")):
            record = await decided(runtime, who)
            await runtime.advance()
            assert [each.choice for each in await said(runtime, record)] == [choice]


async def test_what_it_cannot_do_is_said_too(house: House) -> None:
    broken = replace(PAY, policy=fails)
    house.challengers = [broken]
    async with house.opened() as runtime:
        await runtime.rollouts.start(
            await runtime.lineups.vary(NAME, challenger=broken.fingerprint), is_shadow=True, **ANA
        )
        record = await decided(runtime)
        await runtime.advance()
        [shadowed] = await said(runtime, record)
        assert (shadowed.error, bool(shadowed.choice)) == ("ZeroDivisionError: on purpose", False)
        assert runtime.shadows.facts().failed == 1


async def test_without_shadows_nothing_waits(house: House) -> None:
    async with house.opened() as runtime:
        await decided(runtime)
        assert not runtime.shadows._waiting
        await runtime.rollouts.start(await version(runtime, "2"), is_shadow=True, **ANA)
        await runtime.rollouts.stop(NAME, **ANA)
        await decided(runtime)
        assert not runtime.shadows._waiting


async def test_a_full_queue_drops_and_counts(house: House) -> None:
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), is_shadow=True, **ANA)
        events: Sequence[Any] = [Payment(who=str(number), amount_eur=1.0) for number in range(1000)]
        for _ in range(MOST_WAITING // 1000 + 1):
            await runtime.decide_batch(NAME, events)
        assert runtime.shadows.facts().dropped == 1000


async def test_while_the_house_is_nearly_full_nobody_is_asked(house: House) -> None:
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), is_shadow=True, **ANA)
        limit = runtime.admission.facts().limit
        for number in range(limit):
            assert runtime.admission.enter(Lane.NORMAL, str(number)) is None
        await decided(runtime)
        assert runtime.shadows.facts() == (0, 0, 1)


async def test_in_a_live_process_they_follow_by_themselves_within_their_share(tmp_path: Path) -> None:
    house = House(tmp_path, SystemClock())
    async with house.opened() as runtime:
        await runtime.rollouts.start(await version(runtime, "2"), is_shadow=True, **ANA)
        runtime.start()
        record = await decided(runtime)
        async with asyncio.timeout(20):
            while not (found := await said(runtime, record)):
                await runtime.catch_up()
                await asyncio.sleep(0.005)
        assert found[0].choice == "hold"
        runtime.shadows.share, runtime.shadows._owed_s = 0.0, 1.0
        late = await decided(runtime)
        for _ in range(10):
            await asyncio.sleep(0.005)
        assert not await said(runtime, late)
