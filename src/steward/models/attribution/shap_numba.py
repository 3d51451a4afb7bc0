"""TreeSHAP by machine code that numba makes once and keeps on disk.

The two steps of a split are written as vector instructions: left to itself the compiler cannot prove that the arrays
do not overlap, and goes point by point. No step may be merged or reordered (no fast math), so that numpy's answers are
the same bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import boolean, float32, float64, int64, njit, uint8, uint32, uint64, void
from numba.core import types
from numba.extending import intrinsic

from steward.models.attribution.shap_table import LANES, LINKS, REALS, ShapTable
from steward.models.attribution.trees import ZERO, Missing, Trees

_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_INDEX = ir.IntType(32)
_NIL, _ONE, _TWO, _FOUR, _EIGHT = (np.uint64(n) for n in (0, 1, 2, 4, 8))
_LINKS, _REALS, _LANES = (np.uint64(n) for n in (LINKS, REALS, LANES))
_ASKED, _ABOVE, _PROFILE = (np.uint64(n) for n in (2, 3, 4))
_NONE, _ZERO, _CATEGORY = int(Missing.NONE), int(Missing.ZERO), int(Missing.CATEGORY)


class _Emitter:
    """Writes vector instructions on four numbers of an array."""

    def __init__(self, context: Any, builder: Any) -> None:
        self._context, self.builder = context, builder

    def place(self, kind: Any, array: Any, index: Any) -> Any:
        data = self._context.make_array(kind)(self._context, self.builder, array).data
        return self.builder.bitcast(self.builder.gep(data, [index]), _VECTOR.as_pointer())

    def load(self, place: Any) -> Any:
        loaded = self.builder.load(place)
        loaded.align = 8
        return loaded

    def store(self, value: Any, place: Any) -> None:
        self.builder.store(value, place).align = 8

    def all(self, number: Any) -> Any:
        nothing = ir.Constant(_VECTOR, ir.Undefined)
        first = self.builder.insert_element(nothing, number, ir.Constant(_INDEX, 0))
        return self.builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES))


def _fill(typing: Any, array: Any, at: Any, number: Any) -> Any:
    """Set four numbers from ``at`` on."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        to = _Emitter(context, builder)
        to.store(to.all(given[2]), to.place(signature.args[0], given[0], given[1]))
        return context.get_dummy_value()

    return types.void(array, at, number), emit


