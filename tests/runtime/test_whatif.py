"""What if: the loop's pure stages on stored features, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec import UNSET
from tests.console.world import REFUND as PAID
from tests.console.world import Company
from tests.runtime.shop import Refund, refund
from tests.runtime.world import Till, World

from steward import Choice, Feature, Features, Prediction
from steward.errors import Conflict, ContractError
from steward.records import Record
from steward.runtime.whatif import Flip, Side, WhatIf


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[Company]:
    made = await Company.open(tmp_path)
    async with made.runtime:
        yield made


async def record_of(world: Company | World, run_id: UUID) -> Record:
    return (await world.runtime.run(run_id)).record


async def test_a_dearer_hour_is_discharged_and_above_the_threshold_people_are_asked(company: Company) -> None:
    record = await record_of(company, await company.dispatch(price_eur=60.0, load_mw=500.0))
    again = await company.runtime.whatif.decide(record, {})
    assert (again.choice, again.is_same, again.asks, again.differs) == ("hold", True, False, ())
    dear = await company.runtime.whatif.decide(record, {"price_eur": 90})
    assert (dear.choice, dear.recorded, dear.is_same, dear.asks) == ("discharge", "hold", False, False)
    assert dear.changed == {"price_eur": 90.0}
    assert (dear.prediction, dear.reasons) == (1_200.0, ("it brings 1200 EUR",))
    assert dear.impact is not UNSET
    assert dear.impact.amount == 1_200
    assert (await company.runtime.whatif.decide(record, {"price_eur": 140.0})).asks


async def test_it_tells_where_the_choice_flips_and_where_people_are_asked(company: Company) -> None:
    record = await record_of(company, await company.dispatch(price_eur=80.0, load_mw=500.0))
    found = await company.runtime.whatif.flips(record, "price_eur")
    assert (found.range.low, found.range.high, found.range.is_declared) == (0.0, 160.0, False)
    hold, discharge = Side(choice="hold"), Side(choice="discharge")
    asked = Side(choice="discharge", asks=True)
    # 40 EUR for each EUR above 60; beyond 2,500 EUR people are asked.
    assert [(flip.below, flip.above) for flip in found.flips] == [(hold, discharge), (discharge, asked)]
    assert [round(flip.at, 1) for flip in found.flips] == [60.0, 122.5]
    cheap = await company.runtime.whatif.flips(record, "price_eur", {"load_mw": 5_000.0})
    assert [round(flip.at, 1) for flip in cheap.flips] == [48.8, 111.3]


async def test_nothing_is_written_and_nothing_acts(memory: World) -> None:
    till = Till()
    runtime = await memory.open(refund(till))
    answer = await runtime.decide("shop.refund", Refund(order_id="A", amount_eur=20.0))
    await memory.later()
    before, calls = await memory.entries(), list(till.calls)
    record = await record_of(memory, answer.record.decision_id)
    assert (await runtime.whatif.decide(record, {"amount_eur": 900.0})).asks
    found = await runtime.whatif.flips(record, "amount_eur")
    await memory.later()
    assert (await memory.entries(), till.calls) == (before, calls)
    assert (found.range.low, found.range.high, found.range.is_declared) == (0, 100_000, True)
    [flip] = found.flips
    assert isinstance(flip, Flip)
    assert 500 < flip.at < 510


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": 5.0}, "amount"),
        ({"amount_eur": "much"}, "amount_eur"),
        ({"amount_eur": True}, "amount_eur"),
        ({"amount_eur": float("nan")}, "amount_eur"),
        ({"amount_eur": -1.0}, "amount_eur"),
        ({"amount_eur": 100_001.0}, "amount_eur"),
        ({"amount_eur": {"eur": 5}}, "amount_eur"),
    ],
)
async def test_what_cannot_have_been_known_is_refused(memory: World, changes: dict[str, Any], field: str) -> None:
    runtime = await memory.open(refund(Till()))
    answer = await runtime.decide("shop.refund", Refund(order_id="A", amount_eur=20.0))
    with pytest.raises(ContractError) as raised:
        await runtime.whatif.decide(answer.record, changes)
    assert raised.value.field == field


def is_dear(event: Refund, amount_eur: float) -> bool:
    return amount_eur > 100


def is_odd(event: Refund, is_dear: bool) -> bool:
    return is_dear and event.status == "open"


def has_note(event: Refund) -> bool:
    return event.status != "open"


def pay_unless_dear(features: Features, prediction: Prediction[None]) -> Choice[str]:
    if features.number("amount_eur") == 13.0:
        raise RuntimeError("thirteen")
    return Choice("hold" if features.flag("is_dear") else "pay", reasons=("by price",))


async def test_features_made_from_a_changed_one_follow_it(memory: World) -> None:
    made = (Feature("amount_eur"), Feature(is_dear), Feature(is_odd), Feature(has_note), Feature("status"))
    runtime = await memory.open(refund(Till(), features=made, policy=pay_unless_dear))
    run_id = (await runtime.decide("shop.refund", Refund(order_id="A", amount_eur=20.0))).record.decision_id
    record = await record_of(memory, run_id)
    found = await runtime.whatif.decide(record, {"amount_eur": 200.0})
    assert (found.choice, found.followed) == ("hold", {"is_dear": True, "is_odd": True})
    pinned = await runtime.whatif.decide(record, {"amount_eur": 200.0, "is_dear": False})
    assert (pinned.choice, pinned.followed) == ("pay", {"is_odd": False})
    with pytest.raises(Conflict) as raised:
        await runtime.whatif.decide(record, {"amount_eur": 13.0})
    assert (raised.value.code, "thirteen" in raised.value.why) == ("what-if-failed", True)
    with pytest.raises(ContractError):
        await runtime.whatif.flips(record, "status")
    with pytest.raises(ContractError):
        await runtime.whatif.flips(record, "nothing")
    assert runtime.whatif.range(record, "is_dear") is None


async def test_it_says_when_todays_code_is_another(memory: World) -> None:
    runtime = await memory.open(refund(Till()))
    record = (await runtime.decide("shop.refund", Refund(order_id="A", amount_eur=20.0))).record
    other = await memory.restart(replace(memory.decisions[0], policy=lambda f, p: Choice("hold", reasons=("today",))))
    found = await other.whatif.decide(record, {})
    assert (found.differs, found.choice, found.recorded, found.is_same) == (("release", "policy"), "hold", "pay", False)
    with pytest.raises(Conflict) as raised:
        await WhatIf({}).decide(record, {})
    assert raised.value.code == "not-declared"


async def test_a_choice_of_several_parts_is_compared_as_it_is_stored(company: Company) -> None:
    record = await record_of(company, await company.refund(80.0))
    assert record.decision == PAID
    found = await company.runtime.whatif.decide(record, {})
    assert found.is_same
    flips = await company.runtime.whatif.flips(record, "amount_eur")
    # Nothing is paid out of nothing; else only its size changes.
    assert [(round(flip.at, 1), flip.above.asks) for flip in flips.flips] == [(0.0, False)]


async def test_a_value_at_which_nothing_can_be_decided_is_told(memory: World) -> None:
    def fussy(features: Features, prediction: Prediction[None]) -> Choice[str]:
        if features.number("amount_eur") > 50_000:
            raise RuntimeError("too much")
        return Choice("pay", reasons=("fine",))

    runtime = await memory.open(refund(Till(), policy=fussy, gate=None))
    record = (await runtime.decide("shop.refund", Refund(order_id="A", amount_eur=20.0))).record
    [flip] = (await runtime.whatif.flips(record, "amount_eur")).flips
    assert (flip.below.choice, flip.above.failed) == ("pay", "RuntimeError: too much")
