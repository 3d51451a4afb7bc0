"""Turns what a notebook has trained into files that a registry keeps, and says what to compare them with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from steward.errors import DeclarationError
from steward.models.compilation.originals import Original
from steward.models.manifest import Task


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A model as files of one kind.

    Attributes:
        kind: The engine that answers from them.
        files: Each file's name and bytes.
        inputs: Names of the input columns, as the model tells them; empty if it does not.
        task: What it answers.
        outputs: The labels of a classifier.
        original: What was trained, to compare with.
        rows: Further rows to compare on.

    Example:
        >>> Converted(kind="linear", files={"model.json": b"{}"}, inputs=("hour",), task="regression").outputs
        ()
    """

    kind: str
    files: Mapping[str, bytes]
    inputs: tuple[str, ...]
    task: Task
    outputs: tuple[str, ...] = ()
    original: Original | None = None
    rows: Any = field(default=None, repr=False)


def from_lightgbm(model: Any) -> Converted:
    """Convert a ``Booster``, ``LGBMClassifier`` or ``LGBMRegressor``.

    Raises:
        DeclarationError: It learned from a data frame's categories, whose codes only that frame knows.
    """
    import lightgbm  # noqa: PLC0415 - the caller has it

    booster = getattr(model, "booster_", model)
    if booster.pandas_categorical:
        raise DeclarationError(
            "a LightGBM model that learned from categories of a data frame cannot be registered",
            why="what it takes are codes that only that data frame knows",
            fix="train it on numbers of your own for the categories, with categorical_feature=...",
            field="model",
        )
    text = booster.model_to_string()
    objective = next((line[10:] for line in text.splitlines()[:20] if line.startswith("objective=")), "")
    classes = list(getattr(model, "classes_", range(booster.num_model_per_iteration())))
    kind: Task = "regression"
    if objective.startswith("multiclass"):
        kind = "multiclass"
    elif objective.startswith(("binary", "cross_entropy")):
        kind = "binary"
    return Converted(
        kind="lightgbm",
        files={"model.txt": text.encode()},
        inputs=tuple(booster.feature_name()),
        task=kind,
        outputs=labels(classes, kind),
        original=Original(f"lightgbm {lightgbm.__version__}", partial(booster.predict, num_threads=1)),
    )


def from_xgboost(model: Any) -> Converted:
    """Convert a ``Booster``, ``XGBClassifier`` or ``XGBRegressor``; only the trees up to the best one, if it knows it.

    Raises:
        DeclarationError: It takes another number than NaN for a missing value.
    """
    import xgboost  # noqa: PLC0415 - the caller has it

    wrapped = not isinstance(model, xgboost.Booster)
    if wrapped and not math.isnan(model.missing):
        raise DeclarationError(
            f"an XGBoost model that takes {model.missing} for a missing value cannot be registered",
            fix="train it with missing=float('nan')",
            field="model",
        )
    booster = model.get_booster() if wrapped else model
    best = booster.attributes().get("best_iteration")
    booster = booster[: int(best) + 1] if best is not None else booster.copy()
    booster.set_attr(best_iteration=None, best_score=None)
    columns = booster.feature_names
    booster.feature_names = None
    file = bytes(booster.save_raw("json"))
    predict = getattr(model, "predict_proba", None) or booster.inplace_predict
    task = _xgboost_task(file)
    return Converted(
        kind="xgboost",
        files={"model.json": file},
        inputs=tuple(columns or ()),
        task=task,
        outputs=labels(getattr(model, "classes_", None), task),
        # A booster is compared as it is read back: it says multi:softmax for the label alone.
        original=Original(f"xgboost {xgboost.__version__}", predict) if wrapped else None,
    )


def _xgboost_task(file: bytes) -> Task:
    from steward.models.formats.xgboost_json import Unsupported, check  # noqa: PLC0415 - engines are loaded when used

    try:
        link = check(file).link
    except Unsupported as error:
        raise DeclarationError("this XGBoost model cannot be registered", why=str(error), field="model") from error
    tasks: Mapping[str, Task] = {"logistic": "binary", "softmax": "multiclass"}
    return tasks.get(link, "regression")


def labels(classes: Any, task: Task) -> tuple[str, ...]:
    """Return a classifier's labels as text; none where they are only no and yes as 0 and 1.

    Example:
        >>> labels([0, 1], "binary"), labels(["ham", "spam"], "binary"), labels([0, 1, 2], "multiclass")
        ((), ('ham', 'spam'), ('0', '1', '2'))
    """
    told = () if classes is None or task == "regression" else tuple(str(each) for each in classes)
    return (
        () if task == "binary" and (len(told) != 2 or set(told) <= {"0", "1", "False", "True", "0.0", "1.0"}) else told
    )


