"""Calibrators: registered by themselves, they make a model's probability come true as often as it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from steward.errors import DeclarationError, EngineError, IntegrityError
from steward.models.manifest import Manifest
from steward.models.port import LoadedModel

FILE = "calibrator.json"
INPUTS = ("probability",)
"""The one input of every calibrator."""


class Calibrator:
    """A loaded calibrator: a non-decreasing function from probability to probability.

    Args:
        apply: The function.
        name: Its name in the registry.
        version: Its version.
        digest: Its digest.

    Example:
        >>> halved = Calibrator(lambda probability: probability / 2, name="halved")
        >>> halved.apply(0.5), halved.predict([[0.5], [1.0]]).tolist()
        (0.25, [0.25, 0.5])
    """

    inputs = INPUTS
    task = "calibrator"

    def __init__(self, apply: Callable[[float], float], *, name: str, version: str = "1", digest: str = "") -> None:
        self.apply, self.name, self.version, self.digest = apply, name, version, digest

    def predict_one(self, row: Sequence[float]) -> float:
        """Return the calibrated probability of a row of one.

        Raises:
            EngineError: The row is wider.
        """
        if len(row) != 1:
            raise self._wrong_width(len(row))
        return self.apply(row[0])

    def predict(self, rows: Any) -> Any:
        """Return ``(n,)`` calibrated probabilities for ``(n, 1)``, each as :meth:`predict_one` gives it.

        Raises:
            EngineError: The rows are wider.
        """
        array = np.asarray(rows, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != 1:
            raise self._wrong_width(array.shape[-1] if array.ndim else 0)
        return np.fromiter(map(self.apply, array[:, 0].tolist()), np.float64, len(array))

    def _wrong_width(self, width: int) -> EngineError:
        return EngineError(f"calibrator {self.name!r} takes one probability a row, got {width} values")


class CalibratedModel:
    """A model whose probability goes through a calibrator; what its inputs contributed stays that of the model.

    Raises:
        DeclarationError: The model answers with no probability, or what is to calibrate it is no calibrator.

    Example:
        >>> from steward.models.engines.linear import LinearFile, LinearModel, Term
        >>> even = LinearFile(intercept=0.0, terms=(Term("hour", coefficient=0.0, mean=0.0, missing=0.0),))
        >>> model = LinearModel(even, name="fraud", task="binary")
        >>> CalibratedModel(model, Calibrator(lambda p: p / 2, name="halved")).predict_one([7.0])
        0.25
    """

    def __init__(self, model: LoadedModel, calibrator: LoadedModel) -> None:
        if not isinstance(calibrator, Calibrator):
            raise DeclarationError(
                f"{calibrator.name!r} is no calibrator, but a model of the task {calibrator.task}",
                fix="name one that was registered with the task calibrator",
                field="predict.calibration",
            )
        if model.task != "binary":
            raise DeclarationError(
                f"model {model.name!r} answers with no probability that {calibrator.name!r} could calibrate",
                why=f"its task is {model.task}",
                fix="leave calibration out",
                field="predict.calibration",
            )
        self._model, self._apply = model, calibrator.apply
        self.name, self.version, self.digest = model.name, model.version, model.digest
        self.inputs, self.task = model.inputs, model.task
        self.attribute = getattr(model, "attribute", None)

    def predict_one(self, row: Sequence[float]) -> float:
        """Return the calibrated probability for one row."""
        return self._apply(self._model.predict_one(row))

    def predict(self, rows: Any) -> Any:
        """Return ``(n,)`` calibrated probabilities."""
        raw = self._model.predict(rows)
        return np.fromiter(map(self._apply, raw.tolist()), np.float64, len(raw))


def outcomes(probabilities: Any, happened: Any) -> tuple[Any, Any]:
    """Return what a calibrator is fitted to as two float64 arrays.

    Raises:
        DeclarationError: They differ in length, are empty, or hold what is no probability, or neither 0 nor 1.
    """
    told = np.asarray(probabilities, dtype=np.float64)
    truth = np.asarray(happened, dtype=np.float64)
    if told.ndim != 1 or told.shape != truth.shape or not len(told):
        raise DeclarationError(
            f"a calibrator is fitted to probabilities and what happened, got {told.shape} and {truth.shape}",
            fix="pass two columns of the same length",
        )
    if not ((told >= 0) & (told <= 1)).all() or not np.isin(truth, (0.0, 1.0)).all():
        raise DeclarationError(
            "a calibrator is fitted to probabilities of 0..1 and to what happened, which is 0 or 1",
            fix="leave out the rows where either is not known",
        )
    return told, truth


def refused(manifest: Manifest, why: str) -> IntegrityError:
    """Return the error for files that are no calibrator.

    Example:
        >>> from datetime import UTC, datetime
        >>> from steward.models.manifest import FileFacts, declared
        >>> made = declared("fraud-beta", version=1, kind="beta", task="calibrator", inputs=INPUTS,
        ...                 files={FILE: FileFacts.of(b"{}")}, created_at=datetime(2026, 1, 1, tzinfo=UTC))
        >>> refused(made, "a number is missing").why
        'a number is missing'
    """
    return IntegrityError(
        f"calibrator {manifest.name!r} version {manifest.version} cannot be loaded",
        why=why,
        fix="write the file with to_bytes() of what was fitted, and register it again",
    )


def checked(manifest: Manifest, files: Any) -> bytes:
    """Return the one file of a calibrator, if the manifest is one's.

    Raises:
        IntegrityError: It is not.
    """
    if set(files) != {FILE}:
        raise refused(manifest, f"its only file must be {FILE}, found {', '.join(sorted(files))}")
    if manifest.task != "calibrator" or manifest.inputs != INPUTS:
        raise refused(manifest, f"its task must be calibrator and its one input {INPUTS[0]}")
    content: bytes = files[FILE]
    return content
