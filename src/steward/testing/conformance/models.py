"""The promises of :mod:`steward.models.port`, as tests that each model engine inherits.

Example of a suite for one's own engine::

    class TestMyEngine(ModelConformance):
        def load(self) -> LoadedModel:
            return MyModel(...)
"""

from __future__ import annotations

from math import inf, isnan, log, nan
from typing import Any, cast

import numpy as np
import pytest

from steward.errors import EngineError
from steward.models.port import Attributing, Classifying, LoadedModel

STUMP = b"""tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=0
objective=regression
feature_names=hour
feature_infos=[0:23]
tree_sizes=253

Tree=0
num_leaves=2
num_cat=0
split_feature=0
split_gain=450
threshold=5.5
decision_type=2
left_child=-1
right_child=-2
leaf_value=10 20
leaf_weight=6 18
leaf_count=6 18
internal_value=17.5
internal_weight=24
internal_count=24
is_linear=0
shrinkage=1


end of trees
"""
"""The smallest LightGBM model: 10 before half past five, 20 after it."""


class ModelConformance:
    """One test for each promise of a model; an engine's suite inherits it and gives ``load``.

    Example:
        >>> sorted(name for name in vars(ModelConformance) if name.startswith("test_"))[:2]
        ['test_batch_equals_rows', 'test_missing_is_nan']
    """

    knows_missing = True
    """Whether the format has a meaning for missing values; without one, a row that lacks a value is answered NaN."""

    def load(self) -> LoadedModel:
        """Load the model under test, anew at each call, from the same bytes."""
        raise NotImplementedError

    def rows(self, model: LoadedModel, count: int, *, missing: float = 0.1) -> Any:
        """Return ``count`` rows that the model may be asked, with a share of values ``missing``."""
        drawn = np.random.default_rng(7)
        rows = drawn.normal(size=(count, len(model.inputs)))
        rows[drawn.random(rows.shape) < missing] = nan
        return rows

    @pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 16, 257, 1000])
    def test_batch_equals_rows(self, count: int) -> None:
        """``predict`` of n rows gives bit for bit what ``predict_one`` gives for each."""
        model = self.load()
        rows = self.rows(model, count)
        batch = model.predict(rows)
        assert batch.shape == (count,)
        assert batch.dtype == np.float64
        assert batch.tobytes() == np.array([model.predict_one(row) for row in rows.tolist()], dtype=float).tobytes()
        assert model.predict(np.asfortranarray(rows)).tobytes() == batch.tobytes()
        if count:  # rows given as plain lists are rows too
            assert model.predict(rows.tolist()).tobytes() == batch.tobytes()

    def test_same_bytes_same_answer(self) -> None:
        """The same artefact, loaded twice, answers the same."""
        first, second = self.load(), self.load()
        rows = self.rows(first, 100)
        assert first.predict(rows).tobytes() == second.predict(rows).tobytes()
        assert first.digest == second.digest
        assert first.digest.startswith("sha256:")

    def test_missing_is_nan(self) -> None:
        """NaN stands for a missing value and is answered, not refused."""
        model = self.load()
        empty = [nan] * len(model.inputs)
        rows = self.rows(model, 50, missing=0.5)
        if self.knows_missing:
            assert -inf < model.predict_one(empty) < inf
            assert np.isfinite(model.predict(rows)).all()
        else:
            assert isnan(model.predict_one(empty))
            assert (np.isnan(model.predict(rows)) == np.isnan(rows).any(axis=1)).all()

    def test_wrong_width_is_refused(self) -> None:
        """Rows of another width raise ``EngineError``, and the model still answers after that."""
        model = self.load()
        right = self.rows(model, 2)
        before = model.predict(right).tobytes()
        for width in {0, len(model.inputs) - 1, len(model.inputs) + 1}:
            with pytest.raises(EngineError):
                model.predict_one([1.0] * width)
            with pytest.raises(EngineError):
                model.predict(np.ones((2, width)))
        with pytest.raises(EngineError):
            model.predict(np.ones(len(model.inputs)))
        assert model.predict(right).tobytes() == before


class AttributingConformance(ModelConformance):
    """The promise of models that can say what each input contributed, beside those of every model.

    Example:
        >>> [name for name in vars(AttributingConformance) if name.startswith("test_")]
        ['test_attribution_adds_up']
    """

    def raw(self, model: LoadedModel, rows: Any) -> Any:
        """Return the raw output for ``rows``: the answer, or its log-odds if that is a probability."""
        answers = model.predict(rows)
        return np.array([log(p / (1 - p)) for p in answers.tolist()]) if model.task == "binary" else answers

    def test_attribution_adds_up(self) -> None:
        """Contributions and bias sum to the raw prediction (to 1e-6 relative)."""
        model = self.load()
        rows = self.rows(model, 100)
        parts = cast("Attributing", model).attribute(rows)
        assert parts.shape == (100, len(model.inputs) + 1)
        np.testing.assert_allclose(parts.sum(axis=1), self.raw(model, rows), rtol=1e-6, atol=1e-9)
        assert np.ptp(parts[:, -1]) == 0, "the bias is the same for each row"
        with pytest.raises(EngineError):
            cast("Attributing", model).attribute(rows[:, 1:])


class ClassifyingConformance(ModelConformance):
    """The promises of models that tell several labels apart, beside those of every model.

    Example:
        >>> [name for name in vars(ClassifyingConformance) if name.startswith("test_")]
        ['test_likeliest_label_is_predicted', 'test_probabilities_of_a_batch_equal_rows']
    """

    def test_likeliest_label_is_predicted(self) -> None:
        """The answer is the place of the highest probability among ``outputs``, the first of equals."""
        model = self.load()
        classifier = cast("Classifying", model)
        assert model.task == "multiclass"
        assert len(set(classifier.outputs)) == len(classifier.outputs) > 1
        rows = self.rows(model, 200, missing=0.1 if self.knows_missing else 0.0)
        places = model.predict(rows)
        assert set(places.tolist()) <= set(range(len(classifier.outputs)))
        assert len(set(places.tolist())) > 1, "rows that all get one label prove nothing"
        assert places.tolist() == np.argmax(classifier.probabilities(rows), axis=1).tolist()
        assert places.tolist() == [model.predict_one(row) for row in rows.tolist()]

    @pytest.mark.parametrize("count", [0, 1, 2, 5, 257])
    def test_probabilities_of_a_batch_equal_rows(self, count: int) -> None:
        """Probabilities of n rows are bit for bit those of each, and those of a row add up to 1 (to 1e-6)."""
        model = self.load()
        classifier = cast("Classifying", model)
        rows = self.rows(model, count, missing=0.1 if self.knows_missing else 0.0)
        batch = classifier.probabilities(rows)
        assert batch.shape == (count, len(classifier.outputs))
        assert batch.dtype == np.float64
        assert batch.tobytes() == np.array([classifier.probabilities_one(row) for row in rows.tolist()]).tobytes()
        np.testing.assert_allclose(batch.sum(axis=1), 1.0, rtol=1e-6)
        assert ((batch >= 0.0) & (batch <= 1.0)).all()
        with pytest.raises(EngineError):
            classifier.probabilities(np.ones((2, len(model.inputs) + 1)))
        with pytest.raises(EngineError):
            classifier.probabilities_one([1.0] * (len(model.inputs) + 1))
