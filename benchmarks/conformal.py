"""Calibrated intervals: what an update costs, and how well the promise is kept where the world changes; mapie beside.

Usage: ``python -m benchmarks.conformal [--json] [--quick]``. The hourly load is left out where its data is not there.
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from time import perf_counter
from typing import Any

import numpy as np
from benchmarks.report import Figure, report
from benchmarks.series import LEVEL, WARM_UP, Kept, change_points, load_scores, tracked

from steward.models.calibration import beta, isotonic
from steward.models.calibration.conformal import Given, Tracker, Trackers

_QUICK = "--quick" in sys.argv
_SEEDS = 3 if _QUICK else 20
_ROUNDS = 3 if _QUICK else 7


def micros(work: Callable[[], int]) -> float:
    """Return what one of the calls that ``work`` counts costs, in µs: the best of some rounds."""
    best = math.inf
    for _ in range(_ROUNDS):
        start = perf_counter()
        count = work()
        best = min(best, (perf_counter() - start) / count * 1e6)
    return best


def update_cost(scores: list[float]) -> float:
    """Return what it costs to give a threshold and to learn from its outcome, with nothing around it."""

    def work() -> int:
        tracker = Tracker(LEVEL)
        for score in scores:
            threshold = tracker.threshold
            tracker = tracker.after(score, None if threshold is None else score <= threshold)
        return len(scores)

    return micros(work)


def decision_cost(scores: list[float]) -> float:
    """Return what it costs for one of a hundred groups: to find its tracker, to tell the facts, and to learn."""

    def work() -> int:
        trackers = Trackers(LEVEL, 100)
        for at, score in enumerate(scores):
            group = f"g{at % 100}"
            facts = trackers.facts("sha256:ab", group)
            known = facts.method in {"split", "pi"}
            trackers.learn("sha256:ab", group, score, Given(None, True, facts.learnt) if known else None)
        return len(scores)

    return micros(work)


def apply_cost(apply: Callable[[float], float]) -> float:
    """Return what a calibrator costs, applied to one probability."""
    asked = np.random.default_rng(1).random(20_000).tolist()

    def work() -> int:
        for probability in asked:
            apply(probability)
        return len(asked)

    return micros(work)


def kept_by(method: Callable[[Any], Any], series: list[Any]) -> dict[str, Any]:
    """Return how well a method keeps the promise: the worst of some series."""
    found = [Kept.of(scores, method(scores)) for scores in series]
    off = max(found, key=lambda kept: abs(kept.coverage - LEVEL))
    return {
        "coverage": off.coverage,
        "off_points": 100 * abs(off.coverage - LEVEL),
        "worst_window": min(kept.worst for kept in found),
        "infinite": sum(kept.infinite for kept in found),
        "mean_threshold": float(np.mean([kept.mean_threshold for kept in found])),
    }


def split(scores: Any) -> Any:
    """Return the thresholds of split conformal prediction on the first 100 scores, by mapie."""
    from mapie.regression import SplitConformalRegressor

    rows = np.zeros((len(scores), 1))
    theirs = SplitConformalRegressor(_zero(rows, scores), confidence_level=LEVEL, prefit=True)
    _, bounds = theirs.conformalize(rows[:WARM_UP], scores[:WARM_UP]).predict_interval(rows[:1])
    return np.full(len(scores), bounds[0, 1, 0])


def adaptive(scores: Any) -> tuple[Any, float]:
    """Return the thresholds of adaptive conformal inference by mapie, and what a step of it costs in µs."""
    from mapie.regression import TimeSeriesRegressor

    rows, thresholds = np.zeros((len(scores), 1)), np.full(len(scores), math.inf)
    theirs = TimeSeriesRegressor(_zero(rows, scores), method="aci", cv="prefit").fit(rows[:WARM_UP], scores[:WARM_UP])
    start = perf_counter()
    for at in range(WARM_UP, len(scores)):
        _, bounds = theirs.predict(rows[at : at + 1], confidence_level=LEVEL, allow_infinite_bounds=True)
        thresholds[at] = bounds[0, 1, 0]
        now = slice(at, at + 1)
        theirs.adapt_conformal_inference(rows[now], scores[now], gamma=0.01, confidence_level=LEVEL)
        theirs.update(rows[now], scores[now])
    return thresholds, (perf_counter() - start) / (len(scores) - WARM_UP) * 1e6


def _zero(rows: Any, scores: Any) -> Any:
    from sklearn.dummy import DummyRegressor

    return DummyRegressor(strategy="constant", constant=0.0).fit(rows, scores)


def peers(scores: Any) -> tuple[list[Figure], dict[str, Any]]:
    """Return how mapie does on a series, with what a step costs there; nothing where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            thresholds, cost = adaptive(scores)
            still = Kept.of(scores, split(scores))
    except ImportError:
        return [], {"mapie": "not installed"}
    moved = Kept.of(scores, thresholds)
    return [
        Figure("mapie's ACI: a step", cost, "µs"),
        Figure("mapie's ACI: coverage off 90 %", 100 * abs(moved.coverage - LEVEL), "points"),
        Figure("mapie's ACI: infinite after 100 outcomes", moved.infinite, ""),
        Figure("mapie's split: worst window of 500", 100 * still.worst, "%"),
    ], {"mapie on the first series of change points": {"aci": asdict(moved), "split": asdict(still)}}


def promises(name: str, found: dict[str, Any]) -> list[Figure]:
    """Return the figures of one kind of series."""
    return [
        Figure(f"{name}: coverage off 90 %, at most", found["off_points"], "points", 0.5, below=True),
        Figure(f"{name}: worst window of 500", 100 * found["worst_window"], "%", 86),
        Figure(f"{name}: infinite after 100 outcomes", found["infinite"], "", 0, below=True),
    ]


def main() -> None:
    """Measure and report."""
    changing = [change_points(seed) for seed in range(_SEEDS)]
    drawn = np.random.default_rng(3)
    told = drawn.random(5000)
    happened = drawn.random(5000) < told**2
    scores = np.abs(drawn.normal(size=20_000)).tolist()
    kept = kept_by(tracked, changing)
    figures = [
        Figure("tracker: threshold and update", update_cost(scores), "µs", 5, below=True),
        Figure("one of 100 groups: facts and both updates", decision_cost(scores), "µs"),
        Figure("isotonic: apply", apply_cost(isotonic.fit(told, happened).function()), "µs", 1, below=True),
        Figure("beta: apply", apply_cost(beta.fit(told, happened).function()), "µs", 1, below=True),
        *promises("change points", kept),
    ]
    details: dict[str, Any] = {"change points": kept}
    for name, load in load_scores().items():
        details[name] = kept_by(tracked, [load])
        details[f"{name}, outcomes 24 h later"] = kept_by(lambda each: tracked(each, delay=24), [load])
    loads = [details[name] for name in load_scores()]
    if loads:
        worst = {
            "off_points": max(each["off_points"] for each in loads),
            "worst_window": min(each["worst_window"] for each in loads),
            "infinite": sum(each["infinite"] for each in loads),
        }
        figures += promises("hourly load", worst)
    else:
        details["hourly load"] = "left out: the data is not here"
    beside, told_by_peers = peers(changing[0])
    report("conformal", figures + beside, {**details, **told_by_peers})


if __name__ == "__main__":
    main()
