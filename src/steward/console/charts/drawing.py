"""Draws charts as SVG."""

from __future__ import annotations

from markupsafe import Markup

from steward.console.charts.figures import Chart
from steward.console.zones import Zone


def chart(figure: Chart, zone: Zone) -> Markup:
    """Return a chart as SVG, with times in a zone."""
    return Markup("")
