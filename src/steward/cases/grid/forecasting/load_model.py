"""The load model: for each slot of the day a linear form of the inputs, its weights held back (ridge regression)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from steward.cases.grid.data.history import Floats
from steward.errors import ContractError

_FEWEST_DAYS: Final = 30
_LEAST_SPREAD: Final = 0.02


@dataclass(frozen=True, eq=False)
class SlotRidge:
    """One ridge regression for each slot of the day; exact, without chance, and trained in milliseconds.

    Attributes:
        centre: Shape (slots, inputs): the mean of each input in training.
        low: What each input was at least in training; the model never reaches beyond what it has seen.
        high: What each was at most.
        weights: Shape (slots, inputs).
        level: Shape (slots,): the mean of the target.

    Example:
        >>> inputs = np.random.default_rng(1).normal(size=(200, 24, 3))
        >>> model = SlotRidge.trained(inputs, inputs @ np.array([1.0, -2.0, 0.0]) + 5.0, ridge=1e-6)
        >>> model.weights[7].round(3).tolist(), round(float(model.level[7]), 1)
        ([1.0, -2.0, 0.0], 5.0)
    """

    centre: Floats
    low: Floats
    high: Floats
    weights: Floats
    level: Floats

    @classmethod
    def trained(cls, inputs: Floats, target: Floats, *, ridge: float) -> Self:
        """Return the model of days that are known whole.

        Args:
            inputs: Shape (days, slots, inputs).
            target: Shape (days, slots).
            ridge: How much the weights of inputs of unit spread are held back.

        Raises:
            ContractError: There are less than 30 days.
        """
        whole = np.isfinite(inputs).all(axis=(1, 2)) & np.isfinite(target).all(axis=1)
        if whole.sum() < _FEWEST_DAYS:
            raise ContractError(
                f"{int(whole.sum())} days are too few to learn from",
                fix=f"give a history with at least {_FEWEST_DAYS} whole days after the first four weeks",
                field="data",
            )
        rows, truth = inputs[whole].transpose(1, 0, 2), target[whole].T
        centre, level = rows.mean(axis=1), truth.mean(axis=1)
        spread = np.maximum(rows.std(axis=1), _LEAST_SPREAD)
        scaled = (rows - centre[:, None]) / spread[:, None]
        turned = scaled.transpose(0, 2, 1)
        held = turned @ scaled + ridge * np.eye(rows.shape[2])
        weights = np.linalg.solve(held, turned @ (truth - level[:, None])[..., None])[..., 0]
        return cls(centre, rows.min(axis=1), rows.max(axis=1), weights / spread, level)

    def predict(self, inputs: Floats) -> Floats:
        """Return the target of each day and slot."""
        seen = np.clip(inputs, self.low, self.high)
        return np.asarray(((seen - self.centre) * self.weights).sum(axis=-1) + self.level)
