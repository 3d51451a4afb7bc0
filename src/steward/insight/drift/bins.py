"""The bins that values are counted in: made from a reference once, so that all counts of a series can be added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]
MAGNITUDES: Final = 128
"""Powers of two that magnitudes are told apart by: from 2^-65 to 2^62; what is beyond is counted at the ends."""
_LOWEST_POWER: Final = 1023 - 65
_IN_CACHE: Final = 8192
"""Numbers compared at once: 64 KB, which stay in the cache while each edge looks at them."""


class NumberBins(Struct, frozen=True, tag="numbers"):
    """Bins between rising ``edges``; a number on an edge is in the bin below it.

    Example:
        >>> bins = NumberBins((0.0, 10.0))
        >>> bins.count(np.array([-1.0, 0.0, 3.0, 11.0, 12.0, float("nan")])).tolist()
        [2, 1, 2]
    """

    edges: tuple[float, ...]

    @classmethod
    def of(cls, sample: Numbers, most: int = 10) -> NumberBins:
        """Make up to ``most`` bins that hold equal shares of a sample; a value that fills one alone gets its own.

        Example:
            >>> NumberBins.of(np.arange(1.0, 101.0), most=4).edges
            (25.0, 50.0, 75.0)
            >>> NumberBins.of(np.zeros(50)).count(np.array([-0.1, 0.0, 0.1])).tolist()
            [1, 1, 1]
        """
        known = sample[np.isfinite(sample)]
        if not known.size:
            return cls((0.0,))
        ranks = np.arange(1, most) * known.size // most - 1
        edges, times = np.unique(np.partition(known, ranks.clip(0))[ranks.clip(0)], return_counts=True)
        atoms = np.nextafter(edges[(times > 1) | (known.min() == known.max())], -np.inf)
        return cls(tuple(np.union1d(edges, atoms).tolist()))

    @property
    def size(self) -> int:
        """How many bins there are."""
        return len(self.edges) + 1

    def count(self, values: Numbers) -> Counts:
        """Count numbers by bin; what is not a number is in none.

        Counting what is at most each edge beats looking each number up seven times, as processors compare many at once.
        """
        below = np.zeros(len(self.edges) + 1, np.int64)
        for start in range(0, values.size, _IN_CACHE):
            part = values[start : start + _IN_CACHE]
            below += [np.count_nonzero(part <= edge) for edge in (*self.edges, np.inf)]
        return np.diff(below, prepend=0)


class CategoryBins(Struct, frozen=True, tag="categories"):
    """A bin for each of some ``names``, one for the ``tail`` of rare ones, and one for names never seen before.

    Attributes:
        names: Those with bins of their own, the most frequent first.
        tail: The other names that were seen.
        is_whole: Whether ``tail`` is all of them; else what is in neither is counted with the tail.

    Example:
        >>> bins = CategoryBins.of(["es", "es", "es", "pt", "pt", "fr"], most=2)
        >>> bins.names, bins.tail
        (('es', 'pt'), frozenset({'fr'}))
        >>> bins.count(["pt", "fr", "xx"]).tolist()
        [0, 1, 1, 1]
    """

    names: tuple[str, ...]
    tail: frozenset[str]
    is_whole: bool = True

    @classmethod
    def of(cls, sample: Iterable[Hashable], most: int = 30, remembered: int = 1000) -> CategoryBins:
        """Make bins for the ``most`` frequent names; up to ``remembered`` of the others are known by name."""
        ranked = sorted(Counter(map(str, sample)).items(), key=lambda pair: (-pair[1], pair[0]))
        rest = [name for name, _ in ranked[most:]]
        return cls(tuple(name for name, _ in ranked[:most]), frozenset(rest[:remembered]), len(rest) <= remembered)

    @property
    def size(self) -> int:
        """How many bins there are."""
        return len(self.names) + 2

    def count(self, values: Sequence[str]) -> Counts:
        """Count names by bin."""
        counts = Counter(values)
        found = [counts.pop(name, 0) for name in self.names]
        new = sum(times for name, times in counts.items() if self.is_new(name))
        return np.array([*found, counts.total() - new, new], np.int64)

    def is_new(self, name: str) -> bool:
        """Whether a name was never seen in the reference, as far as that is known."""
        return self.is_whole and name not in self.tail and name not in self.names


Bins = NumberBins | CategoryBins


def magnitudes(values: Numbers) -> Counts:
    """Count numbers by the power of two they reach, whatever their sign; zeros and what is not finite are in none.

    Example:
        >>> counts = magnitudes(np.array([1.0, 1.5, -2.0, 0.0]))
        >>> counts[65], counts[66], counts.sum()
        (np.int64(2), np.int64(1), np.int64(3))
    """
    powers = (np.ascontiguousarray(values).view(np.int64) >> 52) & 0x7FF
    raw = np.bincount(powers, minlength=2048)[:2047]
    raw[0] = 0
    first, last = _LOWEST_POWER, _LOWEST_POWER + MAGNITUDES - 1
    counts = raw[first : last + 1].astype(np.int64)
    counts[0] += raw[:first].sum()
    counts[-1] += raw[last + 1 :].sum()
    return counts
