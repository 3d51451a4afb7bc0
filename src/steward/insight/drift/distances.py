"""How far two histograms lie apart. All take counts over the same bins, in the last axis, for any number of series."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def psi(window: ArrayLike, reference: ArrayLike) -> Floats:
    """Return the population stability index, in nats: 0 for equal shares, without bound.

    Half an event is added to each bin (Jeffreys), as an empty one would give no number.

    Example:
        >>> round(float(psi([60, 40], [500, 500])), 3)
        0.04
    """
    one, other = _smoothed(window), _smoothed(reference)
    return np.asarray(((one - other) * np.log(one / other)).sum(-1))


def jensen_shannon(window: ArrayLike, reference: ArrayLike) -> Floats:
    """Return the Jensen-Shannon distance: 0 for equal shares, 1 where no bin has both.

    It is the root of the divergence in bits, a metric.

    Example:
        >>> float(jensen_shannon([10, 0], [0, 30])), float(jensen_shannon([1, 3], [10, 30]))
        (1.0, 0.0)
    """
    one, other = _shares(window), _shares(reference)
    middle = (one + other) / 2
    bits = (_times_log(one, middle) + _times_log(other, middle)).sum(-1) / (2 * np.log(2))
    return np.asarray(np.sqrt(bits.clip(0, 1)))


def kolmogorov_smirnov(window: ArrayLike, reference: ArrayLike) -> Floats:
    """Return the largest distance (0..1) of the cumulated shares, at the edges of the bins.

    Example:
        >>> float(kolmogorov_smirnov([50, 50, 0], [25, 25, 50]))
        0.5
    """
    return np.asarray(np.abs(_apart(window, reference)).max(-1))


def wasserstein(window: ArrayLike, reference: ArrayLike, positions: ArrayLike) -> Floats:
    """Return how far values were moved on average, in their unit.

    Args:
        window: Counts.
        reference: Counts.
        positions: The least value, the edges between the bins, and the greatest value.

    Example:
        >>> float(wasserstein([0, 10], [10, 0], [0.0, 1.0, 2.0]))
        1.0
    """
    apart = np.abs(_apart(window, reference))[..., :-1]
    heights = np.concatenate([np.zeros_like(apart[..., :1]), apart, np.zeros_like(apart[..., :1])], axis=-1)
    widths = np.diff(np.asarray(positions, float))
    return np.asarray(((heights[..., 1:] + heights[..., :-1]) / 2 * widths).sum(-1))


def likelihood_ratio(window: ArrayLike, reference: ArrayLike, least: float = 5.0) -> tuple[Floats, NDArray[np.int64]]:
    """Return G = 2 ln of the likelihood ratio of two distributions against one, and its degrees of freedom.

    Bins in which fewer than ``least`` events of the window are expected are taken together, as G is not yet chi-square
    there.

    Example:
        >>> statistic, freedom = likelihood_ratio([60, 40], [500, 500])
        >>> round(float(statistic), 2), int(freedom)
        (3.66, 1)
    """
    one, other = np.asarray(window, float), np.asarray(reference, float)
    sizes, total = (one.sum(-1, keepdims=True), other.sum(-1, keepdims=True)), (one + other).sum(-1, keepdims=True)
    expected = (one + other) * sizes[0] / np.maximum(total, 1)
    is_rare = expected < least
    one, other = (
        np.concatenate([np.where(is_rare, 0, each), np.where(is_rare, each, 0).sum(-1, keepdims=True)], axis=-1)
        for each in (one, other)
    )
    both = one + other
    share = [both * size / np.maximum(total, 1) for size in sizes]
    statistic = 2 * (_times_log(one, share[0]) + _times_log(other, share[1])).sum(-1)
    return np.asarray(statistic.clip(0)), np.asarray(np.maximum((both > 0).sum(-1) - 1, 0))


def _apart(window: ArrayLike, reference: ArrayLike) -> Floats:
    return np.asarray(np.cumsum(_shares(window), -1) - np.cumsum(_shares(reference), -1))


def _smoothed(counts: ArrayLike) -> Floats:
    more = np.asarray(counts, float) + 0.5
    return np.asarray(more / more.sum(-1, keepdims=True))


def _shares(counts: ArrayLike) -> Floats:
    exact = np.asarray(counts, float)
    return np.asarray(exact / np.maximum(exact.sum(-1, keepdims=True), 1e-300))


def _times_log(one: Floats, other: Floats) -> Floats:
    return np.asarray(one * np.log(np.divide(one, other, out=np.ones_like(one), where=(one > 0) & (other > 0))))
