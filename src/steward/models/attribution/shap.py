"""Exact attribution of tree ensembles: what each input contributed to a raw output (path-dependent TreeSHAP)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from steward.models.attribution.shap_table import ShapTable
from steward.models.attribution.trees import Trees

Kernel = Callable[[Trees, ShapTable], Callable[[Any, Any, Any], None]]
"""Makes of an ensemble what fills parts (n, k + 1) for rows (n, k) and the output (n,) that is wanted of each."""


class TreeShap:
    """Tells what each input of a tree ensemble contributed, in microseconds a row.

    The answers of the machine code (extra ``shap``: numba) and of plain numpy are equal bit for bit, and so are those
    of a batch and of its rows.

    Args:
        trees: The ensemble.
        kernel: What computes; by default the fastest that is installed.

    Raises:
        ValueError: It cannot be told: more than 128 different inputs are on one path.

    Example:
        >>> from steward.models.attribution.trees import Grown, Missing, Question, plant
        >>> question = Question(0, Missing.NONE)
        >>> stump = Grown((question,), (5.5,), (~0,), (~1,), (24.0,), (6.0, 18.0), (10.0, 20.0))
        >>> TreeShap(plant([stump], width=1)).attribute([[3.0]]).tolist()
        [[-7.5, 17.5]]
    """

    def __init__(self, trees: Trees, kernel: Kernel | None = None) -> None:
        self.table = ShapTable.of(trees)
        self._contribute = (kernel or fastest())(trees, self.table)
        self._first = np.zeros(1, np.int64)

    def attribute(self, rows: Any, outputs: Any = None) -> Any:
        """Return ``(n, k + 1)``: each input's part of the raw output, then the expected raw output.

        Args:
            rows: ``(n, k)`` numbers, NaN where one is missing.
            outputs: ``(n,)`` places of the outputs to be told of, one for each row; the first by default.

        Raises:
            ValueError: The rows have another width, or there is no such output.
        """
        given = np.ascontiguousarray(rows, dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != self.table.width:
            raise ValueError(f"rows of {self.table.width} inputs are wanted, got an array of shape {given.shape}")
        if outputs is None:
            wanted = self._first if len(given) == 1 else np.zeros(len(given), np.int64)
        else:
            wanted = np.ascontiguousarray(outputs, dtype=np.int64)
            if wanted.shape != given.shape[:1] or not ((wanted >= 0) & (wanted < len(self.table.bias))).all():
                raise ValueError(f"one output of {len(self.table.bias)} is wanted for each row")
        parts = np.empty((len(given), self.table.width + 1))
        self._contribute(given, wanted, parts)
        return parts


@cache
def is_compiled() -> bool:
    """Return whether machine code can be had: the extra ``shap`` is installed."""
    return find_spec("numba") is not None


@cache
def fastest() -> Kernel:
    """Return the fastest kernel that is installed."""
    if is_compiled():
        from steward.models.attribution.shap_numba import contributions as compiled  # noqa: PLC0415 - an extra, heavy

        return compiled
    from steward.models.attribution.shap_numpy import contributions  # noqa: PLC0415 - only where numba is not installed

    return contributions
