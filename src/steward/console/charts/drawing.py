"""Draws charts on the server as SVG, in the theme's colours; templates call these functions as ``draw.…``.

Widths are shares of whatever room there is, and text keeps its size: the same picture is sharp and readable at 1440 px,
at 390 px and on paper.
"""

from __future__ import annotations

from markupsafe import Markup

from steward.console.charts.bubbles import draw_bubbles
from steward.console.charts.diagrams import path, tree
from steward.console.charts.figures import Bubbles, Chart
from steward.console.charts.panels import draw_figure
from steward.console.charts.small import contributions, interval, spark, versus
from steward.console.zones import Zone

__all__ = ["chart", "contributions", "interval", "path", "spark", "tree", "versus"]


def chart(figure: Chart, zone: Zone) -> Markup:
    """Return a chart as SVG, with times in a zone."""
    return draw_bubbles(figure) if isinstance(figure, Bubbles) else draw_figure(figure, zone)
