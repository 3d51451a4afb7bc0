"""Rows on which a model is compared with its original: what it may meet, and what divides its answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

ROWS = 256
THRESHOLDS = 256
MISSING_SHARE = 0.1


def sample(width: int, thresholds: Mapping[int, Any] | None = None, middle: Any = None, *, single: bool = False) -> Any:
    """Return ``(n, width)`` rows, the same ones for the same arguments; some values are missing (NaN).

    Rows are spread over what the thresholds divide, and a tenth beyond. Further ones lie just on a threshold, and on
    the numbers right below and above it.

    Args:
        width: How many inputs a row has.
        thresholds: By input, the numbers that its values are compared with.
        middle: For each input a number that its values lie about; 0 by default.
        single: Whether the model takes float32, so that the next number is the next of these.

    Example:
        >>> rows = sample(2, {0: np.array([5.5])})
        >>> rows.shape, sorted(set(rows[-3:, 0].tolist()))
        ((259, 2), [5.499999999999999, 5.5, 5.500000000000001])
    """
    drawn = np.random.default_rng(7)
    rows = drawn.normal(size=(ROWS, width))
    if middle is not None:
        rows = middle + rows * np.maximum(np.abs(middle), 1.0)
    edges = []
    for column, cuts in sorted((thresholds or {}).items()):
        finite = cuts[np.isfinite(cuts) & (np.abs(cuts) < 1e30)]
        if not len(finite):
            continue
        low, high = finite.min(), finite.max()
        margin = max((high - low) / 10, abs(low) / 10, 0.1)
        rows[:, column] = drawn.uniform(low - margin, high + margin, ROWS)
        edges += [(column, cut) for cut in finite.tolist()]
    near = _beside(rows, edges, drawn, np.float32 if single else np.float64)
    rows[drawn.random(rows.shape) < MISSING_SHARE] = np.nan
    return np.vstack([rows, near])


def _beside(rows: Any, edges: list[tuple[int, float]], drawn: Any, kind: Any) -> Any:
    """Return three rows for each of some thresholds: below, on and above it."""
    if len(edges) > THRESHOLDS:
        edges = [edges[at] for at in sorted(drawn.choice(len(edges), THRESHOLDS, replace=False).tolist())]
    near = np.repeat(rows[drawn.integers(0, ROWS, len(edges))], 3, axis=0)
    for at, (column, cut) in enumerate(edges):
        on = kind(cut)
        near[3 * at : 3 * at + 3, column] = np.nextafter(on, kind(-np.inf)), on, np.nextafter(on, kind(np.inf))
    return near
