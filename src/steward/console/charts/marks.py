"""The strokes that all charts are made of: numbers as short as they are exact, elements, and text that is escaped."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from markupsafe import Markup, escape

DRAWABLE: Final = 1e300
"""Beyond this, and for what is no number, there is a gap: sums and margins must stay finite."""
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


def label(text: str, x: str, y: float, classes: str = "", anchor: str = "") -> str:
    """Return a text at a place."""
    told = f' class="{classes}"' if classes else ""
    told += f' text-anchor="{anchor}"' if anchor else ""
    return f'<text x="{x}" y="{px(y)}"{told}>{escape(text)}</text>'


def named(classes: str, title: str, size: str, body: str) -> Markup:
    """Return a picture with its accessible name."""
    return Markup(f'<svg class="{classes}" {size} role="img" aria-label="{escape(title)}">{body}</svg>')  # noqa: S704


def runs(points: Iterable[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """Return the stretches between gaps.

    Example:
        >>> runs([(0, 1.0), (1, None), (2, 3.0), (3, 4.0)])
        [[(0, 1.0)], [(2, 3.0), (3, 4.0)]]
    """
    found: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is not None:
            found[-1].append((x, y))
        elif found[-1]:
            found.append([])
    return [each for each in found if each]
