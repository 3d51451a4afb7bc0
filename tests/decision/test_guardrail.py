"""Guardrails: what can be declared, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from steward.decision.guardrail import Guardrail, Metric
from steward.errors import DeclarationError


def test_defaults_by_metric() -> None:
    assert (Guardrail("overrides").tolerance, Guardrail(Metric.VALUE).tolerance) == (0.1, 0.02)
    assert Guardrail("misses") == Guardrail(Metric.MISSES, tolerance=0.1)


@pytest.mark.parametrize(
    ("metric", "more", "told"),
    [
        ("speed", {}, "name one of errors, slow, misses, overrides, value"),
        ("errors", {"tolerance": -0.1}, "0.1 is ten per cent"),
        ("errors", {"tolerance": float("nan")}, "0.1 is ten per cent"),
        ("slow", {}, "give limit="),
        ("slow", {"limit": timedelta(0)}, "above 0"),
        ("value", {"limit": timedelta(seconds=1)}, "only slow has a limit"),
    ],
)
def test_what_cannot_be_watched_is_refused(metric: str, more: dict[str, Any], told: str) -> None:
    with pytest.raises(DeclarationError, match=told) as raised:
        Guardrail(metric, **more)
    assert raised.value.field == "guardrails"
