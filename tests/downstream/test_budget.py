"""The retry budget: retries stay a small share of calls, whatever happens."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.downstream.budget import RetryBudget
from steward.errors import DeclarationError


def test_an_outage_of_everything_is_not_multiplied() -> None:
    budget = RetryBudget()
    repeated = 0
    for _ in range(1000):
        budget.pay_in()
        repeated += sum(budget.take() for _ in range(2))
    assert repeated == 110  # 10 % of a thousand calls, and the ten it began with


@given(
    st.lists(st.booleans(), max_size=300),
    st.fractions(0, 2, max_denominator=20),
    st.integers(0, 20),
    st.integers(0, 50),
)
def test_retries_are_at_most_the_floor_and_a_share_of_calls(
    calls: list[bool], share: Fraction, floor: int, more: int
) -> None:
    budget = RetryBudget(share=share, floor=floor, most=floor + more)
    paid = taken = 0
    for is_call in calls:
        if is_call:
            budget.pay_in()
            paid += 1
        elif budget.take():
            taken += 1
        assert taken <= floor + share * paid
        assert 0 <= budget.balance <= floor + more


def test_ten_tenths_are_one() -> None:
    budget = RetryBudget(floor=0)
    for _ in range(9):
        budget.pay_in()
    assert not budget.take()
    budget.pay_in()
    assert budget.take()
    assert not budget.take()


@pytest.mark.parametrize("wrong", [{"share": Fraction(-1, 10)}, {"floor": -1}, {"floor": 5, "most": 4}])
def test_budgets_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(DeclarationError):
        RetryBudget(**wrong)  # type: ignore[arg-type] # the keywords have different types
