from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from tests.models.artefacts import INPUTS, booster, clock, lightgbm_text, linear_file
from tests.models.estimators import LABELS, answers, onnx_file, rows, two_layers, xgboost_file

from steward.errors import DeclarationError, EngineError, IntegrityError, StewardError
from steward.models.engines.tabular import TabularClassifier
from steward.models.registration.registering import Weights, register
from steward.models.registry import FolderRegistry, Registered

X, GAPS = rows(), rows(0.1)
NUMBER, YES, PLACE = answers("regression"), answers("binary").astype(int), answers("multiclass")
WORDS = np.array(LABELS)[PLACE]
ALPHABETIC = tuple(sorted(LABELS))


def registered(model: Any, place: Path, **about: Any) -> Registered:
    return register(model, name="load", registry=place, **{"inputs": INPUTS, "clock": clock(), **about})


@cache
def estimators() -> Mapping[str, tuple[Any, Any, str, str, float]]:
    """Return what is fitted, on what, how it must be registered, and how exact it must be."""
    few: Mapping[str, Any] = {"random_state": 1}
    made: Mapping[str, tuple[Any, Any, Any, str, str, float]] = {
        "a line": (LinearRegression(), X, NUMBER, "linear", "float64", 1e-12),
        "a filled and scaled line": (
            make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), Ridge()),
            GAPS,
            NUMBER,
            "linear",
            "float64",
            1e-12,
        ),
        "a curve": (make_pipeline(PolynomialFeatures(), Ridge()), X, NUMBER, "onnx", "float32", 1e-5),
        "odds": (make_pipeline(StandardScaler(), LogisticRegression()), X, YES, "linear", "float64", 1e-12),
        "odds of three": (LogisticRegression(), X, WORDS, "onnx", "float64", 1e-12),
        "a tree": (DecisionTreeRegressor(max_depth=6), GAPS, NUMBER, "onnx", "float32", 1e-12),
        "a tree of two": (DecisionTreeClassifier(max_depth=6), GAPS, YES, "onnx", "float32", 1e-12),
        "a forest": (RandomForestClassifier(8, max_depth=5, **few), GAPS, WORDS, "onnx", "float32", 1e-12),
        "extra trees": (ExtraTreesRegressor(8, max_depth=5, **few), X, NUMBER, "onnx", "float32", 1e-12),
        "boosted": (HistGradientBoostingRegressor(max_iter=8), GAPS, NUMBER, "onnx", "float64", 1e-12),
        "boosted counts": (
            HistGradientBoostingRegressor(max_iter=8, loss="poisson"), GAPS, np.round(np.exp(NUMBER)), "onnx",
            "float64", 1e-12,
        ),
        "boosted yes": (HistGradientBoostingClassifier(max_iter=8), GAPS, YES, "onnx", "float64", 1e-12),
        "boosted three": (HistGradientBoostingClassifier(max_iter=8), GAPS, PLACE, "onnx", "float64", 1e-12),
        "boosted the old way": (GradientBoostingClassifier(n_estimators=8), X, YES, "onnx", "float32", 1e-5),
    }  # fmt: skip
    return {name: (model.fit(x, y), x, *told) for name, (model, x, y, *told) in made.items()}


@pytest.mark.parametrize("name", estimators())
def test_an_estimator_is_registered_in_its_fastest_exact_form(name: str, tmp_path: Path) -> None:
    model, given, kind, arithmetic, tolerance = estimators()[name]
    made = registered(model, tmp_path, sample=given[:50])
    found = made.manifest.checked
    assert made.manifest.kind == kind
    assert found
    assert (found.arithmetic, found.against.startswith("scikit-learn ")) == (arithmetic, True)
    assert found.largest_difference <= tolerance
    answered = FolderRegistry(tmp_path).load("load")
    whole = given if name not in {"a line", "odds"} else X
    if isinstance(answered, TabularClassifier):
        assert answered.outputs == tuple(map(str, model.classes_))
        np.testing.assert_allclose(answered.probabilities(whole), model.predict_proba(whole), atol=1e-5)
    else:
        wanted = model.predict_proba(whole)[:, 1] if made.manifest.task == "binary" else model.predict(whole)
        np.testing.assert_allclose(answered.predict(whole), wanted, rtol=1e-5, atol=1e-5)


