"""What a lower peak is worth: peaking capacity that need not be built, with how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steward.cases.grid.peak.season import Season


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A figure with the range that 90 % of resampled years lie in.

    Example:
        >>> Interval(value=10.0, low=9.6, high=10.0).low
        9.6
    """

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Interval:
        """Return the same in another unit."""
        return Interval(value=self.value * factor, low=self.low * factor, high=self.high * factor)


def sure_of(season: Season, *, years: int = 2_000, seed: int = 7) -> tuple[Interval, Interval]:
    """Return the cut of the annual peak and the mean cut of the months, each with its interval (MW).

    A resampled year is twelve of the season's months, drawn with replacement. The month is the block as the threshold
    that a controller holds starts anew with it. It says how far a figure hangs on single months of the one year that
    was tested; it says nothing of another climate, and a year without its hottest month is an easier one.

    Args:
        season: Months that were not tuned on.
        years: How many are drawn.
        seed: Of the draws.
    """
    load = np.array([month.load_mw for month in season.months])
    net = np.array([month.net_mw for month in season.months])
    drawn = np.random.default_rng(seed).integers(len(load), size=(years, len(load)))
    annual = load[drawn].max(axis=1) - net[drawn].max(axis=1)
    monthly = (load - net)[drawn].mean(axis=1)
    return _interval(season.cut_mw, annual), _interval(season.mean_monthly_cut_mw, monthly)


def _interval(value: float, draws: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Interval:
    low, high = np.quantile(draws, (0.05, 0.95))
    return Interval(value=value, low=float(low), high=float(high))
