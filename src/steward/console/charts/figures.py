"""What a chart shows, as plain values; how it looks is told by :mod:`steward.console.charts.drawing`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from steward.console.sheets import Column, Kind, Sheet


class Tone(StrEnum):
    """A colour by its meaning; the theme says which one that is.

    Example:
        >>> Tone.FIRST.value
        'c1'
    """

    FIRST = "c1"
    SECOND = "c2"
    INK = "ink"
    QUIET = "dim"
    GOOD = "pos"
    CAUTION = "warn"
    BAD = "neg"


class Line(Struct, frozen=True, kw_only=True):
    """Values joined by a line; ``None`` leaves a gap. ``filled`` shades the area down to zero.

    Example:
        >>> Line(name="Load", values=(1.0, None, 2.0)).tone
        <Tone.FIRST: 'c1'>
    """

    name: str
    values: Sequence[float | None]
    tone: Tone = Tone.FIRST
    filled: bool = False
    dashed: bool = False
    steps: bool = False


class Band(Struct, frozen=True, kw_only=True):
    """The area between two lines, such as an interval.

    Example:
        >>> Band(name="90 % interval", low=(1.0,), high=(2.0,)).tone
        <Tone.FIRST: 'c1'>
    """

    name: str
    low: Sequence[float | None]
    high: Sequence[float | None]
    tone: Tone = Tone.FIRST


class Bars(Struct, frozen=True, kw_only=True):
    """Bars from zero; several in one panel stand on each other, negative ones below.

    Example:
        >>> Bars(name="auto", values=(3, 4)).values
        (3, 4)
    """

    name: str
    values: Sequence[float | None]
    tone: Tone = Tone.FIRST


Series = Line | Band | Bars


class Panel(Struct, frozen=True, kw_only=True):
    """Series over one vertical axis.

    Attributes:
        label: What is measured, with its unit.
        series: Drawn in this order.
        height: In pixels.
        zero: Whether the axis holds zero.
        reach: A value that the axis holds, too, whatever is drawn: 100 for shares in per cent.

    Example:
        >>> Panel(label="Load (MW)", series=()).height
        180
    """

    label: str
    series: Sequence[Series]
    height: int = 180
    zero: bool = True
    reach: float | None = None


class Mark(Struct, frozen=True, kw_only=True):
    """What happened: a line down all panels, or a stripe while it lasts, with a word at its top.

    Attributes:
        at: When it began.
        until: When it ended, if it took time.
        label: What it was, in a word or two.
        tone: Its colour.

    Example:
        >>> Mark(at=datetime(2026, 7, 1, 12), label="Outage").tone
        <Tone.CAUTION: 'warn'>
    """

    at: datetime
    until: datetime | None = None
    label: str
    tone: Tone = Tone.CAUTION


class Figure(Struct, frozen=True, kw_only=True):
    r"""Panels that share one axis of time, or of names.

    Attributes:
        name: Its name in URLs: ``/data/<name>.csv``.
        title: What it shows, in words: its accessible name.
        x: The moments, or names, of all values.
        panels: From top to bottom.
        now: Where a line marks the present, if it lies on the axis.
        marks: What happened meanwhile; on an axis of names there is none.

    Example:
        >>> Figure(name="rate", title="Decisions a minute", x=("a",), panels=[
        ...     Panel(label="decisions", series=[Bars(name="auto", values=(3,))])]).sheet().as_csv()
        'x,auto\r\na,3\r\n'
    """

    name: str
    title: str
    x: Sequence[datetime] | Sequence[str]
    panels: Sequence[Panel]
    now: datetime | None = None
    marks: Sequence[Mark] = ()

    def sheet(self) -> Sheet[int]:
        """Return the table behind it."""
        is_time = bool(self.x) and isinstance(self.x[0], datetime)
        kind, label = (Kind.TIME, "Time") if is_time else (Kind.TEXT, "Name")
        first: Column[int] = _fixed("x", label, kind, self.x.__getitem__)
        return Sheet(
            name=self.name,
            title=self.title,
            columns=[first, *(column for panel in self.panels for each in panel.series for column in _columns(each))],
            rows=range(len(self.x)),
        )


def _columns(series: Series) -> list[Column[int]]:
    if isinstance(series, Band):
        return [_column(f"{series.name}: low", series.low), _column(f"{series.name}: high", series.high)]
    return [_column(series.name, series.values)]


def _column(name: str, values: Sequence[float | None]) -> Column[int]:
    return _fixed(name, name, Kind.NUMBER, values.__getitem__)


def _fixed(key: str, label: str, kind: Kind, value: Callable[[Any], Any]) -> Column[Any]:
    """Return a column that cannot be sorted by: a page's parameter ``sort`` is for its own table, not for a chart's."""
    return Column(key=key, label=label, value=value, kind=kind, can_sort=False)


class Bubble(Struct, frozen=True, kw_only=True):
    """A thing at a place on two axes; its area says a third figure, its group and tone belong together.

    Example:
        >>> Bubble(label="Battery dispatch", x=2_880, y=300, size=864_000).tone
        <Tone.FIRST: 'c1'>
    """

    label: str
    x: float
    y: float
    size: float
    tone: Tone = Tone.FIRST
    group: str = ""
    link: str = ""


class Bubbles(Struct, frozen=True, kw_only=True):
    """Bubbles over two logarithmic axes.

    Attributes:
        name: Its name in URLs: ``/data/<name>.csv``.
        title: What it shows, in words: its accessible name.
        x_label: What lies to the right, with its unit.
        y_label: What lies upwards, with its unit.
        bubbles: What is shown; on an axis of powers only what is above zero has a place.
        product: The unit of one times the other, told at the lines of equal money.

    Example:
        >>> Bubbles(name="inventory", title="Decisions", x_label="a day", y_label="EUR each", bubbles=()).bubbles
        ()
    """

    name: str
    title: str
    x_label: str
    y_label: str
    bubbles: Sequence[Bubble]
    product: str = ""

    def sheet(self) -> Sheet[Any]:
        """Return the table behind it."""
        return Sheet(
            name=self.name,
            title=self.title,
            columns=[
                _fixed("name", "Name", Kind.TEXT, lambda bubble: bubble.label),
                _fixed("x", self.x_label, Kind.NUMBER, lambda bubble: bubble.x),
                _fixed("y", self.y_label, Kind.NUMBER, lambda bubble: bubble.y),
                _fixed("size", "Size", Kind.NUMBER, lambda bubble: bubble.size),
                _fixed("group", "Group", Kind.TEXT, lambda bubble: bubble.group),
            ],
            rows=self.bubbles,
        )


Chart = Figure | Bubbles


class Stage(Struct, frozen=True):
    """One stage of the loop, as a box.

    Attributes:
        label: What is done there.
        under: With what, or what came of it.
        tone: How it went: ``pos``, ``warn``, ``neg``, ``info``; empty while it has not been reached.

    Example:
        >>> Stage("Gate", "impact > €2,500", "warn").label
        'Gate'
    """

    label: str
    under: str = ""
    tone: str = ""
