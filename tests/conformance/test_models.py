"""Every model engine keeps the promises of its port."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np
import pytest
from tests.models.artefacts import lightgbm_text, linear_file, manifest

from steward.errors import EngineError
from steward.models import lightgbm, linear, port
from steward.models.loading import ENGINES
from steward.models.port import LoadedModel
from steward.models.static import FunctionModel
from steward.testing.conformance.models import AttributingConformance, ModelConformance


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


def last_or_mean(last: float, mean: float) -> float:
    return next((value for value in (last, mean) if not isnan(value)), 0.0)


class TestFunction(ModelConformance):
    kind = "function"

    def load(self) -> LoadedModel:
        return FunctionModel("last-or-mean", last_or_mean)


SUITES = [TestLinear, TestLogistic, TestLightGBMRegression, TestLightGBMBinary, TestFunction]


PROMISES = sorted(re.findall(r"^\* ``(\w+)``", inspect.getdoc(port) or "", re.MULTILINE))


def test_each_promise_has_a_test_of_its_name() -> None:
    tests = {name.removeprefix("test_") for name in dir(AttributingConformance) if name.startswith("test_")}
    assert set(PROMISES) == tests
    assert len(PROMISES) == 5


def test_each_engine_has_a_suite() -> None:
    assert {getattr(suite, "kind", None) for suite in SUITES} == {*ENGINES, "function"}


@pytest.mark.parametrize("suite", SUITES)
def test_each_engine_has_the_ports_signatures(suite: type[ModelConformance]) -> None:
    model = type(suite().load())
    for protocol in (port.LoadedModel, port.Attributing) if hasattr(model, "attribute") else (port.LoadedModel,):
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


class FlawedSuite(AttributingConformance):
    def __init__(self, flaw: str) -> None:
        self.flaw, self.loads = flaw, 0

    def load(self) -> LoadedModel:
        self.loads += 1
        return Flawed(self.flaw, f"sha256:{self.loads if self.flaw == 'same_bytes_same_answer' else 0}")


@pytest.mark.parametrize("flaw", ["", *PROMISES])
def test_the_suite_finds_each_broken_promise(flaw: str) -> None:
    suite, failed = FlawedSuite(flaw), set()
    for promise in PROMISES:
        arguments = [100] if promise == "batch_equals_rows" else []
        try:
            getattr(suite, f"test_{promise}")(*arguments)
        except (AssertionError, pytest.fail.Exception):
            failed.add(promise)
    assert flaw in failed if flaw else not failed
