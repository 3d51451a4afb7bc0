"""Row features: order, mistakes, failures."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from steward.decision.feature import Feature
from steward.errors import DeclarationError, StewardError
from steward.features.row import compile_row_features
from steward.records import FeatureValue


def double(event: Any, base: float) -> float:
    return base * 2


def total(event: Any, double: float, window_mw: float, base: float) -> float:
    return double + window_mw + base


def test_each_feature_finds_what_it_needs_whatever_the_order() -> None:
    row = compile_row_features([Feature(total), Feature(double), Feature("base")], ["window_mw"])
    values: dict[str, FeatureValue] = {"window_mw": 100.0}
    row.compute(SimpleNamespace(base=1.0), values)
    assert values == {"window_mw": 100.0, "base": 1.0, "double": 2.0, "total": 103.0}
    assert row.names.index("double") < row.names.index("total")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(DeclarationError, match="did you mean 'windw_mw'") as raised:
        compile_row_features([Feature(total), Feature(double), Feature("base")], ["windw_mw"])
    assert raised.value.field == "features.total"


def test_a_circle_is_refused_with_its_names() -> None:
    def ping(event: Any, pong: float) -> float:
        return pong

    def pong(event: Any, ping: float) -> float:
        return ping

    with pytest.raises(DeclarationError, match=r"ping -> pong -> ping|pong -> ping -> pong"):
        compile_row_features([Feature(ping), Feature(pong)])


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(DeclarationError, match="two features are named 'base'"):
        compile_row_features([Feature("base")], ["base"])


def test_a_function_that_raises_is_named_and_its_cause_kept() -> None:
    row = compile_row_features([Feature(double)], ["base"])
    with pytest.raises(StewardError, match="'double' could not be computed") as raised:
        row.compute(None, {"base": None})
    assert raised.value.code == "feature-failed"
    assert isinstance(raised.value.__cause__, TypeError)
