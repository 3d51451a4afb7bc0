"""Money is exact, and bodies are read strictly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.records import Money, minor_unit


@given(st.integers(-(10**18), 10**18), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_minor_units_come_back(minor: int, unit: str) -> None:
    money = Money.of_minor(minor, unit)
    assert money.minor == minor
    assert Money.rounded(money.amount, unit) == money
    assert msgspec.json.decode(msgspec.json.encode(money), type=Money) == money


@given(st.floats(-1e12, 1e12))
def test_rounding_never_moves_more_than_half_a_cent(amount: float) -> None:
    exact = Decimal(repr(amount))
    assert abs(Money.rounded(amount, "EUR").amount - exact) <= Decimal("0.005")
    assert Money.rounded(amount, "EUR") == Money.rounded(exact, "EUR")


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [(0.005, "0.00"), (0.015, "0.02"), (0.025, "0.02"), (-0.015, "-0.02"), (1, "1.00"), (np.float32(0.5), "0.50")],
)
def test_half_goes_to_even(amount: Any, rounded: str) -> None:
    assert str(Money.rounded(amount, "EUR").amount) == rounded


@pytest.mark.parametrize(
    "amount", [float("nan"), float("inf"), float("-inf"), Decimal("NaN"), 1e300, "1", None, np.float64("nan")]
)
def test_what_is_no_money_is_refused(amount: Any) -> None:
    with pytest.raises(ValueError, match="an amount of money"):
        Money.rounded(amount, "EUR")


def test_units_have_their_own_digits() -> None:
    assert [str(minor_unit(unit)) for unit in ("EUR", "JPY", "KWD", "XXX")] == ["0.01", "1", "0.001", "0.01"]
    assert str(Money.rounded(12.5, "JPY").amount) == "12"
