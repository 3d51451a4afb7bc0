"""The conformal tracker: equal to split conformal prediction at first, then honest wherever the world goes."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest
from benchmarks.series import LEVEL, Kept, change_points, load_scores, tracked
from hypothesis import given
from hypothesis import strategies as st

from steward.models.calibration.conformal import FIRST, MOST_MODELS, Given, Tracker, Trackers, labels_within

SCORES = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)


def fed(scores: Any, level: float = 0.9) -> Tracker:
    tracker = Tracker(level)
    for score in scores:
        tracker = tracker.after(float(score))
    return tracker


# Split conformal prediction, as mapie has it


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("count", [21, 30, 57, 99])
def test_the_first_outcomes_give_the_interval_of_mapies_split_conformal(level: float, count: int) -> None:
    regression = pytest.importorskip("mapie.regression")
    dummy = pytest.importorskip("sklearn.dummy")
    drawn = np.random.default_rng(count)
    truth, rows = drawn.normal(size=count), np.zeros((count, 1))
    model = dummy.DummyRegressor(strategy="constant", constant=0.25).fit(rows, truth)
    theirs = regression.SplitConformalRegressor(model, confidence_level=level, prefit=True).conformalize(rows, truth)
    _, bounds = theirs.predict_interval(rows[:1])
    threshold = fed(np.abs(truth - 0.25), level).threshold
    assert threshold is not None
    assert bounds[0, :, 0] == pytest.approx([0.25 - threshold, 0.25 + threshold])


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_the_first_outcomes_give_the_label_sets_of_mapies_split_conformal(level: float) -> None:
    classification = pytest.importorskip("mapie.classification")
    linear = pytest.importorskip("sklearn.linear_model")
    drawn = np.random.default_rng(5)
    rows = drawn.normal(size=(400, 2))
    truth = np.digitize(rows[:, 0] + drawn.normal(size=400) / 2, [-0.5, 0.5])
    model = linear.LogisticRegression().fit(rows[:200], truth[:200])
    known, asked = slice(200, 290), slice(290, 400)
    theirs = classification.SplitConformalClassifier(model, confidence_level=level, prefit=True, random_state=1)
    _, sets = theirs.conformalize(rows[known], truth[known]).predict_set(rows[asked])
    told = model.predict_proba(rows[known])[np.arange(90), truth[known]]
    threshold = fed(1 - told, level).threshold
    for probabilities, members in zip(model.predict_proba(rows[asked]), sets[:, :, 0], strict=True):
        ours = labels_within({str(at): float(each) for at, each in enumerate(probabilities)}, threshold)
        assert {int(label) for label in ours} == set(np.flatnonzero(members).tolist())


def test_tracking_moves_the_score_as_mapies_adaptive_inference_moves_the_level() -> None:
    regression = pytest.importorskip("mapie.regression")
    dummy = pytest.importorskip("sklearn.dummy")
    drawn = np.random.default_rng(8)
    rows, gamma = np.zeros((200, 1)), 0.002
    model = dummy.DummyRegressor(strategy="constant", constant=0.0).fit(rows, rows[:, 0])
    theirs = regression.TimeSeriesRegressor(model, method="aci", cv="prefit").fit(rows, drawn.normal(size=200))
    tracker, before = fed(drawn.random(FIRST)), 0.1
    for missed in (drawn.random(40) < 0.1).tolist():
        theirs.adapt_conformal_inference(rows[:1], [1e9 if missed else 0.0], gamma=gamma, confidence_level=0.9)
        [level] = theirs.current_alpha.values()
        after = tracker.after(0.5, not missed)
        moved = (after.tracked - tracker.tracked) / (0.1 * tracker.scale)
        assert (before - level) / gamma == pytest.approx(moved)
        tracker, before = after, level


# What is promised


@pytest.mark.parametrize("seed", range(3))
def test_coverage_is_kept_over_changes(seed: int) -> None:
    scores = change_points(seed)
    kept = Kept.of(scores, tracked(scores))
    assert abs(kept.coverage - LEVEL) <= 0.005
    assert kept.worst >= 0.86
    assert kept.infinite == 0
    assert kept.mean_threshold < 1.05 * np.quantile(scores, LEVEL)


@pytest.mark.parametrize("name", ["operator's forecast", "same hour yesterday", "same hour last week"])
def test_coverage_is_kept_on_hourly_load(name: str) -> None:
    found = load_scores()
    if not found:
        pytest.skip("the hourly load of shared/data is not here")
    scores = found[name]
    kept = Kept.of(scores, tracked(scores))
    assert abs(kept.coverage - LEVEL) <= 0.005
    assert kept.worst >= 0.86
    assert kept.infinite == 0


def test_coverage_is_kept_where_outcomes_come_a_day_later() -> None:
    found = load_scores()
    if not found:
        pytest.skip("the hourly load of shared/data is not here")
    for scores in (found["operator's forecast"], found["same hour last week"]):
        kept = Kept.of(scores, tracked(scores, delay=24))
        assert abs(kept.coverage - LEVEL) <= 0.005
        assert kept.worst >= 0.75


def test_a_world_that_grows_a_thousandfold_is_followed() -> None:
    drawn = np.random.default_rng(1)
    scores = np.abs(drawn.normal(size=8000)) * np.repeat([1, 10, 100, 1, 0.01, 1, 1000, 1], 1000)
    kept = Kept.of(scores, tracked(scores))
    assert abs(kept.coverage - LEVEL) <= 0.005
    assert kept.worst >= 0.86


def test_a_freak_outcome_does_not_widen_what_follows() -> None:
    drawn = np.random.default_rng(2)
    scores = np.abs(drawn.normal(size=2000))
    calm = tracked(scores)
    scores[1000] = 1e6
    assert tracked(scores)[1001:].max() < 1.5 * calm[1001:].max()


# The state


def test_nothing_finite_is_promised_before_it_can_be_kept() -> None:
    assert [fed(range(n)).threshold for n in (0, 8, 9)] == [None, None, 8.0]
    assert fed(range(24), 0.56).threshold == 13.0, "25 * 0.56 is 14, whatever floats make of it"
    assert fed(range(98), 0.99).threshold is None
    assert fed(range(99), 0.99).threshold == 98.0
    assert fed(range(99), 0.999).threshold is None
    assert fed(range(100), 0.999).threshold == 99.0, "after 100 outcomes there always is one"


@given(st.lists(SCORES, min_size=FIRST, max_size=300), st.sampled_from([0.5, 0.9, 0.999]), st.booleans())
def test_after_100_outcomes_every_threshold_is_finite(scores: list[float], level: float, held: bool) -> None:
    tracker = Tracker(level)
    for score in scores:
        tracker = tracker.after(score, held, lag=3)
        assert tracker.n < FIRST or (tracker.threshold is not None and math.isfinite(tracker.threshold))


@given(st.lists(SCORES, max_size=220))
def test_the_state_is_small_and_comes_back_as_it_was(scores: list[float]) -> None:
    tracker = fed(scores)
    stored = msgspec.msgpack.encode(tracker)
    again = msgspec.msgpack.decode(stored, type=Tracker)
    assert again == tracker
    assert again.after(1.0, True) == tracker.after(1.0, True)
    assert len(stored) < 1100
    assert len(tracker.first) < FIRST


def test_scores_that_are_all_alike_are_held() -> None:
    tracker = fed([0.0] * 150)
    assert tracker.threshold == 0.0
    assert tracker.after(4.0).scale == 4.0, "a scale of nothing takes the first size there is"


def test_a_late_outcome_moves_it_less() -> None:
    tracker = fed(np.linspace(0, 1, 150))
    moves = [tracker.after(2.0, False, lag).tracked - tracker.tracked for lag in (0, 10, 90)]
    assert moves == pytest.approx([moves[0], moves[0] / 2, moves[0] / 10])


def test_integration_gives_back_what_was_owed() -> None:
    even = fed(np.linspace(0, 1, 300))
    owed = msgspec.structs.replace(even, given=200, held=150)
    spared = msgspec.structs.replace(even, given=200, held=200)
    assert spared.threshold is not None
    assert owed.threshold is not None
    assert spared.threshold < even.tracked < owed.threshold
    hopeless = msgspec.structs.replace(even, given=9000, held=0)
    assert hopeless.threshold is not None
    assert owed.threshold < hopeless.threshold < 20, "however much is owed, it is not turned round"
    assert fed([1.0] * 150).coverage is None
    assert owed.coverage == 0.75


def test_models_and_groups_are_bounded() -> None:
    trackers = Trackers(level=0.9, most_groups=3)
    for model in range(MOST_MODELS + 5):
        for group in range(6):
            trackers.learn(f"m{model}", f"g{group}", 1.0)
        trackers.learn("m0", "g0", 1.0)
    assert len(trackers.models) == MOST_MODELS
    assert "m0" in trackers.models, "what learns stays"
    assert all(len(kept.groups) == 3 for kept in trackers.models.values())
    assert trackers.models["m5" if "m5" in trackers.models else "m9"].all.n == 6


def test_each_tracker_answers_for_its_own_promises_only() -> None:
    trackers = Trackers(level=0.8, most_groups=5)
    for _ in range(10):
        trackers.learn("m", "north", 1.0, Given(group=None, held=True, learnt=0))
        trackers.learn("m", "south", 3.0, Given(group="south", held=False, learnt=0))
    kept = trackers.models["m"]
    assert (kept.all.given, kept.all.held) == (10, 10)
    assert (kept.groups["north"].given, kept.groups["south"].given, kept.groups["south"].held) == (0, 10, 0)
    assert trackers.facts("m", "south").coverage == 0.0
    assert trackers.facts("m", "west").n == 10
    assert (trackers.facts("other", "south").method, trackers.facts("other", "south").threshold) == ("borrowed", 3.0)
    assert trackers.facts("other").threshold == 3.0
    assert Trackers(level=0.9, most_groups=0).facts("m").method == "none"
