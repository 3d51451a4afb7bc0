"""What every classifier shares: its answer is the place of the likeliest of its labels."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np


def likeliest_one(probabilities: Sequence[float]) -> float:
    """Return the place of the highest probability, the first of equals; NaN where one is NaN.

    Example:
        >>> likeliest_one([0.2, 0.4, 0.4]), likeliest_one([0.5, nan])
        (1.0, nan)
    """
    total = sum(probabilities)
    return float(probabilities.index(max(probabilities))) if total - total == 0.0 else nan


def likeliest(probabilities: Any) -> Any:
    """Return :func:`likeliest_one` of each row of an ``(n, c)`` array.

    Example:
        >>> likeliest(np.array([[0.2, 0.4, 0.4], [0.5, nan, 0.5]])).tolist()
        [1.0, nan]
    """
    places = np.argmax(probabilities, axis=1).astype(np.float64)
    places[~np.isfinite(probabilities).all(axis=1)] = nan
    return places


class Classifier:
    """Answers from probabilities; a class that inherits it gives ``probabilities`` and ``probabilities_one``.

    Example:
        >>> class Even(Classifier):
        ...     def probabilities_one(self, row: Sequence[float]) -> Sequence[float]:
        ...         return (0.1, 0.9) if row[0] % 2 else (0.9, 0.1)
        >>> Even().predict_one([4.0])
        0.0
    """

    def probabilities_one(self, row: Sequence[float]) -> Sequence[float]:
        """Return the probability of each label for one row."""
        raise NotImplementedError

    def probabilities(self, rows: Any) -> Any:
        """Return ``(n, c)`` probabilities for ``(n, k)`` rows."""
        raise NotImplementedError

    def predict_one(self, row: Sequence[float]) -> float:
        """Return the place of the likeliest label for one row of inputs."""
        return likeliest_one(self.probabilities_one(row))

    def predict(self, rows: Any) -> Any:
        """Return ``(n,)`` places of the likeliest label for ``(n, k)`` rows."""
        return likeliest(self.probabilities(rows))
