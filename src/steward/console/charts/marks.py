"""The strokes that all charts are made of: numbers as short as they are exact, elements, and text that is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from markupsafe import Markup, escape

DRAWABLE: Final = 1e300
"""Beyond this, and for what is no number, there is a gap: sums and margins must stay finite."""
TENTHS: Final = 10
"""Down, a plot's unit is a tenth of a pixel: whole numbers are short, and quick to write."""
WIDE: Final = 10_000
"""How wide a plot is in its own units: it is stretched to the room there is, its strokes are not."""
NARROW_PX: Final = 270
ROOMY_PX: Final = 430
"""How wide a plot is at least on a phone, and in a column of a page: labels are laid out for both."""
_CHARACTER_PX: Final = 0.58
_WIDE: Final = frozenset("mwMW@%€—")
_NARROW: Final = frozenset("iljtfrI.,:;'|!()[] ·")


def drawn(value: float | None) -> float | None:
    """Return a value as it is drawn: ``None`` for what cannot be.

    Example:
        >>> drawn(2), drawn(None), drawn(float("nan")), drawn(float("-inf"))
        (2.0, None, None, None)
    """
    if value is None:
        return None
    number = float(value)
    return number if -DRAWABLE <= number <= DRAWABLE else None


def px(value: float) -> str:
    """Return a length to a tenth, as short as possible.

    Example:
        >>> px(12.0), px(0.449), px(-0.01), px(3.25)
        ('12', '0.4', '0', '3.2')
    """
    text = f"{value:.1f}"
    if text.endswith(".0"):
        text = text[:-2]
    return "0" if text == "-0" else text


def share(value: float) -> str:
    """Return a share of the width, to a hundredth of a per cent.

    Example:
        >>> share(0.5), share(1 / 3), share(0)
        ('50%', '33.33%', '0%')
    """
    return f"{100 * value:.2f}".rstrip("0").rstrip(".") + "%"


def width_px(text: str, size_px: float = 11) -> float:
    """Estimate how wide a text is in the console's font: good enough to keep labels apart.

    Example:
        >>> round(width_px("1,000")), round(width_px("Battery dispatch"))
        (29, 84)
    """
    units = sum(0.85 if each in _WIDE else 0.3 if each in _NARROW else _CHARACTER_PX for each in text)
    return units * size_px


def cut(text: str, limit: int) -> str:
    """Return a text, shortened with an ellipsis.

    Example:
        >>> cut("Battery dispatch", 8), cut("Refund", 8)
        ('Battery…', 'Refund')
    """
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def fitted(text: str, width: float) -> str:
    """Return a text, shortened with an ellipsis until it is no wider than some pixels.

    Example:
        >>> fitted("Perfect foresight", 60), fitted("Refund", 60), fitted("Refund", 1)
        ('Perfect for…', 'Refund', 'R…')
    """
    if width_px(text) <= width:
        return text
    while len(text) > 1 and width_px(text) + _CHARACTER_PX * 11 > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def label(text: str, x: str, y: float, classes: str = "", anchor: str = "", *, aside: float = 0.0) -> str:
    """Return a text at a place, moved aside by some pixels."""
    told = f' class="{classes}"' if classes else ""
    told += f' text-anchor="{anchor}"' if anchor else ""
    told += f' dx="{px(aside)}"' if aside else ""
    return f'<text x="{x}" y="{px(y)}"{told}>{escape(text)}</text>'


def named(classes: str, title: str, size: str, body: str) -> Markup:
    """Return a picture with its accessible name."""
    return Markup(f'<svg class="{classes}" {size} role="img" aria-label="{escape(title)}">{body}</svg>')  # noqa: S704


def apart(labels: Iterable[tuple[float, float, float]], width: float) -> list[bool]:
    """Tell which labels of a row can stand, from the left, so that none lies on another.

    Args:
        labels: For each its place (0..1), and how far it reaches to the left and to the right, in pixels.
        width: The row's width in pixels.

    Example:
        >>> apart([(0.0, 0, 30), (0.1, 15, 15), (0.5, 15, 15)], 300)
        [True, False, True]
    """
    taken, kept = float("-inf"), []
    for place, left, right in labels:
        fits = place * width - left >= taken
        kept.append(fits)
        if fits:
            taken = place * width + right + 8
    return kept


def frame(
    *, title: str, legend: str, gutter: int, height: int, left: str, body: str, data: str = "", role: str = "img"
) -> Markup:
    """Return a chart: its legend, the labels of the vertical axes, and the plot, which takes the room that is left."""
    return Markup(  # noqa: S704 - its parts are escaped where they are made
        f'<div class="drawn"{data}>{legend}<div class="plots">'
        f'<svg class="scale" width="{gutter}" height="{height}" aria-hidden="true">{left}</svg>'
        f'<svg class="plot" height="{height}" role="{role}" aria-label="{escape(title)}">{body}</svg></div></div>'
    )


def plane(top: int, height: int, body: str) -> str:
    """Return a part of the plot that is stretched to its width: 10,000 units across, tenths of pixels down."""
    return (
        f'<svg class="plane" y="{top}" height="{height}" viewBox="0 0 {WIDE} {TENTHS * height}" '
        f'preserveAspectRatio="none">{body}</svg>'
    )


def legend(items: Iterable[tuple[str, str]]) -> str:
    """Return what the colours mean: for each a key's shape and a name."""
    keys = "".join(
        f'<li><svg class="key" width="14" height="10" aria-hidden="true">{key}</svg>{escape(name)}</li>'
        for key, name in items
    )
    return f'<ul class="legend">{keys}</ul>'


def line_key(classes: str) -> str:
    """Return the key of a line."""
    return f'<path class="{classes}" d="M1 5h12"/>'


def area_key(classes: str) -> str:
    """Return the key of what fills an area."""
    return f'<rect class="{classes}" x="2" width="10" height="10" rx="2"/>'
