"""What would have changed a choice: really does, is small, and is possible."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import combinations, product
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.runtime.lending import Loan, lend, prepared

from steward import Choice, Features, Prediction
from steward.clock import VirtualClock
from steward.errors import Conflict, ContractError
from steward.loop.receive import Incoming
from steward.loop.run import begin, finish
from steward.records import Record
from steward.runtime.counterfactuals import Counterfactuals, WouldHaveChanged
from steward.runtime.whatif import WhatIf

PREPARED = prepared()


async def decided(event: Loan, ready: Any = PREPARED) -> Record:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC), seed=1)
    work = begin(ready, Incoming(event=event, source="test", key="a"), clock)
    await finish([work], clock)
    assert work.record is not None, work.error
    encoded = msgspec.json.encode(work.record)
    return msgspec.json.decode(encoded, type=Record)


async def found(event: Loan, ready: Any = PREPARED, **asked: Any) -> WouldHaveChanged:
    return await Counterfactuals(WhatIf({"bank.loan": ready})).find(await decided(event, ready), **asked)


async def farthest_flips(record: Record, whatif: WhatIf) -> list[dict[str, Any]]:
    """Return which changes of two features, each to an end of its range, change the choice."""
    ends: dict[str, tuple[Any, ...]] = {
        "income_eur": (0.0, 200_000.0),
        "debt_eur": (0.0, 49_975.0),
        "jobs": (0, 9),
        "has_guarantor": (False, True),
        "purpose": ("car", "house", "other"),
    }
    tried = [
        {first: a, second: b} for first, second in combinations(ends, 2) for a, b in product(ends[first], ends[second])
    ]
    return [changes for changes in tried if (await whatif.decide(record, changes)).choice != record.choice]


LOANS = st.builds(
    Loan,
    income_eur=st.floats(0, 150_000),
    debt_eur=st.floats(0, 60_000),
    jobs=st.integers(0, 9),
    age=st.integers(18, 90),
    has_guarantor=st.booleans(),
    purpose=st.sampled_from(("car", "house", "other")),
)


@given(LOANS)
@example(Loan(income_eur=89_130.0, debt_eur=0.0, jobs=0, age=64, purpose="house"))  # only far less income and more jobs
@settings(max_examples=25, deadline=None)
async def test_each_really_flips_and_keeps_to_what_is_possible(event: Loan) -> None:
    record = await decided(event)
    whatif = WhatIf({"bank.loan": PREPARED})
    told = await Counterfactuals(whatif).find(record)
    if not told.found:
        assert not await farthest_flips(record, whatif), "there was something to be found"
    assert [one.cost for one in told.found] == sorted(one.cost for one in told.found)
    assert told.immutable == ("age",)
    for one in told.found:
        changes = {each.feature: each.value for each in one.changes}
        again = await whatif.decide(record, changes)
        assert (again.choice, again.reasons, again.prediction) == (one.choice, one.reasons, one.prediction)
        assert again.choice != record.choice
        assert 1 <= len(changes) <= 2
        assert not changes.keys() & {"age", "burden"}
        assert type(changes.get("jobs", 0)) is int
        assert 0 <= changes.get("jobs", 0) <= 9  # type: ignore[operator]  # it is a number
        assert 0 <= changes.get("income_eur", 0.0) <= 200_000  # type: ignore[operator]  # as above
        for name in changes if len(changes) == 2 else ():
            alone = await whatif.decide(record, {name: changes[name]})
            assert alone.choice == record.choice, "one of the two would have done"


RISKY = Loan(income_eur=40_000.0, debt_eur=30_000.0, jobs=3, age=30)


async def test_no_smaller_change_of_one_feature_is_missed() -> None:
    """Compared with looking everywhere: a grid far finer than the trees' thresholds."""
    told, whatif = await found(RISKY, most=20), WhatIf({"bank.loan": PREPARED})
    record = await decided(RISKY)
    for name, high in (("income_eur", 100_000.0), ("debt_eur", 50_000.0)):
        stored: Any = record.features[name]
        [mine] = [one for one in told.found if [each.feature for each in one.changes] == [name]]
        grid = sorted((high * at / 1_000 for at in range(1_001)), key=lambda value: abs(value - stored))
        flips = [value for value in grid if (await whatif.decide(record, {name: value})).choice != record.choice]
        value: Any = mine.changes[0].value
        assert abs(value - stored) <= abs(flips[0] - stored) * 1.1
        assert len(f"{value:g}") <= 6, "it can be read"


