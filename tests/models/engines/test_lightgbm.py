from __future__ import annotations

import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from tests.models.artefacts import INPUTS, booster, lightgbm_text, manifest
from tests.models.estimators import described

from steward.errors import EngineError, IntegrityError
from steward.models.engines import lightgbm as engine
from steward.models.engines import lightgbm_library
from steward.models.engines.lightgbm import LightGBMClassifier, LightGBMModel, load

ROWS = np.random.default_rng(2).normal(size=(400, len(INPUTS)))


def loaded(objective: str = "binary", task: str = "binary", **parameters: Any) -> LightGBMModel:
    text = lightgbm_text(objective, **parameters)
    return load(manifest("lightgbm", task, model_txt=text), "sha256:x", {"model.txt": text})


@pytest.mark.parametrize(
    ("objective", "task", "parameters"),
    [
        ("binary", "binary", {}),
        ("cross_entropy", "binary", {}),
        ("regression", "regression", {}),
        ("quantile", "regression", {"alpha": 0.9}),
        ("poisson", "regression", {}),
        ("regression", "regression", {"categorical_feature": "4", "min_data_per_group": 5}),
        ("regression", "regression", {"boosting": "dart"}),
        ("regression", "regression", {"zero_as_missing": True}),
        ("regression", "regression", {"num_leaves": 2, "trees": 1}),
        ("regression", "regression", {"min_data_in_leaf": 100_000}),
    ],
)
def test_answers_are_those_of_the_python_package(objective: str, task: str, parameters: dict[str, Any]) -> None:
    if objective == "cross_entropy":
        model = loaded_from(lightgbm_text("binary").replace(b"objective=binary sigmoid:1", b"objective=cross_entropy"))
    else:
        model = loaded(objective, task, **parameters)
    rows = ROWS.copy()
    rows[::7, 2] = nan
    rows[::11, 4] = 3.0
    rows[::13, 0] = inf
    peer = booster(objective, **parameters) if objective != "cross_entropy" else booster("binary")
    expected = np.asarray(peer.predict(rows)).tobytes()
    assert model.predict(rows).tobytes() == expected
    assert np.array([model.predict_one(row) for row in rows.tolist()]).tobytes() == expected
    contributions = np.asarray(peer.predict(rows, pred_contrib=True))
    np.testing.assert_allclose(model.attribute(rows), contributions, rtol=1e-6, atol=1e-12)


def loaded_from(text: bytes, task: str = "binary") -> LightGBMModel:
    return load(manifest("lightgbm", task, model_txt=text), "sha256:x", {"model.txt": text})


def test_many_threads_get_the_same_answers() -> None:
    model = loaded()
    expected = model.predict(ROWS)
    start = threading.Barrier(8)

    def ask(part: int) -> tuple[bytes, bytes]:
        start.wait()
        rows = np.roll(ROWS, part, axis=0)
        alone = np.array([model.predict_one(row) for row in rows.tolist()])
        return np.roll(alone, -part).tobytes(), np.roll(model.predict(rows), -part).tobytes()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {(expected.tobytes(), expected.tobytes())}


def test_handles_are_freed_with_their_threads_and_model(monkeypatch: pytest.MonkeyPatch) -> None:
    freed: list[str] = []

    def counted(name: str) -> None:
        free = getattr(lightgbm_library.library(), name)

        def count(handle: object) -> int:
            freed.append(name)
            return int(free(handle))

        monkeypatch.setattr(lightgbm_library.library(), name, count)

    counted("LGBM_FastConfigFree")
    counted("LGBM_BoosterFree")
    model = [loaded()]
    for _ in range(3):
        thread = threading.Thread(target=lambda: model[0].predict_one(ROWS[0]))
        thread.start()
        thread.join()
    gc.collect()
    assert freed == ["LGBM_FastConfigFree"] * 3
    model.clear()
    gc.collect()
    assert freed == ["LGBM_FastConfigFree"] * 4 + ["LGBM_BoosterFree"]


@pytest.mark.parametrize("row", [["1", 2, 3, 4, 5], [None, 2, 3, 4, 5], [10**400, 2, 3, 4, 5]])
def test_what_is_not_a_number_is_refused(row: list[float]) -> None:
    with pytest.raises(EngineError, match="takes rows of 5 inputs"):
        loaded().predict_one(row)


def test_rows_of_words_are_refused() -> None:
    with pytest.raises(EngineError, match="takes rows of 5 inputs"):
        loaded().predict([["a"] * 5])


