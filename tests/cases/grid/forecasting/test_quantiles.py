"""Quantiles: they rise, agree with what they are made of, and their paths agree with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from steward.cases.grid.data.history import Floats
from steward.cases.grid.forecasting.quantiles import DEFAULT_LEVELS, Quantiles
from steward.errors import ContractError

LEVELS = (0.1, 0.5, 0.9)
CROSSED = arrays.arrays(np.float64, (4, 3), elements=st.floats(-1e6, 1e6))


@pytest.mark.parametrize(
    ("levels", "values"),
    [((), np.zeros((1, 0))), ((0.5, 0.1), np.zeros((1, 2))), ((0.0, 0.5), np.zeros((1, 2))),
     ((0.5, 1.0), np.zeros((1, 2))), (LEVELS, np.zeros((2, 2))), (LEVELS, np.zeros(3)),
     (LEVELS, np.array([[1.0, 3.0, 2.0]])), (LEVELS, np.array([[1.0, np.nan, 2.0]]))],
)  # fmt: skip
def test_what_is_no_quantiles_is_refused(levels: tuple[float, ...], values: Floats) -> None:
    with pytest.raises(ContractError):
        Quantiles(levels, values)


@given(CROSSED, arrays.arrays(np.float64, 4, elements=st.floats(-1e6, 1e6)))
def test_sorting_never_makes_the_loss_larger(values: Floats, actual: Floats) -> None:
    over = actual[:, None] - values
    loss = np.mean(np.maximum(np.array(LEVELS) * over, (np.array(LEVELS) - 1) * over))
    assert Quantiles.sorted_from(LEVELS, values).pinball(actual) <= loss + 1e-6


@given(CROSSED, st.floats(0.0, 1.0))
def test_a_level_lies_between_its_neighbours(values: Floats, level: float) -> None:
    quantiles = Quantiles.sorted_from(LEVELS, values)
    found = quantiles.at(level)
    slack = 1e-9 * (1.0 + np.abs(quantiles.values).max())
    assert (found >= quantiles.values[:, 0] - slack).all()
    assert (found <= quantiles.values[:, -1] + slack).all()


def test_the_true_quantiles_cover_what_they_say_and_so_do_their_paths() -> None:
    chance = np.random.default_rng(3)
    drawn = chance.normal(100.0, 10.0, size=(20_000, 1)) + np.arange(6.0)
    quantiles = Quantiles(DEFAULT_LEVELS, np.quantile(drawn, DEFAULT_LEVELS, axis=0).T)
    assert np.mean([quantiles.covered(row) for row in drawn[:2_000]]) == pytest.approx(0.9, abs=0.02)
    paths = quantiles.scenarios(4_000, chance, memory=0.8)
    assert paths.shape == (4_000, 6)
    inner = slice(2, -2)  # beyond the outer levels the last value holds
    found = np.quantile(paths, DEFAULT_LEVELS, axis=0).T
    assert np.abs(found - quantiles.values)[:, inner].max() < 1.0
    assert np.corrcoef(paths[:, 0], paths[:, 1])[0, 1] == pytest.approx(0.8, abs=0.05)


def test_the_same_chance_gives_the_same_paths() -> None:
    quantiles = Quantiles(LEVELS, np.array([[1.0, 2.0, 3.0]] * 5))
    first, second = (quantiles.scenarios(3, np.random.default_rng(1)) for _ in range(2))
    assert first.tobytes() == second.tobytes()
