"""One tree of errors: each has a stable code, an actor, and says what, why and what next."""

from __future__ import annotations

import pytest

from steward import errors
from steward.errors import EngineError, StewardError

ALL = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, StewardError)]
CODES = {
    "StewardError": ("error", "developer"),
    "DeclarationError": ("declaration", "developer"),
    "ContractError": ("contract", "sender"),
    "NotFound": ("not-found", "caller"),
    "Conflict": ("conflict", "caller"),
    "Denied": ("denied", "caller"),
    "GateExpired": ("gate-expired", "business"),
    "EngineError": ("engine", "operator"),
    "HeldBack": ("held-back", "operator"),
    "IntegrityError": ("integrity", "operator"),
    "Distrusted": ("model-distrusted", "operator"),
}


def test_codes_and_actors_are_stable() -> None:
    assert {kind.__name__: (kind.code, kind.actor) for kind in ALL} == CODES


@pytest.mark.parametrize("kind", ALL)
def test_what_why_and_fix_are_one_sentence_each(kind: type[StewardError]) -> None:
    error = kind("it broke.", why="it was old.", fix="buy a new one", field="a.b", code="own")
    assert str(error) == "it broke. Why: it was old. Next: buy a new one"
    assert (error.what, error.why, error.fix, error.field, error.code) == (
        "it broke.",
        "it was old.",
        "buy a new one",
        "a.b",
        "own",
    )
    assert str(kind("it broke")) == "it broke"
    assert kind("it broke").code == kind.code


def test_only_what_says_so_can_be_tried_again() -> None:
    assert EngineError("x").retryable is False
    assert EngineError("x", retryable=True).retryable is True
