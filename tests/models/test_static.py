from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from steward.decision.model import Model
from steward.errors import DeclarationError, EngineError, NotFound
from steward.models.engines.functions import FunctionModel
from steward.models.registry import Registry
from steward.models.static import StaticModels


def spread(high: float, low: float) -> float:
    return high - low


def test_inputs_are_the_parameters_unless_given() -> None:
    assert FunctionModel("spread", spread).inputs == ("high", "low")
    assert FunctionModel("total", lambda *values: sum(values), ("a", "b", "c")).predict_one([1, 2, 3]) == 6.0


@pytest.mark.parametrize("inputs", [("a",), ("a", "b", "c")])
def test_inputs_it_cannot_take_are_refused(inputs: tuple[str, ...]) -> None:
    with pytest.raises(DeclarationError, match=f"cannot be called with its {len(inputs)} inputs"):
        FunctionModel("spread", spread, inputs)


def test_the_digest_follows_what_it_does() -> None:
    def other(high: float, low: float) -> float:
        return high + low

    digests = {
        FunctionModel("spread", spread).digest,
        FunctionModel("spread", other).digest,
        FunctionModel("spread", spread, ("low", "high")).digest,
        FunctionModel("other", spread).digest,
        FunctionModel("spread", spread, task="binary").digest,
    }
    assert len(digests) == 5
    assert FunctionModel("spread", spread).digest in digests


def test_a_failing_function_is_an_engine_error() -> None:
    model = FunctionModel("ratio", lambda a, b: a / b)
    with pytest.raises(EngineError, match=r"'ratio' failed\. Why: ZeroDivisionError") as caught:
        model.predict_one([1.0, 0.0])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_set_is_a_mapping_and_a_registry() -> None:
    spreads = FunctionModel("spread", spread, version="3")
    models = StaticModels(spreads, FunctionModel("double", lambda x: 2 * x))
    registry: Registry = models
    assert list(models) == ["spread", "double"]
    assert len(models) == 2
    assert models["spread"].predict(np.ones((2, 2))).tolist() == [0.0, 0.0]
    for version in ("latest", "3", spreads.digest):
        assert registry.load("spread", version) is spreads
        assert registry.load(Model("spread", version=version)) is spreads


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (lambda models: models.load("spraed"), NotFound, "did you mean 'spread'"),
        (lambda models: models.load("spread", "2"), NotFound, "no version '2'"),
        (lambda models: models.load(Model("spread", inputs=("low", "high"))), DeclarationError, "another order"),
    ],
)
def test_what_is_not_there_is_not_found(ask: Callable[[StaticModels], object], error: type, says: str) -> None:
    with pytest.raises(error, match=says):
        ask(StaticModels(FunctionModel("spread", spread)))


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(DeclarationError, match="same name"):
        StaticModels(FunctionModel("spread", spread), FunctionModel("spread", spread))
