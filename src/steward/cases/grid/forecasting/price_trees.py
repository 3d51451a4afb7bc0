"""A day's prices by trees, fitted anew now and then over a history; in service they are the model ``grid-price``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np

from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.forecasting import forecast
from steward.cases.grid.forecasting.forecast import PAST_DAYS
from steward.cases.grid.forecasting.training import PRICE, Columns, Recipe, boost

FIRST_DAY: Final = PAST_DAYS + 1
"""The inputs reach so far back."""


@dataclass(frozen=True, eq=False)
class TreeDays:
    """What the trees are given for each of some days, by wall hour.

    Attributes:
        inputs: Shape (days, 24, inputs).
        levels: What the trees add to (EUR/MWh), shape (days, 24).
        prices: What came true, shape (days, 24).
    """

    inputs: Floats
    levels: Floats
    prices: Floats

    @classmethod
    def of(cls, history: History, columns: Columns, days: Sequence[date], prices: Floats) -> TreeDays:
        """Collect them from what was known at noon of each day before."""
        inputs, levels = [], []
        for day in days:
            known = columns.known(history, day)
            rows = forecast.price_rows(known)
            inputs.append(forecast.matrix(rows, tuple(rows)))
            levels.append(forecast.price_level(known))
        return cls(np.array(inputs), np.array(levels), prices)

    def predicted(self, start: int, end: int, every: int, recipe: Recipe = PRICE) -> Floats:
        """Return forecasts of rows ``start`` to before ``end``, by trees of all before, fitted anew ``every`` days."""
        import lightgbm  # noqa: PLC0415 - an extra, loaded when trees are wanted

        made = []
        for row in range(start, end, every):
            x, y = self.inputs[:row], self.prices[:row] - self.levels[:row]
            there = np.isfinite(y)
            booster: Any = lightgbm.Booster(model_str=boost(recipe, x[there], y[there]))
            ahead = slice(row, min(row + every, end))
            above = booster.predict(self.inputs[ahead].reshape(-1, x.shape[2]), num_threads=1)
            made.append(above.reshape(-1, 24) + self.levels[ahead])
        return np.concatenate(made)
