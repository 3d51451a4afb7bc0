"""A replay in columns answers what the engine answers, for random tables and inputs at their thresholds."""

from __future__ import annotations

import math

import polars as pl
import pytest
from tests.policies.tables import Maker

from steward.decision.feature import Features
from steward.errors import DeclarationError, StewardError
from steward.policies.bound import Bound
from steward.policies.columns import choose
from steward.policies.demo import REFUNDS
from steward.policies.policy import Policy
from steward.records import Prediction

TYPES = {**dict.fromkeys(("a", "b", "limit"), pl.Float64), "s": pl.String, "t": pl.String, "f": pl.Boolean}
NOTHING: Prediction[None] = Prediction(value=None)


def same(one: object, other: object) -> bool:
    """Computed numbers may differ in the last digits of a float; everything else is equal."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-12, abs_tol=1e-12)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def compare(seed: int, count: int) -> list[object]:
    maker = Maker(seed)
    policy = Policy.read(maker.policy())
    frame = pl.DataFrame(maker.inputs(count), schema_overrides=TYPES)
    bound, wrong = Bound(policy), list[object]()
    for row, (choice, rule, error) in zip(frame.iter_rows(named=True), choose(policy, frame).iter_rows(), strict=True):
        try:
            chosen = bound(Features(row), NOTHING)
        except StewardError as refused:
            if error != refused.code:
                wrong.append((seed, row, refused.code, error))
        else:
            if error is not None or rule != (chosen.rule or "") or not same(chosen.value, choice):
                wrong.append((seed, row, chosen, choice, rule, error))
    return wrong


@pytest.mark.parametrize("seed", range(20))
def test_columns_answer_as_the_engine(seed: int) -> None:
    assert compare(seed, 100) == []


@pytest.mark.deep
def test_columns_answer_as_the_engine_a_hundred_thousand_times() -> None:
    assert [wrong for seed in range(1_000, 2_000) for wrong in compare(seed, 100)] == []


def test_what_floats_cannot_tell_is_asked_of_the_engine() -> None:
    document = REFUNDS.replace(b'"field":"amount_eur"', b'"field":"amount_eur * 3"').replace(b'"<= 50"', b'"<= 0.3"')
    policy = Policy.read(document)
    frame = pl.DataFrame({"amount_eur": [0.1, 0.1000001], "prediction": [0.1, 0.1], "segment": ["new", "new"]})
    assert choose(policy, frame)["rule"].to_list() == ["small", "rest"]  # 0.1 * 3 is 0.30000000000000004 in floats
    assert choose(policy, frame, ask_in_doubt=False)["error"].to_list() == ["in-doubt", None]


def test_inputs_outside_the_schema_are_errors() -> None:
    frame = pl.DataFrame(
        {
            "amount_eur": [-1.0, math.nan, None, 5.0],
            "prediction": [0.1, 0.1, 0.1, 2.0],
            "segment": ["new", "new", "new", "new"],
        }
    )
    assert choose(Policy.read(REFUNDS), frame)["error"].to_list() == ["policy-input"] * 4


def test_a_column_that_is_missing_or_of_another_kind_is_named() -> None:
    frame = pl.DataFrame({"amount_eur": ["x"], "prediction": [0.1], "segment": ["new"]})
    with pytest.raises(DeclarationError, match="amount_eur"):
        choose(Policy.read(REFUNDS), frame)
    with pytest.raises(DeclarationError, match="segment"):
        choose(Policy.read(REFUNDS), frame.drop("segment").with_columns(amount_eur=1.0))
