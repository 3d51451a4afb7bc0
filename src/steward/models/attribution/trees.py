"""Ensembles of decision trees in one compact form, whatever library grew them.

A *question* is what a split asks of a row: an input with the library's rule for missing values and its default
direction, or whether a category is one of a set. Asked of a row, it has a number for an answer, and each split of each
tree is ``answer <= threshold``: go left. So the rules of the libraries are looked after once a row instead of once a
split.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

ZERO = float(np.float32(1e-35))
"""Up to here a number is zero to LightGBM."""
_CATEGORIES = 2.0**31


class Missing(IntEnum):
    """Which values a split sends its default way.

    Example:
        >>> Missing.NAN.name
        'NAN'
    """

    NONE = 0
    """None: NaN is taken for 0."""
    ZERO = 1
    """NaN and what is nearly 0."""
    NAN = 2
    """NaN."""
    CATEGORY = 3
    """NaN; what is there is looked up in a set of categories, which go left."""


class Question(NamedTuple):
    """What splits ask of a row.

    Attributes:
        input: Which input.
        missing: The rule for missing values.
        default_left: Where they go; of no meaning to ``NONE``.
        categories: The set that goes left, as bits of a whole number; 0 where numbers are compared.

    Example:
        >>> Question(0, Missing.CATEGORY, False, categories=0b101).categories
        5
    """

    input: int
    missing: Missing
    default_left: bool = False
    categories: int = 0


@dataclass(frozen=True)
class Grown:
    """One tree as a library gives it: children of 0 and more are splits, ``~leaf`` is a leaf. Split 0 is the root.

    Example:
        >>> question = Question(0, Missing.NONE)
        >>> Grown((question,), (5.5,), (~0,), (~1,), splits_cover=(24.0,), leaves_cover=(6.0, 18.0), values=(1.0, 2.0))
        Grown(...)
    """

    questions: Sequence[Question]
    thresholds: Sequence[float]
    left: Sequence[int]
    right: Sequence[int]
    splits_cover: Sequence[float]
    leaves_cover: Sequence[float]
    values: Sequence[float]
    output: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Trees:
    """An ensemble as tables; splits and leaves of all trees follow each other, in level order within a tree.

    Attributes:
        width: How many inputs a row has.
        outputs: How many raw outputs there are, one for each class.
        base: What each raw output begins with.
        is_single: Whether a row's values are rounded to float32 first.
        questions: The different ones, by their place in a row of answers.
        question: Which one a split asks.
        threshold: What a split compares its answer with.
        left: The child within the tree: a split below the tree's number of splits, else a leaf after them.
        right: The other child.
        left_share: The share of the split's training rows that went left.
        right_share: The share that went right.
        value: Of each leaf.
        output: Which output a tree adds to.
        first_split: Where each tree's splits begin, and where the last one's end.

    Example:
        >>> question = Question(0, Missing.NONE)
        >>> grown = Grown((question,), (5.5,), (~0,), (~1,), (24.0,), (6.0, 18.0), (10.0, 20.0))
        >>> trees = plant([grown], width=1)
        >>> trees.raw([[3.0], [12.0]]).tolist(), trees.bias()
        ([[10.0], [20.0]], (17.5,))
    """

    width: int
    outputs: int
    base: tuple[float, ...]
    is_single: bool
    questions: tuple[Question, ...]
    question: Any
    threshold: Any
    left: Any
    right: Any
    left_share: Any
    right_share: Any
    value: Any
    output: Any
    first_split: Any

    def __len__(self) -> int:
        return len(self.output)

    def splits(self, tree: int) -> slice:
        """Return where the splits of a tree stand."""
        return slice(int(self.first_split[tree]), int(self.first_split[tree + 1]))

    def leaves(self, tree: int) -> slice:
        """Return where the leaves of a tree stand: each tree before it has one more leaf than splits."""
        return slice(int(self.first_split[tree]) + tree, int(self.first_split[tree + 1]) + tree + 1)

    def answers(self, rows: Any) -> Any:
        """Return ``(n, questions)`` answers for ``(n, k)`` rows."""
        given = np.ascontiguousarray(rows, dtype=np.float64)
        if self.is_single:
            with np.errstate(over="ignore"):
                given = given.astype(np.float32).astype(np.float64)
        answers = np.empty((len(given), len(self.questions)))
        for place, question in enumerate(self.questions):
            answers[:, place] = _answer(question, given[:, question.input])
        return answers

    def raw(self, rows: Any) -> Any:
        """Return ``(n, outputs)`` raw outputs for ``(n, k)`` rows, trees added up in their order."""
        answers = self.answers(rows)
        total = np.tile(np.array(self.base), (len(answers), 1))
        every = np.arange(len(answers))
        for tree, output in enumerate(self.output.tolist()):
            splits, leaves = self.splits(tree), self.leaves(tree)
            count = splits.stop - splits.start
            question, threshold = self.question[splits], self.threshold[splits]
            left, right = self.left[splits], self.right[splits]
            at = np.zeros(len(answers), dtype=np.int64)
            while (under_way := at < count).any():
                rows_on, nodes = every[under_way], at[under_way]
                goes_left = answers[rows_on, question[nodes]] <= threshold[nodes]
                at[under_way] = np.where(goes_left, left[nodes], right[nodes])
            total[:, output] += self.value[leaves][at - count]
        return total

    def bias(self) -> tuple[float, ...]:
        """Return the expected raw outputs over the training rows, as the covers tell."""
        expected = list(self.base)
        for tree, output in enumerate(self.output.tolist()):
            splits = self.splits(tree)
            count = splits.stop - splits.start
            means = [0.0] * count + self.value[self.leaves(tree)].tolist()
            columns = (self.left[splits], self.right[splits], self.left_share[splits], self.right_share[splits])
            for at, (left, right, a, b) in reversed(list(enumerate(zip(*map(_list, columns), strict=True)))):
                means[at] = a * means[left] + b * means[right]
            expected[output] += means[0]
        return tuple(expected)


def plant(grown: Iterable[Grown], *, width: int, base: Sequence[float] = (0.0,), is_single: bool = False) -> Trees:
    """Put trees into tables.

    Args:
        grown: The trees; each must be proven to be one.
        width: How many inputs a row has.
        base: What each raw output begins with; there are as many outputs.
        is_single: Whether a row's values are rounded to float32 first.

    Raises:
        ValueError: A split was passed by no training row, or by others than its children: nothing can be told
            about the share that went each way.
    """
    places: dict[Question, int] = {}
    columns: list[list[Any]] = [[] for _ in range(6)]
    values: list[float] = []
    outputs, first = [], [0]
    for tree in grown:
        order, leaves = _level_order(tree)
        number = {native: at for at, native in enumerate((*order, *leaves))}
        for split in order:
            shares = _shares(tree, split)
            place = places.setdefault(tree.questions[split], len(places))
            children = number[tree.left[split]], number[tree.right[split]]
            for column, cell in zip(columns, (place, tree.thresholds[split], *children, *shares), strict=True):
                column.append(cell)
        values.extend(tree.values[~leaf] for leaf in leaves)
        outputs.append(tree.output)
        first.append(len(columns[0]))
    types: tuple[Any, ...] = (np.uint32, np.float64, np.uint32, np.uint32, np.float64, np.float64)
    arrays = [np.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    question, threshold, left, right, left_share, right_share = arrays
    return Trees(
        width=width,
        outputs=len(base),
        base=tuple(base),
        is_single=is_single,
        questions=tuple(places),
        question=question,
        threshold=threshold,
        left=left,
        right=right,
        left_share=left_share,
        right_share=right_share,
        value=np.array(values, np.float64),
        output=np.array(outputs, np.uint32),
        first_split=np.array(first, np.int64),
    )


def _level_order(tree: Grown) -> tuple[list[int], list[int]]:
    """Return splits and leaves level by level: neighbours in the table do not wait for each other's results."""
    if not tree.questions:
        return [], [~0]
    order, leaves = [0], list[int]()
    for split in order:
        for child in (tree.left[split], tree.right[split]):
            (order if child >= 0 else leaves).append(child)
    return order, leaves


