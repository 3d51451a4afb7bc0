"""Small pictures beside a figure: how it went, within which bounds it lies, what moved it, how it compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from markupsafe import Markup, escape

from steward.console import words
from steward.console.charts.marks import drawn, label, named, px, share, width_px
from steward.console.charts.shapes import runs

_SPARK: Final = (84, 26)
_INTERVAL_PX: Final = 260
_TEXT_PX: Final = 12.5
_ROOM_FOR_NUMBER: Final = 0.19
_DASH: Final = "\N{EN DASH}"


def spark(values: Sequence[float | None], title: str, tone: str = "c1") -> Markup:
    """Return how a figure went, without axes, beside the figure itself; the last value has a dot."""
    width, height = _SPARK
    found = [drawn(value) for value in values]
    there = [value for value in found if value is not None]
    if not there:
        return named(
            "spark", title, f'width="{width}" height="{height}"', f'<path class="axis" d="M0 {height - 1}h{width}"/>'
        )
    low, extent = min(there), max(there) - min(there)
    step, top = (width - 4) / max(1, len(found) - 1), height - 4
    points = [
        (1 + at * step, None if value is None else 3 + (top - 3) * (1 - (value - low) / extent if extent else 0.5))
        for at, value in enumerate(found)
    ]
    body = []
    for run in runs(points):
        line = "L".join(f"{px(x)} {px(y)}" for x, y in run)
        if len(run) > 1:
            body.append(f'<path class="area {tone}" d="M{px(run[0][0])} {height}L{line}V{height}z"/>')
            body.append(f'<path class="line {tone}" d="M{line}"/>')
        else:
            body.append(f'<path class="dot {tone}" d="M{line}h0"/>')
    x, y = next((x, y) for x, y in reversed(points) if y is not None)
    body.append(f'<circle class="fill {tone}" cx="{px(x)}" cy="{px(y)}" r="2.2"/>')
    return named("spark", title, f'width="{width}" height="{height}"', "".join(body))


def interval(  # noqa: PLR0917 - as people say it: from, to, expected, otherwise
    low: float,
    high: float,
    expected: float,
    otherwise: float | None = None,
    title: str = "",
    label: Callable[[float], str] = words.number,
) -> Markup:
    """Return an interval with the expected value in it, and the value of what is done otherwise."""
    return _Interval(low, high, expected, otherwise, label).picture(title)


class _Interval:
    """Places on one axis, and three rows of labels that keep out of each other's way."""

    def __init__(
        self, low: float, high: float, expected: float, otherwise: float | None, told: Callable[[float], str]
    ) -> None:
        self.low, self.high, self.expected, self.otherwise = (drawn(each) for each in (low, high, expected, otherwise))
        self.told = told
        there = [each for each in (self.low, self.high, self.expected, self.otherwise) if each is not None] or [0.0]
        margin = (max(there) - min(there)) * 0.06 or 1.0
        self.start, self.extent = min(there) - margin, max(there) - min(there) + 2 * margin

    def x(self, value: float) -> float:
        return 8 + (value - self.start) / self.extent * (_INTERVAL_PX - 16)

    def picture(self, title: str) -> Markup:
        body = [f'<path class="axis" d="M8 38H{_INTERVAL_PX - 8}"/>']
        if self.low is not None and self.high is not None:
            left, right = sorted((self.x(self.low), self.x(self.high)))
            body.append(
                f'<rect class="band c1" x="{px(left)}" y="29" width="{px(max(4, right - left))}" height="18" rx="9"/>'
            )
        if self.otherwise is not None:
            body.append(f'<path class="otherwise" d="M{px(self.x(self.otherwise))} 26V50"/>')
        if self.expected is not None:
            body.append(f'<circle class="fill c1" cx="{px(self.x(self.expected))}" cy="38" r="7"/>')
        above, below, last = self._rows()
        height = 74 if not last else 90
        for y, row in ((20, above), (66, below), (83, last)):
            body += [label(text, px(x), y, classes, "middle") for x, text, classes in spread(row)]
        size = f'viewBox="0 0 {_INTERVAL_PX} {height}" width="{_INTERVAL_PX}" height="{height}"'
        return named("interval", title or self._sentence(), size, "".join(body))

    def _rows(self) -> tuple[list[_Placed], list[_Placed], list[_Placed]]:
        above: list[_Placed] = []
        below: list[_Placed] = []
        if self.expected is not None:
            above.append((self.x(self.expected), f"{self.told(self.expected)} expected", "strong"))
        if self.low is not None and self.high is not None:
            ends = {self.told(each): self.x(each) for each in sorted((self.low, self.high))}
            below += [(x, text, "quiet") for text, x in ends.items()]
        if self.otherwise is None:
            return above, below, []
        mark = (self.x(self.otherwise), f"otherwise {self.told(self.otherwise)}", "quiet")
        for row in (above, below):
            if _moved([*row, mark]) < 24:
                row.append(mark)
                return above, below, []
        return above, below, [mark]

    def _sentence(self) -> str:
        told = [
            f"{name} {self.told(value)}"
            for name, value in (
                ("expected", self.expected),
                ("from", self.low),
                ("to", self.high),
                ("otherwise", self.otherwise),
            )
            if value is not None
        ]
        return ", ".join(told) or "no value"