@pytest.mark.parametrize(
    ("objective", "parameters", "says"),
    [
        ("multiclassova", {"num_class": 3}, "multiclassova"),
        ("regression", {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}, "random forests"),
        ("regression", {"linear_tree": True}, "linear trees"),
    ],
)
def test_what_is_not_served_yet_says_so(objective: str, parameters: dict[str, Any], says: str) -> None:
    base = "multiclass" if objective == "multiclassova" else objective
    text = lightgbm_text(base, 2, **parameters).replace(b"objective=multiclass ", b"objective=multiclassova ")
    with pytest.raises(EngineError, match=says) as caught:
        loaded_from(text, "regression")
    assert not isinstance(caught.value, IntegrityError)


def test_several_classes_are_answered_as_by_the_python_package() -> None:
    text, peer = lightgbm_text("multiclass", num_class=3), booster("multiclass", num_class=3)
    model = load(described("lightgbm", "multiclass", {"model.txt": text}), "sha256:x", {"model.txt": text})
    assert isinstance(model, LightGBMClassifier)
    rows = ROWS.copy()
    rows[::7, 2] = nan
    expected = np.asarray(peer.predict(rows))
    assert model.probabilities(rows).tobytes() == expected.tobytes()
    assert np.array([model.probabilities_one(row) for row in rows.tolist()]).tobytes() == expected.tobytes()
    places = expected.argmax(axis=1)
    assert model.predict(rows).tolist() == places.tolist()
    parts = np.asarray(peer.predict(rows, pred_contrib=True)).reshape(len(rows), 3, -1)
    np.testing.assert_allclose(model.attribute(rows), parts[np.arange(len(rows)), places], rtol=1e-6, atol=1e-9)


def test_another_number_of_labels_than_of_classes_is_refused() -> None:
    text = lightgbm_text("multiclass", num_class=3)
    manifest_of_two = replace(described("lightgbm", "multiclass", {"model.txt": text}), outputs=("low", "high"))
    with pytest.raises(IntegrityError, match="3 classes, and the manifest names 2"):
        load(manifest_of_two, "sha256:x", {"model.txt": text})


def test_an_unknown_objective_says_so() -> None:
    with pytest.raises(EngineError, match="'lambdarank' is not supported"):
        loaded_from(lightgbm_text("regression").replace(b"objective=regression", b"objective=lambdarank"))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"feature_names=load_mw price_eur", b"feature_names=price_eur load_mw", "another order"),
        (b"objective=binary sigmoid:1", b"objective=regression", "a regression, and the manifest says binary"),
    ],
)
def test_a_model_that_is_not_the_manifests_is_refused(old: bytes, new: bytes, says: str) -> None:
    with pytest.raises(IntegrityError, match=says):
        loaded_from(lightgbm_text().replace(old, new))


def test_another_width_than_the_manifests_is_refused() -> None:
    text = lightgbm_text()
    fewer = manifest("lightgbm", "binary", model_txt=text)
    fewer = type(fewer)(**{name: getattr(fewer, name) for name in fewer.__struct_fields__} | {"inputs": ("a", "b")})
    with pytest.raises(IntegrityError, match="takes 5 inputs, and the manifest names 2"):
        load(fewer, "sha256:x", {"model.txt": text})


def test_another_file_name_is_refused() -> None:
    with pytest.raises(IntegrityError, match=r"must be model\.txt, found model\.pkl"):
        load(manifest("lightgbm", "binary", model_pkl=b""), "sha256:x", {"model.pkl": b""})


def test_no_counts_no_attribution() -> None:
    text = lightgbm_text("regression", 1, num_leaves=2)
    at = text.index(b"internal_count=")
    line = text[at : text.index(b"\n", at)]
    model = loaded_from(text.replace(line, b"internal_count=" + b"0" * (len(line) - 15)), "regression")
    assert model.predict_one(ROWS[0]) == booster("regression", 1, num_leaves=2).predict(ROWS[:1])[0]
    with pytest.raises(EngineError, match="count of 0"):
        model.attribute(ROWS[:1])


def test_a_failure_inside_the_library_is_an_engine_error(monkeypatch: pytest.MonkeyPatch) -> None:
    model = loaded()
    monkeypatch.setattr(engine, "library", lambda: type("Broken", (), {"LGBM_BoosterPredictForMat": lambda *_: -1}))
    with pytest.raises(EngineError, match="LightGBM failed to answer"):
        model.predict(ROWS)


def test_serving_imports_neither_lightgbm_nor_scipy() -> None:
    code = (
        "import sys\nfrom steward.models.engines.lightgbm_library import Booster, FastRow\n"
        "from steward.models.engines.lightgbm import LightGBMModel\n"
        "from steward.models.formats.lightgbm_text import check\n"
        "model = LightGBMModel(check(sys.stdin.buffer.read()), name='m', inputs='abcde', task='binary')\n"
        "model.predict_one([1.0] * 5)\n"
        "print(sorted({'lightgbm', 'scipy', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=lightgbm_text(), capture_output=True, check=True)
    assert done.stdout.split() == [b"[]"]
    assert done.stderr == b""
