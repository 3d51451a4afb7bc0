"""Reads LightGBM's text format strictly, before the C++ library gets to see it.

The library trusts its input: a child index out of range, a cycle, or a wrong ``tree_sizes`` makes it read memory
that is not its own, or never return. So only text whose every tree is proven to be a tree, over known features
and with finite numbers, is handed over, and only that part of the text (not the training parameters after it).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

MAX_BYTES = 256 << 20
MULTICLASS = ("multiclass", "multiclassova")
MAX_CLASSES = 1_000
MAX_DEPTH = 1_000
"""LightGBM's attribution recurses once a level, and takes memory that grows with the depth's square."""

_END = b"\nend of trees\n"
_REALS = re.compile(rb"(?:[-+.0-9e ]|inf)+")
_INTEGERS = re.compile(rb"[-0-9 ]+")
_HEADER = {
    b"version", b"num_class", b"num_tree_per_iteration", b"label_index", b"max_feature_idx", b"objective",
    b"feature_names", b"monotone_constraints", b"feature_infos", b"tree_sizes",
}  # fmt: skip
_TREE = {
    b"num_leaves", b"num_cat", b"split_feature", b"split_gain", b"threshold", b"decision_type", b"left_child",
    b"right_child", b"leaf_value", b"leaf_weight", b"leaf_count", b"internal_value", b"internal_weight",
    b"internal_count", b"cat_boundaries", b"cat_threshold", b"is_linear", b"shrinkage",
}  # fmt: skip
_UNSUPPORTED = {
    b"average_output": "random forests (boosting=rf)",
    b"leaf_const": "linear trees (linear_tree=true)",
}


class Unsupported(ValueError):
    """The text is a LightGBM model, of a sort that is not served yet.

    Example:
        >>> Unsupported("multiclass").args
        ('multiclass',)
    """


@dataclass(frozen=True)
class Checked:
    """A model's text that is safe to hand over.

    Attributes:
        text: The header and the trees, up to ``end of trees``.
        names: The feature names in it.
        objective: Its objective with its parameters, as ``binary sigmoid:1``; empty for a custom one.
        trees: How many trees it has.
        classes: How many raw outputs it has; 1 but for a multiclass model.

    Example:
        >>> Checked(b"tree", ("hour",), "regression", 100).trees
        100
    """

    text: bytes
    names: tuple[str, ...]
    objective: str
    trees: int
    classes: int = 1


def check(text: bytes) -> Checked:
    """Prove that a model's text is what LightGBM writes.

    Raises:
        ValueError: It is not; the message says where.
        Unsupported: It is, with linear trees or averaged output.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
    end = text.find(_END)
    if not text.startswith(b"tree\n") or end < 0 or b"\0" in text or b"\r" in text:
        raise ValueError("it does not run from 'tree' to 'end of trees', or has bytes that LightGBM never writes")
    text = text[: end + len(_END)]
    head, _, _ = text.partition(b"\n\n")
    header = _fields(head.split(b"\n")[1:], _HEADER, "the header")
    if header[b"version"] not in {b"v3", b"v4"}:
        raise Unsupported(f"version {_shown(header[b'version'])} of the text format is not known, only v3 and v4")
    width = _integers(header, b"max_feature_idx", 1, 0, 1 << 20)[0] + 1
    names = header[b"feature_names"].decode().split(" ")
    if len(names) != width or len(header[b"feature_infos"].split(b" ")) != width:
        raise ValueError(f"it has {len(names)} feature names, and max_feature_idx says {width}")
    trees = _check_trees(text, len(head) + 2, header, width)
    objective = header.get(b"objective", b"").decode()
    return Checked(text, tuple(names), objective, trees, _check_classes(header, objective, trees))


def _check_classes(header: _Fields, objective: str, trees: int) -> int:
    """The library writes as many answers as the objective says to where there is room for ``num_class``."""
    classes = _integers(header, b"num_class", 1, 1, MAX_CLASSES)[0]
    name, *parameters = objective.split(" ")
    told = [parameter for parameter in parameters if parameter.startswith("num_class:")]
    if told != ([f"num_class:{classes}"] if name in MULTICLASS else []) or (classes == 1) == (name in MULTICLASS):
        raise ValueError(f"its objective {objective[:60]!r} does not go with its num_class, {classes}")
    if header[b"num_tree_per_iteration"] != b"%d" % classes or trees % classes:
        raise ValueError(f"its {trees} trees are not the same number for each of its {classes} classes")
    return classes


