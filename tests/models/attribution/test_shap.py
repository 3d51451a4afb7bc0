"""Exact attribution: against its definition, against the libraries, and its two kernels against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from tests.models.forests import boosted, ensembles, given_rows, grown, rows, shapley, trees_from

from steward.models.attribution import shap
from steward.models.attribution.shap import TreeShap
from steward.models.attribution.shap_numba import contributions as by_numba
from steward.models.attribution.shap_numpy import contributions as by_numpy
from steward.models.attribution.shap_table import MAX_POINTS
from steward.models.attribution.trees import Grown, Missing, Question, Trees, plant

KERNELS = pytest.mark.parametrize("kernel", [by_numba, by_numpy], ids=["numba", "numpy"])


@given(ensembles(3), given_rows(3))
@settings(deadline=None, max_examples=50)
def test_it_is_the_shapley_value(trees: Trees, row: Any) -> None:
    parts = TreeShap(trees, by_numba).attribute(row[None])
    np.testing.assert_allclose(parts[0], shapley(trees, row), rtol=1e-9, atol=1e-12)
    assert TreeShap(trees, by_numpy).attribute(row[None]).tobytes() == parts.tobytes()


@given(ensembles(), given_rows())
@settings(deadline=None, max_examples=50)
def test_contributions_add_up_and_what_is_not_asked_has_none(trees: Trees, row: Any) -> None:
    parts = TreeShap(trees, by_numba).attribute(row[None])[0]
    assert parts.sum() == pytest.approx(trees.raw(row[None])[0, 0], abs=1e-12)
    asked = {question.input for question in trees.questions}
    assert all(parts[each] == 0.0 for each in range(trees.width) if each not in asked)


@given(grown(2), given_rows(1))
@settings(deadline=None, max_examples=50)
def test_inputs_that_play_the_same_part_contribute_the_same(tree: Grown, number: Any) -> None:
    """The tree and its mirror image, in which the inputs have changed places, together know no difference."""
    mirrored = [question._replace(input=1 - question.input) for question in tree.questions]
    mirror = Grown(mirrored, *(getattr(tree, name) for name in list(tree.__dataclass_fields__)[1:]))
    parts = TreeShap(plant([tree, mirror], width=2), by_numba).attribute(np.repeat(number, 2)[None])[0]
    assert parts[0] == pytest.approx(parts[1], abs=1e-12)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"objective": "binary"},
        {"objective": "multiclass", "num_class": 3},
        {"objective": "multiclassova", "num_class": 3},
        {"zero_as_missing": True},
        {"use_missing": False},
        {"categorical": True},
        {"categorical": True, "max_cat_to_onehot": 64, "objective": "binary"},
        {"num_leaves": 2, "trees": 30},
        {"num_leaves": 200, "min_data_in_leaf": 1, "trees": 4},
        {"bagging_fraction": 0.5, "bagging_freq": 1},
        {"data_sample_strategy": "goss"},
        {"objective": "quantile"},
        {"min_data_in_leaf": 100_000},
    ],
    ids=str,
)
def test_it_agrees_with_lightgbm(parameters: dict[str, Any]) -> None:
    booster = boosted(**parameters)
    trees, asked = trees_from(booster), rows()
    expected = np.asarray(booster.predict(asked, pred_contrib=True)).reshape(len(asked), trees.outputs, -1)
    explained = TreeShap(trees, by_numba)
    for output in range(trees.outputs):
        parts = explained.attribute(asked, np.full(len(asked), output))
        np.testing.assert_allclose(parts, expected[:, output], rtol=1e-6, atol=1e-12)
    raw = np.asarray(booster.predict(asked, raw_score=True)).reshape(len(asked), -1)
    assert trees.raw(asked).tobytes() == raw.tobytes()


@KERNELS
def test_a_batch_equals_its_rows_bit_for_bit(kernel: shap.Kernel) -> None:
    trees, asked = trees_from(boosted("multiclass", num_class=3, num_leaves=31)), rows()
    explained, outputs = TreeShap(trees, kernel), np.arange(len(asked)) % 3
    batch = explained.attribute(asked, outputs)
    alone = [explained.attribute(asked[at : at + 1], outputs[at : at + 1]) for at in range(len(asked))]
    assert np.concatenate(alone).tobytes() == batch.tobytes()
    assert explained.attribute(np.asfortranarray(asked), outputs).tobytes() == batch.tobytes()
    assert explained.attribute(asked[:0]).shape == (0, trees.width + 1)


def test_both_kernels_are_equal_bit_for_bit() -> None:
    for parameters in ({"num_leaves": 100, "min_data_in_leaf": 2}, {"categorical": True}, {"zero_as_missing": True}):
        trees = trees_from(boosted(**parameters))
        fast, plain = TreeShap(trees, by_numba), TreeShap(trees, by_numpy)
        assert fast.attribute(rows()).tobytes() == plain.attribute(rows()).tobytes()


def chain(length: int) -> Trees:
    """Return a tree whose longest path asks as many different inputs."""
    leaves = [1.0] * (length + 1)
    return plant(
        [
            Grown(
                [Question(at, Missing.NAN) for at in range(length)],
                [0.0] * length,
                [~at for at in range(length)],
                [*range(1, length), ~length],
                [float(length + 1 - at) for at in range(length)],
                leaves,
                [float(at % 7) for at in range(length + 1)],
            )
        ],
        width=length,
    )


@KERNELS
@pytest.mark.parametrize("length", [8, 9, 16, 17, 24, 60, 2 * MAX_POINTS])
def test_long_paths_need_more_points_and_stay_exact(length: int, kernel: shap.Kernel) -> None:
    trees = chain(length)
    row = np.where(np.arange(length) % 3 == 0, -1.0, 1.0)[None]
    parts = TreeShap(trees, kernel).attribute(row)
    assert parts.sum() == pytest.approx(trees.raw(row)[0, 0], rel=1e-12)
    first = TreeShap(trees, kernel).attribute(np.ones((1, length)))[0]
    assert first.sum() == pytest.approx(float(length % 7), rel=1e-9, abs=1e-12)


def test_too_long_paths_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 128"):
        TreeShap(chain(2 * MAX_POINTS + 1))


def test_tables_stay_small() -> None:
    """Nothing grows with 2^depth: a table is about 100 bytes a split, however deep the trees are."""
    trees = trees_from(boosted(num_leaves=200, min_data_in_leaf=1, trees=4))
    assert TreeShap(trees).table.size_bytes < 250 * len(trees.threshold)


@pytest.mark.parametrize("covers", [(0.0, 0.0), (3.0, 4.0)])
def test_counts_that_do_not_add_up_are_refused(covers: tuple[float, float]) -> None:
    whole = 0.0 if covers[0] == 0.0 else 6.0
    with pytest.raises(ValueError, match="training rows"):
        plant([Grown((Question(0, Missing.NONE),), (0.5,), (~0,), (~1,), (whole,), covers, (1.0, 2.0))], width=1)


def test_wrong_rows_and_outputs_are_refused() -> None:
    explained = TreeShap(trees_from(boosted()))
    with pytest.raises(ValueError, match="rows of 6 inputs"):
        explained.attribute(np.ones((2, 5)))
    for outputs in ([0], [0, 1], [0, -1]):
        with pytest.raises(ValueError, match="one output of 1"):
            explained.attribute(np.ones((2, 6)), outputs)


def test_without_numba_numpy_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    shap.fastest.cache_clear()
    monkeypatch.setattr(shap, "is_compiled", lambda: False)
    assert shap.fastest() is by_numpy
    monkeypatch.undo()
    shap.fastest.cache_clear()
    assert shap.fastest() is by_numba
