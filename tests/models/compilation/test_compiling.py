from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.models.artefacts import INPUTS, booster, clock, lightgbm_text, linear_file
from tests.models.estimators import described, onnx_file, rows, tensors_files, xgboost_booster, xgboost_file

from steward.clock import SystemClock, VirtualClock
from steward.errors import EngineError, IntegrityError
from steward.models.checked import Checked
from steward.models.compilation import compiling, originals
from steward.models.compilation.compiling import prove
from steward.models.compilation.originals import Original
from steward.models.compilation.sampling import sample
from steward.models.registry import FolderRegistry


def proven(kind: str, task: str, files: Mapping[str, bytes], **how: Any) -> Checked:
    found = prove(described(kind, task, files), "sha256:x", files, **{"clock": clock(), **how})
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("kind", "task", "files", "against", "arithmetic"),
    [
        ("linear", "regression", {"model.json": linear_file()}, "sums without rounding", "float64"),
        ("linear", "binary", {"model.json": linear_file()}, "sums without rounding", "float64"),
        ("lightgbm", "binary", {"model.txt": lightgbm_text()}, "a walk over its trees", "float64"),
        ("lightgbm", "regression", {"model.txt": lightgbm_text("poisson")}, "a walk over its trees", "float64"),
        (
            "lightgbm",
            "multiclass",
            {"model.txt": lightgbm_text("multiclass", num_class=3)},
            "a walk over its trees",
            "float64",
        ),
        ("xgboost", "binary", {"model.json": xgboost_file("binary:logistic", "binary")}, "xgboost 3.", "float32"),
        ("onnx", "binary", {"model.onnx": onnx_file("forest", "binary")}, "", "float32"),
        ("safetensors", "multiclass", tensors_files("multiclass"), "", "float64"),
    ],
)
def test_each_kind_is_compared_with_its_original(
    kind: str, task: str, files: Mapping[str, bytes], against: str, arithmetic: str
) -> None:
    found = proven(kind, task, files)
    assert found.against.startswith(against) if against else found.against == ""
    assert found.arithmetic == arithmetic
    assert found.rows >= 256
    assert 0 <= found.largest_difference <= {"float64": 1e-12, "float32": 1e-5}[arithmetic]
    assert found.flipped == 0.0


@pytest.mark.parametrize(
    ("objective", "parameters"),
    [
        ("binary", {"sigmoid": 2.5}),
        ("regression", {"reg_sqrt": True}),
        ("regression", {"categorical_feature": "4", "min_data_per_group": 5}),
        ("regression", {"zero_as_missing": True}),
        ("regression", {"use_missing": False}),
        ("regression", {"min_data_in_leaf": 100_000}),
        ("tweedie", {}),
        ("huber", {}),
        ("binary", {"boosting": "dart"}),
    ],
)
def test_what_lightgbm_can_write_is_proven(objective: str, parameters: dict[str, Any]) -> None:
    task = "binary" if objective == "binary" else "regression"
    found = proven("lightgbm", task, {"model.txt": lightgbm_text(objective, **parameters)})
    assert found.largest_difference < 1e-12
    assert (found.against == "") == ("reg_sqrt" in parameters)


def test_without_the_library_xgboost_is_compared_with_a_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(originals, "find_spec", lambda _name: None)
    for objective, task, more in (
        ("reg:squarederror", "regression", {}),
        ("binary:logistic", "binary", {}),
        ("multi:softprob", "multiclass", {"num_class": 3}),
    ):
        content = bytes(xgboost_booster(objective, task, **more).save_raw("json"))
        found = proven("xgboost", task, {"model.json": content})
        assert found.against == "a walk over its trees"
        assert found.largest_difference < 1e-12


def off(wanted: Any, at: int, by: float) -> Any:
    wanted = np.array(wanted)
    wanted[at] += by
    return wanted


def test_a_model_that_answers_otherwise_is_refused_with_the_worst_row() -> None:
    files, peer = {"model.txt": lightgbm_text()}, booster()
    given = rows()[:40]
    worst = Original("what was trained", lambda asked: off(off(peer.predict(asked), 7, 1e-3), 9, 1e-4))
    with pytest.raises(EngineError) as caught:
        proven("lightgbm", "binary", files, original=worst, rows=given)
    told = str(caught.value)
    assert caught.value.code == "model-inexact"
    for name, value in zip(INPUTS, given[7].tolist(), strict=True):
        assert f"{name}={value!r}" in told
    assert f"{peer.predict(given)[7] + 1e-3:.9g} by what was trained" in told
    assert "2 of " in told
    found = proven("lightgbm", "binary", files, original=worst, rows=given, tolerance=0.01)
    assert 1e-3 < found.largest_difference < 0.01
    assert found.tolerance == 0.01


def test_a_difference_counts_against_the_size_of_the_answers() -> None:
    files = {"model.json": linear_file()}
    exact = originals.original_of(described("linear", "regression", files), files)[0]
    assert exact is not None
    answer = exact.answer
    near = Original("near", lambda asked: answer(asked) * (1 + 9e-7))
    assert proven("linear", "regression", files, original=near).largest_difference == pytest.approx(9e-7, rel=0.01)
    with pytest.raises(EngineError, match="is not answered as by its original"):
        proven("linear", "regression", files, original=Original("off", lambda asked: answer(asked) * (1 + 2e-6)))


