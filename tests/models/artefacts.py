"""Trained artefacts that the tests of this room share."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import lightgbm
import numpy as np

from steward.clock import VirtualClock
from steward.models.engines.linear import LinearFile, Term
from steward.models.manifest import FileFacts, Manifest, declared

INPUTS = ("load_mw", "price_eur", "temperature_c", "hour", "weekday")


def clock() -> VirtualClock:
    return VirtualClock(datetime(2026, 1, 1, tzinfo=UTC), seed=3)


def linear_file(intercept: float = 0.25) -> bytes:
    terms = (
        Term(name, coefficient=0.3 * (-1) ** at / (1 + at), mean=0.1 * at, missing=0.2 * at)
        for at, name in enumerate(INPUTS)
    )
    return LinearFile(intercept=intercept, terms=tuple(terms)).to_bytes()


@cache
def booster(objective: str = "binary", trees: int = 20, **parameters: Any) -> lightgbm.Booster:
    drawn = np.random.default_rng(11)
    rows = drawn.normal(size=(1500, len(INPUTS)))
    rows[:, 4] = drawn.integers(0, 7, 1500)
    rows[drawn.random(rows.shape) < 0.05] = np.nan
    score = np.nan_to_num(rows[:, 0]) * 2 + np.sin(np.nan_to_num(rows[:, 1])) + (np.nan_to_num(rows[:, 4]) % 3)
    score += drawn.normal(size=1500) / 4
    answers = {"binary": score > 1, "multiclass": np.clip(score, 0, 2).astype(int)}.get(objective, np.exp(score / 3))
    options = {"objective": objective, "num_leaves": 15, "verbosity": -1, "num_threads": 1, "seed": 5, **parameters}
    categories = parameters.get("categorical_feature", "")
    data = lightgbm.Dataset(
        rows, answers, feature_name=list(INPUTS), categorical_feature=[int(categories)] if categories else []
    )
    options.pop("categorical_feature", None)
    return lightgbm.train(options, data, trees)


def lightgbm_text(objective: str = "binary", trees: int = 20, **parameters: Any) -> bytes:
    return booster(objective, trees, **parameters).model_to_string().encode()


def manifest(kind: str, task: str, **files: bytes) -> Manifest:
    names = {name.replace("_", "."): FileFacts.of(content) for name, content in files.items()}
    return declared(
        "load", version=1, kind=kind, task=task, inputs=INPUTS, files=names, created_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
