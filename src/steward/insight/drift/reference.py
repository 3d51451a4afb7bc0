"""What a series looked like when all was well, by the hour of the week."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from steward.insight.drift.bins import Bins, CategoryBins, NumberBins
from steward.insight.drift.distances import likelihood_ratio
from steward.insight.drift.histogram import Histogram
from steward.insight.drift.significance import chi_square_bound
from steward.records import FeatureValue

HOURS_A_WEEK: Final = 168
_FEWEST: Final = 500
"""Events that an hour of the week needs to be a reference of its own."""


def season_of(at: datetime) -> int:
    """Return the hour of the week (0..167, from Monday 00:00, in the time's own zone).

    Example:
        >>> from datetime import UTC
        >>> season_of(datetime(2026, 1, 6, 13, 40, tzinfo=UTC))
        37
    """
    return at.weekday() * 24 + at.hour


def bins_of(values: Sequence[FeatureValue], most: int = 10) -> Bins | None:
    """Return bins for a sample of values: of numbers, or of names; ``None`` for what is neither, as series are.

    Example:
        >>> bins_of([1.0, 2.0, None, 4.0], most=2)
        NumberBins(edges=(1.0,))
        >>> bins_of(["a", "b", "a"]).names, bins_of([(1.0, 2.0)])
        (('a', 'b'), None)
    """
    kinds = {type(value) for value in values} - {type(None)}
    if tuple in kinds:
        return None
    if kinds <= {float, int}:
        return NumberBins.of(np.array(values, np.float64), most)
    return CategoryBins.of(str(value) for value in values if value is not None)


@dataclass
class Reference:
    """What one series looked like.

    Attributes:
        total: All of it.
        seasons: By the hour of the week.
        slices: How many slices of time it is made of.
        constant: In how many of these nothing but one value came.
        inflation: How many times more slices differ from each other than chance explains (>= 1): by it, statistics are
            divided, as in genomic control (Devlin and Roeder 1999). It is above 1 where events depend on each other.

    Example:
        >>> reference = Reference(NumberBins((0.0,)))
        >>> for hour in range(4):
        ...     reference.learn(hour, Histogram.of(NumberBins((0.0,)), [-1.0] * 300 + [1.0] * 300))
        >>> reference.expected({2: 10}), reference.slices
        ((array([300., 300.]), 600.0), 4)
    """

    bins: Bins
    total: Histogram = field(init=False)
    seasons: dict[int, Histogram] = field(default_factory=dict)
    slices: int = 0
    constant: int = 0
    inflation: float = 1.0
    _samples: list[tuple[int, NDArray[np.int64]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self.total = Histogram(self.bins)

    def learn(self, season: int, part: Histogram) -> None:
        """Take in a slice of time."""
        self.total += part
        known = self.seasons.get(season)
        self.seasons[season] = part if known is None else known + part
        if part.events:
            self.slices += 1
            self.constant += part.events > 1 and part.lowest == part.highest
            self._samples.append((season, part.counts))

    def finish(self) -> None:
        """Compare the slices with each other, and forget them."""
        ratios = []
        for season, counts in self._samples:
            rest = self.seasons[season].counts - counts
            if min(rest.sum(), counts.sum()) >= 5 * counts.size:
                statistic, freedom = likelihood_ratio(counts, rest)
                if freedom:
                    ratios.append(float(statistic) / chi_square_bound(0.5, int(freedom)))
        self._samples = []
        self.inflation = max(1.0, float(np.median(ratios))) if len(ratios) >= 8 else 1.0

    def expected(self, seasons: Mapping[int, int]) -> tuple[NDArray[np.float64], float]:
        """Return the counts to compare a window with, and how many events they stand for.

        Args:
            seasons: How many events of the window came in which hour of the week.

        The hours are weighted as they are in the window; the events that this is worth follow from the variance of the
        weighted shares. An hour with too few events is taken from all hours.
        """
        total = sum(seasons.values())
        shares, variance = np.zeros(self.bins.size), 0.0
        for season, events in seasons.items():
            known = self.seasons.get(season)
            source = known if known is not None and known.events >= _FEWEST else self.total
            weight, size = events / max(total, 1), max(source.events, 1)
            shares += weight * source.counts / size
            variance += weight * weight / size
        worth = 1 / variance if variance else 0.0
        return shares * worth, worth

    def chance_new(self) -> float:
        """Return how often a value comes whose magnitude or name was never seen (Good 1953), from above."""
        return 3.0 / (self.total.events + 3)
