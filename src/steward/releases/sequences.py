"""Confidence sequences: intervals that hold at every moment at once, so that one may look as often as one likes.

A fixed-size interval that is looked at again and again is wrong sooner or later; these are not: the chance that the
true figure is *ever* outside, at any of arbitrarily many looks, is at most ``alpha``.

Two things are compared between two arms that decide at the same time, each decision assigned by lot:

* How often something happens (:func:`ratio_interval`). Given that it happened, the arm it happened in is a draw with a
  known chance under each ratio of the two rates; so it needs no model of the rate, which may change with the hour as it
  likes, and it is exact for any number of events. A mixture of likelihood ratios is a test martingale (Robbins 1970;
  Ville's inequality).
* The mean of an amount (:func:`difference_interval`). An asymptotic confidence sequence with a Gaussian mixture
  (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
  sequences", Annals of Statistics 2024, theorem 2.2); it needs some hundred amounts an arm.

Both take decisions as independent of each other; where one key decides often, its decisions are alike, and the
intervals are narrower than they should be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Self

import numpy as np
from msgspec import Struct

FEWEST_AMOUNTS: Final = 100
"""Below this many amounts in an arm the central limit theorem promises too little."""
_REACH: Final = math.log(64)
_GRID: Final = np.linspace(-_REACH, _REACH, 1025)
_WEIGHTS: Final = np.log(np.exp(-0.5 * _GRID**2) / np.exp(-0.5 * _GRID**2).sum())
"""The mixture's prior over the logarithm of the ratio: standard normal, as most differences are small."""
_HALVINGS: Final = 40


class Happened(Struct, frozen=True):
    """How often something happened in each arm while the canary's share was ``share`` (0 < share < 1).

    Example:
        >>> Happened(0.05, canary=3, champion=21).champion
        21
    """

    share: float
    canary: int
    champion: int


class Moments(Struct, frozen=True):
    """Number, mean and sum of squared differences from the mean: all that is kept of a stream of amounts.

    Example:
        >>> both = Moments.of([1.0, 2.0]).plus(Moments.of([3.0]))
        >>> both.n, both.mean, both.variance
        (3, 2.0, 1.0)
    """

    n: int = 0
    mean: float = 0.0
    m2: float = 0.0

    @classmethod
    def of(cls, amounts: Sequence[float]) -> Self:
        """Return the moments of some amounts."""
        if not amounts:
            return cls()
        mean = math.fsum(amounts) / len(amounts)
        return cls(len(amounts), mean, math.fsum((amount - mean) ** 2 for amount in amounts))

    def plus(self, other: Moments) -> Moments:
        """Return the moments of both streams together (Chan, Golub and LeVeque 1979)."""
        n = self.n + other.n
        if not n:
            return self
        step = other.mean - self.mean
        return Moments(n, self.mean + step * other.n / n, self.m2 + other.m2 + step**2 * self.n * other.n / n)

    @property
    def variance(self) -> float:
        """The unbiased variance; 0 for fewer than two amounts."""
        return self.m2 / (self.n - 1) if self.n > 1 else 0.0


def ratio_interval(stages: Sequence[Happened], alpha: float) -> tuple[float, float]:
    """Return bounds of the canary's rate over the champion's rate, valid at every moment at once.

    Args:
        stages: What happened, apart for each share that the canary had.
        alpha: The chance (0..1) that the true ratio is ever outside.

    Example:
        >>> low, high = ratio_interval([Happened(0.5, canary=60, champion=30)], alpha=0.05)
        >>> round(low, 2), round(high, 2)
        (1.02, 4.12)
        >>> ratio_interval([], alpha=0.05)
        (0.0, inf)
    """
    told = [stage for stage in stages if stage.canary + stage.champion]
    if not told:
        return 0.0, math.inf
    evidence = np.zeros_like(_GRID)
    for stage in told:  # in the canary with the odds share * ratio to 1 - share
        log_odds = _log_odds(stage) + _GRID
        evidence -= stage.canary * np.logaddexp(0.0, -log_odds) + stage.champion * np.logaddexp(0.0, log_odds)
    peak = float(evidence.max())
    mixed = peak + math.log(float(np.exp(evidence - peak + _WEIGHTS).sum()))
    threshold = mixed - math.log(1 / alpha)  # log ratios less likely than this are refuted
    best = float(_GRID[int(evidence.argmax())])
    return _edge(told, best, -1, threshold), _edge(told, best, 1, threshold)


