"""What an exact explanation costs: our TreeSHAP beside LightGBM's own and shap's, in one run, on one core.

``python -m benchmarks.attribution [--json]``. shap's ``TreeExplainer`` is measured in an environment of its
own, which is made the first time.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import xgboost
from benchmarks.models import fastest_us
from benchmarks.peers import environment
from benchmarks.report import Figure, report

from steward.models.attribution.explaining import cost_of
from steward.models.attribution.shap import TreeShap
from steward.models.attribution.shap_numpy import contributions as by_numpy
from steward.models.attribution.trees_lightgbm import trees_of
from steward.models.attribution.trees_xgboost import trees_of as trees_of_xgboost
from steward.models.engines.lightgbm import LightGBMModel
from steward.models.formats.lightgbm_text import check
from steward.models.formats.xgboost_json import check as check_xgboost

WIDTH = 20
BATCH = 1_000
GOAL_RATIO = 13.0
"""LightGBM's own 400 µs against the 31 µs that tables in C were measured at."""
_PEER = Path(__file__).parent / "peers" / "shap_explainer.py"


def data() -> tuple[Any, Any]:
    """Return rows of 20 inputs, a twentieth of the numbers missing, and answers that depend on most of them."""
    drawn = np.random.default_rng(0)
    rows = drawn.normal(size=(20_000, WIDTH))
    score = rows[:, 0] * 2 + np.sin(rows[:, 1] * 3) + rows[:, 2] * rows[:, 3] + (rows[:, 4] > 0) * rows[:, 5]
    answers = score + rows[:, 6:].sum(axis=1) / 10 + drawn.normal(size=len(rows)) * 0.3
    rows[drawn.random(rows.shape) < 0.05] = np.nan
    return rows, answers


def trained(rows: Any, answers: Any) -> lightgbm.Booster:
    """Return 100 trees of 31 leaves."""
    options = {"objective": "regression", "num_leaves": 31, "verbosity": -1, "num_threads": 1, "seed": 1}
    return lightgbm.train(options, lightgbm.Dataset(rows, answers), 100)


def by_shap(booster: lightgbm.Booster, rows: Any) -> dict[str, Any]:
    """Return what shap's own explainer takes, measured in its own environment."""
    python = str(environment("shap"))
    with tempfile.TemporaryDirectory() as folder:
        model, given = Path(folder, "model.txt"), Path(folder, "rows.npy")
        booster.save_model(model)
        np.save(given, rows)
        asked = [python, str(_PEER), str(model), str(given)]
        done = subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def against_xgboost(rows: Any, answers: Any) -> tuple[float, float]:
    """Return the times of a batch's row in microseconds, ours and XGBoost's own (float32), for 100 trees of depth 6."""
    booster = xgboost.train({"max_depth": 6, "nthread": 1, "seed": 1}, xgboost.DMatrix(rows, answers), 100)
    ours = TreeShap(trees_of_xgboost(check_xgboost(bytes(booster.save_raw("json")))))
    asked, given = rows[:BATCH], xgboost.DMatrix(rows[:BATCH], nthread=1)
    difference = np.abs(ours.attribute(asked) - booster.predict(given, pred_contribs=True))
    if difference.max() > 1e-4:
        raise SystemExit(f"XGBoost explains otherwise, by {difference.max()}")
    times = fastest_us(
        {"ours": lambda: ours.attribute(asked), "xgboost": lambda: booster.predict(given, pred_contribs=True)}
    )
    return times["ours"] / BATCH, times["xgboost"] / BATCH


def main() -> None:
    """Measure and report."""
    rows, answers = data()
    booster = trained(rows, answers)
    checked = check(booster.model_to_string().encode())
    model = LightGBMModel(checked, name="bench", inputs=[f"x{at}" for at in range(WIDTH)], task="regression")
    trees = trees_of(checked)
    ours, plain = TreeShap(trees), TreeShap(trees, by_numpy)
    asked, own = rows[:BATCH], np.asarray(booster.predict(rows[:BATCH], pred_contrib=True, num_threads=1))
    parts = ours.attribute(asked)
    worst = float(np.max(np.abs(parts - own) / np.maximum(np.abs(own), 1e-9)))
    cost = cost_of(model)  # also makes its tables, so that no measured call does
    at = [0]

    def row() -> Any:
        """Return another row each time, so that no branch is learnt by heart."""
        at[0] = (at[0] + 1) % BATCH
        return asked[at[0] : at[0] + 1]

    times = fastest_us(
        {
            "row": lambda: model.attribute(row()),
            "batch": lambda: model.attribute(asked),
            "numpy": lambda: plain.attribute(row()),
            "own row": lambda: booster.predict(row(), pred_contrib=True, num_threads=1),
            "own batch": lambda: booster.predict(asked, pred_contrib=True, num_threads=1),
            "predict": lambda: model.predict_one(asked[0].tolist()),
        }
    )
    peer, boosted = by_shap(booster, asked), against_xgboost(rows, answers)
    figures = [
        Figure("one row, 100 trees x 31 leaves", times["row"], "us", 31, below=True),
        Figure("LightGBM's pred_contrib, the same", times["own row"], "us"),
        Figure("times as fast", times["own row"] / times["row"], "x", GOAL_RATIO),
        Figure("a row of a batch", times["batch"] / BATCH, "us"),
        Figure("LightGBM's, of a batch", times["own batch"] / BATCH, "us"),
        Figure("times as fast, of a batch", times["own batch"] / times["batch"], "x", GOAL_RATIO),
        Figure("one row without machine code", times["numpy"], "us"),
        Figure("a row of a batch, XGBoost 100 x depth 6", boosted[0], "us"),
        Figure("XGBoost's pred_contribs, the same", boosted[1], "us"),
        Figure("largest relative difference x 1e6", worst * 1e6, "1e-6", 1, below=True),
        Figure("a batch is its rows bit for bit", float(_is_its_rows(model, asked, parts)), "", 1),
        Figure("table", ours.table.size_bytes / 1024, "KiB"),
        Figure("prediction of one row", times["predict"], "us"),
        Figure("measured at load", 0.0 if cost is None else cost / timedelta(microseconds=1), "us"),
    ]
    if peer:
        figures += [
            Figure("shap.TreeExplainer, one row", peer["one_us"], "us"),
            # It ran at another time: LightGBM's own call, which was measured both times, is the common measure.
            Figure("times as fast as shap", peer["one_us"] / peer["own_us"] * times["own row"] / times["row"], "x"),
            Figure("shap.TreeExplainer, of a batch", peer["batch_us"], "us"),
        ]
    report("attribution", figures, {"shap": peer.get("version", "not measured"), "lightgbm": lightgbm.__version__})


def _is_its_rows(model: LightGBMModel, asked: Any, parts: Any) -> bool:
    alone = (model.attribute(asked[at : at + 1]) for at in range(len(asked)))
    return bool(np.concatenate(list(alone)).tobytes() == parts.tobytes())


if __name__ == "__main__":
    main()
