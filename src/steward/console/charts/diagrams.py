"""Diagrams: the way through the loop, and the way of hashes from an entry to the signed root."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup, escape

from steward.console.charts.figures import Stage
from steward.console.charts.marks import area_key, label, legend, named, px
from steward.ledger.merkle import node_hash

_ARROW: Final = (
    '<svg class="arrow" viewBox="0 0 24 12" aria-hidden="true">'
    '<path d="M1 6h15"/><path d="M15 1.5 22 6l-7 4.5z"/></svg>'
)
_ROW_PX: Final = 50
_TREE_PX: Final = 300
_CENTRE_PX: Final = _TREE_PX / 2
_BESIDE_PX: Final = 103
_ALL: Final = 9
_FIRST, _LAST = 4, 3
"""Of a longer way, so many steps are drawn at the leaf and at the root."""


def path(stages: Sequence[Stage], title: str) -> Markup:
    """Return the stages as boxes with arrows between them; on a phone they stand below each other."""
    body = "".join(
        f'<li>{_ARROW if at else ""}<div class="stage {escape(stage.tone)}"><b>{escape(stage.label)}</b>'
        f"<span>{escape(stage.under)}</span></div></li>"
        for at, stage in enumerate(stages)
    )
    return Markup(f'<ol class="stages" aria-label="{escape(title)}">{body}</ol>')  # noqa: S704


class Step(NamedTuple):
    """One step up the tree.

    Attributes:
        is_left: Whether the given hash stands on the left.
        first: The first entry below the given hash.
        last: The last one.
        given: The given hash.
        made: What both make.
    """

    is_left: bool
    first: int
    last: int
    given: bytes
    made: bytes


def siblings(index: int, size: int) -> list[tuple[bool, int, int]]:
    """Return the entries below each given hash, from the leaf up: whether they are on the left, the first, the last.

    Example:
        >>> siblings(4, 7)
        [(False, 5, 5), (False, 6, 6), (True, 0, 3)]
    """
    found = []
    start, end = 0, size
    while end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if index < middle:
            found.append((False, middle, end - 1))
            end = middle
        else:
            found.append((True, start, middle - 1))
            start = middle
    return found[::-1]


def tree(  # noqa: PLR0917 - what RFC 9162 verifies, in its order
    index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes, title: str
) -> Markup:
    """Return the way of hashes from an entry up to the root: what is made from what is given.

    It is made here again from the leaf; if it does not end in ``root``, the last link is drawn as broken.

    Args:
        index: The entry's place in the ledger, from 0.
        size: How many entries the root is for.
        leaf: The entry's hash.
        path: The given hashes, from the leaf up.
        root: The signed hash.
        title: What it shows: its accessible name.
    """
    steps: list[Step] = []
    made = leaf
    for (is_left, first, last), given in zip(siblings(index, size), path, strict=False):
        made = node_hash(given, made) if is_left else node_hash(made, given)
        steps.append(Step(is_left, first, last, given, made))
    holds = made == root and len(path) == len(siblings(index, size))
    skipped = max(0, len(steps) - _FIRST - _LAST) if len(steps) > _ALL else 0
    picture = named("audit-path", title, *_rows(leaf, steps, root, holds=holds, skipped=skipped))
    keys = [
        (area_key("key entry"), "this entry"),
        (area_key("key given"), "given hashes, with their entries"),
        (area_key("key made"), "made from both"),
        (area_key("key root" if holds else "key broken"), "signed root" if holds else "signed root: it does not fit"),
    ]
    return Markup('<div class="audit">{}{}</div>').format(picture, Markup(legend(keys)))  # noqa: S704


def _rows(leaf: bytes, steps: Sequence[Step], root: bytes, *, holds: bool, skipped: int) -> tuple[str, str]:
    """Return the picture's size, and what is in it: boxes lie over lines."""
    shown = [*steps[:_FIRST], None, *steps[_FIRST + skipped :]] if skipped else list(steps)
    height = _ROW_PX * max(1, len(shown)) + 40
    lines, boxes = [], []
    y, made, classes = height - 20.0, leaf, "entry"
    for step in shown:
        boxes.append(_box(_CENTRE_PX, y, made, classes))
        if step is None:
            lines.append(f'<path class="way left-out" d="M{px(_CENTRE_PX)} {px(y)}v{-_ROW_PX}"/>')
            boxes.append(label(f"{skipped} more", px(_CENTRE_PX + 10), y - _ROW_PX / 2 + 4, "quiet", "start"))
            made, classes = steps[_FIRST + skipped - 1].made, "made"
        else:
            beside = _CENTRE_PX + (-_BESIDE_PX if step.is_left else _BESIDE_PX)
            lines.append(f'<path class="link" d="M{px(beside)} {px(y)}v{-_ROW_PX // 2}H{px(_CENTRE_PX)}"/>')
            lines.append(_way(y, holds=holds or step is not shown[-1]))
            boxes.append(_box(beside, y, step.given, "given", _entries(step)))
            made, classes = step.made, "made"
        y -= _ROW_PX
    if not steps:
        lines.append(_way(y, holds=holds))
        boxes.append(_box(_CENTRE_PX, y, leaf, "entry"))
        y -= _ROW_PX
    boxes.append(_box(_CENTRE_PX, y, root, "root" if holds else "broken"))
    size = f'viewBox="0 0 {_TREE_PX} {height}" width="{_TREE_PX}" height="{height}"'
    return size, "".join(lines) + "".join(boxes)


def _way(y: float, *, holds: bool) -> str:
    return f'<path class="way{"" if holds else " broken"}" d="M{px(_CENTRE_PX)} {px(y)}v{-_ROW_PX}"/>'


def _entries(step: Step) -> str:
    return f"{step.first:,}" if step.first == step.last else f"{step.first:,}–{step.last:,}"


def _box(x: float, y: float, hashed: bytes, classes: str, under: str = "") -> str:
    half = 18 if under else 13
    width = 92 if under else 68
    size = f'width="{width}" height="{2 * half}" rx="6"'
    rectangle = f'<rect class="{classes}" x="{px(x - width / 2)}" y="{px(y - half)}" {size}/>'
    text = label(hashed.hex()[:8], px(x), y - 2 if under else y + 4, f"hash {classes}", "middle")
    return rectangle + text + (label(under, px(x), y + 11, "quiet", "middle") if under else "")
