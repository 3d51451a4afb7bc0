"""The decision that the benchmarks run: ten numbers of a payment, a LightGBM model, a policy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steward import Choice, Decision, Event, Feature, Features, Model, Prediction, Risk
from steward.clock import SystemClock
from steward.models.registry import FolderRegistry

INPUTS = tuple(f"x{n}" for n in range(10))
TREES, LEAVES = 100, 31


class Payment(Event):
    """Ten numbers that a model was trained on."""

    x0: float
    x1: float
    x2: float
    x3: float
    x4: float
    x5: float
    x6: float
    x7: float
    x8: float
    x9: float


def release_or_hold(features: Features, prediction: Prediction[float]) -> Choice[str]:
    """Hold what is probably fraud."""
    if prediction.value > 0.8:
        return Choice("hold", reasons=("fraud is likely",), rule="likely-fraud")
    return Choice("release", reasons=("fraud is unlikely",), rule="default")


DECISION = Decision(
    name="payments.release",
    owner="payments",
    purpose="Release or hold a payment",
    risk=Risk.MEDIUM,
    event=Payment,
    features=tuple(Feature(name) for name in INPUTS),
    predict=Model("fraud", inputs=INPUTS),
    policy=release_or_hold,
)


def model_text() -> str:
    """Train the model, the same on every machine, and return it as text."""
    import lightgbm

    chance = np.random.default_rng(7)
    rows = chance.normal(size=(20_000, len(INPUTS)))
    labels = (rows @ chance.normal(size=len(INPUTS)) + chance.normal(size=len(rows)) > 0).astype(int)
    parameters = {"objective": "binary", "num_leaves": LEAVES, "verbose": -1, "seed": 7, "num_threads": 1}
    data = lightgbm.Dataset(rows, labels, feature_name=list(INPUTS))
    return lightgbm.train(parameters, data, num_boost_round=TREES).model_to_string()


def register(root: Path, text: str) -> None:
    """Put the model into a registry."""
    FolderRegistry(root).register(
        "fraud",
        kind="lightgbm",
        files={"model.txt": text.encode()},
        inputs=INPUTS,
        task="binary",
        clock=SystemClock(),
    )


def events(count: int) -> list[bytes]:
    """Return ``count`` events as JSON."""
    import msgspec

    rows = np.random.default_rng(11).normal(size=(count, len(INPUTS))).round(6).tolist()
    return [msgspec.json.encode(Payment(**dict(zip(INPUTS, row, strict=True)))) for row in rows]
