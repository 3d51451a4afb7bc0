"""A forecast as quantiles: how likely it is that each value is exceeded, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Self

import numpy as np

from steward.cases.grid.data.history import Floats
from steward.errors import ContractError

DEFAULT_LEVELS: Final = tuple(round(0.05 * n, 2) for n in range(1, 20))
"""0.05, 0.1, ... 0.95: what the 90 % interval and its inside need."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantiles:
    """Values that are exceeded with a known probability, for each step of a forecast.

    Args:
        levels: The probabilities of staying below, rising, each in (0, 1).
        values: Shape (steps, levels), in the forecast's unit; each row does not fall.

    Raises:
        ContractError: The shapes do not fit, the levels do not rise, or a row falls.

    Example:
        >>> tomorrow = Quantiles((0.1, 0.5, 0.9), np.array([[90.0, 100.0, 120.0], [80.0, 95.0, 110.0]]))
        >>> tomorrow.median.tolist(), tomorrow.at(0.7).tolist()
        ([100.0, 95.0], [110.0, 102.5])
        >>> tomorrow.interval(0.8)[1].tolist()
        [120.0, 110.0]
    """

    levels: tuple[float, ...]
    values: Floats

    def __post_init__(self) -> None:
        rises = all(a < b for a, b in zip((0.0, *self.levels), (*self.levels, 1.0), strict=True))
        if not self.levels or not rises:
            raise ContractError("the levels rise, each in (0, 1)", field="levels")
        if self.values.ndim != 2 or self.values.shape[1] != len(self.levels):
            raise ContractError(
                f"values are of the shape (steps, {len(self.levels)}), got {self.values.shape}", field="values"
            )
        if not (np.diff(self.values, axis=1) >= 0.0).all():
            raise ContractError(
                "a quantile lies below a lower one", fix="mend it with Quantiles.sorted_from", field="values"
            )

    @classmethod
    def sorted_from(cls, levels: Sequence[float], values: Floats) -> Self:
        """Return quantiles of values that may cross, as those of separately trained models do; each step is sorted.

        Sorting never makes the pinball loss larger (Chernozhukov, Fernandez-Val, Galichon 2010).
        """
        return cls(tuple(levels), np.sort(values, axis=1))

    def __len__(self) -> int:
        return len(self.values)

    def at(self, level: float) -> Floats:
        """Return the values of a level, by straight lines between the known ones; beyond them the last one holds."""
        place = float(np.interp(level, self.levels, np.arange(len(self.levels))))
        low = int(place)
        high = min(low + 1, len(self.levels) - 1)
        return np.asarray(self.values[:, low] + (place - low) * (self.values[:, high] - self.values[:, low]))

    @property
    def median(self) -> Floats:
        """The values that are as likely exceeded as not."""
        return self.at(0.5)

    def interval(self, share: float = 0.9) -> tuple[Floats, Floats]:
        """Return the lower and upper ends of the interval in the middle that holds a share of all values."""
        return self.at((1.0 - share) / 2.0), self.at((1.0 + share) / 2.0)

    def covered(self, actual: Floats, share: float = 0.9) -> float:
        """Return the share of the actual values that lie inside that interval."""
        low, high = self.interval(share)
        return float(np.mean((low <= actual) & (actual <= high)))

    def pinball(self, actual: Floats) -> float:
        """Return the mean pinball loss over steps and levels, in the forecast's unit; less is better.

        Source: Koenker and Bassett, Regression Quantiles, Econometrica 46 (1978).
        """
        over = np.asarray(actual)[:, None] - self.values
        levels = np.asarray(self.levels)
        return float(np.mean(np.maximum(levels * over, (levels - 1.0) * over)))

    def scenarios(self, count: int, chance: np.random.Generator, memory: float = 0.9) -> Floats:
        """Return paths that agree with the quantiles, of shape (count, steps): a Gaussian copula.

        Args:
            count: How many.
            chance: Where they come from.
            memory: How much of a step's surprise is left at the next one, 0..1 (AR(1)).
        """
        normal = chance.standard_normal((count, len(self)))
        for step in range(1, len(self)):
            normal[:, step] = memory * normal[:, step - 1] + np.sqrt(1.0 - memory**2) * normal[:, step]
        # The levels as places on the normal scale: interpolation there needs no distribution function of each draw.
        places = np.array([NormalDist().inv_cdf(level) for level in self.levels])
        paths = [np.interp(normal[:, step], places, self.values[step]) for step in range(len(self))]
        return np.asarray(paths).T