def _shares(tree: Grown, split: int) -> tuple[float, float]:
    whole = tree.splits_cover[split]
    left, right = (
        tree.splits_cover[child] if child >= 0 else tree.leaves_cover[~child]
        for child in (tree.left[split], tree.right[split])
    )
    if not 0.0 < whole < np.inf or abs(left + right - whole) > 1e-9 * whole or min(left, right) < 0.0:
        raise ValueError(f"a split has a count of {whole:g} training rows, its branches have {left:g} and {right:g}")
    return left / whole, right / whole


def _answer(question: Question, given: Any) -> Any:
    """Return what a column of an input answers: -inf always goes left, NaN always right."""
    absent = np.isnan(given)
    default = -np.inf if question.default_left else np.nan
    if question.missing is Missing.NONE:
        return np.where(absent, 0.0, given)
    if question.missing is Missing.ZERO:
        return np.where(absent | (np.abs(given) <= ZERO), default, given)
    if question.missing is Missing.NAN:
        return np.where(absent, default, given)
    known = ~absent & (given > -1.0) & (given < _CATEGORIES)
    codes = np.where(known, given, 0.0).astype(np.int64).tolist()
    inside = np.array([question.categories >> code & 1 for code in codes], dtype=bool)
    return np.where(absent, default, np.where(known & inside, -np.inf, np.nan))


def _list(column: Any) -> list[Any]:
    listed: list[Any] = column.tolist()
    return listed