def from_sklearn(model: Any, width: int, inputs: Sequence[str] = ()) -> Iterator[Callable[[], Converted]]:
    """Yield ways to convert a fitted estimator, the best first: each may fail, or turn out to be inexact.

    Args:
        model: The estimator.
        width: How many inputs it takes.
        inputs: Their names, if the caller knows better than the model.

    Raises:
        DeclarationError: It is a classifier without probabilities.
    """
    from sklearn.base import is_classifier  # noqa: PLC0415 - the caller has it

    classes = list(getattr(model, "classes_", ())) if is_classifier(model) else []
    if classes and not hasattr(model, "predict_proba"):
        raise DeclarationError(
            f"{type(model).__name__} cannot be registered",
            why="it answers with a label only, and tells no probabilities",
            fix="wrap it in sklearn.calibration.CalibratedClassifierCV, or choose another classifier",
            field="model",
        )
    task: Task = "regression" if not classes else "binary" if len(classes) == 2 else "multiclass"
    about = _About(
        inputs=tuple(inputs) or tuple(map(str, getattr(model, "feature_names_in_", ()))),
        task=task,
        outputs=labels(classes, task),
        original=_sklearn_original(model, classes=bool(classes)),
    )
    yield partial(_linear, model, width, about)
    yield partial(_trees, model, width, about)
    yield partial(_onnx, model, width, about, double=True)
    yield partial(_onnx, model, width, about, double=False)
    yield partial(_skops, model, about)


@dataclass(frozen=True, kw_only=True)
class _About:
    inputs: tuple[str, ...]
    task: Task
    outputs: tuple[str, ...]
    original: Original

    def made(self, kind: str, **files: bytes) -> Converted:
        named = {name.replace("_", "."): content for name, content in files.items()}
        return Converted(kind=kind, files=named, **vars(self))


class Unfit(ValueError):
    """A model cannot be converted this way; another may do.

    Example:
        >>> Unfit("it is not linear").args
        ('it is not linear',)
    """


def _sklearn_original(model: Any, *, classes: bool) -> Original:
    import sklearn  # noqa: PLC0415 - the caller has it

    predict = model.predict_proba if classes else model.predict

    def answer(rows: Any) -> Any:
        import warnings  # noqa: PLC0415 - only here

        with warnings.catch_warnings():
            # It may have learned from a data frame; that its columns have no names here is known.
            warnings.filterwarnings("ignore", "X does not have valid feature names")
            return predict(rows)

    return Original(f"scikit-learn {sklearn.__version__} {type(model).__name__}", answer)


_LINEAR = {
    "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet", "ElasticNetCV", "BayesianRidge",
    "HuberRegressor", "LogisticRegression", "LogisticRegressionCV",
}  # fmt: skip


def _linear(model: Any, width: int, about: _About) -> Converted:
    """Fold a linear model, and the scaler and imputer before it, into one coefficient for each input."""
    from steward.models.engines.linear import LinearFile, Term  # noqa: PLC0415 - engines are loaded when used

    *before, last = [step for _, step in model.steps] if hasattr(model, "steps") else [model]
    if type(last).__name__ not in _LINEAR or about.task == "multiclass" or np.size(last.coef_) != width:
        raise Unfit("it is not linear")
    weights, intercept = np.ravel(last.coef_).astype(float), float(np.ravel(last.intercept_)[0])
    means, fill = np.zeros(width), None
    for step in reversed(before):
        kind = type(step).__name__
        if kind == "StandardScaler":
            weights = weights / (step.scale_ if step.scale_ is not None else 1.0)
            means = step.mean_ if step.mean_ is not None else means
            intercept -= math.fsum(weights * means)
        elif kind == "SimpleImputer" and not step.add_indicator and len(step.statistics_) == width:
            fill = step.statistics_.astype(float)
        elif step != "passthrough":
            raise Unfit(f"{kind} stands before it")
    terms = zip(about.inputs or _numbered(width), weights, means, means if fill is None else fill, strict=True)
    file = LinearFile(intercept=intercept, terms=tuple(Term(name, *map(float, told)) for name, *told in terms))
    return about.made("linear", model_json=file.to_bytes())


def _numbered(width: int) -> Sequence[str]:
    return [f"input_{at}" for at in range(width)]


def _trees(model: Any, width: int, about: _About) -> Converted:
    """Write trees in double precision: skl2onnx loses where missing values go, and rounds thresholds."""
    from steward.models.registration.sklearn_trees import to_onnx  # noqa: PLC0415 - as above

    content, rows = to_onnx(model, width)
    return replace(about.made("onnx", model_onnx=content), rows=rows)


def _onnx(model: Any, width: int, about: _About, *, double: bool) -> Converted:
    try:
        from skl2onnx import to_onnx  # noqa: PLC0415 - an extra, only to convert
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType  # noqa: PLC0415
    except ImportError as error:
        raise Unfit("skl2onnx is not installed: pip install 'steward-aios[sklearn]'") from error
    kind = (DoubleTensorType if double else FloatTensorType)([None, width])
    options = {"zipmap": False} if about.task != "regression" else {}
    made = to_onnx(model, initial_types=[("X", kind)], options={id(model): options}, target_opset=_OPERATORS)
    return about.made("onnx", model_onnx=made.SerializeToString())


_OPERATORS = {"": 18, "ai.onnx.ml": 3}
"""Versions of ONNX's operators that every runtime of the last years knows."""


def _skops(model: Any, about: _About) -> Converted:
    try:
        from skops.io import dumps  # noqa: PLC0415 - an extra, only to write
    except ImportError as error:
        raise Unfit("skops is not installed: pip install 'steward-aios[skops]'") from error
    return about.made("skops", model_skops=dumps(model))
