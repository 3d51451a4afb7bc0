"""Gradient-boosted trees in XGBoost's JSON or UBJSON format, walked by ONNX Runtime.

XGBoost's own call costs about 50 µs a row through its C interface and 150 µs through its Python package; the same
trees in ONNX Runtime cost 4. Rows are rounded to single precision first, as XGBoost does it, so that each row comes to
the very same leaves; the leaves are added up in double precision, where XGBoost rounds each sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from steward.errors import EngineError, IntegrityError
from steward.models.attribution.shap import TreeShap
from steward.models.attribution.trees_xgboost import trees_of
from steward.models.engines.onnx_session import Session
from steward.models.engines.tabular import Answer, TabularClassifier, TabularModel
from steward.models.formats.onnx_proto import check as check_onnx
from steward.models.formats.onnx_trees import leaf
from steward.models.formats.xgboost_json import Boosted, Unsupported, check
from steward.models.manifest import Manifest

FILES = ("model.json", "model.ubj")
_TASKS = {"identity": "regression", "exponential": "regression", "logistic": "binary", "softmax": "multiclass"}


def load(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> XGBoostModel:
    """Load an XGBoost model from ``model.json`` or ``model.ubj``, as ``Booster.save_model()`` writes them.

    Raises:
        IntegrityError: The file is not such a model, or not the one the manifest describes.
        EngineError: It is of a sort that is not supported yet, or ONNX Runtime is not installed.
    """
    if len(files) != 1 or not set(files) <= set(FILES):
        raise _refused(manifest, f"its only file must be {' or '.join(FILES)}, found {', '.join(sorted(files))}")
    ((file, content),) = files.items()
    try:
        boosted = check(content)
        _check_described(boosted, manifest)
    except Unsupported as error:
        raise EngineError(
            f"model {manifest.name!r} version {manifest.version} cannot be served",
            why=str(error),
            fix="train it as a regression, a binary or a multiclass classification of numbers, booster gbtree",
        ) from error
    except ValueError as error:
        raise _refused(manifest, f"{file}: {error}") from error
    about: dict[str, Any] = {"name": manifest.name, "inputs": manifest.inputs, "version": str(manifest.version)}
    if manifest.task == "multiclass":
        return XGBoostClassifier(boosted, outputs=manifest.outputs, digest=digest, **about)
    return XGBoostModel(boosted, task=manifest.task, digest=digest, **about)


class XGBoostModel(TabularModel):
    """An XGBoost model with exact attribution (TreeSHAP), in units of the raw output.

    Args:
        boosted: The model's trees, proven to be some.
        name: The model's name.
        inputs: Names of its input columns, in order.
        task: ``regression`` or ``binary``.
        version: Its version.
        digest: Its digest.

    Raises:
        EngineError: ONNX Runtime is not installed.

    Example:
        >>> from steward.models.formats.onnx_trees import LESS, Forest, Tree
        >>> stump = Tree((1, -1, -1), (2, -1, -1), (0, 0, 0), (5.5, 0, 0), (True, True, True), (0.0, 10.0, 20.0))
        >>> forest = Forest((stump,), (0,), outputs=1, width=1, comparison=LESS)
        >>> boosted = Boosted(forest, (0.5,), "identity", (), "reg:squarederror", ((24.0, 6.0, 18.0),))
        >>> model = XGBoostModel(boosted, name="night", inputs=("hour",), task="regression")
        >>> model.predict_one([3.0]), model.attribute([[3.0]]).tolist()
        (10.5, [[-7.5, 18.0]])
    """

    def __init__(
        self,
        boosted: Boosted,
        *,
        name: str,
        inputs: Sequence[str],
        task: str,
        version: str = "1",
        digest: str = "",
    ) -> None:
        about: dict[str, Any] = {"version": version, "digest": digest, "rowwise": True}
        super().__init__(answer_of(boosted), name=name, inputs=inputs, task=task, **about)
        self.arithmetic = "float32"
        self._boosted = boosted

    def attribute(self, rows: Any) -> Any:
        """Return ``(n, k + 1)``: each input's part of the raw output, then the expected raw output.

        Raises:
            EngineError: The rows have another width, or the model was stored without covers.
        """
        return self._explained.attribute(self._array(rows))

    @cached_property
    def turns(self) -> Mapping[str, Sequence[float]]:
        """By input: the largest number that lies below each threshold of its splits, lowest first."""
        found = self._boosted.forest.thresholds()
        below = {at: np.nextafter(cuts.astype(np.float32), np.float32(-np.inf)) for at, cuts in found.items()}
        return {self.inputs[at]: numbers.astype(np.float64).tolist() for at, numbers in below.items()}

    @property
    def seen(self) -> Mapping[str, tuple[float, float]]:
        """Nothing: XGBoost does not write down which numbers it has seen in training."""
        return {}

    @cached_property
    def _explained(self) -> TreeShap:
        try:
            return TreeShap(trees_of(self._boosted))
        except ValueError as error:
            raise EngineError(
                f"model {self.name!r} cannot tell what its inputs contribute",
                why=str(error),
                fix="train it again, or declare attribution=Attribution.OFF",
            ) from error


class XGBoostClassifier(TabularClassifier, XGBoostModel):
    """An XGBoost model of several classes; what it attributes is the raw output of the class it answers with.

    Args:
        boosted: The model's trees, proven to be some.
        outputs: The labels, in the order of the classes.
        name: The model's name.
        inputs: Names of its input columns, in order.
        version: Its version.
        digest: Its digest.

    Raises:
        EngineError: ONNX Runtime is not installed.

    Example:
        >>> from steward.models.formats.onnx_trees import LESS, Forest, Tree
        >>> leaf = Tree((-1,), (-1,), (0,), (0.0,), (True,), (2.0,))
        >>> forest = Forest((leaf,), (1,), outputs=2, width=1, comparison=LESS)
        >>> boosted = Boosted(forest, (0.0, 0.0), "softmax", (), "multi:softprob", ((24.0,),))
        >>> model = XGBoostClassifier(boosted, outputs=("night", "day"), name="part-of-day", inputs=("hour",))
        >>> model.outputs[int(model.predict_one([3.0]))]
        'day'
    """

    def __init__(
        self,
        boosted: Boosted,
        *,
        outputs: Sequence[str],
        name: str,
        inputs: Sequence[str],
        version: str = "1",
        digest: str = "",
    ) -> None:
        self.outputs = tuple(outputs)
        XGBoostModel.__init__(
            self, boosted, name=name, inputs=inputs, task="multiclass", version=version, digest=digest
        )

    def attribute(self, rows: Any) -> Any:
        """Return ``(n, k + 1)``: each input's part of the answer's raw output, then the expected one.

        Raises:
            EngineError: The rows have another width, or the model was stored without covers.
        """
        array = self._array(rows)
        return self._explained.attribute(array, self.predict(array).astype(np.int64))


def answer_of(boosted: Boosted) -> Answer:
    """Return the function from rows to answers; what each raw output begins with is a tree of one leaf."""
    forest = boosted.forest
    begun = replace(
        forest,
        trees=(*(leaf(base) for base in boosted.base), *forest.trees),
        output_of=(*range(forest.outputs), *forest.output_of),
    )
    content = begun.to_onnx(boosted.link, single=True)
    return Session(content, check_onnx(content), "Y")


def _check_described(boosted: Boosted, manifest: Manifest) -> None:
    task = _TASKS[boosted.link]
    if task != manifest.task:
        raise ValueError(f"its objective is {boosted.objective!r}, a {task}, and the manifest says {manifest.task}")
    if boosted.forest.width != len(manifest.inputs):
        raise ValueError(f"it takes {boosted.forest.width} inputs, and the manifest names {len(manifest.inputs)}")
    if task == "multiclass" and boosted.forest.outputs != len(manifest.outputs):
        raise ValueError(f"it has {boosted.forest.outputs} classes, the manifest names {len(manifest.outputs)} outputs")
    if boosted.names and boosted.names != manifest.inputs and sorted(boosted.names) == sorted(manifest.inputs):
        raise ValueError(f"its inputs are {', '.join(boosted.names)}, the manifest has them in another order")


def _refused(manifest: Manifest, why: str) -> IntegrityError:
    return IntegrityError(
        f"model {manifest.name!r} version {manifest.version} cannot be loaded",
        why=why,
        fix="write it with Booster.save_model('model.ubj') and register the file's bytes unchanged",
    )
