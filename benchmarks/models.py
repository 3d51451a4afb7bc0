"""What a prediction costs beside the libraries' own calls, what verifying a model costs, and what canaries find.

``python -m benchmarks.models [--json]``
"""

from __future__ import annotations

import gc
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from benchmarks.report import Figure, report

from steward.clock import SystemClock
from steward.decision.guardrail import Guardrail
from steward.models.engines.lightgbm import LightGBMModel
from steward.models.engines.linear import LinearFile, LinearModel, Term
from steward.models.formats.lightgbm_text import check
from steward.models.registry import FolderRegistry
from steward.models.signing.keys import PrivateKey
from steward.models.signing.trust import trust_key
from steward.releases.judge import Advice
from steward.testing.canaries import Quality, rollout
from steward.testing.tampering import refusals
from steward.testing.tampering_cases import cases

INPUTS = tuple(f"x{at}" for at in range(10))
ROUNDS = 7


def fastest_us(calls: dict[str, Callable[[], object]], seconds_each: float = 0.05) -> dict[str, float]:
    """Return the least time of each call in microseconds; they take turns, so that noise meets all alike."""
    best = dict.fromkeys(calls, float("inf"))
    times = {}
    for name, call in calls.items():
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


def trained() -> tuple[lightgbm.Booster, Any]:
    """Return 100 trees of 31 leaves on 10 inputs, and rows to ask."""
    drawn = np.random.default_rng(1)
    rows = drawn.normal(size=(5_000, len(INPUTS)))
    rows[drawn.random(rows.shape) < 0.05] = np.nan
    answers = np.nan_to_num(rows[:, 0]) + drawn.normal(size=5_000) > 0
    options = {"objective": "binary", "num_leaves": 31, "verbosity": -1, "num_threads": 1, "seed": 1}
    return lightgbm.train(options, lightgbm.Dataset(rows, answers), 100), rows[:1_000].copy()


def verifying() -> list[Figure]:
    """Return what proving a signed model of 5 MB costs on load, and how much of a corpus of tampering is refused."""
    key, size_bytes = PrivateKey.new(), 5_000_000
    with tempfile.TemporaryDirectory() as folder:
        root, trust = Path(folder) / "models", Path(folder) / "trust"
        trust_key(trust, "anna", key.public)
        registry = FolderRegistry(root, trust)
        registry.register(
            "large",
            kind="lightgbm",
            files={"model.txt": os.urandom(size_bytes)},
            inputs=("x",),
            task="regression",
            clock=SystemClock(),
            check=lambda *_: None,  # what is proven are bytes, whatever they mean
            key=key,
        )
        verify = fastest_us({"verify": lambda: registry.fetch("large")})["verify"] / 1_000
        tried = refusals(Path(folder) / "tampering", cases())
    refused = sum(error is not None for error in tried.values())
    return [
        Figure("verify_5_mb_ms", verify, "ms", 20, below=True),
        Figure("tampered_tried", len(tried), "cases", 200),
        Figure("tampered_refused_pct", 100 * refused / len(tried), "%", 100),
    ]


def canaries() -> list[Figure]:
    """Return what guardrails find of 200 worse canaries (value -5 %, errors +2 points), and of 200 equal ones."""
    rails = (Guardrail("errors"), Guardrail("value"))
    good = Quality(error_rate=0.01, value=10.0, spread=10.0)
    worse = Quality(error_rate=0.03, value=9.5, spread=10.0)
    tried = {
        quality: [
            rollout(rails, canary=quality, champion=good, share=0.05, planned=10_000, seed=seed) for seed in range(200)
        ]
        for quality in (worse, good)
    }
    early = sum(course.advice is Advice.ABORT and course.exposure < 0.2 for course in tried[worse])
    false = sum(course.advice is Advice.ABORT for course in tried[good])
    exposure = sorted(course.exposure for course in tried[worse])
    return [
        Figure("worse_canary_aborted_early_pct", early / 2, "%", 100),
        Figure("equal_canary_aborted_pct", false / 2, "%", 5, below=True),
        Figure("worse_canary_median_exposure_pct", 100 * exposure[100], "%"),
        Figure("worse_canary_largest_exposure_pct", 100 * exposure[-1], "%"),
    ]


def main() -> None:
    """Measure and report."""
    booster, rows = trained()
    text = booster.model_to_string().encode()
    ours = LightGBMModel(check(text), name="bench", inputs=INPUTS, task="binary")
    terms = tuple(Term(name, 0.1 * at, 0.0, 0.0) for at, name in enumerate(INPUTS))
    linear = LinearModel(LinearFile(intercept=0.5, terms=terms), name="bench", task="binary")
    row, one, full = rows[0].tolist(), rows[:1], np.nan_to_num(rows[0]).tolist()
    empty = [float("nan"), *full[1:]]
    best = fastest_us(
        {
            "booster_row": lambda: booster.predict(one, num_threads=1),
            "row": lambda: ours.predict_one(row),
            "row_in_array": lambda: ours.predict(one),
            "booster_10": lambda: booster.predict(rows[:10], num_threads=1),
            "batch_10": lambda: ours.predict(rows[:10]),
            "booster_1000": lambda: booster.predict(rows, num_threads=1),
            "batch_1000": lambda: ours.predict(rows),
            "attribution_row": lambda: ours.attribute(one),
            "attribution_64": lambda: ours.attribute(rows[:64]),
            "linear_row": lambda: linear.predict_one(full),
            "linear_missing": lambda: linear.predict_one(empty),
            "linear_1000": lambda: linear.predict(rows),
            "linear_attribution": lambda: linear.attribute(one),
            "check": lambda: check(text),
            "load": lambda: LightGBMModel(check(text), name="bench", inputs=INPUTS, task="binary"),
        }
    )
    alone = np.array([ours.predict_one(each) for each in rows.tolist()])
    peer = np.asarray(booster.predict(rows))
    equal = float(np.mean((alone == peer) & (ours.predict(rows) == peer)) * 100)
    report(
        "models",
        [
            Figure("row_ratio", best["booster_row"] / best["row"], "x", 4),
            Figure("equal_bits_pct", equal, "%", 100),
            Figure("row_us", best["row"], "us"),
            Figure("booster_row_us", best["booster_row"], "us"),
            Figure("row_in_array_us", best["row_in_array"], "us"),
            Figure("batch_10_us_per_row", best["batch_10"] / 10, "us"),
            Figure("booster_10_us_per_row", best["booster_10"] / 10, "us"),
            Figure("batch_1000_us_per_row", best["batch_1000"] / 1_000, "us"),
            Figure("booster_1000_us_per_row", best["booster_1000"] / 1_000, "us"),
            Figure("attribution_row_us", best["attribution_row"], "us"),
            Figure("attribution_64_us_per_row", best["attribution_64"] / 64, "us"),
            Figure("linear_row_us", best["linear_row"], "us", 1, below=True),
            Figure("linear_row_with_missing_us", best["linear_missing"], "us"),
            Figure("linear_1000_us_per_row", best["linear_1000"] / 1_000, "us"),
            Figure("linear_attribution_row_us", best["linear_attribution"], "us"),
            Figure("check_text_ms", best["check"] / 1_000, "ms"),
            Figure("load_ms", best["load"] / 1_000, "ms"),
            *verifying(),
            *canaries(),
        ],
        {"model": f"{checked_size(text)} KB, 100 trees x 31 leaves, 10 inputs"},
    )


def checked_size(text: bytes) -> int:
    """Return the size in KB of what is handed to the library."""
    return len(check(text).text) // 1_000


if __name__ == "__main__":
    main()
