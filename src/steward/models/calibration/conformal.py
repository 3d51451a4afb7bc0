"""Conformal prediction that follows a changing world: a tracker of the score that a share of outcomes stays below.

A *score* says how far off an answer was: for a number how far the truth lies outside of its band, in units of its
scale (the absolute residual, if there is neither band nor scale); for a label 1 - the probability that the model gave
it. A threshold on scores makes an answer honest: the interval, or the set of labels, whose score is at most that.

The first outcomes are used as in split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018, theorem 2.2):
of ``n`` scores, the one of rank ``ceil((n + 1) * level)``. From then on it is the PI part of conformal PID control
(Angelopoulos, Candès, Tibshirani, "Conformal PID Control for Time Series Prediction", NeurIPS 2023):

* *quantile tracking* (their section 2.1): ``p <- p + step * (err - miss)``, where ``err`` is 1 if the score exceeded
  the threshold and else 0, ``miss = 1 - level``, and ``step = 0.1 B`` with ``B`` the largest score of late. While the
  step stays the same, ``p`` moves by it times the sum of ``err - miss``: so over ``T`` outcomes the share held differs
  from the level by at most the way that ``p`` has come, divided by ``step * T``.
* *error integration* (2.2): ``q = p + r(E)`` with ``E`` the sum of ``err - miss`` over all answers that were given, and
  ``r(x) = K tan(x log(t) / (C t))``. Here ``K = B``, ``C = 1``, ``t`` starts at 100 in the denominator, and the angle
  is cut at 1.5 either way, so that no threshold is ever infinite.

Outcomes may come late. ``err`` is about the threshold that was given with the answer, as what was promised is what has
to be kept; where ``lag`` other outcomes came between an answer and its own, the step is divided by
``1 + lag / 10``, since a controller with a delay in its loop swings when it is turned up. Where outcomes come at once
it is the published method. ``B`` is no maximum over a window, but one that fades by 1/1000 with each outcome;
a single score can raise it to at most twice its size, so that one freak outcome does not widen all that follow.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping
from typing import Final, Literal

from msgspec import UNSET, Struct

from steward.records import CalibrationFacts

FIRST: Final = 100
"""How many outcomes are used as in split conformal prediction, before tracking."""
MOST_MODELS: Final = 16
_GAIN: Final = 0.1
_FADE: Final = 1 - 1 / 1000
_MOST_GROWTH: Final = 2.0
_PATIENCE: Final = 10
_START: Final = 100
_STEEPEST: Final = 1.5
"""The angle at which the tangent is cut, at 14 times the scale."""
_ALMOST: Final = 1e-9
"""What a product of floats may be above a whole number that it should be: 25 * 0.56 is 14, not 15 when rounded up."""


class Tracker(Struct, frozen=True):
    """The state for one stream of scores; constant in size, a value that any store can keep.

    Attributes:
        level: The share (0..1) of scores that are to stay below the threshold.
        n: How many outcomes it has learnt from.
        given: How many answers it was behind whose outcome has come.
        held: How many of those held the truth.
        first: The first scores in order, until there are 100; then empty.
        tracked: ``p``, what the quantile tracking has come to.
        scale: ``B``, the largest score of late, fading.

    Example:
        >>> tracker = Tracker(level=0.9)
        >>> for score in (3.0, 1.0, 2.0, 5.0, 4.0, 9.0, 7.0, 8.0, 6.0):
        ...     tracker = tracker.after(score)
        >>> tracker.method, tracker.threshold
        ('split', 9.0)
    """

    level: float
    n: int = 0
    given: int = 0
    held: int = 0
    first: tuple[float, ...] = ()
    tracked: float = 0.0
    scale: float = 0.0

    @property
    def method(self) -> Literal["none", "split", "pi"]:
        """How the threshold comes about now."""
        if self.n >= FIRST:
            return "pi"
        return "none" if self.threshold is None else "split"

    @property
    def coverage(self) -> float | None:
        """The share of given answers that held the truth; ``None`` before the first outcome of one."""
        return self.held / self.given if self.given else None

    @property
    def threshold(self) -> float | None:
        """The bound on the next score; ``None`` as long as no finite one keeps the promise.

        That takes 1 / (1 - level) - 1 outcomes, 9 for a level of 0.9, but never more than 100.
        """
        if self.n < FIRST:
            rank = _rank(self.n, self.level)
            return self.first[rank - 1] if rank <= self.n else None
        return self._bound

    @property
    def _bound(self) -> float:
        excess = self.given * self.level - self.held
        turn = excess * math.log(self.given + 1) / (self.given + _START)
        return self.tracked + self.scale * math.tan(max(-_STEEPEST, min(_STEEPEST, turn)))

    def after(self, score: float, held: bool | None = None, lag: int = 0) -> Tracker:
        """Return the state after an outcome.

        Args:
            score: How far off the answer was; finite.
            held: Whether the answer held the truth; ``None`` if this tracker was not behind it.
            lag: How many other outcomes came between the answer and its own.
        """
        given, kept = (self.given, self.held) if held is None else (self.given + 1, self.held + held)
        if self.n < FIRST:
            return self._after_first(score, given, kept)
        missed = score > self._bound if held is None else not held
        step = _GAIN * self.scale / (1 + lag / _PATIENCE)
        tracked = self.tracked + step * (self.level if missed else self.level - 1)
        scale, size = self.scale * _FADE, abs(score)
        if size > scale:
            scale = min(size, _MOST_GROWTH * self.scale) or size
        return Tracker(self.level, self.n + 1, given, kept, (), tracked, scale)

    def _after_first(self, score: float, given: int, held: int) -> Tracker:
        scores = list(self.first)
        insort(scores, score)
        if len(scores) < FIRST:
            return Tracker(self.level, self.n + 1, given, held, tuple(scores))
        start = scores[min(_rank(FIRST, self.level), FIRST) - 1]
        return Tracker(self.level, FIRST, given, held, (), start, max(abs(scores[0]), abs(scores[-1])))


class Given(Struct, frozen=True):
    """An answer that was given: by which ``group``'s tracker, whether it ``held``, what that had ``learnt`` by then.

    Example:
        >>> Given(group=None, held=True, learnt=412).held
        True
    """

    group: str | None
    held: bool
    learnt: int


class ModelTrackers(Struct):
    """The trackers of one model: of all its outcomes, and of each group's own.

    Example:
        >>> ModelTrackers(Tracker(0.9)).groups
        {}
    """

    all: Tracker
    groups: dict[str, Tracker] = {}


class Trackers(Struct):
    """The trackers of one decision, by model and group, as many as are declared at most.

    Attributes:
        level: The share (0..1) that each is to hold.
        most_groups: How many groups of a model are kept apart; those that come later go by all outcomes together.
        models: By the model's hash; the one that learnt last is last, and of more than 16 the first is dropped.
        unread: How many outcomes could not be read by the decision's own code.
        problem: Why, the last time.

    Example:
        >>> trackers = Trackers(level=0.9, most_groups=2)
        >>> for region in ("north", "south", "west"):
        ...     trackers.learn("sha256:ab", region, 1.5)
        >>> sorted(trackers.models["sha256:ab"].groups), trackers.models["sha256:ab"].all.n
        (['north', 'south'], 3)
    """

    level: float
    most_groups: int
    models: dict[str, ModelTrackers] = {}
    unread: int = 0
    problem: str = ""

    def learn(self, model: str, group: str | None, score: float, given: Given | None = None) -> None:
        """Take in an outcome: its score, and what was promised when the answer was given, if anything."""
        kept = self.models.pop(model, None) or ModelTrackers(Tracker(self.level))
        self.models[model] = kept
        if len(self.models) > MOST_MODELS:
            del self.models[next(iter(self.models))]
        kept.all = _after(kept.all, score, given if given is not None and given.group is None else None)
        if group is not None and (group in kept.groups or len(kept.groups) < self.most_groups):
            own = given if given is not None and given.group == group else None
            kept.groups[group] = _after(kept.groups.get(group) or Tracker(self.level), score, own)

    def facts(self, model: str, group: str | None = None) -> CalibrationFacts:
        """Return what answers now are made by: the group's own tracker, else that of all, else another model's."""
        kept = self.models.get(model)
        if kept is not None:
            if group is not None and (own := kept.groups.get(group)) is not None and own.threshold is not None:
                return _facts(own, group)
            if kept.all.threshold is not None:
                return _facts(kept.all, None)
        learnt = 0 if kept is None else kept.all.n
        for donor in reversed(self.models):
            if donor != model and (lent := _lent(self.models[donor], group)) is not None:
                return CalibrationFacts(method="borrowed", level=self.level, n=0, learnt=learnt, threshold=lent)
        return CalibrationFacts(method="none", level=self.level, n=0, learnt=learnt)


def _after(tracker: Tracker, score: float, given: Given | None) -> Tracker:
    if given is None:
        return tracker.after(score)
    return tracker.after(score, given.held, max(tracker.n - given.learnt, 0))  # a dropped tracker has begun again


def _lent(kept: ModelTrackers, group: str | None) -> float | None:
    own = None if group is None else kept.groups.get(group)
    lent = None if own is None else own.threshold
    return kept.all.threshold if lent is None else lent


def _facts(tracker: Tracker, group: str | None) -> CalibrationFacts:
    coverage, threshold = tracker.coverage, tracker.threshold
    return CalibrationFacts(
        method="pi" if tracker.n >= FIRST else "split",
        level=tracker.level,
        n=tracker.given,
        learnt=tracker.n,
        coverage=UNSET if coverage is None else coverage,
        group=UNSET if group is None else group,
        threshold=UNSET if threshold is None else threshold,
    )


def _rank(n: int, level: float) -> int:
    return math.ceil((n + 1) * level - _ALMOST)


def labels_within(probabilities: Mapping[str, float], threshold: float | None) -> tuple[str, ...]:
    """Return the labels whose score is within a threshold, likeliest first; without a threshold all of them.

    Example:
        >>> labels_within({"low": 0.7, "mid": 0.25, "high": 0.05}, 0.8)
        ('low', 'mid')
    """
    ordered = sorted(probabilities, key=lambda label: -probabilities[label])
    return tuple(label for label in ordered if threshold is None or 1 - probabilities[label] <= threshold)