def _log_odds(stage: Happened) -> float:
    return math.log(stage.share) - math.log1p(-stage.share)


def _log_likelihood(stages: Sequence[Happened], log_ratio: float) -> float:
    """Return the log-likelihood of where things happened, at one ratio."""
    total = 0.0
    for stage in stages:
        log_odds = _log_odds(stage) + log_ratio
        total -= stage.canary * math.log1p(math.exp(-log_odds)) + stage.champion * math.log1p(math.exp(log_odds))
    return total


def _edge(stages: Sequence[Happened], best: float, side: int, threshold: float) -> float:
    """Return where, on one side of the best ratio, the likelihood falls below the threshold (it is concave)."""
    inside, outside = best, best + side * 2 * _REACH
    if _log_likelihood(stages, outside) >= threshold:
        return math.inf if side > 0 else 0.0
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if _log_likelihood(stages, middle) >= threshold else (inside, middle)
    return math.exp(outside)


def difference_interval(canary: Moments, champion: Moments, alpha: float, *, planned: int) -> tuple[float, float]:
    """Return bounds of the canary's mean less the champion's mean, valid at every moment at once.

    Args:
        canary: The amounts of the canary.
        champion: The amounts of the champion over the same time.
        alpha: The chance (0..1) that the true difference is ever outside, for many amounts.
        planned: At how many amounts of both arms together the interval is to be narrowest.

    Example:
        >>> same = Moments(n=1000, mean=5.0, m2=1000.0)
        >>> low, high = difference_interval(same, same, 0.05, planned=2000)
        >>> round(low, 3), round(high, 3)
        (-0.136, 0.136)
        >>> difference_interval(Moments(), same, 0.05, planned=2000)
        (-inf, inf)
    """
    if min(canary.n, champion.n) < FEWEST_AMOUNTS:
        return -math.inf, math.inf
    spread = canary.variance / canary.n + champion.variance / champion.n
    radius = _radius(canary.n + champion.n, spread, alpha, planned)
    difference = canary.mean - champion.mean
    return difference - radius, difference + radius


def mean_interval(amounts: Moments, alpha: float, *, planned: int) -> tuple[float, float]:
    """Return bounds of a mean, valid at every moment at once; for differences that come in pairs.

    Args:
        amounts: The amounts.
        alpha: The chance (0..1) that the true mean is ever outside, for many amounts.
        planned: At how many amounts the interval is to be narrowest.

    Example:
        >>> low, high = mean_interval(Moments(n=1000, mean=5.0, m2=1000.0), 0.05, planned=1000)
        >>> round(low, 3), round(high, 3)
        (4.904, 5.096)
    """
    if amounts.n < FEWEST_AMOUNTS:
        return -math.inf, math.inf
    radius = _radius(amounts.n, amounts.variance / amounts.n, alpha, planned)
    return amounts.mean - radius, amounts.mean + radius


def _radius(n: int, spread: float, alpha: float, planned: int) -> float:
    """Return half the width around a mean of ``n`` amounts whose own variance is ``spread``."""
    log_alpha = -2 * math.log(alpha)
    information = n * (log_alpha + math.log(log_alpha + 1)) / max(planned, 1)
    return math.sqrt(2 * (information + 1) / information * math.log(math.sqrt(information + 1) / alpha) * spread)
