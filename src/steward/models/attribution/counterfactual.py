"""Which values of an input are worth trying to turn an answer, and what a change costs; pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from steward.records import FeatureValue

_NEAREST: Final = 32
"""How many turning points on each side are tried; beyond them only the steps are."""
_STEPS: Final = 24
_BEYOND: Final = 1e-6
"""How far beyond a turning point a value is put, as a share of the range."""
_DIGITS: Final = 6
_LONGER: Final = 1.02
"""How much further away a value may be for the sake of being short."""


class Movable(Struct, frozen=True, kw_only=True):
    """An input that may have been different.

    Attributes:
        name: Its name.
        stored: What it was.
        others: The only other values it may have, if it is no number.
        low: The least it may be, for a number.
        high: The most.
        scale: A change of this much costs 1.
        is_whole: Whether it is a whole number and stays one.
        turns: Numbers up to which an answer may be one thing and above it another, lowest first.

    Example:
        >>> hour = Movable(name="hour", stored=3, low=0, high=23, scale=23, is_whole=True, turns=(5.5, 11.5))
        >>> list(hour.tries())[:3], round(hour.cost(6), 3)
        ([4, 2, 5], 0.13)
    """

    name: str
    stored: FeatureValue
    others: Sequence[FeatureValue] = ()
    low: float = 0.0
    high: float = 0.0
    scale: float = 1.0
    is_whole: bool = False
    turns: Sequence[float] = ()

    @property
    def number(self) -> float | None:
        """What it was, if it is a number."""
        return None if isinstance(self.stored, bool) or not isinstance(self.stored, int | float) else self.stored

    def cost(self, value: FeatureValue) -> float:
        """Return how large a change is: its share of the range; 1 for what is no number."""
        stored = self.number
        if stored is None or not isinstance(value, int | float):
            return float(value != self.stored)
        return abs(value - stored) / self.scale

    def tries(self) -> Iterator[FeatureValue]:
        """Return the values worth trying, the nearest first."""
        stored = self.number
        if stored is None:
            yield from self.others
            return
        found = {self.fitted(value) for value in self._turning(stored)} | {
            self.fitted(self.low + (self.high - self.low) * step / _STEPS) for step in range(_STEPS + 1)
        }
        inside = (value for value in found if self.low <= value <= self.high and value != stored)
        yield from sorted(inside, key=lambda value: (abs(value - stored), -value))

    def _turning(self, stored: float) -> Iterator[float]:
        at = bisect_left(self.turns, stored)
        for turn in self.turns[max(at - _NEAREST, 0) : at]:
            yield math.floor(turn) if self.is_whole else turn
        for turn in self.turns[at : at + _NEAREST]:
            yield math.floor(turn) + 1 if self.is_whole else turn + _BEYOND * self.scale

    def fitted(self, value: float) -> float:
        """Return a number as this input would have it."""
        return round(value) if self.is_whole else value

    def between(self, near: float, far: float) -> float | None:
        """Return a value in the middle; ``None`` if there is nothing to be gained from one."""
        middle = self.fitted((near + far) / 2)
        close = abs(far - near) <= _BEYOND * self.scale
        return None if close or middle in (near, far) else middle

    def rounder(self, value: float) -> Iterator[float]:
        """Return values beyond ``value`` that are easier to read, the shortest first, none much further away."""
        stored = self.number
        if stored is None or self.is_whole:
            return
        away = math.ceil if value > stored else math.floor
        size = abs(value - stored)
        for digits in range(_DIGITS):
            unit = 10.0 ** (math.floor(math.log10(size)) - digits)
            rounded = float(f"{away(value / unit) * unit:.15g}")
            if abs(rounded - stored) <= _LONGER * size and self.low <= rounded <= self.high:
                yield rounded
