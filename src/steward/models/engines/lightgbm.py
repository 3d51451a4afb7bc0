"""Gradient-boosted trees in LightGBM's text format, answered by its C library.

One row goes through the library's prepared single-row call (a handle for each thread), more through its matrix
call; both walk the same trees in the same order, so the answers are equal bit for bit.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Mapping, Sequence
from ctypes import c_int64
from functools import cached_property
from typing import Any

import numpy as np

from steward.errors import EngineError, IntegrityError
from steward.models.attribution.shap import TreeShap, is_compiled
from steward.models.attribution.trees_lightgbm import ranges, thresholds, trees_of
from steward.models.engines.classes import Classifier
from steward.models.engines.lightgbm_library import (
    CONTRIBUTIONS,
    FLOAT64,
    NORMAL,
    PARAMETERS,
    Booster,
    FastRow,
    last_error,
    library,
)
from steward.models.formats.lightgbm_text import Checked, Unsupported, check
from steward.models.manifest import Manifest

FILE = "model.txt"
FEW_ROWS = 8
"""Up to here single rows are cheaper than the matrix call, which costs 8 µs to set up each time."""

_TASKS = (
    {"binary": "binary", "cross_entropy": "binary"}
    | dict.fromkeys(
        ("", "regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie"),
        "regression",
    )
    | {"multiclass": "multiclass"}
)
"""LightGBM's objective to what it answers; an empty one is a custom objective, whose raw output is the answer."""


