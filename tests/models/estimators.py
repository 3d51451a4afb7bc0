"""Models of other libraries than LightGBM that the tests of this room share, as the bytes of their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np
import xgboost
from safetensors.numpy import save
from skl2onnx import to_onnx
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops.io import dumps
from tests.models.artefacts import INPUTS

from steward.models.code_reference import CodeReference
from steward.models.manifest import FileFacts, Manifest, declared

LABELS = ("low", "middle", "high")


def described(kind: str, task: str, files: Mapping[str, bytes], inputs: Sequence[str] = INPUTS) -> Manifest:
    return declared(
        "load",
        version=1,
        kind=kind,
        task=task,
        inputs=tuple(inputs),
        outputs=LABELS if task == "multiclass" else (),
        files={name: FileFacts.of(content, name) for name, content in files.items()},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@cache
def rows(missing: float = 0.0, count: int = 600) -> Any:
    drawn = np.random.default_rng(11)
    made = drawn.normal(size=(count, len(INPUTS)))
    made[drawn.random(made.shape) < missing] = np.nan
    return made


def answers(task: str, missing: float = 0.0) -> Any:
    score = np.nan_to_num(rows(missing)[:, 0]) * 2 + np.sin(np.nan_to_num(rows(missing)[:, 1]))
    return {"binary": score > 0, "multiclass": np.clip(score + 1, 0, 2).astype(int)}.get(task, score)


@cache
def xgboost_booster(objective: str, task: str, trees: int = 20, **parameters: Any) -> xgboost.Booster:
    data = xgboost.DMatrix(rows(0.1), answers(task, 0.1))
    return xgboost.train({"objective": objective, "max_depth": 4, "nthread": 1, **parameters}, data, trees)


def xgboost_file(objective: str, task: str, form: str = "json", **parameters: Any) -> bytes:
    return bytes(xgboost_booster(objective, task, **parameters).save_raw(form))


@cache
def fitted(kind: str, task: str) -> Any:
    made: Mapping[str, Any] = {
        "linear": LinearRegression() if task == "regression" else LogisticRegression(),
        "scaled": make_pipeline(StandardScaler(), LogisticRegression()),
        "forest": RandomForestClassifier(10, max_depth=6, random_state=1),
    }
    return made[kind].fit(rows(), answers(task))


@cache
def onnx_file(kind: str, task: str, *, double: bool = False, zipmap: bool = False) -> bytes:
    model = fitted(kind, task)
    options = {"zipmap": zipmap} if task != "regression" else {}
    kinds = DoubleTensorType if double else FloatTensorType
    made = to_onnx(
        model,
        initial_types=[("X", kinds([None, len(INPUTS)]))],
        options={id(model): options},
        target_opset={"": 18, "ai.onnx.ml": 3},
    )
    return bytes(made.SerializeToString())


@cache
def skops_file(kind: str, task: str) -> bytes:
    return bytes(dumps(fitted(kind, task)))


def two_layers(tensors: Mapping[str, Any], given: Any) -> Any:
    hidden = np.tanh(np.nan_to_num(given) @ tensors["first"])
    raw = hidden @ tensors["second"]
    powers = np.exp(raw - raw.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def one_layer(tensors: Mapping[str, Any], given: Any) -> Any:
    return np.nan_to_num(given) @ tensors["first"][:, 0]


@cache
def tensors_files(task: str) -> Mapping[str, bytes]:
    drawn = np.random.default_rng(5)
    weights = {"first": drawn.normal(size=(len(INPUTS), 8)), "second": drawn.normal(size=(8, len(LABELS)))}
    function = two_layers if task == "multiclass" else one_layer
    return {"model.safetensors": bytes(save(weights)), "code.json": CodeReference.of(function).encode()}
