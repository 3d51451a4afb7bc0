"""Ensembles that the tests of attribution share: trained ones, made-up ones, and Shapley values by their definition."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from math import factorial
from typing import Any

import lightgbm
import numpy as np
from hypothesis import strategies as st

from steward.models.attribution.trees import Grown, Missing, Question, Trees, plant
from steward.models.attribution.trees_lightgbm import trees_of
from steward.models.formats.lightgbm_text import check

WIDTH = 6


@cache
def rows(count: int = 200, seed: int = 3) -> Any:
    """Return rows with missing values, zeros and codes of categories (the last input), some never seen."""
    drawn = np.random.default_rng(seed)
    made = drawn.normal(size=(count, WIDTH))
    made[drawn.random(made.shape) < 0.1] = np.nan
    made[drawn.random(made.shape) < 0.1] = 0.0
    made[:, -1] = drawn.integers(-1, 45, count)
    made[::17, -1] = np.nan
    return made


@cache
def boosted(objective: str = "regression", trees: int = 12, **parameters: Any) -> lightgbm.Booster:
    drawn = np.random.default_rng(11)
    seen = rows(1500, 5)
    score = (
        np.nan_to_num(seen[:, 0] * 2 + np.sin(seen[:, 1])) + np.nan_to_num(seen[:, -1]) % 3 + drawn.normal(size=1500)
    )
    answers = {"binary": score > 1, "multiclass": np.clip(score, 0, 2).astype(int)}.get(objective, score)
    options = {"objective": objective, "num_leaves": 15, "verbosity": -1, "num_threads": 1, "seed": 5, **parameters}
    categories = [WIDTH - 1] if options.pop("categorical", False) else []
    seen = seen if not categories else np.where(seen < 0, np.abs(seen), seen)
    return lightgbm.train(options, lightgbm.Dataset(seen, answers, categorical_feature=categories), trees)


def trees_from(booster: lightgbm.Booster) -> Trees:
    return trees_of(check(booster.model_to_string().encode()))


def shapley(trees: Trees, row: Any) -> Any:
    """Return Shapley values and bias of one output by their definition: every coalition of inputs, from scratch."""
    answers = trees.answers(row[None])[0]
    inputs = [question.input for question in trees.questions]

    def expected(tree: int, split: int, known: frozenset[int]) -> float:
        splits = trees.splits(tree)
        count = splits.stop - splits.start
        if split >= count:
            return float(trees.value[trees.leaves(tree)][split - count])
        at = splits.start + split
        left, right, asked = int(trees.left[at]), int(trees.right[at]), int(trees.question[at])
        if inputs[asked] in known:
            return expected(tree, left if answers[asked] <= trees.threshold[at] else right, known)
        parts = expected(tree, left, known), expected(tree, right, known)
        return float(trees.left_share[at] * parts[0] + trees.right_share[at] * parts[1])

    def worth(known: frozenset[int]) -> float:
        return trees.base[0] + sum(expected(tree, 0, known) for tree in range(len(trees)))

    values = np.zeros(trees.width + 1)
    for one in range(trees.width):
        others = [each for each in range(trees.width) if each != one]
        for size in range(trees.width):
            weight = factorial(size) * factorial(trees.width - size - 1) / factorial(trees.width)
            for some in combinations(others, size):
                values[one] += weight * (worth(frozenset({*some, one})) - worth(frozenset(some)))
    values[-1] = worth(frozenset())
    return values


@st.composite
def grown(draw: st.DrawFn, width: int = 4, most: int = 7, output: int = 0) -> Grown:
    """Draw a tree: any shape, inputs asked again and again, categories, branches that no training row took."""
    splits = draw(st.integers(0, most))
    numbers = st.floats(-2, 2).map(lambda value: round(value, 2))
    if not splits:
        return Grown((), (), (), (), (), (1.0,), (draw(numbers),), output)
    children: list[list[int]] = [[0, 0] for _ in range(splits)]
    free = [(0, 0), (0, 1)]
    for split in range(1, splits):
        parent, side = free.pop(draw(st.integers(0, len(free) - 1)))
        children[parent][side] = split
        free += [(split, 0), (split, 1)]
    for leaf, (parent, side) in enumerate(free):
        children[parent][side] = ~leaf
    leaves = [float(draw(st.integers(0, 9))) for _ in free]
    cover = [0.0] * splits
    for split in reversed(range(splits)):
        while True:
            cover[split] = sum(cover[child] if child >= 0 else leaves[~child] for child in children[split])
            if cover[split]:
                break
            leaves = [each or 1.0 for each in leaves]
    for split in reversed(range(splits)):
        cover[split] = sum(cover[child] if child >= 0 else leaves[~child] for child in children[split])
    asked = [draw(questions(width)) for _ in range(splits)]
    return Grown(
        questions=asked,
        thresholds=[0.0 if each.categories else draw(numbers) for each in asked],
        left=[left for left, _ in children],
        right=[right for _, right in children],
        splits_cover=cover,
        leaves_cover=leaves,
        values=[draw(numbers) for _ in free],
        output=output,
    )


def questions(width: int) -> st.SearchStrategy[Question]:
    inputs, sides = st.integers(0, width - 1), st.booleans()
    numeric = st.builds(Question, inputs, st.sampled_from((Missing.NONE, Missing.ZERO, Missing.NAN)), sides)
    return numeric | st.builds(Question, inputs, st.just(Missing.CATEGORY), sides, st.integers(1, 2**40))


def ensembles(width: int = 4) -> st.SearchStrategy[Trees]:
    return st.lists(grown(width), min_size=1, max_size=3).map(lambda drawn: plant(drawn, width=width, base=(0.5,)))


def given_rows(width: int = 4) -> st.SearchStrategy[Any]:
    numbers = st.floats(-3, 3).map(lambda value: round(value, 2)) | st.sampled_from((np.nan, 0.0, 5.0, 33.0, -np.inf))
    return st.lists(numbers, min_size=width, max_size=width).map(np.array)
