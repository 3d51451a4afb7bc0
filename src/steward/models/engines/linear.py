"""Linear and logistic regression as a JSON file, answered in plain Python.

The sum is taken from the intercept on, term after term, each product and each sum rounded to a double. Rows and
batches do it in this one order, so that their answers are equal bit for bit; ``sum()`` is not used, because
Python 3.12 made it compensate rounding errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from msgspec import Struct

from steward.errors import EngineError, IntegrityError
from steward.models.manifest import Manifest

FILE = "model.json"


class Term(Struct, frozen=True, forbid_unknown_fields=True):
    """One input's part: ``coefficient`` a unit; its ``mean`` in training; what stands in when it is ``missing``.

    Example:
        >>> Term("load_mw", coefficient=0.5, mean=30_000.0, missing=30_000.0).input
        'load_mw'
    """

    input: str
    coefficient: float
    mean: float
    missing: float


class LinearFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of ``model.json``: the intercept, and one term for each input, in order.

    Example:
        >>> term = Term("hour", coefficient=2.0, mean=11.5, missing=12.0)
        >>> LinearFile(intercept=1.0, terms=(term,)).to_bytes()[:29]
        b'{"format":"steward.linear/1",'
    """

    format: Literal["steward.linear/1"] = "steward.linear/1"
    intercept: float
    terms: tuple[Term, ...]

    def to_bytes(self) -> bytes:
        """Return the file's bytes, to be registered as ``model.json``."""
        return msgspec.json.encode(self)


class LinearModel:
    """A linear or logistic regression, with exact attribution: coefficient · (input - mean).

    Args:
        content: Intercept and terms.
        name: The model's name.
        version: Its version.
        digest: Its digest.
        task: ``regression``, or ``binary`` for a logistic regression.

    Raises:
        IntegrityError: A number is not finite, or an input is there twice.

    Example:
        >>> term = Term("hour", coefficient=2.0, mean=11.5, missing=12.0)
        >>> model = LinearModel(LinearFile(intercept=1.0, terms=(term,)), name="load")
        >>> model.predict_one([3.0]), model.predict_one([math.nan])
        (7.0, 25.0)
        >>> model.attribute([[3.0]]).tolist()
        [[-17.0, 24.0]]
    """

    def __init__(
        self,
        content: LinearFile,
        *,
        name: str,
        version: str = "1",
        digest: str = "",
        task: Literal["regression", "binary"] = "regression",
    ) -> None:
        self.name, self.version, self.digest, self.task = name, version, digest, task
        self.inputs = tuple(term.input for term in content.terms)
        self._intercept = content.intercept
        self._weights = tuple(term.coefficient for term in content.terms)
        self._fill = tuple(term.missing for term in content.terms)
        self._coefficients = np.array(self._weights, dtype=np.float64)
        self._means = np.array([term.mean for term in content.terms], dtype=np.float64)
        self._missing = np.array(self._fill, dtype=np.float64)
        self._bias = content.intercept + math.fsum(term.coefficient * term.mean for term in content.terms)
        self._logistic = task == "binary"
        numbers = (self._intercept, self._bias, *self._coefficients, *self._means, *self._missing)
        if not all(map(math.isfinite, numbers)) or len(set(self.inputs)) < len(self.inputs):
            raise IntegrityError(
                f"model {name!r} is not a linear model",
                why="a number is not finite, or an input has two terms",
                fix="write the file with LinearFile.to_bytes() and register it again",
            )

    def predict_one(self, row: Sequence[float]) -> float:
        """Return the answer for one row of inputs; NaN means missing.

        Raises:
            EngineError: The row has another width, or the answer is not finite.
        """
        if len(row) != len(self._weights):
            raise self._wrong_width(len(row))
        total = self._intercept
        for coefficient, value in zip(self._weights, row, strict=True):
            total += coefficient * value
        if total - total != 0.0:  # NaN or infinite: only now is it worth looking for missing values
            total = self._total_of_filled(row)
        return _logistic(total) if self._logistic else total

    def _total_of_filled(self, row: Sequence[float]) -> float:
        total = self._intercept
        for coefficient, value, missing in zip(self._weights, row, self._fill, strict=True):
            total += coefficient * (value if value == value else missing)  # noqa: PLR0124 - only NaN is unlike itself
        if not math.isfinite(total):
            raise self._not_finite()
        return total

    def predict(self, rows: Any) -> Any:
        """Return ``(n,)`` answers for ``(n, k)`` rows; NaN means missing.

        Raises:
            EngineError: The rows have another width, or an answer is not finite.
        """
        columns = self._filled(rows).T
        total = np.full(columns.shape[1], self._intercept)
        with np.errstate(over="ignore", invalid="ignore"):
            for coefficient, column in zip(self._coefficients, columns, strict=True):
                total += coefficient * column
        if not np.isfinite(total).all():
            raise self._not_finite()
        if self._logistic:  # numpy's own exp differs from libm's in the last bit, and rows use libm's
            return np.fromiter(map(_logistic, total.tolist()), np.float64, len(total))
        return total

    def attribute(self, rows: Any) -> Any:
        """Return ``(n, k + 1)``: each input's part of the raw output, then the answer at the means.

        Raises:
            EngineError: The rows have another width.
        """
        filled = self._filled(rows)
        parts = np.empty((filled.shape[0], filled.shape[1] + 1))
        parts[:, :-1] = self._coefficients * (filled - self._means)
        parts[:, -1] = self._bias
        return parts

    def _filled(self, rows: Any) -> Any:
        array = np.asarray(rows, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != len(self._weights):
            raise self._wrong_width(array.shape[-1] if array.ndim else 0)
        return np.where(np.isnan(array), self._missing, array)

    def _wrong_width(self, width: int) -> EngineError:
        return EngineError(
            f"model {self.name!r} takes rows of {len(self._weights)} inputs, got {width}",
            fix=f"give {', '.join(self.inputs)}, in this order",
        )

    def _not_finite(self) -> EngineError:
        return EngineError(
            f"model {self.name!r} has no finite answer for a row",
            why="an input is infinite or too large",
            fix="check the features' ranges",
        )


def _logistic(raw: float) -> float:
    """Return 1 / (1 + e^-raw); each branch keeps e's power at or below zero, so that nothing overflows."""
    if raw >= 0.0:
        return 1.0 / (1.0 + math.exp(-raw))
    power = math.exp(raw)
    return power / (1.0 + power)


def load(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> LinearModel:
    """Load a linear model from ``model.json``.

    Raises:
        IntegrityError: The file is not such a model, or its inputs are not the manifest's.
    """
    if set(files) != {FILE}:
        raise _refused(manifest, f"its only file must be {FILE}, found {', '.join(sorted(files))}")
    try:
        content = msgspec.json.decode(files[FILE], type=LinearFile)
    except msgspec.MsgspecError as error:
        raise _refused(manifest, f"{FILE}: {error}") from error
    if tuple(term.input for term in content.terms) != manifest.inputs:
        raise _refused(manifest, f"the terms of {FILE} are not the manifest's inputs, in that order")
    if manifest.task not in {"regression", "binary"}:
        raise _refused(manifest, f"a linear model answers a regression or a binary task, not {manifest.task}")
    task: Literal["regression", "binary"] = "binary" if manifest.task == "binary" else "regression"
    return LinearModel(content, name=manifest.name, version=str(manifest.version), digest=digest, task=task)


def _refused(manifest: Manifest, why: str) -> IntegrityError:
    return IntegrityError(
        f"model {manifest.name!r} version {manifest.version} cannot be loaded",
        why=why,
        fix="write the file with LinearFile.to_bytes() and register it again",
    )
