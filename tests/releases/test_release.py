"""A release is named by everything that decides, and by nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from tests.runtime.shop import CARDS, refund
from tests.runtime.world import Till

from steward import Choice, Decision, Feature, Features, Lane, Prediction
from steward.releases.release import Release

BASE: Decision[Any, Any, Any] = refund(Till())


def other(features: Features, prediction: Prediction[None]) -> Choice[str]:
    return Choice("hold", reasons=("never",))


def test_the_name_is_the_digest_of_what_is_signed() -> None:
    release = Release.of(BASE, {"fraud": "sha256:ab"})
    assert release.name == f"shop.refund@{hashlib.sha256(release.payload()).hexdigest()[:16]}"


@pytest.mark.parametrize(
    "changes",
    [{"policy": other}, {"features": (Feature("amount_eur"), Feature("status"))}, {"owner": "treasury"}],
)
def test_whatever_is_declared_otherwise_is_another_release(changes: dict[str, Any]) -> None:
    assert Release.of(replace(BASE, **changes)).name != Release.of(BASE).name


def test_another_model_is_another_release_and_another_lane_is_not() -> None:
    names = {Release.of(BASE, models).name for models in ({}, {"m": "sha256:ab"}, {"m": "sha256:cd"})}
    assert len(names) == 3
    assert Release.of(replace(BASE, lane=Lane.BATCH)).name == Release.of(BASE).name


def test_it_says_what_it_is_made_of() -> None:
    release = Release.of(BASE)
    assert set(release.features) == {"amount_eur"}
    assert set(release.contracts) == {"refund", "settled"}
    assert set(Release.of(CARDS).contracts) == {"payment"}


def test_it_comes_back_from_the_ledger_as_it_was() -> None:
    release = Release.of(BASE, {"fraud": "sha256:ab"}, {"rules": "sha256:cd"})
    stored = msgspec.json.decode(msgspec.json.encode(release.document()))
    assert Release.read(stored) == release
    with pytest.raises(msgspec.ValidationError):
        Release.read({**stored, "more": 1})
