from __future__ import annotations

from math import nan

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from steward.models.engines.onnx_session import Session
from steward.models.formats.onnx_proto import check
from steward.models.formats.onnx_trees import LESS, LESS_OR_EQUAL, Forest, Tree

STUMP = Tree((1, -1, -1), (2, -1, -1), (0, 0, 0), (5.5, 0.0, 0.0), (True, True, True), (0.0, 10.0, 20.0))


def answered(forest: Forest, rows: object, **how: object) -> list[list[float]]:
    content = forest.to_onnx(**how)  # type: ignore[arg-type]  # names of arguments by test
    onnx.checker.check_model(onnx.load_from_string(content))
    found: list[list[float]] = Session(content, check(content), "Y")(np.array(rows, dtype=np.float64)).tolist()
    return found


@pytest.mark.parametrize(("comparison", "on"), [(LESS, 20.0), (LESS_OR_EQUAL, 10.0)])
def test_a_threshold_belongs_to_the_side_that_the_comparison_says(comparison: int, on: float) -> None:
    forest = Forest((STUMP,), (0,), outputs=1, width=1, comparison=comparison)
    below, above = np.nextafter(5.5, 0), np.nextafter(5.5, 9)
    assert answered(forest, [[below], [5.5], [above], [nan]]) == [[10.0], [on], [20.0], [10.0]]


def test_single_precision_is_that_of_the_input_only() -> None:
    fine = Tree(STUMP.left, STUMP.right, STUMP.feature, (5.5 + 1e-12, 0.0, 0.0), STUMP.missing_left, (0.0, 0.1, 0.7))
    forest = Forest((fine, fine), (0, 0), outputs=1, width=1, comparison=LESS_OR_EQUAL)
    assert answered(forest, [[5.5 + 5e-12]]) == [[1.4]]
    assert answered(forest, [[5.5 + 5e-12]], single=True) == [[0.2]]


def test_a_tree_of_one_leaf_and_several_outputs() -> None:
    leaf = Tree((-1,), (-1,), (0,), (0.0,), (True,), (7.0,))
    forest = Forest((STUMP, leaf, STUMP), (0, 1, 1), outputs=2, width=1, comparison=LESS)
    assert answered(forest, [[1.0], [nan], [6.0]]) == [[10.0, 17.0], [10.0, 17.0], [20.0, 27.0]]
    assert forest.thresholds()[0].tolist() == [5.5]


@pytest.mark.parametrize(
    ("link", "expected"),
    [("logistic", [[1 / (1 + np.exp(-10.0)), 1 / (1 + np.exp(-7.0))]]), ("exponential", [[np.exp(10), np.exp(7)]]),
     ("softmax", [[1 / (1 + np.exp(-3.0)), 1 / (1 + np.exp(3.0))]])],
)  # fmt: skip
def test_answers_are_made_of_sums(link: str, expected: list[list[float]]) -> None:
    leaf = Tree((-1,), (-1,), (0,), (0.0,), (True,), (7.0,))
    forest = Forest((STUMP, leaf), (0, 1), outputs=2, width=1, comparison=LESS)
    np.testing.assert_allclose(answered(forest, [[1.0]], link=link), expected, rtol=1e-14)


@settings(max_examples=25, deadline=None)
@given(seed=some.integers(0, 1 << 32), trees=some.integers(1, 6))
def test_random_trees_are_walked_as_python_walks_them(seed: int, trees: int) -> None:
    drawn = np.random.default_rng(seed)
    forest = Forest([_grown(drawn) for _ in range(trees)], [0] * trees, outputs=1, width=3, comparison=LESS_OR_EQUAL)
    rows = drawn.normal(size=(50, 3)).round(1)
    rows[drawn.random(rows.shape) < 0.2] = nan
    expected = [[sum(_walk(tree, row) for tree in forest.trees)] for row in rows.tolist()]
    np.testing.assert_allclose(answered(forest, rows), expected, rtol=1e-12, atol=1e-12)


def _grown(drawn: np.random.Generator) -> Tree:
    left, right, open_leaves = [-1], [-1], [0]
    for _ in range(int(drawn.integers(0, 9))):
        at = open_leaves.pop(int(drawn.integers(0, len(open_leaves))))
        left[at], right[at] = len(left), len(left) + 1
        open_leaves += [left[at], right[at]]
        left += [-1, -1]
        right += [-1, -1]
    count = len(left)
    return Tree(
        left,
        right,
        drawn.integers(0, 3, count).tolist(),
        drawn.normal(size=count).round(1).tolist(),
        (drawn.random(count) < 0.5).tolist(),
        drawn.normal(size=count).tolist(),
    )


def _walk(tree: Tree, row: list[float]) -> float:
    at = 0
    while tree.left[at] >= 0:
        value = row[tree.feature[at]]
        goes_left = tree.missing_left[at] if value != value else value <= tree.threshold[at]
        at = tree.left[at] if goes_left else tree.right[at]
    return tree.value[at]
