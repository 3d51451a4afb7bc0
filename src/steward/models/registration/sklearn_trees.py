"""Writes scikit-learn's trees as ONNX in double precision, missing values included.

Decision trees and forests look at a row rounded to float32 and compare it with float64 thresholds; histogram-based
boosting looks at float64. Where a missing value goes is written at each node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from steward.models.compilation.sampling import sample
from steward.models.formats.onnx_trees import LESS_OR_EQUAL, Forest, Tree, leaf

_FORESTS = {
    "DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor",
    "RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor",
}  # fmt: skip
_BOOSTED = {"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"}
_EXPONENTIAL = {"poisson", "gamma"}


def to_onnx(model: Any, width: int) -> tuple[bytes, Any]:
    """Return the bytes of a model that answers as a fitted forest or boosted trees do, and rows to compare them on.

    Args:
        model: A decision tree, random forest, extra trees, or histogram-based gradient boosting.
        width: How many inputs it takes.

    Raises:
        ValueError: It is none of these, or has categorical splits or several targets.
    """
    kind = type(model).__name__
    if kind not in _FORESTS | _BOOSTED:
        raise ValueError("it is not made of trees that are known here")
    single = kind in _FORESTS
    forest, link = _forest(model, width) if single else _boosted(model, width)
    return forest.to_onnx(link, single=single), sample(width, forest.thresholds(), single=single)


def _forest(model: Any, width: int) -> tuple[Forest, str]:
    """Return a forest whose leaves are shares of the answer; of two classes only the second is told."""
    members = list(getattr(model, "estimators_", [model]))
    classes = len(getattr(model, "classes_", ()))
    if model.n_outputs_ != 1:
        raise ValueError("it has several targets")
    told = {0: (0,), 2: (1,)}.get(classes, range(classes))
    trees = [tree for member in members for tree in _shares(member.tree_, told, len(members), classes)]
    output_of = [output for _ in members for output in range(len(told))]
    return Forest(trees, output_of, len(told), width, comparison=LESS_OR_EQUAL), "identity"


def _shares(tree: Any, told: Sequence[int], members: int, classes: int) -> Iterator[Tree]:
    """Yield the tree once for each class that is told."""
    values = tree.value[:, 0, :]
    if classes:
        values = values / values.sum(axis=1, keepdims=True)
    for column in told:
        yield Tree(
            tree.children_left.tolist(),
            tree.children_right.tolist(),
            tree.feature.tolist(),
            tree.threshold.tolist(),
            tree.missing_go_to_left.astype(bool).tolist(),
            (values[:, column] / members).tolist(),
        )


def _boosted(model: Any, width: int) -> tuple[Forest, str]:
    # The fitted trees have no public name; that they are what they were is found by comparing with the model itself.
    rounds, baseline = model._predictors, np.ravel(model._baseline_prediction)
    if getattr(model, "_preprocessor", None) is not None or any(
        predictor.nodes["is_categorical"].any() for predictors in rounds for predictor in predictors
    ):
        raise ValueError("it splits on categories")
    outputs = len(baseline)
    trees = [leaf(float(each)) for each in baseline]
    output_of = list(range(outputs))
    for predictors in rounds:
        trees += [_nodes(predictor.nodes) for predictor in predictors]
        output_of += range(outputs)
    link = "identity"
    if hasattr(model, "classes_"):
        link = "softmax" if outputs > 1 else "logistic"
    elif model.loss in _EXPONENTIAL:
        link = "exponential"
    return Forest(trees, output_of, outputs, width, comparison=LESS_OR_EQUAL), link


def _nodes(nodes: Any) -> Tree:
    ends = nodes["is_leaf"].astype(bool)
    left, right = (np.where(ends, -1, nodes[side].astype(np.int64)) for side in ("left", "right"))
    return Tree(
        left.tolist(),
        right.tolist(),
        nodes["feature_idx"].tolist(),
        nodes["num_threshold"].tolist(),
        nodes["missing_go_to_left"].astype(bool).tolist(),
        nodes["value"].tolist(),
    )