def _down(typing: Any, weight: Any, at: Any, taken: Any, other: Any, profiles: Any, profile: Any, share: Any) -> Any:
    """Hand a split's weight to its children."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        to, kinds = _Emitter(context, builder), signature.args
        own = to.load(to.place(kinds[0], given[0], given[1]))
        factor = to.load(to.place(kinds[4], given[4], given[5]))
        off = builder.fmul(own, builder.fmul(to.all(given[6]), factor))
        to.store(off, to.place(kinds[0], given[0], given[3]))
        to.store(builder.fsub(own, off), to.place(kinds[0], given[0], given[2]))
        return context.get_dummy_value()

    return types.void(weight, at, taken, other, profiles, profile, share), emit


def _up(
    typing: Any, value: Any, at: Any, taken: Any, other: Any, weight: Any, profiles: Any, profile: Any, gain: Any,
    share: Any, total: Any, place: Any,
) -> Any:  # fmt: skip
    """Make a split's value of its children's, and add its gain to the total of its question."""

    def emit(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        to, kinds = _Emitter(context, builder), signature.args
        on = to.load(to.place(kinds[0], given[0], given[2]))
        apart = builder.fsub(on, to.load(to.place(kinds[0], given[0], given[3])))
        off = to.load(to.place(kinds[4], given[4], given[3]))
        known = to.load(to.place(kinds[5], given[5], given[7]))
        gained = builder.fmul(builder.fmul(off, known), apart)
        sum_ = to.place(kinds[9], given[9], given[10])
        to.store(builder.fadd(to.load(sum_), gained), sum_)
        factor = to.load(to.place(kinds[5], given[5], given[6]))
        lost = builder.fmul(builder.fmul(to.all(given[8]), factor), apart)
        to.store(builder.fsub(on, lost), to.place(kinds[0], given[0], given[1]))
        return context.get_dummy_value()

    return types.void(value, at, taken, other, weight, profiles, profile, gain, share, total, place), emit


_fill4, _down4, _up4 = intrinsic(_fill), intrinsic(_down), intrinsic(_up)


def _answer(row: Any, is_single: Any, questions: Any, bounds: Any, words: Any, answers: Any) -> None:
    """Ask one row every question; see :meth:`steward.models.attribution.trees.Trees.answers`."""
    for place in range(len(answers)):
        given = row[questions[place, 0]]
        if is_single:
            given = float64(float32(given))
        missing, absent = questions[place, 1], given != given  # noqa: PLR0124 - only NaN is unlike itself
        if missing == _NONE:
            answers[place] = 0.0 if absent else given
        elif absent or (missing == _ZERO and -ZERO <= given <= ZERO):
            answers[place] = -np.inf if questions[place, 2] else np.nan
        elif missing == _CATEGORY:
            first, inside = bounds[place], False
            if -1.0 < given < 32 * (bounds[place + 1] - first):
                code = int64(given)
                inside = (words[first + (code >> 5)] >> uint32(code & 31)) & uint32(1) != 0
            answers[place] = -np.inf if inside else np.nan
        else:
            answers[place] = given


def _walk(
    points: Any, links: Any, reals: Any, leaves: Any, profiles: Any, split: Any, splits: Any, leaf: Any, answers: Any,
    weight: Any, value: Any, total: Any, edges: Any, kept: Any,
) -> None:  # fmt: skip
    """Go down one tree and up again, adding all gains to ``total``; see ``shap_table``."""
    for lane in range(_NIL, points, _LANES):
        _fill4(weight, lane, 1.0)
    at = splits * points
    for place in range(splits + _ONE):
        for _ in range(_NIL, points, _LANES):
            _fill4(value, at, leaves[leaf + place])
            at += _LANES
    link, real, edge, at = split * _LINKS, split * _REALS, _TWO, _NIL
    for place in range(splits):
        left = uint64(answers[links[link + _ASKED]] <= reals[real])
        on = uint64(edges[links[link + _ABOVE]])
        edges[edge + left], edges[edge + (left ^ _ONE)] = uint8(0), uint8(on)
        kept[place] = left | (on << _ONE)
        profile = links[link + _PROFILE] * on
        taken, other = uint64(links[link + (left ^ _ONE)]), uint64(links[link + left])
        for lane in range(_NIL, points, _LANES):
            _down4(weight, at + lane, taken + lane, other + lane, profiles, profile + lane, reals[real + _ONE + left])
        link, real, edge, at = link + _LINKS, real + _REALS, edge + _TWO, at + points
    for back in range(splits):
        link, real, at = link - _LINKS, real - _REALS, at - points
        way = uint64(kept[splits - _ONE - back])
        left, profile = way & _ONE, links[link + _PROFILE] * (way >> _ONE)
        taken, other = uint64(links[link + (left ^ _ONE)]), uint64(links[link + left])
        asked = links[link + _ASKED] * points
        for lane in range(_NIL, points, _LANES):
            _up4(
                value, at + lane, taken + lane, other + lane, weight, profiles, profile + lane,
                profile + points + lane, reals[real + _ONE + left], total, asked + lane,
            )  # fmt: skip


_answer_row = njit(_answer)
_walk_tree = njit(_walk, inline="always")


def _contributions(
    rows: Any, wanted: Any, is_single: Any, bias: Any, questions: Any, bounds: Any, words: Any, links: Any, reals: Any,
    leaves: Any, trees: Any, runs: Any, profiles: Any, weights: Any, most: Any, parts: Any,
) -> None:  # fmt: skip
    """Fill ``parts`` (n, k + 1) with what each input contributes to the wanted output of each row, and its bias."""
    answers, most_points = np.empty(len(questions)), 1
    for run in range(len(runs)):
        most_points = max(most_points, runs[run, 3])
    # One block, so that where it lies does not matter: to a core, numbers a multiple of 4 KiB apart look alike.
    nodes, page = (2 * most + 1) * most_points, 512
    start = (nodes // page + 1) * page + page // 2
    scratch = np.empty(start + nodes + len(questions) * most_points)
    weight, value, total = scratch[:nodes], scratch[start : start + nodes], scratch[start + nodes :]
    edges, kept = np.ones(2 * most + 2, uint8), np.empty(most, uint8)
    for row in range(len(rows)):
        _answer_row(rows[row], is_single, questions, bounds, words, answers)
        parts[row, :] = 0.0
        parts[row, -1] = bias[wanted[row]]
        first_weight = 0
        for run in range(len(runs)):
            points = uint64(runs[run, 3])
            if runs[run, 0] == wanted[row]:
                total[: len(questions) * points] = 0.0
                own = profiles[runs[run, 4] :]
                for tree in range(runs[run, 1], runs[run, 2]):
                    split, splits, leaf = uint64(trees[tree, 0]), uint64(trees[tree, 1]), uint64(trees[tree, 2])
                    if points == _FOUR:
                        _walk_tree(
                            _FOUR, links, reals, leaves, own, split, splits, leaf, answers,
                            weight, value, total, edges, kept,
                        )  # fmt: skip
                    elif points == _EIGHT:
                        _walk_tree(
                            _EIGHT, links, reals, leaves, own, split, splits, leaf, answers,
                            weight, value, total, edges, kept,
                        )  # fmt: skip
                    else:
                        _walk_tree(
                            points, links, reals, leaves, own, split, splits, leaf, answers,
                            weight, value, total, edges, kept,
                        )  # fmt: skip
                for place in range(len(questions)):
                    gained = 0.0
                    for point in range(points):
                        gained += weights[first_weight + point] * total[place * points + point]
                    parts[row, questions[place, 0]] += gained
            first_weight += points


_numbers, _naturals = float64[::1], uint32[::1]
_SIGNATURE = void(
    float64[:, ::1], int64[::1], boolean, _numbers, uint32[:, ::1], int64[::1], _naturals, _naturals, _numbers,
    _numbers, uint32[:, ::1], uint32[:, ::1], _numbers, _numbers, int64, float64[:, ::1],
)  # fmt: skip


@cache
def _compiled() -> Any:
    """Return the kernel, made now or taken from disk: where nothing can be kept, it is made at each start."""
    make = partial(njit, _SIGNATURE, nogil=True, error_model="numpy")
    try:
        return make(cache=True)(_contributions)
    except RuntimeError:
        return make()(_contributions)


def contributions(trees: Trees, table: ShapTable) -> Callable[[Any, Any, Any], None]:
    """Return what fills ``parts`` (n, k + 1) for rows (n, k) and the output (n,) that is wanted of each."""
    kernel = _compiled()
    fixed = (
        trees.is_single, table.bias, table.questions, table.bounds, table.words, table.links, table.reals,
        table.leaves, table.trees, table.runs, table.profiles, table.weights, table.most,
    )  # fmt: skip

    def contribute(rows: Any, wanted: Any, parts: Any) -> None:
        kernel(rows, wanted, *fixed, parts)

    return contribute
