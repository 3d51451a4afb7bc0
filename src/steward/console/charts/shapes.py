"""The shapes of series in one panel as paths: lines, bands and bars, down in tenths of a pixel, across stretched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from steward.console.charts.figures import Band, Bars, Line, Series
from steward.console.charts.marks import TENTHS, WIDE, drawn
from steward.console.charts.scales import Scale

_BAR_SHARE: Final = 0.84
Point = tuple[float, float]
"""Right and down, in the plane's units."""


class Plane:
    """Where values of one panel lie; several :class:`Bars` stand on each other.

    Args:
        scale: The vertical axis.
        height: In pixels.
        places: Where each value stands, as shares of the width.
        slot: How much room a bar or a step has, as a share of the width.
        is_time: Whether a slot begins at its place, as a stretch of time does, rather than lie around it.

    Example:
        >>> plane = Plane(Scale(0.0, 10.0, (0.0, 10.0)), 100, (0.0, 1.0), 0.0)
        >>> plane.of(Line(name="Load", values=(0.0, 7.5)))
        '<path class="line c1" d="M0 1000L10000 250"/>'
    """

    def __init__(
        self, scale: Scale, height: int, places: Sequence[float], slot: float, *, is_time: bool = True
    ) -> None:
        self._xs = [WIDE * each for each in places]
        self._slot = WIDE * slot
        self._before = 0.0 if is_time else self._slot / 2
        self._low, self._bottom = scale.low, TENTHS * height
        self._per_unit = self._bottom / (scale.high - scale.low)
        self.base = self.y(min(max(0.0, scale.low), scale.high))
        self._below, self._above = [0.0] * len(places), [0.0] * len(places)

    def y(self, value: float) -> float:
        """Return how far down a value lies."""
        return self._bottom - (value - self._low) * self._per_unit

    def of(self, series: Series) -> str:
        """Return the shape of a series; bars stand on those that came before."""
        if isinstance(series, Bars):
            return f'<path class="fill {series.tone}" d="{"".join(self._bars(series))}"/>'
        if isinstance(series, Band):
            return f'<path class="band {series.tone}" d="{"".join(self._band(series))}"/>'
        return self._line(series)

    def _points(self, values: Sequence[float | None]) -> list[tuple[float, float | None]]:
        low, bottom, per_unit = self._low, self._bottom, self._per_unit
        return [
            (x, None if value is None else bottom - (value - low) * per_unit)
            for x, value in zip(self._xs, map(drawn, values), strict=False)
        ]

    def _line(self, series: Line) -> str:
        lines, areas, dots = [], [], []
        for run in runs(self._points(series.values)):
            start, end = run[0][0], run[-1][0]
            if series.steps:
                start, end = start - self._before, end - self._before + self._slot
                line = self._stairs(run, start, end)
            elif len(run) > 1:
                line = f"M{joined(run)}"
            else:
                dots.append(
                    f"M{joined(run)}h0"
                )  # a stroke without length: its round caps are a dot that is not stretched
                continue
            lines.append(line)
            if series.filled and end > start:
                areas.append(f"{line}V{self.base:.0f}H{start:.0f}z")
        area = f'<path class="area {series.tone}" d="{"".join(areas)}"/>' if areas else ""
        dashed = " dashed" if series.dashed else ""
        line = f'<path class="line {series.tone}{dashed}" d="{"".join(lines)}"/>' if lines else ""
        return area + line + (f'<path class="dot {series.tone}" d="{"".join(dots)}"/>' if dots else "")

    def _stairs(self, run: Sequence[Point], start: float, end: float) -> str:
        steps = "".join(f"H{x - self._before:.0f}V{y:.0f}" for x, y in run[1:])
        return f"M{start:.0f} {run[0][1]:.0f}{steps}H{end:.0f}"

    def _band(self, series: Band) -> Iterator[str]:
        low, high = self._points(series.low), self._points(series.high)
        is_whole = [a is not None and b is not None for (_, a), (_, b) in zip(low, high, strict=False)]
        below = runs((x, y if there else None) for (x, y), there in zip(low, is_whole, strict=False))
        above = runs((x, y if there else None) for (x, y), there in zip(high, is_whole, strict=False))
        for lower, upper in zip(below, above, strict=True):
            yield f"M{joined(upper)}L{joined(reversed(lower))}z"

    def _bars(self, series: Bars) -> Iterator[str]:
        width = self._slot * _BAR_SHARE
        aside = (self._slot - width) / 2 - self._before
        for at, (x, value) in enumerate(zip(self._xs, map(drawn, series.values), strict=False)):
            if value:
                stack = self._above if value > 0 else self._below
                start = stack[at]
                stack[at] = end = start + value
                yield f"M{x + aside:.0f} {self.y(start):.0f}V{self.y(end):.0f}h{width:.0f}V{self.y(start):.0f}z"


def joined(run: Iterable[Point]) -> str:
    """Return points as a path has them.

    Example:
        >>> joined([(0.0, 12.4), (100.0, 3.0)])
        '0 12L100 3'
    """
    return "L".join(f"{x:.0f} {y:.0f}" for x, y in run)


def runs(points: Iterable[tuple[float, float | None]]) -> list[list[Point]]:
    """Return the stretches between gaps.

    Example:
        >>> runs([(0, 1.0), (1, None), (2, 3.0), (3, 4.0)])
        [[(0, 1.0)], [(2, 3.0), (3, 4.0)]]
    """
    found: list[list[Point]] = [[]]
    for x, y in points:
        if y is not None:
            found[-1].append((x, y))
        elif found[-1]:
            found.append([])
    return [each for each in found if each]
