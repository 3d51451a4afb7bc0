"""A decision of a bank on a trained model, for the tests of what would have changed a choice."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

import lightgbm
import numpy as np
from msgspec import Meta

from steward import Choice, Decision, Event, Feature, Features, Model, Prediction, Risk
from steward.features.online import OnlineFeatures
from steward.loop.prepare import Prepared, prepare
from steward.models.engines.lightgbm import LightGBMModel
from steward.models.formats.lightgbm_text import check

INPUTS = ("income_eur", "debt_eur", "jobs", "age")


class Loan(Event):
    income_eur: Annotated[float, Meta(ge=0, le=200_000)]
    debt_eur: Annotated[float, Meta(ge=0)]
    jobs: Annotated[int, Meta(ge=0, le=9)]
    age: int
    has_guarantor: bool = False
    purpose: Literal["car", "house", "other"] = "other"


def burden(event: Loan, income_eur: float, debt_eur: float) -> float:
    return debt_eur / max(income_eur, 1.0)


def lend(features: Features, prediction: Prediction[float]) -> Choice[str]:
    if features.number("burden") > 3.0:
        return Choice("refuse", reasons=("the debt is too high",), rule="burden")
    if features.flag("has_guarantor") and prediction.value < 0.6:
        return Choice("lend", reasons=("there is a guarantor",), rule="guarantor")
    if features.text("purpose") == "house" and prediction.value < 0.5:
        return Choice("lend", reasons=("there is a house",), rule="house")
    risky = prediction.value > 0.3
    return Choice("refuse" if risky else "lend", reasons=(f"risk {prediction.value:.2f}",), rule="risk")


@cache
def model() -> LightGBMModel:
    drawn = np.random.default_rng(2)
    rows = np.column_stack(
        (drawn.uniform(0, 100_000, 3000), drawn.uniform(0, 50_000, 3000), drawn.integers(0, 6, 3000),
         drawn.integers(18, 90, 3000))
    )  # fmt: skip
    score = rows[:, 1] / 20_000 - rows[:, 0] / 30_000 + rows[:, 2] / 3 - rows[:, 3] / 60 + drawn.normal(size=3000) / 3
    options = {"objective": "binary", "num_leaves": 15, "verbosity": -1, "num_threads": 1, "seed": 5}
    booster = lightgbm.train(options, lightgbm.Dataset(rows, score > 0, feature_name=list(INPUTS)), 30)
    checked = check(booster.model_to_string().encode())
    return LightGBMModel(checked, name="default", inputs=INPUTS, task="binary", digest="sha256:ab")


def loan(**changes: Any) -> Decision[Loan, float, str]:
    given: dict[str, Any] = {
        "name": "bank.loan",
        "owner": "credit",
        "purpose": "Lend or refuse",
        "risk": Risk.HIGH,
        "event": Loan,
        "features": (*map(Feature, INPUTS), Feature("has_guarantor"), Feature("purpose"), Feature(burden)),
        "predict": Model("default"),
        "policy": lend,
        "immutable": ("age",),
    }
    return Decision(**given | changes)


def prepared(**changes: Any) -> Prepared:
    return prepare(loan(**changes), {"default": model()}, OnlineFeatures(()))
