"""What an answer costs in each format of models: ours beside the call of the library that has trained it.

``python -m benchmarks.formats [--json]``
"""

from __future__ import annotations

import gc
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import lightgbm
import numpy as np
import xgboost
from benchmarks.report import Figure, report
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skops.io import dumps

from steward.models.registration.registering import Weights, register
from steward.models.registry import FolderRegistry

INPUTS = tuple(f"x{at}" for at in range(10))
ROUNDS = 7


def fastest_us(calls: Mapping[str, Callable[[], object]], seconds_each: float = 0.03) -> dict[str, float]:
    """Return the least time of each call in microseconds; they take turns, so that noise meets all alike."""
    best = dict.fromkeys(calls, float("inf"))
    times = {}
    for name, call in calls.items():
        call()
        start = time.perf_counter()
        call()
        times[name] = max(1, int(seconds_each / max(time.perf_counter() - start, 1e-7)))
    gc.disable()
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            for _ in range(times[name]):
                call()
            best[name] = min(best[name], (time.perf_counter() - start) / times[name] * 1e6)
    gc.enable()
    return best


def one_layer(tensors: Mapping[str, Any], rows: Any) -> Any:
    """Return the probability of yes of a network of one hidden layer."""
    raw = np.maximum(rows @ tensors["w0"] + tensors["b0"], 0.0) @ tensors["w1"] + tensors["b1"]
    return 1.0 / (1.0 + np.exp(-raw))


def trained() -> Mapping[str, tuple[Any, Callable[[Any], object], Any]]:
    """Return what is registered, the library's own call, and what it was trained as, by name."""
    from benchmarks import formats  # started by name, this module is __main__, where no function can be found again

    drawn = np.random.default_rng(1)
    rows = drawn.normal(size=(5_000, len(INPUTS)))
    yes = (rows[:, 0] + np.sin(rows[:, 1]) + drawn.normal(size=5_000) > 0).astype(int)
    few: dict[str, Any] = {"n_estimators": 100, "n_jobs": 1}
    boosted = lightgbm.LGBMClassifier(num_leaves=31, verbosity=-1, **few).fit(rows, yes)
    several = lightgbm.LGBMClassifier(num_leaves=31, verbosity=-1, **few).fit(rows, yes + (rows[:, 2] > 1))
    extreme = xgboost.XGBClassifier(max_leaves=31, max_depth=0, grow_policy="lossguide", **few).fit(rows, yes)
    network = MLPClassifier((32,), max_iter=30, random_state=1)
    odds = make_pipeline(StandardScaler(), LogisticRegression())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it need not have converged to be asked
        sklearn = {
            "logistic": odds.fit(rows, yes),
            "network": network.fit(rows, yes),
            "forest": RandomForestClassifier(100, max_leaf_nodes=31, n_jobs=1).fit(rows, yes),
            "histogram": HistGradientBoostingClassifier(max_iter=100, early_stopping=False).fit(rows, yes),
        }
    weights = {f"{kind}{at}": part[at] for kind, part in zip("wb", (network.coefs_, network.intercepts_), strict=True)
               for at in range(2)}  # fmt: skip
    weights |= {"w1": weights["w1"][:, 0], "b1": weights["b1"][0]}
    return {
        "lightgbm": (boosted, lambda asked: boosted.booster_.predict(asked, num_threads=1), rows),
        "lightgbm_multiclass": (several, lambda asked: several.booster_.predict(asked, num_threads=1), rows),
        "xgboost": (extreme, extreme.get_booster().inplace_predict, rows),
        **{name: (model, model.predict_proba, rows) for name, model in sklearn.items()},
        "safetensors": (Weights(formats.one_layer, weights), lambda asked: one_layer(weights, asked), rows),
        "skops": (dumps(odds), odds.predict_proba, rows),
    }


def main() -> None:
    """Measure and report."""
    figures = []
    details: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (model, call, rows) in trained().items():
            told: Any = {"task": "binary"} if name in {"safetensors", "skops"} else {}
            start = time.perf_counter()
            made = register(
                model, name=name.replace("_", "-"), registry=folder, inputs=INPUTS, sample=rows[:200], **told
            )
            took_s = time.perf_counter() - start
            ours = FolderRegistry(folder).load(made.name)  # type: ignore[arg-type]  # a str is a Path to pathlib
            row, one, many = rows[0].tolist(), rows[:1].copy(), rows[:100].copy()
            best = fastest_us(
                {
                    "row": lambda ours=ours, row=row: ours.predict_one(row),  # type: ignore[misc]  # bound early
                    "peer_row": lambda call=call, one=one: call(one),  # type: ignore[misc]  # bound early
                    "batch": lambda ours=ours, many=many: ours.predict(many),  # type: ignore[misc]  # bound early
                    "peer_batch": lambda call=call, many=many: call(many),  # type: ignore[misc]  # bound early
                }
            )
            figures += [
                Figure(f"{name}_row_us", best["row"], "us"),
                Figure(f"{name}_library_row_us", best["peer_row"], "us"),
                Figure(f"{name}_batch_100_us", best["batch"], "us"),
                Figure(f"{name}_library_batch_100_us", best["peer_batch"], "us"),
                Figure(f"{name}_register_ms", took_s * 1e3, "ms"),
            ]
            found = made.manifest.checked
            details[name] = {"kind": made.manifest.kind, "checked": None if not found else str(found)}
    report("formats", figures, details)


if __name__ == "__main__":
    main()
