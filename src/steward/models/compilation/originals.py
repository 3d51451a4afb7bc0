"""What a model is compared with at its registration: another way to compute the same answers.

For trees that is the library that has grown them, where it is installed, or a walk of our own over their tables; for a
linear model a sum without rounding. What is a function itself has no other original.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import msgspec
import numpy as np

from steward.models.compilation.sampling import sample
from steward.models.manifest import Manifest


@dataclass(frozen=True)
class Original:
    """A way to compute a model's answers that shares nothing with its engine.

    Attributes:
        name: What computes them.
        answer: Takes ``(n, k)`` rows, NaN where a value is missing, and returns ``(n,)`` answers or ``(n, c)``
            probabilities. It may raise ``ValueError`` if it knows no missing values.

    Example:
        >>> Original("sum", lambda rows: rows.sum(axis=1)).name
        'sum'
    """

    name: str
    answer: Callable[[Any], Any]


def original_of(manifest: Manifest, files: Mapping[str, bytes]) -> tuple[Original | None, Any]:
    """Return the original of a checked model, if there is one, and a sample of rows to compare it on."""
    find = _ORIGINALS.get(manifest.kind)
    if find is None:
        return None, sample(len(manifest.inputs))
    (content,) = files.values()
    return find(content, len(manifest.inputs), manifest.task)


def _linear(content: bytes, width: int, task: str) -> tuple[Original | None, Any]:
    from steward.models.engines.linear import LinearFile  # noqa: PLC0415 - engines are loaded when used

    model = msgspec.json.decode(content, type=LinearFile)
    weights = [term.coefficient for term in model.terms]
    fill = np.array([term.missing for term in model.terms])

    def answer(rows: Any) -> Any:
        filled = np.where(np.isnan(rows), fill, rows).tolist()
        raw = [math.fsum((model.intercept, *(w * x for w, x in zip(weights, row, strict=True)))) for row in filled]
        return _logistic(np.array(raw)) if task == "binary" else np.array(raw)

    middle = np.array([term.mean for term in model.terms])
    return Original("sums without rounding", answer), sample(width, middle=middle)


def _lightgbm(content: bytes, width: int, task: str) -> tuple[Original | None, Any]:
    from steward.models.attribution.trees import ZERO  # noqa: PLC0415 - as above
    from steward.models.attribution.trees_lightgbm import thresholds, trees_of  # noqa: PLC0415 - as above
    from steward.models.formats.lightgbm_text import check  # noqa: PLC0415 - as above

    checked = check(content)
    name, *parameters = checked.objective.split(" ")
    link = _link(name, parameters)
    try:
        trees = trees_of(checked)
    except ValueError:  # without counts of training rows there are no tables
        return None, sample(width)
    rows = sample(width, thresholds(checked))
    if link is None:
        return None, rows

    def answer(given: Any) -> Any:
        return link(trees.raw(np.where(np.abs(given) <= ZERO, 0.0, given)))  # as the library reads its rows

    return Original("a walk over its trees", answer), rows


def _link(objective: str, parameters: list[str]) -> Callable[[Any], Any] | None:
    """Return how LightGBM makes answers of raw outputs, where that is known."""
    told = dict(each.split(":", 1) for each in parameters if ":" in each)
    if objective in {"binary", "cross_entropy"}:
        slope = float(told.get("sigmoid", "1"))
        return lambda raw: _logistic(slope * raw[:, 0])
    if objective in {"poisson", "gamma", "tweedie"}:
        return lambda raw: np.exp(raw[:, 0])
    if objective == "multiclass":
        return _softmax
    return None if parameters and objective == "regression" else (lambda raw: raw[:, 0])  # its square root, say


def _xgboost(content: bytes, width: int, task: str) -> tuple[Original | None, Any]:
    from steward.models.attribution.trees_xgboost import trees_of  # noqa: PLC0415 - as above
    from steward.models.formats.xgboost_json import check  # noqa: PLC0415 - as above

    boosted = check(content)
    rows = sample(width, boosted.forest.thresholds(), single=True)
    if find_spec("xgboost") is None:
        trees, link = trees_of(boosted), _LINKS[boosted.link]
        return Original("a walk over its trees", lambda given: link(trees.raw(given))), rows
    import xgboost  # noqa: PLC0415 - an extra; it is the original, not the engine

    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(content))
    booster.set_param({"nthread": 1})
    # A file says multi:softmax for the label alone, which is what the probabilities are for.
    booster.set_param({"objective": boosted.objective.replace("softmax", "softprob")})
    return Original(f"xgboost {xgboost.__version__}", booster.inplace_predict), rows


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
_ORIGINALS: Mapping[str, Callable[[bytes, int, str], tuple[Original | None, Any]]] = {
    "lightgbm": _lightgbm,
    "linear": _linear,
    "xgboost": _xgboost,
}

_PACKAGES = {"lightgbm": "lightgbm", "onnx": "onnxruntime", "xgboost": "onnxruntime", "skops": "scikit-learn"}


def engine_name(kind: str) -> str:
    """Return what answers for a kind of model, with its version.

    Example:
        >>> engine_name("linear")
        'native'
    """
    package = _PACKAGES.get(kind)
    return "native" if package is None else f"{package} {version(package)}"