_Placed = tuple[float, str, str]


def spread(row: Sequence[_Placed], width: float = _INTERVAL_PX, gap: float = 10) -> list[_Placed]:
    """Return labels moved aside, no further than needed, so that none lies on another or beyond the edge.

    Example:
        >>> [(round(x), text) for x, text, _ in spread([(100, "€2,650", ""), (104, "€2,700", ""), (259, "€5,400", "")])]
        [(100, '€2,650'), (153, '€2,700'), (238, '€5,400')]
    """
    placed = sorted(row, key=lambda each: each[0])
    halves = [width_px(text, _TEXT_PX) / 2 for _, text, _ in placed]
    at: list[float] = []
    for (x, _, _), half in zip(placed, halves, strict=True):
        at.append(max(x, half if not at else at[-1] + halves[len(at) - 1] + gap + half))
    edge = width
    for index in range(len(at) - 1, -1, -1):
        at[index] = min(at[index], edge - halves[index])
        edge = at[index] - halves[index] - gap
    return [(x, text, classes) for x, (_, text, classes) in zip(at, placed, strict=True)]


def _moved(row: Sequence[_Placed]) -> float:
    """Return how far labels push each other, beyond what the edge alone does."""
    alone = [spread([each])[0][0] for each in sorted(row, key=lambda each: each[0])]
    return max(abs(x - wanted) for (x, _, _), wanted in zip(spread(row), alone, strict=True))


class _Around:
    """A scale with zero in it, as shares of the width, with room for numbers on the sides that have bars."""

    def __init__(self, values: Sequence[float | None], room: float = 0.0) -> None:
        there = [value for value in values if value is not None]
        down, up = -min(0.0, *there, 0.0), max(0.0, *there, 0.0)
        self.extent = (down + up) or 1.0
        left = room if down else 0.0
        self.usable = 1 - left - (room if up else 0.0)
        self.zero = left + self.usable * down / self.extent

    def length(self, value: float) -> float:
        return abs(value) / self.extent * self.usable

    def bar(self, value: float, tone: str, height: int) -> str:
        length = self.length(value)
        start = self.zero - length if value < 0 else self.zero
        return f'<rect class="fill {tone}" x="{share(start)}" width="{share(length)}" height="{height}" rx="2.5"/>'


def contributions(rows: Sequence[tuple[str, str, float | None]], title: str) -> Markup:
    """Return how much each input moved an answer: bars to the right raised it, to the left lowered it."""
    values = [drawn(value) for _, _, value in rows]
    scale = _Around(values, _ROOM_FOR_NUMBER)
    body = "".join(
        f'<li><span class="name">{escape(name)}</span><span class="value">{escape(shown)}</span>'
        f"{_contribution(value, scale)}</li>"
        for (name, shown, _), value in zip(rows, values, strict=True)
    )
    return Markup(f'<div class="contributions"><ul aria-label="{escape(title)}">{body}</ul></div>')  # noqa: S704


def _contribution(value: float | None, scale: _Around) -> str:
    told = words.number(value)
    told = f"+{told}" if value is not None and value > 0 else told
    zero = share(scale.zero)
    mark = f'<line class="axis" x1="{zero}" x2="{zero}" y1="-5" y2="23"/>'
    if value is None:
        return named("bar", told, 'height="18"', mark + f'<text x="{zero}" y="13.5" dx="7">{told}</text>')
    end = scale.zero + (-scale.length(value) if value < 0 else scale.length(value))
    side = f'text-anchor="{"end" if value < 0 else "start"}" dx="{-7 if value < 0 else 7}"'
    text = f'<text x="{share(end)}" y="13.5" {side}>{told}</text>'
    return named("bar", told, 'height="18"', mark + scale.bar(value, "neg" if value < 0 else "pos", 18) + text)


def versus(rows: Sequence[tuple[str, float | None, str, str]], title: str) -> Markup:
    """Return amounts side by side; those below zero reach to the left."""
    values = [drawn(amount) for _, amount, _, _ in rows]
    scale = _Around(values)
    body = "".join(
        f'<li><span class="name">{escape(name)}</span><svg class="bar" height="20" aria-hidden="true">'
        f"{'' if value is None else scale.bar(value, tone, 20)}</svg><b>{escape(shown or _DASH)}</b></li>"
        for (name, _, shown, tone), value in zip(rows, values, strict=True)
    )
    return Markup(f'<div class="versus"><ul aria-label="{escape(title)}">{body}</ul></div>')  # noqa: S704
