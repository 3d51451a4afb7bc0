"""Bubbles over two logarithmic axes: equal money lies on straight lines."""

from __future__ import annotations

import math
from typing import Final

from markupsafe import Markup, escape

from steward.console.charts.figures import Bubbles
from steward.console.charts.marks import drawn, label, px, share

_HEIGHT: Final = 260


def draw_bubbles(figure: Bubbles) -> Markup:
    """Return the chart."""
    there = [each for each in figure.bubbles if (drawn(each.x) or 0) > 0 and (drawn(each.y) or 0) > 0]
    xs, ys = _decades([each.x for each in there]), _decades([each.y for each in there])
    body = [label(figure.y_label, "0", 12, "quiet")]
    for power in range(xs[0], xs[1] + 1):
        at = (power - xs[0]) / (xs[1] - xs[0])
        body.append('<path class="grid" d=""/>' + label(f"{10.0**power:g}", share(at), _HEIGHT + 40, "tick", "middle"))
    largest = max((each.size for each in there), default=1.0) or 1.0
    for each in sorted(there, key=lambda bubble: -bubble.size):
        x = share((math.log10(each.x) - xs[0]) / (xs[1] - xs[0]))
        y = 20 + _HEIGHT * (1 - (math.log10(each.y) - ys[0]) / (ys[1] - ys[0]))
        radius = max(4.0, 22 * math.sqrt(max(0.0, each.size) / largest))
        body.append(f'<circle class="fill {each.tone}" cx="{x}" cy="{px(y)}" r="{px(radius)}"/>')
        body.append(label(each.label, x, y - radius - 4, "tick", "middle"))
    body.append(label(figure.x_label, "50%", _HEIGHT + 58, "quiet", "middle"))
    return Markup(  # noqa: S704
        f'<div class="drawn"><svg class="plot" height="{_HEIGHT + 66}" role="img" aria-label="{escape(figure.title)}">'
        f"{''.join(body)}</svg></div>"
    )


def _decades(values: list[float]) -> tuple[int, int]:
    if not values:
        return 0, 3
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)
