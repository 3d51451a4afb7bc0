"""Panels over one axis of time or of names: lines, bands and bars that share where left and right are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from markupsafe import Markup

from steward.console.charts.figures import Band, Bars, Figure, Line, Mark, Panel, Series
from steward.console.charts.marks import (
    NARROW_PX,
    ROOMY_PX,
    WIDE,
    apart,
    area_key,
    cut,
    drawn,
    fitted,
    frame,
    label,
    legend,
    line_key,
    plane,
    share,
    width_px,
)
from steward.console.charts.scales import Scale
from steward.console.charts.shapes import Plane
from steward.console.charts.times import time_ticks
from steward.console.zones import Zone
from steward.errors import ContractError

_ABOVE_PX: Final = 24
_BETWEEN_PX: Final = 12
_TICK_EVERY_PX: Final = 45
_TICKS: Final = 8
_LEAST_NAME_PX: Final = 44
_LABEL_CHARACTERS: Final = 46
_EDGE: Final = 0.13


def draw_figure(figure: Figure, zone: Zone) -> Markup:
    """Return the panels with their axes and legend."""
    across = Across.of(figure)
    scales = [_scale(panel) for panel in figure.panels]
    gutter = round(max([26.0, *(width_px(text) for scale in scales for text in scale.labels())])) + 8
    now = None if figure.now is None else across.share(figure.now)
    marks = sorted(((span, mark) for mark in figure.marks if (span := across.spanned(mark))), key=lambda each: each[0])
    left: list[str] = []
    body: list[str] = []
    y = 0
    for panel, scale in zip(figure.panels, scales, strict=True):
        y += _ABOVE_PX
        left += [
            label(text, str(gutter - 8), y + panel.height * (1 - scale.share(tick)) + 3.5, "", "end")
            for tick, text in zip(scale.ticks, scale.labels(), strict=True)
        ]
        body.append(label(cut(panel.label, _LABEL_CHARACTERS), "0", y - 10, "quiet"))
        body += [_mark(span, mark, y, panel.height) for span, mark in marks]
        body.append(_panel(panel, scale, across, y))
        if now is not None:
            body.append(f'<line class="now" x1="{share(now)}" x2="{share(now)}" y1="{y - 4}" y2="{y + panel.height}"/>')
        y += panel.height + _BETWEEN_PX
    body += _row([_lean(begin, mark.label) for (begin, _), mark in marks], _ABOVE_PX + 11, "happened")
    body += _time_axis(across, zone, y - _BETWEEN_PX) if across.start else _name_axis(figure, across, y - _BETWEEN_PX)
    begin = 0.0 if across.start else across.slot / 2
    places = " ".join(f"{WIDE * (each - begin):.0f}" for each in across.places)
    return frame(
        title=figure.title,
        legend=_legend(figure),
        gutter=gutter,
        height=y + (26 if across.start else 12),
        left="".join(left),
        body="".join(body),
        data=f' data-x="{places}" data-slot="{WIDE * across.slot:.0f}"',
    )


class Across(NamedTuple):
    """The axis that all panels share, in shares of its width.

    Attributes:
        places: Where each value stands.
        slot: How much room a bar has; zero where there are none.
        start: The moment at the left; ``None`` on an axis of names.
        end: The moment at the right.

    Example:
        >>> figure = Figure(name="f", title="F", x=("a", "b"), panels=())
        >>> Across.of(figure).places, Across.of(figure).slot
        ((0.25, 0.75), 0.5)
    """

    places: tuple[float, ...]
    slot: float
    start: datetime | None = None
    end: datetime | None = None

    @classmethod
    def of(cls, figure: Figure) -> Across:
        """Return the axis of a figure."""
        moments = [each for each in figure.x if isinstance(each, datetime)]
        count = len(figure.x)
        if not moments:
            return cls(tuple((at + 0.5) / count for at in range(count)), 1 / max(1, count))
        step = min((b - a for a, b in pairwise(moments) if b > a), default=timedelta(hours=1))
        has_slots = any(_has_slot(series) for panel in figure.panels for series in panel.series)
        start, end = min(moments), max(moments)
        if has_slots:
            end += step
        elif start == end:
            start, end = start - step / 2, end + step / 2
        length = end - start
        return cls(tuple((each - start) / length for each in moments), step / length if has_slots else 0.0, start, end)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The moments at both ends of an axis of time."""
        if self.start is None or self.end is None:
            raise ContractError("an axis of names has no time", fix="ask only an axis of moments")
        return self.start, self.end

    def share(self, at: datetime) -> float | None:
        """Return where a moment lies, if it lies on the axis."""
        if self.start is None or self.end is None or not self.start <= at <= self.end:
            return None
        return (at - self.start) / (self.end - self.start)

    def spanned(self, mark: Mark) -> tuple[float, float] | None:
        """Return where a mark begins and ends, as far as it lies on the axis; twice the same for a moment."""
        until = mark.until or mark.at
        if self.start is None or self.end is None or until < self.start or mark.at > self.end:
            return None
        length = self.end - self.start
        return (max(mark.at, self.start) - self.start) / length, (min(until, self.end) - self.start) / length


