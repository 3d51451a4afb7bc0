"""Reads XGBoost's JSON and UBJSON strictly: what is not proven to be trees over known features is refused.

XGBoost computes in single precision: a row's values and the thresholds are float32. They are kept as the doubles
they are equal to.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from steward.models.formats import ubjson
from steward.models.formats.onnx_trees import LESS, Forest, Tree

MAX_BYTES = 256 << 20
MAX_CLASSES = 1_000

LINKS = {
    "reg:squarederror": "identity", "reg:absoluteerror": "identity", "reg:quantileerror": "identity",
    "reg:pseudohubererror": "identity", "reg:squaredlogerror": "identity",
    "binary:logistic": "logistic", "reg:logistic": "logistic",
    "count:poisson": "exponential", "reg:gamma": "exponential", "reg:tweedie": "exponential",
    "multi:softprob": "softmax", "multi:softmax": "softmax",
}  # fmt: skip
"""XGBoost's objective, to how its raw output becomes the answer."""


class Unsupported(ValueError):
    """The file is an XGBoost model, of a sort that is not served yet.

    Example:
        >>> Unsupported("the booster gblinear").args
        ('the booster gblinear',)
    """


@dataclass(frozen=True)
class Boosted:
    """A checked model.

    Attributes:
        forest: Its trees.
        base: The raw output that each class begins with.
        link: How the raw output becomes the answer: ``identity``, ``logistic``, ``exponential`` or ``softmax``.
        names: The feature names in it; empty if it was trained without.
        objective: XGBoost's name for what it was trained for.
        covers: For each tree, how much training weight came by each node.

    Example:
        >>> Boosted(Forest((), (), 1, 1, LESS), (0.5,), "identity", (), "reg:squarederror", ()).base
        (0.5,)
    """

    forest: Forest
    base: tuple[float, ...]
    link: str
    names: tuple[str, ...]
    objective: str
    covers: tuple[Sequence[float], ...]


class _TreeParam(Struct):
    num_nodes: int
    num_feature: int
    size_leaf_vector: int = 1


class _Tree(Struct):
    left_children: list[int]
    right_children: list[int]
    split_indices: list[int]
    split_conditions: list[float]
    default_left: list[bool]
    sum_hessian: list[float]
    tree_param: _TreeParam
    split_type: list[int] = []
    categories: list[int] = []


class _Trees(Struct):
    trees: list[_Tree]
    tree_info: list[int]


class _Booster(Struct):
    name: str
    model: _Trees | None = None


class _LearnerParam(Struct):
    base_score: str
    num_class: int
    num_feature: int
    num_target: int = 1


class _Objective(Struct):
    name: str


class _Learner(Struct):
    gradient_booster: _Booster
    learner_model_param: _LearnerParam
    objective: _Objective
    feature_names: list[str] = []
    attributes: dict[str, str] = {}


class _File(Struct):
    learner: _Learner
    version: tuple[int, int, int]


