"""From an answer to what is promised, and from an outcome to what is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.runtime.gauge import GAUGE

from steward.decision.feature import Features
from steward.errors import StewardError
from steward.loop.calibrate import Basis, calibrated, learn
from steward.loop.predict import Predictions
from steward.models.calibration.conformal import Trackers
from steward.records import CalibrationFacts, Interval, Prediction


async def promised(answer: Prediction[Any] | Exception, threshold: float) -> Any:
    async def predict(batch: Sequence[Features]) -> Predictions:
        return [answer] * len(batch)

    def find(model: str, group: str | None) -> CalibrationFacts:
        return CalibrationFacts(method="pi", level=0.9, n=100, learnt=110, threshold=threshold)

    [found] = await calibrated(GAUGE, predict, find)([Features(told_mw=1.0, region="N")])
    return found


async def test_bounds_that_are_far_too_wide_meet_in_the_middle() -> None:
    told = Prediction(value=4.0, interval=Interval(0.0, 8.0, 0.5))
    narrowed, met = await promised(told, -3.0), await promised(told, -5.0)
    assert narrowed.interval == Interval(3.0, 5.0, 0.9)
    assert met.interval == Interval(4.0, 4.0, 0.9)
    assert met.calibration.band == (0.0, 8.0)


async def test_what_a_pipeline_told_of_its_confidence_stays() -> None:
    assert (await promised(Prediction(value=4.0, confidence=0.7), 1.0)).confidence == 0.7
    assert (await promised(Prediction(value=4.0), 1.0)).confidence == 0.9


async def test_one_labels_probability_stays_its_confidence() -> None:
    told = Prediction(value="mid", confidence=0.6, probabilities={"low": 0.1, "mid": 0.6, "high": 0.3})
    found = await promised(told, 0.75)
    assert (found.labels, found.confidence, found.abstains) == (("mid", "high"), 0.6, True)
    assert (await promised(told, 0.5)).abstains is False
    assert (await promised(told, 0.1)).labels == ()


async def test_an_error_stays_an_error() -> None:
    failed = ValueError("no answer")
    assert await promised(failed, 1.0) is failed


@pytest.mark.parametrize("truth", [float("nan"), float("inf"), -float("inf")])
def test_a_truth_that_is_no_finite_number_teaches_nothing(truth: float) -> None:
    trackers = Trackers(level=0.9, most_groups=1)
    learn(trackers, Basis(model="m", group=None, band=(1.0, 2.0)), truth)
    assert trackers.models == {}


@pytest.mark.parametrize(("truth", "score"), [(0.5, 0.5), (1.5, -0.5), (1.9, -0.1), (4.0, 2.0)])
def test_a_score_is_how_far_the_truth_lies_outside(truth: float, score: float) -> None:
    trackers = Trackers(level=0.9, most_groups=1)
    learn(trackers, Basis(model="m", group=None, band=(1.0, 2.0)), truth)
    assert trackers.models["m"].all.first == pytest.approx((score,))


def test_a_text_is_no_number() -> None:
    with pytest.raises(StewardError, match=r"calibration.truth failed: TypeError: '2.5' is no number"):
        learn(Trackers(level=0.9, most_groups=1), Basis(model="m", group=None), "2.5")


def test_a_label_that_nobody_thought_of_is_a_full_miss() -> None:
    trackers = Trackers(level=0.9, most_groups=1)
    for truth in ("low", "new"):
        learn(trackers, Basis(model="m", group=None, probabilities={"low": 0.75, "high": 0.25}), truth)
    assert trackers.models["m"].all.first == (0.25, 1.0)
