"""TreeSHAP by numpy: level by level over all trees of a run at once; bit for bit what the machine code answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from steward.models.attribution.shap_table import ALWAYS, LINKS, REALS, ShapTable
from steward.models.attribution.trees import Trees

_NUMBERS_AT_ONCE = 1 << 20
"""How many numbers one working array may have: 8 MiB."""


def contributions(trees: Trees, table: ShapTable) -> Callable[[Any, Any, Any], None]:
    """Return what fills ``parts`` (n, k + 1) for rows (n, k) and the output (n,) that is wanted of each."""
    runs = list(_runs(table))

    def contribute(rows: Any, wanted: Any, parts: Any) -> None:
        parts[:, :-1] = 0.0
        parts[:, -1] = table.bias[wanted]
        answers = trees.answers(rows)
        for run in runs:
            mine = np.flatnonzero(wanted == run.output)
            for first in range(0, len(mine), run.rows_at_once):
                some = mine[first : first + run.rows_at_once]
                np.add.at(parts, (some[:, None], table.questions[:, 0]), run.gained(answers[some]))

    return contribute


@dataclass(frozen=True, eq=False)
class _Run:
    """The trees of one output with one number of points, their splits by level."""

    output: int
    factor: Any
    known: Any
    weights: Any
    question: Any
    threshold: Any
    off_share: Any
    children: Any
    above: Any
    is_above_left: Any
    profile: Any
    own: Any
    leaf: Any
    leaves: Any
    levels: tuple[Any, ...]
    order: Any
    questions: int

    @property
    def rows_at_once(self) -> int:
        return max(1, int(_NUMBERS_AT_ONCE // max(self.own.size * self.weights.size, 1)))

    def gained(self, answers: Any) -> Any:
        """Return ``(n, questions)`` gains for ``(n, questions)`` answers."""
        rows = np.arange(len(answers))[:, None]
        left = (answers[:, self.question] <= self.threshold).astype(np.intp)
        splits = np.arange(self.question.size)
        off_factor = self.off_share[splits, left][..., None]
        profile = np.where(self._on(left), self.profile, 0)
        off_factor = off_factor * self.factor[profile]
        taken, other = self.children[splits, 1 - left], self.children[splits, left]
        weight = np.ones((len(answers), self.own.size + self.leaf.size, self.weights.size))
        for level in self.levels:
            own = weight[:, self.own[level]]
            off = own * off_factor[:, level]
            weight[rows, other[:, level]] = off
            weight[rows, taken[:, level]] = own - off
        value = np.empty_like(weight)
        value[:, self.leaf] = self.leaves[:, None]
        gained = np.empty((len(answers), splits.size, self.weights.size))
        for level in reversed(self.levels):
            on = value[rows, taken[:, level]]
            apart = on - value[rows, other[:, level]]
            gained[:, level] = weight[rows, other[:, level]] * self.known[profile[:, level]] * apart
            value[:, self.own[level]] = on - off_factor[:, level] * apart
        return self._summed(gained)

    def _on(self, left: Any) -> Any:
        """Return whether the row is still on the path, by what was asked of the same input before."""
        on = np.ones(left.shape, dtype=bool)
        for level in self.levels[1:]:
            above = self.above[level]
            followed = on[:, above] & (left[:, above] == self.is_above_left[level])
            on[:, level] = np.where(above < 0, True, followed)
        return on

    def _summed(self, gained: Any) -> Any:
        """Add up by question and point in the order of the machine code, and then the points."""
        points = self.weights.size
        places = (self.question[self.order][:, None] * points + np.arange(points)).ravel()
        size = self.questions * points
        totals = np.array([np.bincount(places, each[self.order].ravel(), size) for each in gained])
        totals = totals.reshape(len(gained), self.questions, points)
        summed = np.zeros(totals.shape[:2])
        for point in range(points):
            summed += self.weights[point] * totals[:, :, point]
        return summed


def _runs(table: ShapTable) -> Iterator[_Run]:
    links, reals = table.links.reshape(-1, LINKS).astype(np.intp), table.reals.reshape(-1, REALS)
    begins, first_weight = [*table.runs[1:, 4].tolist(), table.profiles.size], 0
    for (output, first, last, points, begin), end in zip(table.runs.tolist(), begins, strict=True):
        trees = table.trees[first:last].astype(np.intp)
        counts = trees[:, 1]
        splits = np.concatenate([np.arange(at, at + count) for at, count, _ in trees]).astype(np.intp)
        nodes = np.cumsum([0, *(2 * counts + 1)])[:-1]
        node, before = np.repeat(nodes, counts), np.repeat(np.cumsum(counts) - counts, counts)
        local = np.arange(splits.size) - before
        left, right, question, edge, profile = links[splits].T
        above = np.where(edge == ALWAYS, -1, before + (edge - 2) // 2)
        profiles = table.profiles[begin:end].reshape(-1, 2, points)
        children = np.stack((node + left // points, node + right // points), axis=1)
        yield _Run(
            output=output,
            factor=profiles[:, 0],
            known=profiles[:, 1],
            weights=table.weights[first_weight : first_weight + points],
            question=question,
            threshold=reals[splits, 0],
            off_share=reals[splits, 1:],
            children=children,
            above=above,
            is_above_left=(edge - 2) % 2 == 0,
            profile=profile // (2 * points),
            own=node + local,
            leaf=np.concatenate([np.arange(at + n, at + 2 * n + 1) for at, n in zip(nodes, counts, strict=True)]),
            leaves=np.concatenate([table.leaves[at : at + count + 1] for _, count, at in trees]),
            levels=_levels(children, node + local),
            order=np.concatenate(
                [np.arange(n)[::-1] + at for at, n in zip(np.cumsum(counts) - counts, counts, strict=True)]
            ),
            questions=len(table.questions),
        )
        first_weight += points


def _levels(children: Any, own: Any) -> tuple[Any, ...]:
    """Return the places of the splits of each level, roots first."""
    depth = np.zeros(int(max(own.max(initial=0), children.max(initial=0))) + 1, dtype=np.intp)
    for place, (left, right) in enumerate(children.tolist()):
        depth[left] = depth[right] = depth[own[place]] + 1
    levels = depth[own]
    return tuple(np.flatnonzero(levels == at) for at in range(int(levels.max(initial=-1)) + 1))
