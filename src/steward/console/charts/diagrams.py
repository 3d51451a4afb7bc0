"""Diagrams: the path through the loop, and the path of hashes from an entry to the signed root."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup, escape

from steward.console.charts.figures import Stage
from steward.console.charts.marks import label, named, px
from steward.ledger.merkle import node_hash

_ARROW: Final = '<svg class="arrow" viewBox="0 0 24 12" aria-hidden="true"><path d="M1 6h15"/><path d="M15 1.5 22 6l-7 4.5z"/></svg>'
_ROW: Final = 44
_TREE_PX: Final = 340
_BESIDE_PX: Final = 108
_CENTRE: Final = _TREE_PX / 2


def path(stages: Sequence[Stage], title: str) -> Markup:
    """Return the stages as boxes with arrows between them; on a phone they stand below each other."""
    body = "".join(
        f'<li>{_ARROW if at else ""}<div class="stage {escape(stage.tone)}"><b>{escape(stage.label)}</b>'
        f"<span>{escape(stage.under)}</span></div></li>"
        for at, stage in enumerate(stages)
    )
    return Markup(f'<ol class="stages" aria-label="{escape(title)}">{body}</ol>')  # noqa: S704


def tree(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes, title: str) -> Markup:
    """Return the path of hashes from an entry up to the root, with the hashes that are given on their sides."""
    steps = _steps(index, size, leaf, path)
    height = _ROW * len(steps) + 32
    lines: list[str] = []
    boxes: list[str] = []
    y = height - 16.0
    hashed = leaf
    for at, (is_left, given, above) in enumerate(steps):
        beside = _CENTRE + (-_BESIDE_PX if is_left else _BESIDE_PX)
        up = y - _ROW
        lines.append(f'<path class="given" d="M{px(beside)} {px(y)}V{px(y - 22)}H{px(_CENTRE)}"/>')
        lines.append(f'<path class="way" d="M{px(_CENTRE)} {px(y)}V{px(up)}"/>')
        boxes.append(_box(beside, y, given, "sibling"))
        boxes.append(_box(_CENTRE, y, hashed, "way" if at else "entry"))
        hashed, y = above, up
    boxes.append(_box(_CENTRE, y, root, "root"))
    size_of = f'viewBox="0 0 {_TREE_PX} {height}" width="{_TREE_PX}" height="{height}"'
    return named("audit-path", title, size_of, "".join(lines) + "".join(boxes))


def _steps(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> list[tuple[bool, bytes, bytes]]:
    """Return, from the leaf up: whether the given hash stands on the left, the hash, and what both make (RFC 9162, 2.1.3.2)."""
    found = []
    hashed, place, last = leaf, index, size - 1
    for given in path:
        is_left = bool(place & 1) or place == last
        hashed = node_hash(given, hashed) if is_left else node_hash(hashed, given)
        found.append((is_left, given, hashed))
        while is_left and place and not place & 1:
            place, last = place >> 1, last >> 1
        place, last = place >> 1, last >> 1
    return found


def _box(x: float, y: float, hashed: bytes, classes: str) -> str:
    return f'<rect class="{classes}" x="{px(x - 32)}" y="{px(y - 13)}" width="64" height="26" rx="6"/>' + label(
        hashed.hex()[:6], px(x), y + 4, f"hash {classes}", "middle"
    )