def check(content: bytes) -> Boosted:
    """Prove that a file is a model of boosted trees, as XGBoost writes it.

    Raises:
        ValueError: It is not; the message says where.
        Unsupported: It is, of a sort that is not served yet.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
    try:
        plain = msgspec.json.decode(content) if content[:2] in {b'{"', b"{\n"} else ubjson.decode(content)
        # XGBoost writes its whole numbers as text, and booleans as 0 and 1
        learner = msgspec.convert(plain, _File, strict=False).learner
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"it is not what XGBoost writes: {error}") from error
    _check_kind(learner)
    parameters = learner.learner_model_param
    classes, width = max(parameters.num_class, 1), parameters.num_feature
    link = LINKS[learner.objective.name]
    if not (0 < width <= 1 << 20 and classes <= MAX_CLASSES) or (classes > 1) != (link == "softmax"):
        raise ValueError(f"it has {classes} classes and {width} features, with {learner.objective.name}")
    if learner.feature_names and len(learner.feature_names) != width:
        raise ValueError(f"it has {len(learner.feature_names)} feature names for {width} features")
    return Boosted(
        forest=_forest(learner, classes, width),
        base=_base(parameters.base_score, classes, link),
        link=link,
        names=tuple(learner.feature_names),
        objective=learner.objective.name,
        covers=tuple(tree.sum_hessian for tree in _trees(learner).trees),
    )


def _check_kind(learner: _Learner) -> None:
    if learner.gradient_booster.name != "gbtree":
        raise Unsupported(f"the booster {learner.gradient_booster.name[:60]!r} is not supported yet, only gbtree")
    if learner.objective.name not in LINKS:
        raise Unsupported(f"the objective {learner.objective.name[:60]!r} is not supported yet")
    if learner.learner_model_param.num_target != 1:
        raise Unsupported("more than one target is not supported yet")
    if "best_iteration" in learner.attributes:
        raise Unsupported("it was stopped early and holds trees after its best: save booster[: best_iteration + 1]")


def _trees(learner: _Learner) -> _Trees:
    if learner.gradient_booster.model is None:
        raise ValueError("it has no trees")
    return learner.gradient_booster.model


def _forest(learner: _Learner, classes: int, width: int) -> Forest:
    found = _trees(learner)
    if len(found.tree_info) != len(found.trees) or any(not 0 <= output < classes for output in found.tree_info):
        raise ValueError("its trees do not say which class they are for")
    trees = []
    for index, tree in enumerate(found.trees):
        try:
            trees.append(_checked(tree, width))
        except Unsupported:
            raise
        except ValueError as error:
            raise ValueError(f"tree {index}: {error}") from error
    return Forest(tuple(trees), tuple(found.tree_info), outputs=classes, width=width, comparison=LESS)


def _checked(tree: _Tree, width: int) -> Tree:
    if tree.categories or any(tree.split_type):
        raise Unsupported("categorical splits are not supported yet")
    if tree.tree_param.size_leaf_vector > 1:
        raise Unsupported("leaves of several values are not supported yet")
    nodes = len(tree.left_children)
    columns = (tree.right_children, tree.split_indices, tree.split_conditions, tree.default_left, tree.sum_hessian)
    if nodes != tree.tree_param.num_nodes or any(len(column) != nodes for column in columns) or not nodes:
        raise ValueError("its columns are not of one length")
    _check_shape(tree.left_children, tree.right_children)
    if not all(map(math.isfinite, tree.split_conditions)) or any(not 0 <= at < width for at in tree.split_indices):
        raise ValueError("it has a number that is not finite, or splits on a feature that is not there")
    numbers = [_single(number) for number in tree.split_conditions]
    return Tree(tree.left_children, tree.right_children, tree.split_indices, numbers, tree.default_left, numbers)


def _check_shape(left: Sequence[int], right: Sequence[int]) -> None:
    """Each node but the root has one parent, which came before it: then every walk ends at a leaf."""
    if any((a < 0) != (b < 0) for a, b in zip(left, right, strict=True)):
        raise ValueError("a node has one child only")
    children = [child for pair in zip(left, right, strict=True) for child in pair if child >= 0]
    if sorted(children) != list(range(1, len(left))):
        raise ValueError("its nodes do not form a tree")
    if any(0 <= child <= parent for side in (left, right) for parent, child in enumerate(side)):
        raise ValueError("its nodes do not form a tree")


def _base(text: str, classes: int, link: str) -> tuple[float, ...]:
    """Return the raw output that each class begins with; since 3.1 there may be one for each."""
    try:
        scores = [_single(float(part)) for part in text.removeprefix("[").removesuffix("]").split(",")]
    except ValueError as error:
        raise ValueError("its base_score is not a number") from error
    if len(scores) not in {1, classes} or not all(map(math.isfinite, scores)):
        raise ValueError("its base_score is not one number for each class")
    if link == "logistic":
        if not 0.0 < scores[0] < 1.0:
            raise ValueError("its base_score is no probability")
        scores = [-math.log(1.0 / scores[0] - 1.0)]
    elif link == "exponential":
        if scores[0] <= 0.0:
            raise ValueError("its base_score is not above 0")
        scores = [math.log(scores[0])]
    return tuple(scores * classes if len(scores) == 1 else scores)


def _single(number: Any) -> float:
    """Return the float32 next to a number, as a double."""
    try:
        value: float = struct.unpack("<f", struct.pack("<f", number))[0]
    except OverflowError as error:
        raise ValueError("it has a number that is too large for single precision") from error
    return value
