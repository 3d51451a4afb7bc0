"""Every model engine keeps the promises of its port."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, ClassVar

import numpy as np
import pytest
from tests.models.artefacts import lightgbm_text, linear_file, manifest
from tests.models.estimators import (
    LABELS,
    described,
    onnx_file,
    skops_file,
    tensors_files,
    xgboost_file,
)

from steward.errors import EngineError
from steward.models import port
from steward.models.code_reference import CodeReference
from steward.models.engines import lightgbm, linear
from steward.models.engines.classes import Classifier
from steward.models.engines.functions import FunctionModel
from steward.models.loading import ENGINES, engine
from steward.models.port import LoadedModel
from steward.testing.conformance.models import AttributingConformance, ClassifyingConformance, ModelConformance


class TestLinear(AttributingConformance):
    kind = "linear"

    def load(self) -> LoadedModel:
        file = linear_file()
        return linear.load(manifest("linear", "regression", model_json=file), "sha256:a", {"model.json": file})


class TestLogistic(AttributingConformance):
    kind = "linear"

    def load(self) -> LoadedModel:
        file = linear_file()
        return linear.load(manifest("linear", "binary", model_json=file), "sha256:a", {"model.json": file})


class TestLightGBMRegression(AttributingConformance):
    kind = "lightgbm"

    def load(self) -> LoadedModel:
        text = lightgbm_text("regression")
        return lightgbm.load(manifest("lightgbm", "regression", model_txt=text), "sha256:a", {"model.txt": text})


class TestLightGBMBinary(AttributingConformance):
    kind = "lightgbm"

    def load(self) -> LoadedModel:
        text = lightgbm_text("binary")
        return lightgbm.load(manifest("lightgbm", "binary", model_txt=text), "sha256:a", {"model.txt": text})


class OfFiles(ModelConformance):
    kind: str
    task: str = "regression"

    def files(self) -> Mapping[str, bytes]:
        raise NotImplementedError

    def load(self) -> LoadedModel:
        return engine(self.kind)(described(self.kind, self.task, self.files()), "sha256:a", self.files())


class TestLightGBMMulticlass(OfFiles, ClassifyingConformance):
    kind, task = "lightgbm", "multiclass"

    def files(self) -> Mapping[str, bytes]:
        return {"model.txt": lightgbm_text("multiclass", num_class=3)}


class TestOnnxLinear(OfFiles):
    kind, knows_missing = "onnx", False

    def files(self) -> Mapping[str, bytes]:
        return {"model.onnx": onnx_file("linear", "regression", double=True)}


class TestOnnxForest(OfFiles):
    kind, task = "onnx", "binary"

    def files(self) -> Mapping[str, bytes]:
        return {"model.onnx": onnx_file("forest", "binary")}


class TestOnnxMulticlass(OfFiles, ClassifyingConformance):
    kind, task, knows_missing = "onnx", "multiclass", False

    def files(self) -> Mapping[str, bytes]:
        return {"model.onnx": onnx_file("scaled", "multiclass")}


class TestXGBoost(OfFiles, AttributingConformance):
    kind = "xgboost"

    def files(self) -> Mapping[str, bytes]:
        return {"model.json": xgboost_file("reg:squarederror", "regression")}


class TestXGBoostBinary(OfFiles, AttributingConformance):
    kind, task = "xgboost", "binary"

    def files(self) -> Mapping[str, bytes]:
        return {"model.ubj": xgboost_file("binary:logistic", "binary", "ubj")}


class TestXGBoostMulticlass(OfFiles, ClassifyingConformance):
    kind, task = "xgboost", "multiclass"

    def files(self) -> Mapping[str, bytes]:
        return {"model.json": xgboost_file("multi:softprob", "multiclass", num_class=3)}


class TestTensors(OfFiles):
    kind = "safetensors"

    def files(self) -> Mapping[str, bytes]:
        return tensors_files("regression")


class TestTensorsMulticlass(OfFiles, ClassifyingConformance):
    kind, task = "safetensors", "multiclass"

    def files(self) -> Mapping[str, bytes]:
        return tensors_files("multiclass")


class TestSkops(OfFiles, ClassifyingConformance):
    kind, task, knows_missing = "skops", "multiclass", False
    started: ClassVar[list[LoadedModel]] = []

    def files(self) -> Mapping[str, bytes]:
        return {"model.skops": skops_file("scaled", "multiclass")}

    def load(self) -> LoadedModel:
        # Each is a process that takes a second to start: two of them answer all tests in turn.
        if len(self.started) < 2:
            self.started.append(super().load())
        self.started.reverse()
        return self.started[0]


def last_or_mean(last: float, mean: float) -> float:
    return next((value for value in (last, mean) if not isnan(value)), 0.0)


class TestFunction(ModelConformance):
    kind = "function"

    def load(self) -> LoadedModel:
        return FunctionModel("last-or-mean", last_or_mean)


class TestRegisteredFunction(OfFiles):
    kind = "function"

    def files(self) -> Mapping[str, bytes]:
        return {"function.json": CodeReference.of(last_or_mean).encode()}

    def load(self) -> LoadedModel:
        manifest = described(self.kind, self.task, self.files(), inputs=("last", "mean"))
        return engine(self.kind)(manifest, "sha256:a", self.files())


SUITES = [
    TestLinear,
    TestLogistic,
    TestLightGBMRegression,
    TestLightGBMBinary,
    TestLightGBMMulticlass,
    TestOnnxLinear,
    TestOnnxForest,
    TestOnnxMulticlass,
    TestXGBoost,
    TestXGBoostBinary,
    TestXGBoostMulticlass,
    TestTensors,
    TestTensorsMulticlass,
    TestSkops,
    TestFunction,
    TestRegisteredFunction,
]


PROMISES = sorted(re.findall(r"^\* ``(\w+)``", inspect.getdoc(port) or "", re.MULTILINE))


def test_each_promise_has_a_test_of_its_name() -> None:
    names = {*dir(AttributingConformance), *dir(ClassifyingConformance)}
    assert set(PROMISES) == {name.removeprefix("test_") for name in names if name.startswith("test_")}
    assert len(PROMISES) == 7


CALIBRATORS = {"beta", "isotonic"}  # they turn a probability into another, and have tests of their own


def test_each_engine_has_a_suite() -> None:
    assert {getattr(suite, "kind", None) for suite in SUITES} == set(ENGINES) - CALIBRATORS


@pytest.mark.parametrize("suite", SUITES)
def test_each_engine_has_the_ports_signatures(suite: type[ModelConformance]) -> None:
    model = type(suite().load())
    abilities = {"attribute": port.Attributing, "probabilities": port.Classifying}
    for protocol in (port.LoadedModel, *(each for name, each in abilities.items() if hasattr(model, name))):
        for name, method in inspect.getmembers(protocol, inspect.isfunction):
            if not name.startswith("_"):
                assert inspect.signature(getattr(model, name)) == inspect.signature(method), name


class Flawed:
    """A sum of two inputs that breaks the promise it is told to break."""

    name, version, task, inputs = "flawed", "1", "regression", ("a", "b")

    def __init__(self, flaw: str, digest: str) -> None:
        self.flaw, self.digest = flaw, digest

    def predict_one(self, row: Sequence[float]) -> float:
        return self._answer(row)

    def predict(self, rows: Any) -> Any:
        if np.ndim(rows) != 2:
            raise EngineError("not a table of rows")
        slip = 1.0 + 4e-16 if self.flaw == "batch_equals_rows" else 1.0
        return np.array([self._answer(row) * slip for row in np.asarray(rows).tolist()], dtype=np.float64)

    def attribute(self, rows: Any) -> Any:
        self.predict(rows)
        parts = np.nan_to_num(np.column_stack([rows, np.zeros(len(rows))]))
        return parts * (1.00001 if self.flaw == "attribution_adds_up" else 1.0)

    def _answer(self, row: Sequence[float]) -> float:
        if len(row) != 2 and self.flaw != "wrong_width_is_refused":
            raise EngineError("another width")
        return sum(value for value in row if self.flaw == "missing_is_nan" or not isnan(value))


class FlawedClassifier(Classifier):
    """Tells three labels apart by a sum of two inputs."""

    name, version, task, inputs, outputs = "flawed", "1", "multiclass", ("a", "b"), LABELS

    def __init__(self, flaw: str, digest: str) -> None:
        self.flaw, self.digest = flaw, digest

    def probabilities_one(self, row: Sequence[float]) -> Sequence[float]:
        return list(self._answer(row))

    def probabilities(self, rows: Any) -> Any:
        if np.ndim(rows) != 2:
            raise EngineError("not a table of rows")
        slip = 1.0 + 4e-16 if self.flaw == "probabilities_of_a_batch_equal_rows" else 1.0
        return np.array([self._answer(row) for row in np.asarray(rows).tolist()]).reshape(-1, 3) * slip

    def predict(self, rows: Any) -> Any:
        places = super().predict(rows)
        return (places + 1) % 3 if self.flaw == "likeliest_label_is_predicted" else places

    def _answer(self, row: Sequence[float]) -> tuple[float, float, float]:
        if len(row) != 2:
            raise EngineError("another width")
        return (0.5, 0.3, 0.2) if np.nansum(row) > 0 else (0.2, 0.3, 0.5)


class FlawedSuite(AttributingConformance, ClassifyingConformance):
    def __init__(self, flaw: str) -> None:
        self.flaw, self.loads, self.classifies = flaw, 0, False

    def load(self) -> LoadedModel:
        self.loads += 1
        digest = f"sha256:{self.loads if self.flaw == 'same_bytes_same_answer' else 0}"
        return FlawedClassifier(self.flaw, digest) if self.classifies else Flawed(self.flaw, digest)


@pytest.mark.parametrize("flaw", ["", *PROMISES])
def test_the_suite_finds_each_broken_promise(flaw: str) -> None:
    suite, failed = FlawedSuite(flaw), set()
    for promise in PROMISES:
        test = getattr(suite, f"test_{promise}")
        suite.classifies = hasattr(ClassifyingConformance, test.__name__) and not hasattr(
            ModelConformance, test.__name__
        )
        try:
            test(*[100] * (len(inspect.signature(test).parameters)))
        except (AssertionError, pytest.fail.Exception):
            failed.add(promise)
    assert flaw in failed if flaw else not failed