def _check_trees(text: bytes, start: int, header: _Fields, width: int) -> int:
    """Check each tree where ``tree_sizes`` says it is: the library jumps there without looking."""
    sizes = _integers(header, b"tree_sizes", None, 1, MAX_BYTES)
    for index, size in enumerate(sizes):
        block = text[start : start + size]
        title, _, body = block.partition(b"\n")
        if title != b"Tree=%d" % index or not block.endswith(b"\n"):
            raise ValueError(f"tree {index} is not where tree_sizes says it is")
        try:
            _check_tree(_fields(body.rstrip(b"\n").split(b"\n"), _TREE, "it"), width)
        except Unsupported:
            raise
        except ValueError as error:
            raise ValueError(f"tree {index}: {error}") from error
        start += size
    if text[start:] != _END[1:]:
        raise ValueError("there is more between the last tree and 'end of trees'")
    return len(sizes)


class _Fields(dict[bytes, bytes]):
    def __missing__(self, key: bytes) -> bytes:
        raise ValueError(f"{_shown(key)} is missing")


def _fields(lines: Sequence[bytes], known: set[bytes], where: str) -> _Fields:
    found = _Fields()
    for line in lines:
        key, equals, value = line.partition(b"=")
        if key in _UNSUPPORTED:
            raise Unsupported(f"{_UNSUPPORTED[key]} are not supported yet")
        if key not in known or not equals or key in found or b"=" in value:
            raise ValueError(f"{where} has a line that is unknown or there twice: {_shown(line)}")
        found[key] = value
    return found


def _check_tree(tree: _Fields, width: int) -> None:
    leaves = _integers(tree, b"num_leaves", 1, 1, 1 << 20)[0]
    categorical = _integers(tree, b"num_cat", 1, 0, leaves - 1)[0]
    if tree.get(b"is_linear", b"0") != b"0":
        raise Unsupported(f"{_UNSUPPORTED[b'leaf_const']} are not supported yet")
    _reals(tree, b"shrinkage", 1)
    if not all(map(isfinite, _reals(tree, b"leaf_value", leaves))):
        raise ValueError("leaf_value has a number that is not finite")
    splits = leaves - 1
    if not splits:
        return
    _integers(tree, b"split_feature", splits, 0, width - 1)
    thresholds = _reals(tree, b"threshold", splits)
    types = _integers(tree, b"decision_type", splits, 0, 11)
    _integers(tree, b"leaf_count", leaves, 0, 1 << 31)
    _integers(tree, b"internal_count", splits, 0, 1 << 31)
    for key in (b"split_gain", b"internal_value", b"internal_weight"):
        _reals(tree, key, splits)
    _reals(tree, b"leaf_weight", leaves)
    _check_shape(tree, leaves)
    _check_categories(tree, categorical, [at for at, kind in zip(thresholds, types, strict=True) if kind & 1])


def _check_shape(tree: _Fields, leaves: int) -> None:
    """Each node and leaf has one parent, which came before it: then every walk from the root ends at a leaf."""
    splits = leaves - 1
    left = _integers(tree, b"left_child", splits, -leaves, splits - 1)
    right = _integers(tree, b"right_child", splits, -leaves, splits - 1)
    if sorted(left + right) != [*range(-leaves, 0), *range(1, splits)]:
        raise ValueError("its nodes do not form a tree")
    depth = [0] * splits
    for parent, children in enumerate(zip(left, right, strict=True)):
        for child in children:
            if 0 <= child <= parent:
                raise ValueError("its nodes do not form a tree")
            if child > 0:
                depth[child] = depth[parent] + 1
    if max(depth) >= MAX_DEPTH:
        raise ValueError(f"it is deeper than {MAX_DEPTH} levels")


def _check_categories(tree: _Fields, categorical: int, which: Sequence[float]) -> None:
    """A categorical split's threshold is its place in a table of bit sets."""
    if any(not 0 <= at < categorical or at != int(at) for at in which):
        raise ValueError("a categorical split points outside of its table")
    if not categorical:
        return
    bounds = _integers(tree, b"cat_boundaries", categorical + 1, 0, MAX_BYTES)
    _integers(tree, b"cat_threshold", bounds[-1], 0, (1 << 32) - 1)
    if bounds[0] != 0 or any(first >= second for first, second in pairwise(bounds)):
        raise ValueError("the table of its categorical splits is out of order")


def _integers(fields: _Fields, key: bytes, count: int | None, least: int, most: int) -> list[int]:
    text = fields[key]
    parts = text.split(b" ")
    if not _INTEGERS.fullmatch(text) or (count is not None and len(parts) != count):
        raise ValueError(f"{_shown(key)} is not {count or 'a list of'} whole numbers")
    values = list(map(int, parts))
    if min(values) < least or max(values) > most:
        raise ValueError(f"{_shown(key)} has a number that is not within {least}..{most}")
    return values


def _reals(fields: _Fields, key: bytes, count: int) -> list[float]:
    text = fields[key]
    parts = text.split(b" ")
    if not _REALS.fullmatch(text) or len(parts) != count:
        raise ValueError(f"{_shown(key)} is not {count} numbers")
    return list(map(float, parts))


def _shown(text: bytes) -> str:
    return ascii(text[:60].decode("ascii", "replace")).strip("'")
