"""What exact TreeSHAP needs to know of an ensemble, worked out once.

A split's contribution is the integral, over t from 0 to 1, of what is gained by knowing its input, where each other
input is known with probability t and else averaged over the training rows that came by (Owen's multilinear extension,
taken along its diagonal; it is the Shapley value). For a tree with d different inputs on a path that is a polynomial
of degree d - 1, so a Gauss-Legendre sum of d / 2 points is exact. All points are computed side by side:

* down the tree, each split hands ``weight · r`` to the child the row does not take, the rest to the one it takes, with
  ``r = (1 - t) · (share of training rows that take the other child)``;
* up the tree, ``value = taken - r · (taken - other)``;
* the split's input gains ``(weight · r) · (taken - other) / (1 - t)``.

So a split costs a handful of vector operations and nothing grows with 2^d. Where an input is asked again further down,
``r`` and the gain are corrected by what was known before (a *profile*), and there is none to gain where the row was
sent off the path by the same input before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from steward.models.attribution.trees import Missing, Question, Trees

LANES: Final = 4
"""Points are computed four at a time: what a core's vector registers hold."""
MAX_POINTS: Final = 64
"""Enough for 128 different inputs on one path."""
LINKS: Final = 5
REALS: Final = 3
_WORD: Final = 32
ALWAYS: Final = 0
"""The edge above a split whose input was not asked before: the row is always on it."""


@dataclass(frozen=True, eq=False)
class ShapTable:
    """Flat arrays for the kernels. A *run* is a stretch of trees of one output and one number of points.

    Attributes:
        width: How many inputs a row has.
        bias: The expected raw output, for each output.
        questions: ``(m, 3)`` of input, ``Missing`` and default direction.
        bounds: Where each question's set of categories begins among ``words``, and where the last one ends.
        words: Sets of categories as bits.
        links: For each split: left child, right child (both times points), question, edge above with the same input,
            profile.
        reals: For each split: threshold, the share of training rows that is off the path if the row goes right,
            if it goes left.
        leaves: Values.
        trees: ``(n, 3)`` of first split, number of splits, first leaf.
        runs: ``(r, 5)`` of output, first tree, last tree + 1, points, first profile.
        profiles: For each profile and each point: the factor of r, and then of the gain.
        weights: For each run and each point, its weight divided by 1 - t.
        most: The largest number of splits of a tree.

    Example:
        >>> from steward.models.attribution.trees import Grown, plant
        >>> question = Question(0, Missing.NONE)
        >>> stump = Grown((question,), (5.5,), (~0,), (~1,), (24.0,), (6.0, 18.0), (10.0, 20.0))
        >>> ShapTable.of(plant([stump], width=1)).reals.tolist()
        [5.5, 0.25, 0.75]
    """

    width: int
    bias: Any
    questions: Any
    bounds: Any
    words: Any
    links: Any
    reals: Any
    leaves: Any
    trees: Any
    runs: Any
    profiles: Any
    weights: Any
    most: int

    @property
    def size_bytes(self) -> int:
        """The memory that the table takes."""
        return sum(value.nbytes for value in vars(self).values() if isinstance(value, np.ndarray))

    @classmethod
    def of(cls, trees: Trees) -> ShapTable:
        """Work out the table.

        Raises:
            ValueError: There are more than 128 different inputs on one path.
        """
        paths = [_Paths(trees, at) for at in range(len(trees))]
        keys = [(int(output), path.points) for output, path in zip(trees.output, paths, strict=True)]
        order = sorted(range(len(paths)), key=lambda at: (keys[at], at))
        profiles, links = _Profiles(), np.empty((len(trees.threshold), LINKS), np.uint32)
        runs: list[list[int]] = []
        for place, at in enumerate(order):
            output, points = keys[at]
            if not runs or (runs[-1][0], runs[-1][3]) != keys[at]:
                runs.append([output, place, place, points, profiles.begin(points)])
            runs[-1][2] = place + 1
            links[trees.splits(at)] = paths[at].links(profiles)
        bounds, words = _sets(trees.questions)
        counts = np.diff(trees.first_split)
        facts = np.stack((trees.first_split[:-1], counts, trees.first_split[:-1] + np.arange(len(paths))), axis=1)
        return cls(
            width=trees.width,
            bias=np.array(trees.bias()),
            questions=np.array([(q.input, q.missing, q.default_left) for q in trees.questions], np.uint32).reshape(
                -1, 3
            ),
            bounds=bounds,
            words=words,
            links=links.reshape(-1),
            reals=np.stack((trees.threshold, trees.left_share, trees.right_share), axis=1).reshape(-1),
            leaves=trees.value,
            trees=facts[order].astype(np.uint32),
            runs=np.array(runs, np.uint32).reshape(-1, 5),
            profiles=np.array(profiles.numbers),
            weights=np.concatenate([np.empty(0), *(_weights(points) for _, _, _, points, _ in runs)]),
            most=int(counts.max(initial=0)),
        )


