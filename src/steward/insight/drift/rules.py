"""What one window of a series says: suspicions of its distribution, and of the faults that have names of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from steward.insight.drift import distances
from steward.insight.drift.bins import NumberBins
from steward.insight.drift.histogram import Histogram
from steward.insight.drift.reference import Reference
from steward.insight.drift.significance import LEAST, binomial_tail, chi_square_tail, evidence, kolmogorov_tail

Kind = Literal["distribution", "missing", "new-category", "unit", "frozen", "contract"]
RULES: Final = 4
"""How many hypotheses each look at a series tests."""
_FACTORS: Final = (10.0, 60.0, 100.0, 1000.0, 3600.0, 1e6)
_FEWEST_PER_BIN: Final = 5
_FEWEST_FROZEN: Final = 20


@dataclass(frozen=True)
class Suspicion:
    """What a window of a series says, before it is known whether that is chance.

    Attributes:
        kind: What has changed.
        evidence: An e-value; infinite for what is no matter of chance.
        size: How much: PSI, or the difference of two shares (0..1).
        detail: More, by name.

    Example:
        >>> Suspicion("frozen", 1e9, 1.0, {"value": 4.2}).kind
        'frozen'
    """

    kind: Kind
    evidence: float
    size: float
    detail: Mapping[str, object]


def suspicions(window: Histogram, reference: Reference, seasons: Mapping[int, int]) -> list[Suspicion]:
    """Return what a window says.

    Args:
        window: Its counts.
        reference: What was before.
        seasons: How many events of it came in which hour of the week.

    Example:
        >>> reference = Reference(NumberBins.of(np.arange(1.0, 1001.0)))
        >>> reference.learn(0, Histogram.of(reference.bins, list(np.arange(1.0, 1001.0))))
        >>> thousandfold = Histogram.of(reference.bins, list(1000 * np.arange(1.0, 1001.0, 5.0)))
        >>> [(each.kind, each.detail["factor"]) for each in suspicions(thousandfold, reference, {0: 200})]
        [('unit', 1000.0)]
    """
    if window.strange:
        return [Suspicion("contract", math.inf, 1.0, {"values_of_another_type": window.strange})]
    found = [_missing(window, reference)]
    if isinstance(window.bins, NumberBins):
        found += [_frozen(window, reference)]
    else:
        found += [_new(window, reference)]
    if window.events >= _FEWEST_PER_BIN * window.bins.size:
        found.append(_distribution(window, reference, seasons))
    return [each for each in found if each.evidence > 1]


def _distribution(window: Histogram, reference: Reference, seasons: Mapping[int, int]) -> Suspicion:
    expected, worth = reference.expected(seasons)
    if worth < 1:
        return Suspicion("distribution", 0.0, 0.0, {})
    events, inflation = window.events, reference.inflation
    weight = events * worth / (events + worth)
    psi = float(distances.psi(window.counts, expected))
    statistic, freedom = distances.likelihood_ratio(window.counts, expected)
    chance = chi_square_tail(min(float(statistic), psi * weight) / inflation, int(freedom))
    bet = evidence(chance)
    detail: dict[str, object] = {"chance": chance, "psi_expected": round(int(freedom) / weight * inflation, 6)}
    detail["jensen_shannon"] = round(float(distances.jensen_shannon(window.counts, expected)), 6)
    if isinstance(window.bins, NumberBins):
        distance = float(distances.kolmogorov_smirnov(window.counts, expected))
        bet = (bet + evidence(kolmogorov_tail(distance, weight / inflation))) / 2
        ends = (min(window.lowest, reference.total.lowest), max(window.highest, reference.total.highest))
        positions = (ends[0], *window.bins.edges, ends[1])
        detail["kolmogorov_smirnov"] = round(distance, 6)
        detail["wasserstein"] = float(distances.wasserstein(window.counts, expected, positions))
        return _unit(window, reference, bet, detail) or Suspicion("distribution", bet, psi, detail)
    return Suspicion("distribution", bet, psi, detail)


def _unit(window: Histogram, reference: Reference, bet: float, detail: Mapping[str, object]) -> Suspicion | None:
    """Return the factor by which a share of the numbers was multiplied, if that explains most of what is different."""
    now, before = _shares(window.powers), _shares(reference.total.powers)
    unseen = int(window.powers[reference.total.powers == 0].sum())
    bet = (bet + evidence(binomial_tail(unseen, int(window.powers.sum()), reference.chance_new()))) / 2
    apart = now - before
    best: tuple[float, float, float] = (math.inf, 1.0, 0.0)
    for factor in (*_FACTORS, *(1 / each for each in _FACTORS)):
        way = _moved(before, math.log2(factor)) - before
        share = float(apart @ way) / max(float(way @ way), 1e-12)
        if 0.005 < share < 1.1:
            best = min(best, (float(np.abs(apart - share * way).sum()), factor, min(share, 1.0)))
    left, factor, share = best
    explains = left < 0.4 * np.abs(apart).sum() and np.abs(apart).sum() > 0.01
    if not explains or share * window.events < _FEWEST_PER_BIN:
        return None
    return Suspicion("unit", bet, share, {**detail, "factor": factor, "share": round(share, 4)})


def _missing(window: Histogram, reference: Reference) -> Suspicion:
    total, before = window.events + window.missing, reference.total.events + reference.total.missing
    share, usual = window.missing / max(total, 1), reference.total.missing / max(before, 1)
    sides = ((window.missing, reference.total.missing), (window.events, reference.total.events))
    chances = [binomial_tail(now, total, _from_above(then, before)) for now, then in sides]
    chance = min(1.0, 2 * min(chances)) ** (1 / reference.inflation)
    return Suspicion(
        "missing", evidence(chance), abs(share - usual), {"chance": chance, "share": share, "usual": usual}
    )


def _frozen(window: Histogram, reference: Reference) -> Suspicion:
    """Suspect a series in which only one value came, by how often that is so and how large the fullest bin is."""
    if window.lowest != window.highest or window.events < _FEWEST_FROZEN or not reference.slices:
        return Suspicion("frozen", 0.0, 0.0, {})
    alike = float(reference.total.counts.max() / max(reference.total.events, 1))
    one_value = reference.total.lowest == reference.total.highest
    chance = 1.0 if one_value or reference.constant else max(alike ** (window.events - 1), LEAST)
    return Suspicion("frozen", evidence(chance), 1.0, {"chance": chance, "value": window.lowest})


def _new(window: Histogram, reference: Reference) -> Suspicion:
    times, total = int(window.counts[-1]), window.events
    chance = binomial_tail(times, total, reference.chance_new()) ** (1 / reference.inflation)
    return Suspicion("new-category", evidence(chance), times / max(total, 1), {"chance": chance, "names": window.new})


def _from_above(times: int, total: int) -> float:
    """Return a share that is hardly ever below the true one, however few events it was counted in."""
    return min(1.0, (times + 1 + 2 * math.sqrt(times + 1)) / max(total, 1))


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(counts / max(counts.sum(), 1))


def _moved(shares: NDArray[np.float64], powers: float) -> NDArray[np.float64]:
    """Return shares of magnitudes after all were multiplied by 2^powers, between whole powers as a mixture."""
    whole = math.floor(powers)
    part = powers - whole
    return np.asarray((1 - part) * np.roll(shares, whole) + part * np.roll(shares, whole + 1))
