"""Isotonic and beta calibrators: fitted as others fit them, registered like models, in front of a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.artefacts import clock, linear_file, manifest

from steward.errors import DeclarationError, EngineError, IntegrityError
from steward.models.calibration import beta, isotonic
from steward.models.calibration.calibrators import FILE, INPUTS, CalibratedModel, Calibrator
from steward.models.engines.linear import LinearFile, LinearModel, Term
from steward.models.registry import FolderRegistry

ROWS = st.lists(st.tuples(st.integers(0, 40).map(lambda n: n / 40), st.booleans()), min_size=1, max_size=80)


def overconfident(count: int = 4000, seed: int = 3) -> tuple[Any, Any]:
    """Return probabilities that are too far out, and what happened."""
    drawn = np.random.default_rng(seed)
    raw = 2 * drawn.normal(size=count)
    true = 1 / (1 + np.exp(-0.4 * raw + 0.3))
    return 1 / (1 + np.exp(-raw)), (drawn.random(count) < true).astype(float)


def error(told: Any, happened: Any, bins: int = 10) -> float:
    """Return the expected calibration error over bins of equal size."""
    order = np.argsort(told)
    parts = [(told[part].mean(), happened[part].mean()) for part in np.array_split(order, bins)]
    return float(np.mean([abs(a - b) for a, b in parts]))


@given(ROWS)
def test_isotonic_is_scikit_learns(rows: list[tuple[float, bool]]) -> None:
    sklearn = pytest.importorskip("sklearn.isotonic")
    told, happened = np.array([p for p, _ in rows]), np.array([float(h) for _, h in rows])
    theirs = sklearn.IsotonicRegression(out_of_bounds="clip").fit(told, happened)
    ours = isotonic.fit(told, happened).function()
    asked = np.linspace(-0.1, 1.1, 97)
    assert [ours(p) for p in asked.tolist()] == pytest.approx(theirs.predict(asked).tolist(), abs=1e-9)


def test_corners_may_lie_as_close_as_numbers_can() -> None:
    apply = isotonic.fit([0.0, 5e-324, 1e-323], [0, 0, 1]).function()
    assert [apply(p) for p in (0.0, 5e-324, 1e-323, 1.0)] == [0.0, 0.0, 1.0, 1.0]


def test_beta_is_the_logistic_regression_that_the_paper_makes_of_it() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    told, happened = overconfident()
    theirs = linear.LogisticRegression(C=1e6, tol=1e-10, max_iter=1000)
    theirs.fit(np.column_stack([np.log(told), -np.log1p(-told)]), happened)
    ours = beta.fit(told, happened)
    assert [ours.a, ours.b, ours.c] == pytest.approx([*theirs.coef_[0], *theirs.intercept_], rel=1e-3)


def test_beta_leaves_out_what_would_make_it_fall() -> None:
    drawn = np.random.default_rng(4)
    told = drawn.random(4000)
    found = beta.fit(told, drawn.random(4000) < 1 - told)
    assert (found.a, found.b) == (0.0, 0.0)
    assert found.function()(0.1) == found.function()(0.9) == pytest.approx(0.5, abs=0.03)


def test_beta_is_finite_where_rows_are_told_apart_without_a_mistake() -> None:
    found = beta.fit([0.0, 0.1, 0.9, 1.0], [0, 0, 1, 1])
    assert [round(found.function()(p), 3) for p in (0.0, 0.1, 0.9, 1.0)] == [0.0, 0.0, 1.0, 1.0]
    assert max(abs(found.a), abs(found.b), abs(found.c)) < 1e6
    assert beta.fit([0.3, 0.6], [1, 1]).function()(0.5) > 0.99


@pytest.mark.parametrize("kind", [isotonic, beta])
def test_what_is_told_comes_true_as_often_as_it_says(kind: Any) -> None:
    told, happened = overconfident()
    apply = kind.fit(told[:2000], happened[:2000]).function()
    raw, mended = told[2000:], np.array([apply(p) for p in told[2000:].tolist()])
    assert error(mended, happened[2000:]) < 0.3 * error(raw, happened[2000:])


@given(ROWS, st.sampled_from([isotonic, beta]))
def test_more_is_never_told_as_less(rows: list[tuple[float, bool]], kind: Any) -> None:
    file = kind.fit([p for p, _ in rows], [h for _, h in rows])
    apply = file.function()
    answers = [apply(p) for p in (0.0, 5e-324, 1e-300, *(n / 97 for n in range(1, 98)), 1.0)]
    assert answers == sorted(answers)
    assert 0 <= answers[0] <= answers[-1] <= 1
    assert np.isnan(apply(float("nan")))
    assert msgspec.json.decode(file.to_bytes(), type=type(file)) == file


@pytest.mark.parametrize("kind", ["isotonic", "beta"])
def test_a_calibrator_is_registered_and_answers_rows_and_batches_alike(kind: str, tmp_path: Path) -> None:
    fitted = {"isotonic": isotonic, "beta": beta}[kind].fit(*overconfident())
    registry = FolderRegistry(tmp_path)
    made = registry.register(
        "fraud-map", kind=kind, files={FILE: fitted.to_bytes()}, inputs=INPUTS, task="calibrator", clock=clock()
    )
    loaded = registry.load("fraud-map")
    assert (loaded.digest, loaded.version, loaded.task) == (made.digest, "1", "calibrator")
    asked = np.linspace(0, 1, 33)[:, None]
    assert loaded.predict(asked).tolist() == [loaded.predict_one([p]) for [p] in asked.tolist()]
    for wrong in (lambda: loaded.predict_one([0.1, 0.2]), lambda: loaded.predict([[0.1, 0.2]])):
        with pytest.raises(EngineError, match="one probability a row"):
            wrong()


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("isotonic", b'{"format":"steward.isotonic/1","told":[0.1],"true":[1.5]}'),
        ("isotonic", b'{"format":"steward.isotonic/1","told":[0.2,0.1],"true":[0.1,0.2]}'),
        ("isotonic", b'{"format":"steward.isotonic/1","told":[0.1,0.2],"true":[0.2,0.1]}'),
        ("isotonic", b'{"format":"steward.isotonic/1","told":[],"true":[]}'),
        ("isotonic", b'{"format":"steward.beta/1","told":[0.1],"true":[0.5]}'),
        ("beta", b'{"format":"steward.beta/1","a":-1.0,"b":1.0,"c":0.0}'),
        ("beta", b'{"format":"steward.beta/1","a":1.0,"b":1.0}'),
        ("beta", b"?"),
    ],
)
def test_a_file_that_is_no_calibrator_is_refused(kind: str, content: bytes, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="cannot be loaded"):
        FolderRegistry(tmp_path).register(
            "c", kind=kind, files={FILE: content}, inputs=INPUTS, task="calibrator", clock=clock()
        )


def test_a_calibrator_is_of_its_task_with_one_file(tmp_path: Path) -> None:
    content = isotonic.fit([0.1, 0.9], [0, 1]).to_bytes()
    facts: list[dict[str, Any]] = [
        {"files": {FILE: content}, "inputs": INPUTS, "task": "binary"},
        {"files": {FILE: content}, "inputs": ("p",), "task": "calibrator"},
        {"files": {"other.json": content}, "inputs": INPUTS, "task": "calibrator"},
    ]
    for fact in facts:
        with pytest.raises(IntegrityError):
            FolderRegistry(tmp_path).register("c", kind="isotonic", clock=clock(), **fact)


@pytest.mark.parametrize(
    ("told", "happened"), [([0.1], [0, 1]), ([], []), ([1.2], [1]), ([0.2], [0.5]), ([float("nan")], [1])]
)
def test_only_probabilities_and_what_happened_are_fitted_to(told: list[float], happened: list[float]) -> None:
    for kind in (isotonic, beta):
        with pytest.raises(DeclarationError, match="a calibrator is fitted to"):
            kind.fit(told, happened)


def test_a_model_answers_through_its_calibrator_and_explains_itself() -> None:
    terms = (Term("hour", coefficient=1.0, mean=0.0, missing=0.0),)
    model = LinearModel(LinearFile(intercept=0.0, terms=terms), name="fraud", task="binary")
    through = CalibratedModel(model, Calibrator(lambda p: p / 2, name="halved"))
    assert through.predict([[0.0], [2.0]]).tolist() == [through.predict_one([0.0]), through.predict_one([2.0])]
    assert through.predict_one([0.0]) == 0.25
    assert (through.name, through.digest, through.task) == (model.name, model.digest, model.task)
    assert through.attribute is not None
    assert through.attribute([[2.0]]).tolist() == model.attribute([[2.0]]).tolist()


def test_what_does_not_fit_is_refused() -> None:
    regression = LinearModel(msgspec.json.decode(linear_file(), type=LinearFile), name="load")
    with pytest.raises(DeclarationError, match="no probability"):
        CalibratedModel(regression, Calibrator(lambda p: p, name="same"))
    with pytest.raises(DeclarationError, match="is no calibrator"):
        CalibratedModel(regression, regression)
    assert manifest("linear", "regression", model_json=linear_file()).task == "regression"