def test_the_share_of_flipped_choices_is_told() -> None:
    peer = booster("multiclass", num_class=3)
    turned = Original("turned", lambda asked: np.asarray(peer.predict(asked))[:, [1, 0, 2]])
    found = proven(
        "lightgbm",
        "multiclass",
        {"model.txt": lightgbm_text("multiclass", num_class=3)},
        original=turned,
        tolerance=1e9,
    )
    places = np.asarray(peer.predict(sample(5))).argmax(axis=1)
    assert found.flipped == pytest.approx((places < 2).mean(), abs=0.2)
    assert found.flipped > 0.3


def test_an_original_that_knows_no_missing_values_is_asked_for_whole_rows_only() -> None:
    def whole(asked: Any) -> Any:
        if np.isnan(asked).any():
            raise ValueError("Input X contains NaN.")
        return booster().predict(asked)

    found = proven("lightgbm", "binary", {"model.txt": lightgbm_text()}, original=Original("whole", whole))
    assert found.rows < proven("lightgbm", "binary", {"model.txt": lightgbm_text()}).rows


@pytest.mark.parametrize("answer", [lambda asked: np.full(len(asked), nan), lambda asked: np.full(len(asked), 9.9)])
def test_what_is_missing_on_one_side_only_is_a_difference(answer: Any) -> None:
    with pytest.raises(EngineError, match="is not answered as by its original"):
        proven("lightgbm", "binary", {"model.txt": lightgbm_text()}, original=Original("other", answer))


def test_an_original_of_another_shape_cannot_be_compared() -> None:
    labels = Original("labels", lambda asked: np.zeros((len(asked), 2)))
    with pytest.raises(EngineError, match="answers 2 numbers a row, and 1 are wanted"):
        proven("linear", "regression", {"model.json": linear_file()}, original=labels)


class Unsteady:
    """Answers a batch otherwise than its rows."""

    name, version, digest, task, inputs = "load", "1", "sha256:x", "regression", INPUTS

    def predict_one(self, row: Sequence[float]) -> float:
        return 1.0

    def predict(self, rows: Any) -> Any:
        return np.full(len(rows), 1.0 if len(rows) == 1 else 1.0 + 1e-15)


def test_a_batch_that_is_not_its_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "engine", lambda _kind: lambda _manifest, _digest, _files: Unsteady())
    with pytest.raises(EngineError, match="is not answered alike alone and in a batch"):
        proven("linear", "regression", {"model.json": linear_file()})


def test_what_answers_no_rows_is_only_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []
    monkeypatch.setattr(compiling, "engine", lambda kind: lambda *_given: loads.append(kind))
    assert prove(described("policy", "policy", {"p.json": b""}), "sha256:x", {"p.json": b""}, clock=clock()) is None
    assert loads == ["policy"]


class Ticking(VirtualClock):
    """Moves on by a microsecond at each look."""

    def now(self) -> Any:
        self._now += timedelta(microseconds=1)
        return self._now


def test_times_are_those_of_the_clock() -> None:
    files = {"model.json": linear_file()}
    ticking = Ticking(clock().now())
    found = proven("linear", "regression", files, clock=ticking)
    assert (found.warm_up_ms, found.p99_us, found.batch_p50_us) == (0.001, 1.0, 1.0)
    assert found.p50_us == round(1 / 16, 3)
    real = proven("linear", "regression", files, clock=SystemClock())
    assert 0 < real.p50_us <= real.p99_us + 1
    assert real.batch_p50_us > real.p50_us


def test_a_registration_says_what_was_found_and_is_the_same_however_fast(tmp_path: Path) -> None:
    models = FolderRegistry(tmp_path)
    about: dict[str, Any] = {"kind": "lightgbm", "files": {"model.txt": lightgbm_text()}, "inputs": INPUTS}
    made = models.register("load", task="binary", clock=SystemClock(), **about)
    assert isinstance(made.manifest.checked, Checked)
    assert made.manifest.checked.engine.startswith("lightgbm ")
    assert made.manifest.checked.p50_us > 0
    again = models.register("load", task="binary", clock=SystemClock(), **about)
    assert (again.version, again.digest) == (made.version, made.digest)


def test_what_is_refused_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models = FolderRegistry(tmp_path)
    monkeypatch.setattr(compiling, "engine", lambda _kind: lambda _manifest, _digest, _files: Unsteady())
    with pytest.raises(EngineError):
        models.register(
            "load", kind="linear", files={"model.json": linear_file()}, inputs=INPUTS, task="regression", clock=clock()
        )
    assert models.names() == ()


def test_files_that_are_no_model_are_refused_first() -> None:
    with pytest.raises(IntegrityError):
        proven("lightgbm", "binary", {"model.txt": b"no"})


def test_a_sample_lies_on_and_beside_thresholds() -> None:
    cuts = {1: np.array([-2.0, 3.5]), 2: np.array([np.inf])}
    for single, kind in ((False, np.float64), (True, np.float32)):
        made = sample(3, cuts, single=single)
        assert made.shape == (256 + 6, 3)
        near = set(made[256:, 1].tolist())
        for cut in (-2.0, 3.5):
            on = kind(cut)
            assert {float(np.nextafter(on, kind(way))) for way in (-np.inf, np.inf)} | {cut} <= near
    assert np.nanmin(made[:256, 1]) >= -2.0 - 0.55
    assert 0.05 < np.isnan(made[:256]).mean() < 0.2
    assert sample(3, cuts).tobytes() == sample(3, cuts).tobytes()
    many = sample(2, {0: np.arange(1000.0)})
    assert len(many) == 256 + 3 * 256
    assert np.nanstd(sample(2, middle=np.array([1000.0, 0.0]))[:, 0]) > 100