class LightGBMModel:
    """A LightGBM model with exact attribution (TreeSHAP), in units of the raw output.

    Args:
        checked: The model's text, proven to be safe.
        name: The model's name.
        inputs: Names of its input columns, in order.
        task: ``regression`` or ``binary``.
        version: Its version.
        digest: Its digest.

    Raises:
        EngineError: LightGBM is not installed, or refuses the model.

    Example:
        >>> from steward.models.formats.lightgbm_text import check
        >>> from steward.testing.conformance.models import STUMP
        >>> model = LightGBMModel(check(STUMP), name="night", inputs=("hour",), task="regression")
        >>> model.predict_one([3.0]), model.predict([[3.0], [12.0]]).tolist()
        (10.0, [10.0, 20.0])
        >>> model.attribute([[3.0]]).tolist()
        [[-7.5, 17.5]]
    """

    def __init__(
        self,
        checked: Checked,
        *,
        name: str,
        inputs: Sequence[str],
        task: str,
        version: str = "1",
        digest: str = "",
    ) -> None:
        self.name, self.version, self.digest, self.task = name, version, digest, task
        self.inputs = tuple(inputs)
        self._width = len(self.inputs)
        self._pack = struct.Struct(f"{self._width}d").pack_into
        self._classes = checked.classes
        self._checked = checked
        self._booster = Booster(checked.text)
        self._threads = threading.local()
        self._prepare()

    def _prepare(self) -> FastRow:
        """Return a handle of this thread's own; it is freed with the thread."""
        self._threads.fast = fast = FastRow(self._booster, self._width, self._classes)
        return fast

    def predict_one(self, row: Sequence[float]) -> float:
        """Return the answer for one row of inputs; NaN means missing.

        Raises:
            EngineError: The row has another width, or is not of numbers.
        """
        answer: float = self._ask_one(row)[0]
        return answer

    def _ask_one(self, row: Sequence[float]) -> Any:
        """Return this thread's place of answers, filled for ``row``."""
        try:
            fast: FastRow = self._threads.fast
        except AttributeError:
            fast = self._prepare()
        try:
            self._pack(fast.row, 0, *row)
        except struct.error as error:
            raise self._wrong_rows(f"a row of {len(row)}", str(error)) from error
        if fast.call():
            raise self._failed()
        return fast.answer

    def predict(self, rows: Any) -> Any:
        """Return ``(n,)`` answers for ``(n, k)`` rows; NaN means missing.

        Raises:
            EngineError: The rows have another width, or are not of numbers.
        """
        return self._ask(rows)[:, 0]

    def _ask(self, rows: Any) -> Any:
        array, classes = self._array(rows), self._classes
        count = len(array)
        if count > FEW_ROWS:
            return self._matrix(array, NORMAL, classes)
        answers = np.empty((count, classes))
        fast: FastRow = getattr(self._threads, "fast", None) or self._prepare()
        row, answer = array.ctypes.data, answers.ctypes.data
        for index in range(count):
            if fast.at(row + index * 8 * self._width, fast.length, answer + index * 8 * classes):
                raise self._failed()
        return answers

    def attribute(self, rows: Any) -> Any:
        """Return ``(n, k + 1)``: each input's part of the raw output, then the expected raw output.

        Raises:
            EngineError: The rows have another width, or the model was stored without counts.
        """
        parts = self._parts(self._array(rows))
        if not np.isfinite(parts).all():
            raise EngineError(
                f"model {self.name!r} cannot tell what its inputs contribute",
                why="a branch of its trees has a count of 0 training rows",
                fix="train it again, or declare attribution=Attribution.OFF",
            )
        return parts

    def _parts(self, array: Any) -> Any:
        if (explained := self._explained) is not None:
            return explained.attribute(array)
        return self._matrix(array, CONTRIBUTIONS, self._width + 1)

    @cached_property
    def turns(self) -> Mapping[str, Sequence[float]]:
        """By input: the thresholds of its splits, lowest first."""
        return {self.inputs[at]: found.tolist() for at, found in thresholds(self._checked).items()}

    @cached_property
    def seen(self) -> Mapping[str, tuple[float, float]]:
        """By input: the lowest and the highest number seen in training."""
        return {self.inputs[at]: ends for at, ends in ranges(self._checked).items()}

    @cached_property
    def _explained(self) -> TreeShap | None:
        """The fast attribution, made when first wanted; ``None`` where the library's own is the better one."""
        try:
            return TreeShap(trees_of(self._checked)) if is_compiled() else None
        except ValueError:  # counts that do not add up, or paths too long: let the library say what it can
            return None

    def _matrix(self, array: Any, what: int, width: int) -> Any:
        answers, length = np.empty((len(array), width)), c_int64()
        if len(array) and library().LGBM_BoosterPredictForMat(
            self._booster.handle, array.ctypes.data, FLOAT64, len(array), self._width, 1, what, 0, -1,
            PARAMETERS, length, answers.ctypes.data,
        ):  # fmt: skip
            raise self._failed()
        return answers

    def _array(self, rows: Any) -> Any:
        try:
            array = np.ascontiguousarray(rows, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise self._wrong_rows("rows", str(error)) from error
        if array.ndim != 2 or array.shape[1] != self._width:
            raise self._wrong_rows(f"an array of shape {array.shape}", "")
        return array

    def _wrong_rows(self, got: str, why: str) -> EngineError:
        return EngineError(
            f"model {self.name!r} takes rows of {self._width} inputs, got {got}",
            why=why,
            fix=f"give {', '.join(self.inputs)}, in this order, NaN where one is missing",
        )

    def _failed(self) -> EngineError:
        return EngineError(f"LightGBM failed to answer from model {self.name!r}", why=last_error())


class LightGBMClassifier(Classifier, LightGBMModel):
    """A LightGBM model of several classes; what it attributes is the raw output of the class it answers with.

    Args:
        checked: The model's text, proven to be safe.
        outputs: The labels, in the order of the classes.
        name: The model's name.
        inputs: Names of its input columns, in order.
        version: Its version.
        digest: Its digest.

    Raises:
        EngineError: LightGBM is not installed, or refuses the model.

    Example:
        >>> from steward.models.formats.lightgbm_text import check
        >>> from steward.testing.conformance.models import STUMP
        >>> LightGBMClassifier(check(STUMP), outputs=("night", "day"), name="part-of-day", inputs=("hour",))
        Traceback (most recent call last):
        steward.errors.EngineError: model 'part-of-day' has 1 classes and 2 labels. ...
    """

    def __init__(
        self,
        checked: Checked,
        *,
        outputs: Sequence[str],
        name: str,
        inputs: Sequence[str],
        version: str = "1",
        digest: str = "",
    ) -> None:
        if len(outputs) != checked.classes:
            raise EngineError(
                f"model {name!r} has {checked.classes} classes and {len(outputs)} labels", fix="give a label for each"
            )
        self.outputs = tuple(outputs)
        super().__init__(checked, name=name, inputs=inputs, task="multiclass", version=version, digest=digest)

    def probabilities_one(self, row: Sequence[float]) -> Sequence[float]:
        """Return the probability of each label for one row; NaN means missing.

        Raises:
            EngineError: The row has another width, or is not of numbers.
        """
        answer: list[float] = self._ask_one(row)[:]
        return answer

    def probabilities(self, rows: Any) -> Any:
        """Return ``(n, c)`` probabilities for ``(n, k)`` rows; NaN means missing.

        Raises:
            EngineError: The rows have another width, or are not of numbers.
        """
        return self._ask(rows)

    def _parts(self, array: Any) -> Any:
        places = self.predict(array).astype(int)
        if (explained := self._explained) is not None:
            return explained.attribute(array, places)
        parts = self._matrix(array, CONTRIBUTIONS, self._classes * (self._width + 1))
        return parts.reshape(len(array), self._classes, self._width + 1)[np.arange(len(array)), places]


def load(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> LightGBMModel:
    """Load a LightGBM model from ``model.txt``, as ``Booster.model_to_string()`` writes it.

    Raises:
        IntegrityError: The file is not such a model, or not the one the manifest describes.
        EngineError: It is of a sort that is not supported yet, or LightGBM is not installed.
    """
    if set(files) != {FILE}:
        raise _refused(manifest, f"its only file must be {FILE}, found {', '.join(sorted(files))}")
    try:
        checked = check(files[FILE])
        _check_described(checked, manifest)
    except Unsupported as error:
        raise EngineError(
            f"model {manifest.name!r} version {manifest.version} cannot be served",
            why=str(error),
            fix="train it as a regression, a binary or a multiclass classification of gradient-boosted trees",
        ) from error
    except ValueError as error:
        raise _refused(manifest, f"{FILE}: {error}") from error
    about: dict[str, Any] = {"name": manifest.name, "inputs": manifest.inputs, "version": str(manifest.version)}
    if manifest.task == "multiclass":
        return LightGBMClassifier(checked, outputs=manifest.outputs, digest=digest, **about)
    return LightGBMModel(checked, task=manifest.task, digest=digest, **about)


def _check_described(checked: Checked, manifest: Manifest) -> None:
    objective = checked.objective.partition(" ")[0]
    task = _TASKS.get(objective)
    if task is None:
        raise Unsupported(f"the objective {objective!r} is not supported yet")
    if task != manifest.task:
        raise ValueError(f"its objective is {objective!r}, a {task}, and the manifest says {manifest.task}")
    if task == "multiclass" and checked.classes != len(manifest.outputs):
        raise ValueError(f"it has {checked.classes} classes, and the manifest names {len(manifest.outputs)} outputs")
    if len(checked.names) != len(manifest.inputs):
        raise ValueError(f"it takes {len(checked.names)} inputs, and the manifest names {len(manifest.inputs)}")
    if checked.names != manifest.inputs and sorted(checked.names) == sorted(manifest.inputs):
        raise ValueError(f"its inputs are {', '.join(checked.names)}, the manifest has them in another order")


def _refused(manifest: Manifest, why: str) -> IntegrityError:
    return IntegrityError(
        f"model {manifest.name!r} version {manifest.version} cannot be loaded",
        why=why,
        fix="register the text of Booster.model_to_string() again, unchanged",
    )