class _Paths:
    """The paths of one tree: where an input was asked before, and what share of training rows had come by."""

    def __init__(self, trees: Trees, at: int) -> None:
        splits = trees.splits(at)
        inputs = [question.input for question in trees.questions]
        self._asked = trees.question[splits].tolist()
        self._left, self._right = trees.left[splits].tolist(), trees.right[splits].tolist()
        shares = zip(trees.left_share[splits].tolist(), trees.right_share[splits].tolist(), strict=True)
        self._before: list[tuple[int, float]] = []
        most = 0
        seen: list[dict[int, tuple[int, float]]] = [{} for _ in self._asked]
        for split, share in enumerate(shares):
            known, input_ = seen[split], inputs[self._asked[split]]
            above, before = known.get(input_, (ALWAYS, 1.0))
            self._before.append((above, before))
            most = max(most, len(known) + (input_ not in known))
            for side, child in enumerate((self._left[split], self._right[split])):
                if child < len(seen):
                    seen[child] = {**known, input_: (2 + 2 * split + side, before * share[side])}
            seen[split] = {}
        self.points = max(LANES, -(-most // (2 * LANES)) * LANES)
        if self.points > MAX_POINTS:
            raise ValueError(f"{most} different inputs are on one path, more than {2 * MAX_POINTS}")

    def links(self, profiles: _Profiles) -> Any:
        columns = zip(self._left, self._right, self._asked, self._before, strict=True)
        rows = [
            (left * self.points, right * self.points, asked, above, profiles.of(self.points, above, before))
            for left, right, asked, (above, before) in columns
        ]
        return np.array(rows, np.uint32).reshape(-1, LINKS)


class _Profiles:
    """Factors of r and of the gain; equal ones are kept once. Those of a run follow each other, the first is for 0."""

    def __init__(self) -> None:
        self.numbers: list[float] = []
        self._first = 0
        self._known: dict[float, int] = {}

    def begin(self, points: int) -> int:
        """Begin a run: its profile 0 is of an input that the row was sent off by before."""
        self._first, self._known = len(self.numbers), {}
        self.numbers += [1.0] * points + [0.0] * points
        return self._first

    def of(self, points: int, above: int, before: float) -> int:
        """Return where the profile stands in the run, if ``before`` of the training rows came by."""
        at = self._known.get(before)
        if at is None:
            at = self._known[before] = len(self.numbers) - self._first
            t = gauss_legendre(points)[0]
            known = np.ones(points) if above == ALWAYS else 1.0 / (t + (1.0 - t) * before)
            self.numbers += [*((1.0 - t) * before * known).tolist(), *known.tolist()]
        return at


def gauss_legendre(points: int) -> tuple[Any, Any]:
    """Return points and weights that integrate polynomials up to degree 2 · points - 1 exactly over 0..1.

    Example:
        >>> t, weight = gauss_legendre(4)
        >>> round(float(weight @ t**7), 12)
        0.125
    """
    at, weight = np.polynomial.legendre.leggauss(points)
    return (at + 1.0) / 2.0, weight / 2.0


def _weights(points: int) -> Any:
    at, weight = gauss_legendre(points)
    return weight / (1.0 - at)


def _sets(questions: Sequence[Question]) -> tuple[Any, Any]:
    words = [list(_words(question)) for question in questions]
    bounds = np.cumsum([0, *map(len, words)])
    return bounds.astype(np.int64), np.array([word for each in words for word in each], np.uint32)


def _words(question: Question) -> Iterator[int]:
    left = question.categories if question.missing is Missing.CATEGORY else 0
    while left:
        yield left & 0xFFFF_FFFF
        left >>= _WORD
