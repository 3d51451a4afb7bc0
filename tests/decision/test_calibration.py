"""What a declared calibration refuses, and what it leaves as it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.runtime.gauge import FRAUD, GAUGE, Metered

from steward import Calibration, Model
from steward.decision.fingerprint import plain
from steward.errors import DeclarationError


def truth(outcome: Metered) -> float | None:
    return outcome.load_mw


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"level": 0.0}, "calibration.level"),
        ({"level": 1.0}, "calibration.level"),
        ({"level": 90}, "calibration.level"),
        ({"groups": -1}, "calibration.groups"),
        ({"groups": 100_001}, "calibration.groups"),
        ({"labels": ("fraud",)}, "calibration.labels"),
        ({"labels": ("fraud", "fraud")}, "calibration.labels"),
        ({"labels": ("a", "b"), "scale": "told_mw"}, "calibration.scale"),
    ],
)
def test_what_is_not_possible_is_refused_at_once(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        Calibration(truth=truth, **wrong)
    assert refused.value.field == field


async def later(outcome: Metered) -> float:
    return 0.0


def of_two(outcome: Metered, other: object) -> float:
    return 0.0


def of_another(outcome: int) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"predict": None}, "predict"),
        ({"economics": None}, "economics"),
        ({"calibration": Calibration(truth=truth, group="regio")}, "calibration.group"),
        ({"calibration": Calibration(truth=truth, scale="spread")}, "calibration.scale"),
        ({"calibration": Calibration(truth=later)}, "calibration.truth"),  # type: ignore[arg-type]  # on purpose
        ({"calibration": Calibration(truth=of_two)}, "calibration.truth"),  # type: ignore[arg-type]  # on purpose
        ({"calibration": Calibration(truth=of_another)}, "calibration.truth"),
        ({"calibration": truth}, "calibration"),
    ],
)
def test_a_decision_refuses_what_does_not_fit_it(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        replace(GAUGE, **changes)
    assert refused.value.field == field


def test_a_misspelt_group_is_guessed() -> None:
    with pytest.raises(DeclarationError, match="did you mean 'region'"):
        replace(GAUGE, calibration=Calibration(truth=truth, group="regio"))


def test_calibration_is_part_of_the_release() -> None:
    strict = replace(GAUGE, calibration=Calibration(truth=truth, level=0.95))
    assert len({GAUGE.fingerprint, strict.fingerprint, replace(GAUGE, calibration=None).fingerprint}) == 3


def test_a_calibrator_is_declared_with_its_model() -> None:
    mapped = Model("fraud", calibration="fraud-isotonic")
    assert mapped.calibration == Model("fraud-isotonic")
    assert [model.name for model in replace(FRAUD, predict=mapped).models] == ["fraud", "fraud-isotonic"]
    pinned = Model("fraud", calibration=Model("fraud-isotonic", version="2"))
    assert [model.version for model in pinned.used] == ["latest", "2"]
    assert replace(FRAUD, predict=mapped).fingerprint != FRAUD.fingerprint
    # Who has none is what it was before there were any.
    assert plain(Model("fraud")) == {"name": "fraud", "inputs": [], "version": "latest", "returns": "builtins.float"}
