"""Scales: from values to places, with ticks at round values (1, 2, 5 times a power of ten) or round times of a zone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from steward.console.charts.marks import drawn

_MINUS: Final = "\N{MINUS SIGN}"
_LARGE: Final = ((10**12, "tn"), (10**9, "bn"), (10**6, "M"))
_FLAT: Final = 1e-290
_DECADES: Final = 8


class Scale(NamedTuple):
    """An axis from ``low`` to ``high``, both of them ticks.

    Example:
        >>> Scale.over([3.0, 28.0], ticks=4)
        Scale(low=0.0, high=30.0, ticks=(0.0, 10.0, 20.0, 30.0))
        >>> Scale.over([360.0, 648.0], ticks=4, zero=False).ticks
        (300.0, 400.0, 500.0, 600.0, 700.0)
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, values: Iterable[float | None], *, ticks: int, zero: bool = True, whole: bool = False) -> Scale:
        """Return the scale that holds all values, with about as many steps as asked for; of counts, in whole steps."""
        there = [value for value in map(drawn, values) if value is not None]
        low, high = (min(there), max(there)) if there else (0.0, 1.0)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if whole and low == high == 0:
            high = 1.0
        if high - low <= _FLAT or high - low <= 1e-12 * max(abs(low), abs(high)):
            margin = max(abs(high) * 0.1, 0.5)
            low, high = (low if low == 0 else low - margin), high + margin
        step = max(nice_step(high - low, ticks), Fraction(whole))
        first, last = math.floor(Fraction(low) / step), math.ceil(Fraction(high) / step)
        places = tuple(float(step * each) for each in range(first, last + 1))
        return cls(places[0], places[-1], places)

    def share(self, value: float) -> float:
        """Return where a value lies between low (0) and high (1)."""
        return (value - self.low) / (self.high - self.low)

    def labels(self) -> list[str]:
        r"""Return what stands at the ticks: all with as many decimals as the step needs.

        Example:
            >>> Scale.over([0.0, 0.3], ticks=3).labels(), Scale.over([-40, 40], ticks=2).labels()
            (['0', '0.1', '0.2', '0.3'], ['−50', '0', '50'])
            >>> Scale.over([0, 2_600_000], ticks=3).labels()
            ['0', '1\xa0M', '2\xa0M', '3\xa0M']
        """
        return tick_labels(self.ticks)


class LogScale(NamedTuple):
    """A logarithmic axis: equal ratios are equal lengths.

    Attributes:
        low: Its low end as a power of ten.
        high: Its high end as a power of ten.
        ticks: Values, all within.

    Example:
        >>> LogScale.over([4.0, 120_000.0])
        LogScale(low=0.0, high=6.0, ticks=(1.0, 10.0, 100.0, 1000.0, 10000.0, 100000.0, 1000000.0))
        >>> LogScale.over([25.0, 70.0]).ticks
        (20.0, 50.0, 100.0)
    """

    low: float
    high: float
    ticks: tuple[float, ...]

    @classmethod
    def over(cls, values: Iterable[float]) -> LogScale:
        """Return the scale that holds all values, which are above zero."""
        there = list(values) or [1.0, 1_000.0]
        low, high = min(there), max(there)
        if high / low < 1.5:
            low, high = low / 2, high * 2
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        if last - first > 2:
            every = -(-(last - first) // _DECADES)
            ticks = tuple(10.0**power for power in range(first, last + 1, every))
            return cls(float(first), float(last), ticks)
        fine = [each * 10.0**power for power in range(first - 1, last + 1) for each in (1, 2, 5)]
        start = max(each for each in fine if each <= low * 1.0001)
        end = min(each for each in [*fine, 10.0 ** (last + 1)] if each >= high * 0.9999)
        return cls(math.log10(start), math.log10(end), tuple(each for each in fine if start <= each <= end))

    def share(self, value: float) -> float:
        """Return where a value lies between low (0) and high (1)."""
        return (math.log10(value) - self.low) / (self.high - self.low)

    def labels(self) -> list[str]:
        """Return what stands at the ticks."""
        return [short_number(tick) for tick in self.ticks]


def short_number(value: float) -> str:
    r"""Return a round number on an axis.

    Example:
        >>> short_number(0.5), short_number(100_000), short_number(2e6), short_number(1e18)
        ('0.5', '100,000', '2\xa0M', '1e18')
    """
    if value and (abs(value) >= 1e15 or abs(value) < 1e-4):
        return power_of_ten(value)
    unit, name = next(((unit, f"\N{NO-BREAK SPACE}{name}") for unit, name in _LARGE if abs(value) >= unit), (1, ""))
    return (
        f"{value / unit:,.6g}{name}".replace("-", _MINUS)
        if name or abs(value) < 1
        else f"{value:,.0f}".replace("-", _MINUS)
    )


def nice_step(span: float, ticks: int) -> Fraction:
    """Return the step of 1, 2 or 5 times a power of ten that divides a span into at most about ``ticks`` parts.

    Example:
        >>> nice_step(28.0, 4), nice_step(0.28, 3), nice_step(28.0, 6)
        (Fraction(10, 1), Fraction(1, 10), Fraction(5, 1))
    """
    rough = span / max(1, ticks)
    power = Fraction(10) ** math.floor(math.log10(rough))
    return next(power * each for each in (1, 2, 5, 10, 20) if power * each >= Fraction(rough) * Fraction(999, 1000))


def tick_labels(ticks: tuple[float, ...]) -> list[str]:
    """Return the ticks of one axis as text, all in the same unit and with the same decimals."""
    size = max(map(abs, ticks), default=0.0)
    step = min((b - a for a, b in pairwise(ticks)), default=size) or 1.0
    if size >= 10**15 or step < 1e-6:
        return [power_of_ten(tick) for tick in ticks]
    unit, name = next(((unit, f"\N{NO-BREAK SPACE}{name}") for unit, name in _LARGE if size >= unit), (1, ""))
    decimals = max(0, -math.floor(math.log10(step / unit) + 1e-9))
    if decimals > 3:
        unit, name, decimals = 1, "", max(0, -math.floor(math.log10(step) + 1e-9))
    return [f"{tick / unit:,.{decimals}f}{name}".replace("-", _MINUS) if tick else "0" for tick in ticks]


def power_of_ten(value: float) -> str:
    """Return a very large or very small value.

    Example:
        >>> power_of_ten(2e15), power_of_ten(-1.5e-7), power_of_ten(0.0)
        ('2e15', '−1.5e−7', '0')
    """
    if value == 0:
        return "0"
    digits, power = f"{value:.2e}".split("e")
    return f"{float(digits):g}e{int(power)}".replace("-", _MINUS)
