"""Fixed point and buckets."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.errors import ContractError
from steward.features.fixed import FIXED_LIMIT, bucket_middle_doubled, bucket_of, fixed
from steward.features.spans import buckets_of, deviations
from steward.features.table import fixed_column

numbers = st.integers(-FIXED_LIMIT, FIXED_LIMIT)


@given(numbers)
def test_a_bucket_stands_for_its_values_within_one_percent(n: int) -> None:
    middle = Fraction(bucket_middle_doubled(bucket_of(n)), 2)
    assert abs(middle - n) <= Fraction(1, 100) * abs(n)


@given(numbers, numbers)
def test_buckets_are_in_the_order_of_their_values(a: int, b: int) -> None:
    low, high = sorted((a, b))
    assert bucket_of(low) <= bucket_of(high)


@given(st.lists(numbers | st.integers(0, 53).map(lambda k: 2**k - 1), min_size=1))
def test_both_engines_use_the_same_buckets(values: list[int]) -> None:
    assert buckets_of(np.array(values, np.int64)).tolist() == [bucket_of(n) for n in values]


@given(st.lists(st.floats(-1e12, 1e12) | st.sampled_from([0.0005, 0.0015, 2.5e-3, -0.0]), min_size=1))
def test_both_engines_round_alike(values: list[float]) -> None:
    assert fixed_column(values, 1000, "x")[0].tolist() == [fixed(value, 1000, "x") for value in values]


@given(
    st.lists(st.tuples(st.integers(1, 2**31 - 1), st.integers(0, 2**63 - 1), st.integers(-(2**62), 2**62)), min_size=1)
)
def test_wide_variances_round_once(rows: list[tuple[int, int, int]]) -> None:
    rows = [(n, squares, total if total * total <= n * squares else 0) for n, squares, total in rows]
    count, squares, totals = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    wanted = [float(n * square - total * total) for n, square, total in rows]
    assert deviations(count, totals, squares).tolist() == wanted


def test_wide_variances_are_rounded_by_their_last_bit_too() -> None:
    chance = random.Random(3)
    rows = [(chance.randrange(2**20, 2**31), chance.randrange(2**55, 2**63)) for _ in range(40_000)]
    count, squares = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    got = deviations(count, np.zeros(len(rows), np.int64), squares)
    assert got.tolist() == [float(n * square) for n, square in rows]


def test_halves_round_to_even_and_decimals_are_numbers() -> None:
    assert [fixed(x, 1, "x") for x in (0.5, 1.5, 2.5, -0.5)] == [0, 2, 2, 0]
    assert fixed(Decimal("1.25"), 100, "x") == 125
    assert fixed(True, 10, "x") == 10


@pytest.mark.parametrize("bad", ["1", b"1", None, [], float("nan")])
def test_what_is_not_a_number_is_refused(bad: object) -> None:
    with pytest.raises(ContractError):
        fixed(bad, 1000, "x")
