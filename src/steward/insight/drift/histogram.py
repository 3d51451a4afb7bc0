"""What is kept of a series of values: counts in fixed memory, which can be added in any order and come out equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from steward.errors import ContractError
from steward.insight.drift.bins import MAGNITUDES, Bins, NumberBins, magnitudes
from steward.records import FeatureValue

_NAMES_KEPT: Final = 5
_ROWS_AT_ONCE: Final = 1024


class Histogram:
    """Counts of one series: by bin, what is missing, and what is not of the series' type.

    Attributes:
        bins: What is counted in.
        counts: How many values each bin has.
        missing: How often there was no value, or NaN.
        strange: How many values were of another type: words among numbers.
        lowest: The least number, infinite without any.
        highest: The greatest.
        powers: Numbers by the power of two they reach; see :func:`steward.insight.drift.bins.magnitudes`.
        new: Up to five names never seen before, the first in the alphabet.

    Example:
        >>> bins = NumberBins((10.0, 20.0))
        >>> one, other = Histogram.of(bins, [5.0, None, 15.0]), Histogram.of(bins, [25.0, "n/a"])
        >>> both = one + other
        >>> both.counts.tolist(), both.missing, both.strange, both == other + one
        ([1, 1, 1], 1, 1, True)
    """

    __slots__ = ("bins", "counts", "highest", "lowest", "missing", "new", "powers", "strange")

    def __init__(self, bins: Bins) -> None:
        self.bins = bins
        self.counts = np.zeros(bins.size, np.int64)
        self.missing = self.strange = 0
        self.lowest, self.highest = np.inf, -np.inf
        self.powers = np.zeros(MAGNITUDES if isinstance(bins, NumberBins) else 0, np.int64)
        self.new: tuple[str, ...] = ()

    @classmethod
    def of(cls, bins: Bins, values: Sequence[FeatureValue]) -> Histogram:
        """Count values."""
        made = cls(bins)
        made.take(values)
        return made

    @property
    def events(self) -> int:
        """How many values were counted in bins."""
        return int(self.counts.sum())

    def take(self, values: Sequence[FeatureValue]) -> None:
        """Count more values."""
        if isinstance(self.bins, NumberBins):
            strange = {kind for kind in set(map(type, values)) if not issubclass(kind, (float, int, type(None)))}
            known = [each for each in values if type(each) not in strange] if strange else values
            self.strange += len(values) - len(known)
            self.take_numbers(np.array(known, np.float64))
        else:
            names = [str(each) for each in values if each is not None]
            self.missing += len(values) - len(names)
            self.counts += self.bins.count(names)
            if self.counts[-1]:
                fresh = set(filter(self.bins.is_new, set(names)))
                self.new = tuple(sorted(fresh | set(self.new))[:_NAMES_KEPT])

    def take_numbers(self, values: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        """Count numbers; NaN is missing."""
        found = self.bins.count(values) if isinstance(self.bins, NumberBins) else self.counts
        self.counts += found
        self.missing += values.size - int(found.sum())
        self.powers += magnitudes(values)
        if values.size:
            self.lowest = min(self.lowest, float(np.fmin.reduce(values)))
            self.highest = max(self.highest, float(np.fmax.reduce(values)))

    def __add__(self, other: Histogram) -> Histogram:
        """Return both together.

        Raises:
            ContractError: They count in different bins.
        """
        if self.bins != other.bins:
            raise ContractError("histograms of different bins cannot be added", fix="count both in the same bins")
        both = Histogram(self.bins)
        both.counts, both.powers = self.counts + other.counts, self.powers + other.powers
        both.missing, both.strange = self.missing + other.missing, self.strange + other.strange
        both.lowest, both.highest = min(self.lowest, other.lowest), max(self.highest, other.highest)
        both.new = tuple(sorted({*self.new, *other.new})[:_NAMES_KEPT])
        return both

    def __eq__(self, other: object) -> bool:
        """Whether all that is kept is equal."""
        return isinstance(other, Histogram) and self.plain() == other.plain()

    __hash__ = None  # type: ignore[assignment]  # it changes, so it is no key

    def plain(self) -> dict[str, object]:
        """Return all that is kept, in plain data."""
        arrays = {"counts": self.counts.tolist(), "powers": self.powers.tolist()}
        rest = ("bins", "missing", "strange", "lowest", "highest", "new")
        return arrays | {name: getattr(self, name) for name in rest}


class Recorder:
    """Counts the features of events, many at a time: an event costs no more than to be remembered until then.

    Example:
        >>> recorder = Recorder({"amount_eur": NumberBins((100.0,))})
        >>> recorder.add({"amount_eur": 40.0})
        >>> recorder.histograms()["amount_eur"].counts.tolist()
        [1, 0]
    """

    def __init__(self, bins: Mapping[str, Bins]) -> None:
        self._histograms = {name: Histogram(each) for name, each in bins.items()}
        self._rows: list[Mapping[str, FeatureValue]] = []

    def add(self, row: Mapping[str, FeatureValue]) -> None:
        """Count an event; a feature that it does not name is missing."""
        self._rows.append(row)
        if len(self._rows) == _ROWS_AT_ONCE:
            self._count()

    def histograms(self) -> Mapping[str, Histogram]:
        """Return what was counted, by feature."""
        if self._rows:
            self._count()
        return self._histograms

    def _count(self) -> None:
        rows, self._rows = self._rows, []
        for name, histogram in self._histograms.items():
            histogram.take([row.get(name) for row in rows])