def test_a_line_tells_what_each_input_contributes(tmp_path: Path) -> None:
    model = estimators()["odds"][0]
    registered(model, tmp_path)
    answered: Any = FolderRegistry(tmp_path).load("load")
    np.testing.assert_allclose(answered.attribute(X).sum(axis=1), model.decision_function(X), rtol=1e-9, atol=1e-9)


def test_lightgbm_and_xgboost_are_registered_as_they_are(tmp_path: Path) -> None:
    few: Mapping[str, Any] = {"n_estimators": 5, "n_jobs": 1}
    cases: tuple[tuple[Any, str, str, tuple[str, ...]], ...] = (
        (booster(), "lightgbm", "binary", ()),
        (lightgbm.LGBMRegressor(verbosity=-1, **few).fit(GAPS, NUMBER), "lightgbm", "regression", ()),
        (
            lightgbm.LGBMClassifier(verbosity=-1, **few).fit(GAPS, WORDS),
            "lightgbm",
            "multiclass",
            tuple(sorted(LABELS)),
        ),
        (xgboost.XGBRegressor(**few).fit(GAPS, NUMBER), "xgboost", "regression", ()),
        (xgboost.XGBClassifier(**few).fit(GAPS, YES), "xgboost", "binary", ()),
        (xgboost.XGBClassifier(**few).fit(GAPS, PLACE), "xgboost", "multiclass", ("0", "1", "2")),
    )
    for at, (model, kind, task, outputs) in enumerate(cases):
        made = register(model, name=f"load-{at}", registry=tmp_path, inputs=INPUTS, clock=clock())
        assert (made.manifest.kind, made.manifest.task, made.manifest.outputs) == (kind, task, outputs)
        assert made.manifest.checked
        assert made.manifest.checked.against.startswith(f"{kind} ")


def test_a_model_that_knows_its_inputs_names_them(tmp_path: Path) -> None:
    named = xgboost.train({"nthread": 1}, xgboost.DMatrix(X, NUMBER, feature_names=list(INPUTS)), 2)
    for model in (booster("regression"), named):
        assert registered(model, tmp_path, inputs=()).manifest.inputs == INPUTS


