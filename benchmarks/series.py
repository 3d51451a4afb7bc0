"""Series of scores on which the calibration of answers is measured, and how a method did on them."""

from __future__ import annotations

import csv
import gzip
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steward.models.calibration.conformal import Tracker

LEVEL = 0.9
WARM_UP = 100
WINDOW = 500
DATA = Path(__file__).parents[2] / "shared" / "data"
_SEGMENTS = (
    (1000, 0.0),
    (1000, 0.1),
    (1000, 0.5),
    (500, 0.1),
    (500, 0.5),
    (200, 0.1),
    (200, 0.5),
    (100, 0.1),
    (100, 0.5),
    (50, 0.1),
    (50, 0.5),
    (500, 0.1),
)
"""How long each segment of the change-point series is, and its standard deviation around 0.5."""


def change_points(seed: int) -> Any:
    """Return the scores of the change-point series of Angelopoulos et al. 2023 (their ``many_changepoints``)."""
    drawn = np.random.default_rng(seed)
    return np.concatenate([0.5 + deviation * drawn.normal(size=length) for length, deviation in _SEGMENTS])


def hourly_load() -> tuple[Any, Any] | None:
    """Return Spain's hourly load and the operator's day-ahead forecast of it, MW; ``None`` without the data."""
    path = DATA / "es_load_price_2015_2018_hourly.csv.gz"
    if not path.is_file():
        return None
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [(row["load_mw"], row["load_forecast_tso_mw"]) for row in csv.DictReader(file)]
    known = np.array([(float(load), float(told)) for load, told in rows if load and told])
    return known[:, 0], known[:, 1]


def load_scores() -> dict[str, Any]:
    """Return the absolute errors of three forecasts of hourly load, by name; empty without the data."""
    found = hourly_load()
    if found is None:
        return {}
    load, told = found
    return {
        "operator's forecast": np.abs(load - told),
        "same hour yesterday": np.abs(load[24:] - load[:-24]),
        "same hour last week": np.abs(load[168:] - load[:-168]),
    }


@dataclass(frozen=True)
class Kept:
    """How well thresholds kept the promise: over all after the first 100, in the worst and best window of 500."""

    coverage: float
    worst: float
    best: float
    mean_threshold: float
    infinite: int

    @classmethod
    def of(cls, scores: Any, thresholds: Any) -> Kept:
        """Judge thresholds, each of which was known before its score."""
        held = (scores <= thresholds)[WARM_UP:].astype(float)
        sums = np.concatenate([[0.0], held.cumsum()])
        windows = (sums[WINDOW:] - sums[:-WINDOW]) / WINDOW
        after = thresholds[WARM_UP:]
        known = after[np.isfinite(after)]
        return cls(
            float(held.mean()), float(windows.min()), float(windows.max()), float(known.mean()), len(after) - len(known)
        )


def tracked(scores: Any, level: float = LEVEL, delay: int = 0) -> Any:
    """Return the tracker's threshold before each score; each score is known after ``delay`` more answers."""
    tracker = Tracker(level)
    thresholds = np.full(len(scores), math.inf)
    learnt = [0] * len(scores)
    for now in range(len(scores)):
        threshold = tracker.threshold
        thresholds[now], learnt[now] = math.inf if threshold is None else threshold, tracker.n
        then = now - delay
        if then >= 0:
            promised, score = float(thresholds[then]), float(scores[then])
            held = None if promised == math.inf else score <= promised
            tracker = tracker.after(score, held, tracker.n - learnt[then])
    return thresholds