def _has_slot(series: Series) -> bool:
    return isinstance(series, Bars) or (isinstance(series, Line) and series.steps)


def _scale(panel: Panel) -> Scale:
    values: list[float | None] = [panel.reach]
    stacks = [series for series in panel.series if isinstance(series, Bars)]
    for series in panel.series:
        if isinstance(series, Band):
            values += [*series.low, *series.high]
        elif isinstance(series, Line):
            values += series.values
    for column in zip(*(series.values for series in stacks), strict=False):
        there = [value for value in map(drawn, column) if value is not None]
        values += [sum(value for value in there if value > 0), sum(value for value in there if value < 0)]
    is_zero = panel.zero or any(isinstance(each, Line) and each.filled for each in panel.series)
    return Scale.over(values, ticks=max(2, panel.height // _TICK_EVERY_PX), zero=is_zero, whole=_counts(panel))


def _counts(panel: Panel) -> bool:
    """Tell whether all that is measured are counts: there is no half a decision."""
    if not panel.series or not all(isinstance(series, Bars) for series in panel.series):
        return False
    values = (value for series in panel.series if isinstance(series, Bars) for value in series.values)
    return all(value is None or isinstance(value, int) for value in values)


def _panel(panel: Panel, scale: Scale, across: Across, top: int) -> str:
    shapes = Plane(scale, panel.height, across.places, across.slot, is_time=across.start is not None)
    grid = "".join(f"M0 {shapes.y(tick):.0f}H{WIDE}" for tick in scale.ticks)
    body = [f'<path class="grid" d="{grid}"/>', f'<path class="axis" d="M0 {shapes.base:.0f}H{WIDE}"/>']
    body += map(shapes.of, panel.series)
    has_values = any(map(_has_value, panel.series))
    empty = "" if has_values else label("No values in this time", "50%", top + panel.height / 2, "quiet", "middle")
    return plane(top, panel.height, "".join(body)) + empty


def _has_value(series: Series) -> bool:
    values = series.low if isinstance(series, Band) else series.values
    return any(drawn(value) is not None for value in values)


def _mark(span: tuple[float, float], mark: Mark, top: int, height: int) -> str:
    begin, end = span
    line = f'<line class="mark {mark.tone}" x1="{share(begin)}" x2="{share(begin)}" y1="{top}" y2="{top + height}"/>'
    if end <= begin:
        return line
    where = f'x="{share(begin)}" y="{top}" width="{share(end - begin)}" height="{height}"'
    return f'<rect class="stripe {mark.tone}" {where}/>{line}'


def _time_axis(across: Across, zone: Zone, y: int) -> list[str]:
    ticks = time_ticks(*across.span, zone, _TICKS)
    places = [across.share(tick.at) or 0.0 for tick in ticks]
    return [
        *_row([(at, tick.text, "middle", 0.0) for at, tick in zip(places, ticks, strict=True)], y + 16, "tick"),
        *_row([_lean(at, tick.under) for at, tick in zip(places, ticks, strict=True) if tick.under], y + 30, "day"),
    ]


def _name_axis(figure: Figure, across: Across, y: int) -> list[str]:
    room = max(_LEAST_NAME_PX, ROOMY_PX / max(1, len(figure.x)) - 10)
    names = [(at, fitted(str(name), room), "middle", 0.0) for at, name in zip(across.places, figure.x, strict=True)]
    return _row(names, y + 16, "tick")


_Label = tuple[float, str, str, float]
"""Where it stands (0..1), the text, the anchor, and how far it is moved aside, in pixels."""


def _lean(at: float, text: str) -> _Label:
    """Return a label that leans inwards at an edge; under a time of day it begins where that begins."""
    if at < _EDGE:
        return (at, text, "start", -14.0)
    return (at, text, "end", 14.0) if at > 1 - _EDGE else (at, text, "middle", 0.0)


def _row(labels: Sequence[_Label], y: float, classes: str) -> list[str]:
    """Return a row of labels; those that would lie on others are left out, on a phone by the style sheet."""
    reach = [(at, *_reach(text, anchor, aside)) for at, text, anchor, aside in labels]
    found = []
    roomy, narrow = apart(reach, ROOMY_PX), apart(reach, NARROW_PX)
    for (at, text, anchor, aside), fits, fits_narrow in zip(labels, roomy, narrow, strict=True):
        if fits:
            told = classes if fits_narrow else f"{classes} minor"
            found.append(label(text, share(at), y, told, anchor, aside=aside))
    return found


def _reach(text: str, anchor: str, aside: float) -> tuple[float, float]:
    width = width_px(text)
    left = {"start": 0.0, "middle": width / 2, "end": width}[anchor]
    return left - aside, width - left + aside


def _legend(figure: Figure) -> str:
    shown = dict.fromkeys((_key(each), each.name) for panel in figure.panels for each in panel.series)
    return legend(shown) if len(shown) > 1 else ""


def _key(series: Series) -> str:
    if isinstance(series, Line):
        return line_key(f"line {series.tone}{' dashed' if series.dashed else ''}")
    return area_key(f"{'band' if isinstance(series, Band) else 'fill'} {series.tone}")
