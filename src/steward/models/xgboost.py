"""Gradient-boosted trees in XGBoost's JSON or UBJSON format, walked by ONNX Runtime.

XGBoost's own call costs about 50 µs a row through its C interface and 150 µs through its Python package; the same
trees in ONNX Runtime cost 4. Rows are rounded to single precision first, as XGBoost does it, so that each row comes to
the very same leaves; the leaves are added up in double precision, where XGBoost rounds each sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from steward.errors import EngineError, IntegrityError
from steward.models.manifest import Manifest
from steward.models.onnx_proto import check as check_onnx
from steward.models.onnx_session import Session
from steward.models.tabular import Answer, TabularModel, tabular
from steward.models.xgboost_json import Boosted, Unsupported, check

FILES = ("model.json", "model.ubj")
_TASKS = {"identity": "regression", "exponential": "regression", "logistic": "binary", "softmax": "multiclass"}


def load(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> TabularModel:
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
    model = tabular(manifest, digest, answer_of(boosted))
    model.arithmetic = "float32"
    return model


def answer_of(boosted: Boosted) -> Answer:
    """Return the function from rows to answers."""
    content = boosted.forest.to_onnx()
    walk, link, base = Session(content, check_onnx(content), "Y"), _LINKS[boosted.link], np.array(boosted.base)

    def answer(rows: Any) -> Any:
        with np.errstate(over="ignore"):  # what is too large for single precision is infinite to XGBoost, too
            return link(walk(rows.astype(np.float32).astype(np.float64)) + base)

    return answer


def _logistic(raw: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-raw))


def _softmax(raw: Any) -> Any:
    powers = np.exp(raw - raw.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


_LINKS: Mapping[str, Callable[[Any], Any]] = {
    "identity": lambda raw: raw,
    "exponential": np.exp,
    "logistic": _logistic,
    "softmax": _softmax,
}


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
