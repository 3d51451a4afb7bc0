"""Trees in LightGBM's text, as tables; the text is proven to be well-formed before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from steward.models.attribution.trees import Grown, Missing, Question, Trees, plant
from steward.models.formats.lightgbm_text import Checked

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_WORD = 32
_RANGE = re.compile(rb"\[([-+.0-9e]+):([-+.0-9e]+)\]")


def trees_of(checked: Checked) -> Trees:
    """Return the trees of a checked model.

    Raises:
        ValueError: Its counts of training rows do not add up.

    Example:
        >>> from steward.models.formats.lightgbm_text import check
        >>> from steward.testing.conformance.models import STUMP
        >>> trees_of(check(STUMP)).raw([[3.0]]).tolist()
        [[10.0]]
    """
    return plant(_grown(checked), width=len(checked.names), base=(0.0,) * checked.classes)


def _grown(checked: Checked) -> Iterator[Grown]:
    _, *blocks = checked.text.partition(b"\nend of trees\n")[0].split(b"\nTree=")
    for index, block in enumerate(blocks):
        fields = dict(line.split(b"=", 1) for line in block.split(b"\n")[1:] if line)
        yield _tree(fields, index % checked.classes)


def _tree(fields: dict[bytes, bytes], output: int) -> Grown:
    values = _reals(fields[b"leaf_value"])
    if len(values) == 1:
        return Grown((), (), (), (), (), (1.0,), values, output)
    sets = _sets(fields) if fields[b"num_cat"] != b"0" else []
    inputs, types = _integers(fields[b"split_feature"]), _integers(fields[b"decision_type"])
    thresholds = _reals(fields[b"threshold"])
    asked = zip(inputs, types, thresholds, strict=True)
    return Grown(
        questions=[_question(at, kind, sets[int(cut)] if kind & _CATEGORICAL else 0) for at, kind, cut in asked],
        thresholds=[0.0 if kind & _CATEGORICAL else cut for kind, cut in zip(types, thresholds, strict=True)],
        left=_integers(fields[b"left_child"]),
        right=_integers(fields[b"right_child"]),
        splits_cover=_reals(fields[b"internal_count"]),
        leaves_cover=_reals(fields[b"leaf_count"]),
        values=values,
        output=output,
    )


def _question(at: int, kind: int, categories: int) -> Question:
    if kind & _CATEGORICAL:
        return Question(at, Missing.CATEGORY, default_left=False, categories=categories)
    missing = Missing(kind >> 2 & 3)
    return Question(at, missing, default_left=missing is not Missing.NONE and bool(kind & _DEFAULT_LEFT))


def _sets(fields: dict[bytes, bytes]) -> list[int]:
    """Return each set of categories as a whole number; the text has it in words of 32 bits, lowest first."""
    bounds, words = _integers(fields[b"cat_boundaries"]), _integers(fields[b"cat_threshold"])
    return [sum(word << _WORD * at for at, word in enumerate(words[first:last])) for first, last in pairwise(bounds)]


def _integers(text: bytes) -> list[int]:
    return list(map(int, text.split(b" ")))


def _reals(text: bytes) -> list[float]:
    return list(map(float, text.split(b" ")))


def thresholds(checked: Checked) -> dict[int, Any]:
    """Return by input the different thresholds that its numbers are compared with, lowest first.

    Example:
        >>> from steward.models.formats.lightgbm_text import check
        >>> from steward.testing.conformance.models import STUMP
        >>> thresholds(check(STUMP))[0].tolist(), ranges(check(STUMP))
        ([5.5], {0: (0.0, 23.0)})
    """
    found: dict[int, set[float]] = {}
    for tree in _grown(checked):
        for question, threshold in zip(tree.questions, tree.thresholds, strict=True):
            if not question.categories:
                found.setdefault(question.input, set()).add(threshold)
    return {at: np.array(sorted(each)) for at, each in found.items()}


def ranges(checked: Checked) -> dict[int, tuple[float, float]]:
    """Return by input the lowest and the highest number seen in training, where the text tells: ``[low:high]``."""
    line = re.search(rb"^feature_infos=(.*)$", checked.text, re.MULTILINE)
    infos = line[1].split(b" ") if line else []
    found = ((at, _RANGE.fullmatch(info)) for at, info in enumerate(infos))
    return {at: (float(ends[1]), float(ends[2])) for at, ends in found if ends}
