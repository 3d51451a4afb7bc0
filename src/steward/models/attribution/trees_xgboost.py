"""Trees in XGBoost's files, as tables; the file is proven to be well-formed before.

XGBoost asks ``value < threshold`` of float32 values: that is ``value <=`` the float32 just below the threshold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from steward.models.attribution.trees import Grown, Missing, Question, Trees, plant
from steward.models.formats.onnx_trees import Tree
from steward.models.formats.xgboost_json import Boosted


def trees_of(boosted: Boosted) -> Trees:
    """Return the trees of a checked model; covers are sums of second derivatives, as XGBoost's own attribution has it.

    Raises:
        ValueError: A branch has no cover.

    Example:
        >>> from steward.models.formats.onnx_trees import LESS, Forest
        >>> stump = Tree((1, -1, -1), (2, -1, -1), (0, 0, 0), (5.5, 0, 0), (True, True, True), (0.0, 10.0, 20.0))
        >>> forest = Forest((stump,), (0,), outputs=1, width=1, comparison=LESS)
        >>> trees = trees_of(Boosted(forest, (0.5,), "identity", (), "reg:squarederror", ((24.0, 6.0, 18.0),)))
        >>> trees.raw([[5.5], [5.4]]).tolist(), trees.bias()
        ([[20.5], [10.5]], (18.0,))
    """
    return plant(_grown(boosted), width=boosted.forest.width, base=boosted.base, is_single=True)


def _grown(boosted: Boosted) -> Iterator[Grown]:
    forest = boosted.forest
    for tree, output, covers in zip(forest.trees, forest.output_of, boosted.covers, strict=True):
        yield _tree(tree, output, covers)


def _tree(tree: Tree, output: int, covers: Sequence[float]) -> Grown:
    inner = [at for at, child in enumerate(tree.left) if child >= 0]
    leaves = [at for at, child in enumerate(tree.left) if child < 0]
    number = {at: place for place, at in enumerate(inner)} | {at: ~place for place, at in enumerate(leaves)}
    whole = list(map(float, covers))
    for at in reversed(inner):  # float32 sums of the file differ from their parts in the last digits
        whole[at] = whole[tree.left[at]] + whole[tree.right[at]]
    below = np.nextafter(np.array([tree.threshold[at] for at in inner], np.float32), np.float32(-np.inf))
    return Grown(
        questions=[Question(tree.feature[at], Missing.NAN, bool(tree.missing_left[at])) for at in inner],
        thresholds=below.astype(np.float64).tolist(),
        left=[number[tree.left[at]] for at in inner],
        right=[number[tree.right[at]] for at in inner],
        splits_cover=[whole[at] for at in inner],
        leaves_cover=[whole[at] for at in leaves],
        values=[tree.value[at] for at in leaves],
        output=output,
    )