NEAR = Loan(income_eur=33_977.0, debt_eur=21_134.0, jobs=2, age=21)


async def test_two_features_are_changed_where_that_is_less() -> None:
    told = await found(NEAR, most=20)
    singles = [one for one in told.found if len(one.changes) == 1]
    pairs = [one for one in told.found if len(one.changes) == 2]
    assert singles
    assert pairs
    assert min(one.cost for one in pairs) < min(one.cost for one in singles)
    for first, second in product(pairs, pairs):
        assert first is second or {e.feature for e in first.changes} != {e.feature for e in second.changes}


async def test_what_follows_from_a_change_is_told() -> None:
    told = await found(Loan(income_eur=1_000.0, debt_eur=20_000.0, jobs=0, age=80), features=["debt_eur", "income_eur"])
    assert {name for one in told.found for name in one.followed} == {"burden"}
    assert all(one.followed["burden"] <= 3.0 for one in told.found)  # type: ignore[operator]  # it is a number


async def test_flags_and_listed_texts_are_changed() -> None:
    near = Loan(income_eur=65_076.0, debt_eur=19_446.0, jobs=5, age=28)
    told = await found(near, features=["has_guarantor", "purpose"])
    assert [(one.changes[0].feature, one.changes[0].value, one.rule, one.cost) for one in told.found] == [
        ("has_guarantor", True, "guarantor", 1.0),
        ("purpose", "house", "house", 1.0),
    ]
    assert told.moved == ("has_guarantor", "purpose")


async def test_only_the_choice_that_is_asked_for_counts() -> None:
    def three(features: Features, prediction: Prediction[float]) -> Choice[str]:
        chosen = lend(features, prediction)
        return Choice("ask", reasons=("near",)) if 0.25 < prediction.value <= 0.5 else chosen

    ready = prepared(policy=three)
    choices = {one.choice for one in (await found(RISKY, ready, most=20)).found}
    only = await found(RISKY, ready, toward="lend", most=20)
    assert {one.choice for one in only.found} == {"lend"}
    assert "ask" in choices | {(await decided(RISKY, ready)).choice}
    assert not (await found(RISKY, ready, toward="never")).found


async def test_a_policy_that_fails_somewhere_is_no_flip() -> None:
    def brittle(features: Features, prediction: Prediction[float]) -> Choice[str]:
        if features.number("debt_eur") < 10_000:
            raise RuntimeError("too little debt")
        return lend(features, prediction)

    told = await found(RISKY, prepared(policy=brittle), features=["debt_eur"])
    assert all(one.changes[0].value >= 10_000 for one in told.found)  # type: ignore[operator]  # it is a number


async def test_nothing_is_found_where_nothing_changes_it() -> None:
    def never(features: Features, prediction: Prediction[float]) -> Choice[str]:
        return Choice("refuse", reasons=("never",))

    told = await found(RISKY, prepared(policy=never))
    assert (told.found, told.choice) == ((), "refuse")
    assert told.tried > 100


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"features": ["salary"]}, "no feature is named"),
        ({"features": ["age"]}, "nobody can change"),
        ({"most": 0}, "1..20"),
        ({"most": 21}, "1..20"),
    ],
)
async def test_what_cannot_be_asked_is_refused(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(ContractError, match=says):
        await found(RISKY, **asked)


async def test_what_is_not_declared_any_more_is_a_conflict() -> None:
    with pytest.raises(Conflict):
        await Counterfactuals(WhatIf({})).find(await decided(RISKY))


async def test_another_policy_than_then_is_told() -> None:
    def never(features: Features, prediction: Prediction[float]) -> Choice[str]:
        return Choice("refuse", reasons=("never",))

    ready = prepared(policy=never)
    record = await decided(Loan(income_eur=99_000.0, debt_eur=0.0, jobs=0, age=60))
    told = await Counterfactuals(WhatIf({"bank.loan": ready})).find(record)
    assert (told.recorded, told.choice) == ("lend", "refuse")
    assert "policy" in told.differs
