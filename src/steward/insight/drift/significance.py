"""How surprising a distance is where nothing has changed, by how many events it was measured on.

Expand PSI = sum (p - q) ln(p / q) about p = q: with the shares' errors of order 1/sqrt(n) it is sum (p - q)^2 / q, up
to terms that vanish faster. If both samples are drawn from q, p - q has the covariance (1/n + 1/m)(diag q - q q'), so
PSI is (1/n + 1/m) times chi-square with (bins - 1) degrees of freedom (Yurdakul 2018). G has the same limit and comes
nearer to it where bins hold few events; PSI is the wider known. What is doubted is doubted by both.
"""

from __future__ import annotations

import math
from typing import Final

from steward.errors import ContractError

LEAST: Final = 1e-300
"""No chance is told as less than this."""


def chi_square_tail(statistic: float, freedom: int) -> float:
    """Return the chance that chi-square is at least ``statistic``; exact, by finite sums.

    Example:
        >>> round(chi_square_tail(3.841, 1), 3), round(chi_square_tail(16.919, 9), 3)
        (0.05, 0.05)
    """
    half = max(statistic, 0.0) / 2
    if freedom <= 0 or half == 0:
        return 1.0
    start = 1.0 if freedom % 2 else 0.0
    chance = math.erfc(math.sqrt(half)) if freedom % 2 else math.exp(-half)
    for place in range(1, (freedom + 1) // 2 if freedom % 2 else freedom // 2):
        power = place - start / 2
        chance += math.exp(power * math.log(half) - half - math.lgamma(power + 1))
    return min(max(chance, LEAST), 1.0)


def chi_square_bound(chance: float, freedom: int) -> float:
    """Return what chi-square exceeds with ``chance`` (0..1, neither end).

    Example:
        >>> round(chi_square_bound(0.05, 9), 2)
        16.92
    """
    low, high = 0.0, 1.0
    while chi_square_tail(high, freedom) > chance:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if chi_square_tail(middle, freedom) > chance else (low, middle)
    return high


def psi_bound(events: int, reference: int, bins: int, chance: float) -> float:
    """Return what PSI exceeds with ``chance`` (0..1) where nothing has changed.

    The usual 0.1 is exceeded in every tenth window of 150 events without any drift, and passes over a great change
    in one of 100,000.

    Raises:
        ContractError: There are no events.

    Example:
        >>> round(psi_bound(150, 100_000, 10, 0.1), 3), round(psi_bound(100_000, 100_000, 10, 0.001), 5)
        (0.098, 0.00056)
    """
    if events < 1 or reference < 1 or bins < 2:
        raise ContractError("PSI needs events on both sides and two bins", fix="wait until there are some")
    return (1 / events + 1 / reference) * chi_square_bound(chance, bins - 1)


def kolmogorov_tail(distance: float, events: float) -> float:
    """Return the chance of a Kolmogorov-Smirnov distance at least that large; ``events`` is n m / (n + m).

    On bins it is an upper bound, as the largest distance may lie between two edges.

    Example:
        >>> round(kolmogorov_tail(0.136, 100.0), 2)
        0.05
    """
    scaled = distance * math.sqrt(events)
    if scaled < 0.2:
        return 1.0
    terms = (2 * (-1) ** (place - 1) * math.exp(-2 * (place * scaled) ** 2) for place in range(1, 101))
    return min(max(math.fsum(terms), LEAST), 1.0)


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """Return an upper bound of the chance of at least that many successes (Chernoff; exact for all or none).

    Example:
        >>> binomial_tail(3, 3, 0.1) < 0.0011, binomial_tail(1, 100, 0.02)
        (True, 1.0)
    """
    share = successes / max(trials, 1)
    if share <= chance:
        return 1.0
    if chance <= 0:
        return LEAST
    apart = share * math.log(share / chance)
    if share < 1:
        apart += (1 - share) * math.log((1 - share) / (1 - chance))
    return max(math.exp(-min(trials * apart, 690.0)), LEAST)


def evidence(chance: float) -> float:
    """Turn a p-value into an e-value: a bet that costs 1 and is worth 1 on average where nothing has changed.

    The mean over all k of k p^(k - 1) (Vovk and Wang 2021); near 1 / (p ln(p)^2) for small p.

    Example:
        >>> evidence(1.0), round(evidence(0.01), 2), evidence(1e-9) > 2e6
        (0.5, 4.45, True)
    """
    if chance > 0.999:
        return 0.5
    log = math.log(max(chance, LEAST))
    return (1 - chance + chance * log) / (chance * log * log)