def test_only_the_trees_up_to_the_best_are_registered(tmp_path: Path) -> None:
    model = xgboost.XGBRegressor(n_estimators=200, early_stopping_rounds=2, n_jobs=1)
    model.fit(X, NUMBER, eval_set=[(X[:100], NUMBER[:100] + 1)], verbose=False)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    registered(model, tmp_path)
    np.testing.assert_allclose(FolderRegistry(tmp_path).load("load").predict(X), model.predict(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("content", "task", "kind"),
    [
        (onnx_file("scaled", "multiclass"), "multiclass", "onnx"),
        (lightgbm_text(), "binary", "lightgbm"),
        (linear_file(), "regression", "linear"),
        (xgboost_file("reg:squarederror", "regression"), "regression", "xgboost"),
        (xgboost_file("binary:logistic", "binary", "ubj"), "binary", "xgboost"),
    ],
)
def test_bytes_are_told_by_what_is_in_them(content: bytes, task: str, kind: str, tmp_path: Path) -> None:
    outputs = LABELS if task == "multiclass" else ()
    made = registered(content, tmp_path, task=task, outputs=outputs)
    assert (made.manifest.kind, made.manifest.outputs) == (kind, outputs)


def double(load_mw: float, price_eur: float) -> float:
    return 2 * load_mw + 0 * price_eur


def test_functions_and_weights_are_registered_by_the_hash_of_their_source(tmp_path: Path) -> None:
    made = register(double, name="double", registry=tmp_path, clock=clock())
    assert (made.manifest.kind, made.manifest.inputs) == ("function", ("load_mw", "price_eur"))
    assert FolderRegistry(tmp_path).load("double").predict_one([4.0, 1.0]) == 8.0
    drawn = np.random.default_rng(5)
    tensors = {"first": drawn.normal(size=(5, 8)), "second": drawn.normal(size=(8, 3))}
    made = registered(Weights(two_layers, tensors), tmp_path, task="multiclass", outputs=LABELS)
    answered: Any = FolderRegistry(tmp_path).load("load")
    np.testing.assert_allclose(answered.probabilities(X), two_layers(tensors, X), rtol=1e-12)


def test_the_same_model_again_is_the_same_version(tmp_path: Path) -> None:
    first, second = (registered(booster(), tmp_path) for _ in range(2))
    other = registered(booster("binary", 21), tmp_path)
    assert (first.version, second.version, other.version) == ("1", "1", "2")


CATEGORIES = HistGradientBoostingRegressor(max_iter=2, categorical_features=[4])


@pytest.mark.parametrize(
    ("model", "about", "error", "says"),
    [
        ({"a": 1}, {}, DeclarationError, "builtins.dict cannot be registered"),
        (LinearSVC().fit(X, YES), {}, DeclarationError, "tells no probabilities"),
        (xgboost.XGBRegressor(n_estimators=1, missing=-1).fit(X, NUMBER), {}, DeclarationError, "missing=float"),
        (booster(), {"task": "regression"}, DeclarationError, "is a binary, not a regression"),
        (booster(), {"inputs": ("a",)}, DeclarationError, "takes 5 inputs, 1 are named"),
        (linear_file(), {}, DeclarationError, "give task="),
        (onnx_file("scaled", "multiclass"), {"task": "multiclass"}, DeclarationError, "give outputs="),
        (onnx_file("linear", "regression"), {"task": "regression", "inputs": ()}, DeclarationError, "give inputs="),
        (LinearRegression().fit(X, NUMBER), {"inputs": ()}, DeclarationError, "inputs|names"),
        (b"\x80\x04pickle", {"task": "regression"}, StewardError, "pickle"),
        (b'{"a":1}', {"task": "regression"}, DeclarationError, "no whole model"),
        (lambda a: a, {}, DeclarationError, "at the top of a module"),
        (Weights(two_layers, {"w": np.array([1j])}), {"task": "multiclass"}, DeclarationError, "complex128"),
        (b"tree\nno", {"task": "regression"}, IntegrityError, "cannot be loaded"),
    ],
)
def test_what_cannot_be_registered_says_what_to_do(
    model: Any, about: Mapping[str, Any], error: type[StewardError], says: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says):
        registered(model, tmp_path, **about)
    assert FolderRegistry(tmp_path).names() == ()


def test_an_estimator_of_which_no_form_is_exact_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "steward.models.engines.skops.find_spec", lambda _name: None
    )  # its process takes seconds to start
    for model in (KNeighborsRegressor().fit(X, NUMBER), CATEGORIES.fit(np.abs(X).round(), NUMBER)):
        with pytest.raises(EngineError, match=f"no form of model 'load' answers as {type(model).__name__}") as caught:
            registered(model, tmp_path)
        assert caught.value.code == "model-inexact"
    assert FolderRegistry(tmp_path).names() == ()


def test_probabilities_of_a_wrapped_classifier(tmp_path: Path) -> None:
    model = CalibratedClassifierCV(LinearSVC(), cv=2).fit(X, YES)
    made = registered(model, tmp_path)
    assert (made.manifest.kind, made.manifest.task) == ("onnx", "binary")


def test_a_tolerance_may_be_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steward.models.engines.skops.find_spec", lambda _name: None)
    with pytest.raises(EngineError, match="answers as"):
        registered(estimators()["boosted the old way"][0], tmp_path, tolerance=1e-15)
    made = registered(estimators()["boosted the old way"][0], tmp_path, tolerance=1e-4)
    assert made.manifest.checked
    assert made.manifest.checked.tolerance == 1e-4
