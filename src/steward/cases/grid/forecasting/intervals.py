"""How far off a forecast is: a band whose width follows the circumstances, kept honest by what came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from steward.cases.grid.data.history import Floats
from steward.cases.grid.forecasting.load_model import SlotRidge
from steward.cases.grid.forecasting.quantiles import DEFAULT_LEVELS
from steward.models.calibration.conformal import Tracker

SHARE: Final = 0.9
"""The share of outcomes that the interval in the middle is to hold."""
_RIDGE: Final = 300.0
_LEAST: Final = 1e-3
"""A thousandth of the load: errors are told apart no finer, so that a lucky hit does not count for much."""
_NEAR_HOURS: Final = 3
"""How far around the clock errors, in units of their size, are taken together."""
_LAG_DAYS: Final = 1


@dataclass(frozen=True, eq=False)
class Spread:
    """The quantiles of a forecast's error, given its inputs.

    Attributes:
        size: Tells the logarithm of the error's typical size from the inputs.
        shape: Shape (slots, levels): the quantiles of errors in units of that size.

    Example:
        >>> chance = np.random.default_rng(1)
        >>> inputs, errors = chance.normal(size=(365, 24, 2)), chance.normal(size=(365, 24))
        >>> Spread.trained(inputs, errors).around(inputs)[..., [0, -1]].mean(axis=(0, 1)).round(1).tolist()
        [-1.6, 1.6]
    """

    size: SlotRidge
    shape: Floats

    @classmethod
    def trained(cls, inputs: Floats, errors: Floats) -> Self:
        """Learn from the errors of past days, of shape (days, slots); NaN where a day was not forecast."""
        size = SlotRidge.trained(inputs, np.log(np.abs(errors) + _LEAST), ridge=_RIDGE)
        known = np.isfinite(errors).all(axis=1) & np.isfinite(inputs).all(axis=(1, 2))
        units = errors[known] / np.exp(size.predict(inputs[known]))
        reach = _NEAR_HOURS * units.shape[1] // 24
        near = np.concatenate([np.roll(units, n, axis=1) for n in range(-reach, reach + 1)])
        return cls(size, np.quantile(near, DEFAULT_LEVELS, axis=0).T)

    def around(self, inputs: Floats) -> Floats:
        """Return the quantiles of the errors of each day and slot, one for each level."""
        return np.asarray(np.exp(self.size.predict(inputs))[..., None] * self.shape)


@dataclass(frozen=True)
class Stretch:
    """By how much bands are made wider or narrower, each slot by itself, so that each holds its share of outcomes.

    Attributes:
        trackers: One for each slot; its threshold is the factor.

    Example:
        >>> stretch, band = Stretch.for_slots(1), np.linspace(-1.0, 1.0, 19)[None]
        >>> for error in np.linspace(-2.0, 2.0, 100):
        ...     stretch = stretch.after(np.array([error]), band)
        >>> stretch.over(band)[0, [0, 9, -1]].round(1).tolist()
        [-1.8, 0.0, 1.8]
    """

    trackers: tuple[Tracker, ...]

    @classmethod
    def for_slots(cls, slots: int) -> Self:
        """Return what changes nothing yet."""
        return cls((Tracker(level=SHARE),) * slots)

    def over(self, band: Floats) -> Floats:
        """Return a day's band, of shape (slots, levels), stretched from its middle."""
        factors = [1.0 if (found := tracker.threshold) is None else max(found, 0.0) for tracker in self.trackers]
        middle = band[:, [_MIDDLE]]
        return np.asarray(middle + np.array(factors)[:, None] * (band - middle))

    def after(self, errors: Floats, band: Floats, given: Floats | None = None) -> Self:
        """Return what to do after a day: its errors, the band before stretching, and the stretched one it was given."""
        low, middle, high = band[:, _LOW], band[:, _MIDDLE], band[:, _HIGH]
        reach = np.where(errors > middle, high - middle, middle - low)
        scores = np.abs(errors - middle) / np.maximum(reach, 1e-12)
        held = [None] * len(errors) if given is None else (scores <= _ratio(given, band)).tolist()
        after = zip(self.trackers, scores.tolist(), held, strict=True)
        return type(self)(tuple(tracker.after(score, kept, _LAG_DAYS) for tracker, score, kept in after))


_LOW, _MIDDLE, _HIGH = (DEFAULT_LEVELS.index(level) for level in (0.05, 0.5, 0.95))


def _ratio(given: Floats, band: Floats) -> Floats:
    return np.asarray((given[:, _HIGH] - given[:, _LOW]) / (band[:, _HIGH] - band[:, _LOW]))
