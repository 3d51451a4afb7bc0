"""Ridge by slot: it finds what is there, holds back what is not, and never reaches beyond what it has seen."""

from __future__ import annotations

import numpy as np
import pytest

from steward.cases.grid.forecasting.load_model import SlotRidge
from steward.errors import ContractError

CHANCE = np.random.default_rng(2)
INPUTS = CHANCE.normal(size=(300, 4, 3))
WEIGHTS = CHANCE.normal(size=(4, 3))


def test_it_is_the_solution_of_the_normal_equations() -> None:
    target = (INPUTS * WEIGHTS).sum(-1) + 2.0 + 0.1 * CHANCE.normal(size=(300, 4))
    model = SlotRidge.trained(INPUTS, target, ridge=5.0)
    rows, truth = INPUTS[:, 2], target[:, 2]
    scaled = (rows - rows.mean(0)) / rows.std(0)
    best = np.linalg.solve(scaled.T @ scaled + 5.0 * np.eye(3), scaled.T @ (truth - truth.mean()))
    assert model.weights[2] * rows.std(0) == pytest.approx(best)
    assert model.predict(INPUTS)[:, 2] == pytest.approx(scaled @ best + truth.mean())


def test_days_that_are_not_whole_teach_nothing() -> None:
    target = (INPUTS * WEIGHTS).sum(-1)
    holed, broken = target.copy(), INPUTS.copy()
    holed[5, 1], broken[9, 0, 2] = np.nan, np.nan
    kept = np.delete(np.arange(300), [5, 9])
    assert SlotRidge.trained(broken, holed, ridge=1.0).weights.tobytes() == (
        SlotRidge.trained(INPUTS[kept], target[kept], ridge=1.0).weights.tobytes()
    )
    with pytest.raises(ContractError, match="29 days"):
        SlotRidge.trained(INPUTS[:29], target[:29], ridge=1.0)


def test_beyond_what_it_has_seen_the_answer_stays() -> None:
    model = SlotRidge.trained(INPUTS, (INPUTS * WEIGHTS).sum(-1), ridge=1.0)
    far, edge = np.full((1, 4, 3), 99.0), INPUTS.max(axis=0)[None]
    assert model.predict(far).tolist() == model.predict(edge).tolist()
    constant = np.concatenate((INPUTS, np.ones((300, 4, 1))), axis=-1)
    flat = SlotRidge.trained(constant, (INPUTS * WEIGHTS).sum(-1), ridge=1.0)
    constant[..., 3] = 7.0
    assert flat.predict(constant) == pytest.approx(model.predict(INPUTS))
