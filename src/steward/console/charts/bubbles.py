"""Bubbles over two logarithmic axes: what brings equal money lies on one straight line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from markupsafe import Markup, escape

from steward.console import words
from steward.console.charts.figures import Bubble, Bubbles
from steward.console.charts.marks import (
    NARROW_PX,
    ROOMY_PX,
    TENTHS,
    WIDE,
    area_key,
    cut,
    drawn,
    frame,
    label,
    legend,
    line_key,
    plane,
    px,
    share,
    width_px,
)
from steward.console.charts.scales import LogScale, short_number

_TOP: Final = 34
_HEIGHT: Final = 270
_RADII_PX: Final = (4.0, 23.0)
_LINES: Final = 4
_LEAST: Final = 1e-150
"""Beyond it, and beyond one over it, products are no numbers any more."""
_LABEL_CHARACTERS: Final = 26
_SIDES: Final = ("right", "left", "above", "below")


def draw_bubbles(figure: Bubbles) -> Markup:
    """Return the chart; what is not above zero on both axes has no place on it, and is named below."""
    there = [each for each in figure.bubbles if _LEAST < each.x < 1 / _LEAST and _LEAST < each.y < 1 / _LEAST]
    across, up = LogScale.over(each.x for each in there), LogScale.over(each.y for each in there)
    gutter = round(max([26.0, *(width_px(text) for text in up.labels())])) + 8
    left = "".join(
        label(text, str(gutter - 8), _y(up, tick) + 3.5, "", "end")
        for tick, text in zip(up.ticks, up.labels(), strict=True)
    )
    body = [label(figure.y_label, "0", 11, "quiet"), plane(_TOP, _HEIGHT, _grid(across, up, has_money=bool(there)))]
    body += _money(across, up, figure.product) if there else ()
    body += _x_axis(across, figure.x_label)
    placed = place(there, across, up)
    body += [_drawn(each, figure) for each in placed]
    if not there:
        body.append(label("Nothing to show yet", "50%", _TOP + _HEIGHT / 2, "quiet", "middle"))
    picture = frame(
        title=figure.title,
        legend=_legend(figure, there, has_money=bool(there) and any(equal_money(across, up))),
        gutter=gutter,
        height=_TOP + _HEIGHT + 46,
        left=left,
        body="".join(body),
        role="group" if any(each.link for each in there) else "img",
    )
    return picture + _left_out([each for each in figure.bubbles if each not in there])


def _y(up: LogScale, value: float) -> float:
    return _TOP + _HEIGHT * (1 - up.share(value))


def _grid(across: LogScale, up: LogScale, *, has_money: bool) -> str:
    down = TENTHS * _HEIGHT
    lines = [f"M0 {down * (1 - up.share(tick)):.0f}H{WIDE}" for tick in up.ticks]
    lines += [f"M{WIDE * across.share(tick):.0f} 0V{down}" for tick in across.ticks]
    diagonals = [
        f"M{WIDE * u1:.0f} {down * (1 - v1):.0f}L{WIDE * u2:.0f} {down * (1 - v2):.0f}"
        for _, (u1, v1), (u2, v2) in (equal_money(across, up) if has_money else ())
    ]
    return f'<path class="grid" d="{"".join(lines)}"/><path class="money" d="{"".join(diagonals)}"/>'


def equal_money(across: LogScale, up: LogScale) -> Iterator[tuple[float, tuple[float, float], tuple[float, float]]]:
    """Yield lines on which x times y is the same: the product, and both ends as shares of the plot (right, up).

    Example:
        >>> scale = LogScale(0.0, 2.0, ())
        >>> list(equal_money(scale, scale))
        [(10.0, (0.0, 0.5), (0.5, 0.0)), (100.0, (0.0, 1.0), (1.0, 0.0)), (1000.0, (0.5, 1.0), (1.0, 0.5))]
    """
    wide, high = across.high - across.low, up.high - up.low
    least = across.low + up.low
    powers = range(math.floor(least) + 1, math.ceil(least + wide + high))
    every = -(-len(powers) // _LINES) if len(powers) > _LINES else 1
    for power in powers[(len(powers) - 1) % every // 2 :: every]:
        over = power - least
        start = (0.0, over / high) if over <= high else ((over - high) / wide, 1.0)
        end = (over / wide, 0.0) if over <= wide else (1.0, (over - wide) / high)
        yield 10.0**power, start, end


def _money(across: LogScale, up: LogScale, product: str) -> Iterator[str]:
    for amount, (right, above), _ in equal_money(across, up):
        y = _TOP + _HEIGHT * (1 - above) - 4
        text = f"{short_number(amount)} {product}".strip()
        if right < 0.9:
            # On a phone, bubbles crowd at the left edge; the lines that begin above the plot tell enough.
            yield label(text, share(right), y, "money" if right else "money minor", "start", aside=4)


def _x_axis(across: LogScale, title: str) -> Iterator[str]:
    for number, (tick, text) in enumerate(zip(across.ticks, across.labels(), strict=True)):
        classes = "tick minor" if number % 2 and len(across.ticks) > 5 else "tick"
        yield label(text, share(across.share(tick)), _TOP + _HEIGHT + 16, classes, "middle")
    yield label(title, "50%", _TOP + _HEIGHT + 36, "quiet", "middle")


class Placed(NamedTuple):
    """A bubble with the side on which its label stands; none where there is no room.

    Attributes:
        bubble: What is drawn.
        right: Where, as a share of the width.
        y: Where, in pixels from the top.
        radius: In pixels.
        side: ``right``, ``left``, ``above``, ``below``, or empty.
        on_phones: Whether there is room for the label on a phone, too.
    """

    bubble: Bubble
    right: float
    y: float
    radius: float
    side: str = ""
    on_phones: bool = False

    def box(self, side: str, width: float) -> tuple[float, float, float, float]:
        """Return where its label lies in a plot of a width: left, top, right, bottom, in pixels."""
        text = width_px(cut(self.bubble.label, _LABEL_CHARACTERS)) + 2
        x, gap = self.right * width, self.radius + 5
        left = {"right": x + gap, "left": x - gap - text}.get(side, x - text / 2)
        top = {"above": self.y - gap - 10, "below": self.y + gap - 1}.get(side, self.y - 6)
        return left, top, left + text, top + 12


def place(bubbles: Sequence[Bubble], across: LogScale, up: LogScale) -> list[Placed]:
    """Return the bubbles, large ones first so that small ones lie on them, with labels kept apart."""
    largest = max((drawn(each.size) or 0.0 for each in bubbles), default=0.0) or 1.0
    smallest_px, largest_px = _RADII_PX
    found = [
        Placed(
            each,
            across.share(each.x),
            _y(up, each.y),
            max(smallest_px, largest_px * math.sqrt(max(0.0, drawn(each.size) or 0.0) / largest)),
        )
        for each in sorted(bubbles, key=lambda bubble: -(drawn(bubble.size) or 0.0))
    ]
    for at, each in enumerate(found):
        side = next((side for side in _SIDES if _is_free(found, at, side, ROOMY_PX)), "")
        found[at] = each._replace(side=side, on_phones=bool(side) and _is_free(found, at, side, NARROW_PX))
    return found


def _is_free(all_placed: Sequence[Placed], at: int, side: str, width: float) -> bool:
    left, top, right, bottom = all_placed[at].box(side, width)
    if left < -10 or right > width + 10 or top < 0 or bottom > _TOP + _HEIGHT:
        return False
    for number, other in enumerate(all_placed):
        x = other.right * width
        near_x, near_y = min(max(x, left), right), min(max(other.y, top), bottom)
        if number != at and math.hypot(x - near_x, other.y - near_y) < other.radius + 1:
            return False
        if number < at and other.side and (width == ROOMY_PX or other.on_phones):
            left2, top2, right2, bottom2 = other.box(other.side, width)
            if left < right2 and left2 < right and top < bottom2 and top2 < bottom:
                return False
    return True


def _drawn(placed: Placed, figure: Bubbles) -> str:
    bubble, x = placed.bubble, share(placed.right)
    told = f"{bubble.label}: {words.number(bubble.x)} {figure.x_label}, {words.number(bubble.y)} {figure.y_label}" + (
        f", {bubble.group}" if bubble.group else ""
    )
    shape = (
        f"<title>{escape(told)}</title>"
        f'<circle class="fill {bubble.tone}" cx="{x}" cy="{px(placed.y)}" r="{px(placed.radius)}"/>'
    )
    if placed.side:
        gap = placed.radius + 5
        anchor, aside = {"right": ("start", gap), "left": ("end", -gap)}.get(placed.side, ("middle", 0.0))
        y = placed.y + {"above": -gap, "below": gap + 8}.get(placed.side, 4)
        classes = "" if placed.on_phones else "minor"
        shape += label(cut(bubble.label, _LABEL_CHARACTERS), x, y, classes, anchor, aside=aside)
    if bubble.link:
        return f'<a class="bubble" href="{escape(bubble.link)}" aria-label="{escape(told)}">{shape}</a>'
    return f'<g class="bubble">{shape}</g>'


def _legend(figure: Bubbles, there: Sequence[Bubble], *, has_money: bool) -> str:
    keys = [*dict.fromkeys((area_key(f"fill {each.tone}"), each.group) for each in there if each.group)]
    if has_money:
        keys.append((line_key("money"), f"equal money{f' ({figure.product})' if figure.product else ''}"))
    return legend(keys) if keys else ""


def _left_out(bubbles: Sequence[Bubble]) -> Markup:
    if not bubbles:
        return Markup("")
    names = escape(", ".join(each.label for each in bubbles))
    return Markup('<p class="left-out">Not drawn, as one of the two figures is not above zero: {}.</p>').format(names)
