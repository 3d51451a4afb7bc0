"""The band around a price forecast: quantiles of its own errors by hour of the day, corrected after each day.

Errors are measured in units of how wild the hour was lately. Each hour of the day keeps, for each level, how many such
units the price stays below. After each day a level that was exceeded goes up a little and one that held goes
down, in the proportion that balances at the level itself. So each hour's share of prices inside tends to what is
promised whatever prices do, at a rate that is known beforehand (Gibbs, Candes 2021; Angelopoulos, Candes, Tibshirani,
Conformal PID Control, 2023).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from steward.cases.grid.data.history import Floats
from steward.cases.grid.forecasting.quantiles import DEFAULT_LEVELS, Quantiles

STEP: Final = 0.1
"""How far a level moves in a day, at most, in units of the hour's usual error."""
_MEMORY: Final = 0.95
"""How much of the usual error is left after a day."""
_LEVELS: Final = np.array(DEFAULT_LEVELS)
_SMALLEST_EUR_MWH: Final = 0.05


class PriceBand:
    """The band of each wall hour, as it stands after the errors so far.

    Args:
        errors: Of days before (actual less forecast, EUR/MWh), shape (days, 24); at least one.

    Example:
        >>> chance = np.random.default_rng(1)
        >>> band = PriceBand(chance.normal(0.0, 5.0, (100, 24)))
        >>> low, high = band.around(np.full(24, 50.0)).interval(0.9)
        >>> bool(34 < low[12] < 46 < 54 < high[12] < 66)
        True
    """

    def __init__(self, errors: Floats) -> None:
        known = errors[np.isfinite(errors).all(axis=1)]
        self._usual = np.maximum(np.abs(known[-28:]).mean(axis=0), _SMALLEST_EUR_MWH)
        self._units = np.quantile(known / np.abs(known).mean(axis=0).clip(_SMALLEST_EUR_MWH), _LEVELS, axis=0).T

    def around(self, point: Floats) -> Quantiles:
        """Return the quantiles of the day's wall hours around its forecast."""
        return Quantiles.sorted_from(DEFAULT_LEVELS, point[:, None] + self._usual[:, None] * self._units)

    def learn(self, errors: Floats) -> None:
        """Take in a day's errors by wall hour; a missing one teaches nothing."""
        there = np.isfinite(errors)
        units = np.where(there, errors / self._usual, 0.0)
        moved = self._units + STEP * (_LEVELS - (units[:, None] <= self._units))
        self._units = np.where(there[:, None], moved, self._units)
        usual = _MEMORY * self._usual + (1.0 - _MEMORY) * np.abs(np.nan_to_num(errors))
        self._usual = np.where(there, np.maximum(usual, _SMALLEST_EUR_MWH), self._usual)

    @classmethod
    def played(cls, point: Floats, actual: Floats, begin: int) -> tuple[Quantiles, ...]:
        """Return the bands of the days from ``begin`` on, each made from the errors of the days before it alone."""
        band, made = cls(actual[:begin] - point[:begin]), []
        for day in range(begin, len(point)):
            made.append(band.around(point[day]))
            band.learn(actual[day] - point[day])
        return tuple(made)
