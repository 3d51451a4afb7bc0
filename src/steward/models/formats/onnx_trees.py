"""Writes trees as an ONNX model in double precision, so that ONNX Runtime walks them.

One node of ``ai.onnx.ml``'s ``TreeEnsemble``: thresholds, leaves and their sums are float64, whatever the library
computes with that has grown the trees.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LESS_OR_EQUAL, LESS = 0, 1
PRODUCER = "steward"
"""What models that are written here say has written them."""

_FLOAT, _UINT8, _INT64, _DOUBLE = 1, 2, 7, 11
_LANES = 16
"""A multiple of how many doubles any vector unit computes at once."""

_INT, _TENSOR, _INTS = 2, 4, 7
_SUM, _NO_TRANSFORM = 1, 0
_LINKS = {"identity": b"", "logistic": b"Sigmoid", "softmax": b"Softmax", "exponential": b"Exp"}
_IR_VERSION, _ML_VERSION, _CORE_VERSION = 10, 5, 20


@dataclass(frozen=True)
class Tree:
    """A binary tree as columns, one element for each node; the root is node 0.

    Attributes:
        left: The child for rows whose value is below the threshold; -1 at a leaf.
        right: The other child; -1 at a leaf.
        feature: Which input is looked at.
        threshold: What it is compared with.
        missing_left: Whether a missing value goes left.
        value: A leaf's value.

    Example:
        >>> Tree((1, -1, -1), (2, -1, -1), (0, 0, 0), (5.5, 0.0, 0.0), (True, True, True), (0.0, 10.0, 20.0)).left[0]
        1
    """

    left: Sequence[int]
    right: Sequence[int]
    feature: Sequence[int]
    threshold: Sequence[float]
    missing_left: Sequence[bool]
    value: Sequence[float]


def leaf(value: float) -> Tree:
    """Return a tree that answers each row with ``value``."""
    return Tree((-1,), (-1,), (0,), (0.0,), (True,), (value,))


@dataclass(frozen=True)
class Forest:
    r"""Trees whose leaves are added up, each tree for one of the ``outputs``.

    Attributes:
        trees: The trees.
        output_of: Which output each tree adds to.
        outputs: How many outputs there are.
        width: How many inputs.
        comparison: ``LESS`` or ``LESS_OR_EQUAL``: when a row goes left.

    Example:
        >>> stump = Tree((1, -1, -1), (2, -1, -1), (0, 0, 0), (5.5, 0.0, 0.0), (True, True, True), (0.0, 10.0, 20.0))
        >>> Forest((stump,), (0,), outputs=1, width=1, comparison=LESS).to_onnx()[:2]
        b'\x08\n'
    """

    trees: Sequence[Tree]
    output_of: Sequence[int]
    outputs: int
    width: int
    comparison: int

    def to_onnx(self, link: str = "identity", *, single: bool = False) -> bytes:
        """Return the bytes of a model with the input ``X`` (n, width) and the float64 output ``Y`` (n, outputs).

        Args:
            link: What makes answers of the sums: ``identity``, ``logistic``, ``softmax`` or ``exponential``.
            single: Whether the input is float32, else float64.
        """
        last = _LINKS[link]
        walked = b"raw" if last else b"Y"
        nodes = [_node(b"TreeEnsemble", (b"D" if single else b"X",), walked, self._attributes(), b"ai.onnx.ml")]
        kept: list[bytes] = []
        if single:
            nodes.insert(0, _node(b"Cast", (b"X",), b"D", (_whole(b"to", _DOUBLE),)))
        if last:
            # The runtime computes so many numbers at once, and a rest of them in another way: there is to be no rest.
            more = -self.outputs % _LANES
            kept += [_constant(b"pads", _INT64, (4,), struct.pack("<4q", 0, 0, 0, more))]
            kept += [_constant(b"least", _DOUBLE, (), struct.pack("<d", -1e300 if link == "softmax" else 0.0))]
            kept += [_constant(name, _INT64, (1,), struct.pack("<q", at)) for name, at in
                     ((b"from", 0), (b"to", self.outputs), (b"axis", 1))]  # fmt: skip
            nodes.append(_node(b"Pad", (b"raw", b"pads", b"least"), b"wide"))
            nodes.append(_node(last, (b"wide",), b"made", (_whole(b"axis", 1),) if link == "softmax" else ()))
            nodes.append(_node(b"Slice", (b"made", b"from", b"to", b"axis"), b"Y"))
        graph = b"".join(
            (
                *(_message(1, node) for node in nodes),
                _message(2, b"trees"),
                *(_message(5, tensor) for tensor in kept),
                _message(11, _port(b"X", self.width, _FLOAT if single else _DOUBLE)),
                _message(12, _port(b"Y", self.outputs, _DOUBLE)),
            )
        )
        versions = (_operators(b"ai.onnx.ml", _ML_VERSION), _operators(b"", _CORE_VERSION))
        parts = (_number(1, _IR_VERSION), _message(2, PRODUCER.encode()), _message(7, graph))
        return b"".join((*parts, *(_message(8, each) for each in versions)))

    def thresholds(self) -> dict[int, Any]:
        """Return by input the different thresholds that it is compared with, lowest first."""
        found: dict[int, set[float]] = {}
        for tree in self.trees:
            for node, child in enumerate(tree.left):
                if child >= 0:
                    found.setdefault(tree.feature[node], set()).add(tree.threshold[node])
        return {feature: np.array(sorted(cuts)) for feature, cuts in sorted(found.items())}

    def _attributes(self) -> Iterator[bytes]:
        columns = _Columns(self)
        nodes = len(columns.feature)
        yield _whole(b"aggregate_function", _SUM)
        yield _whole(b"post_transform", _NO_TRANSFORM)
        yield _whole(b"n_targets", self.outputs)
        yield _wholes(b"tree_roots", columns.roots)
        yield _wholes(b"nodes_featureids", columns.feature)
        yield _tensor(b"nodes_splits", _DOUBLE, nodes, struct.pack(f"<{nodes}d", *columns.threshold))
        yield _tensor(b"nodes_modes", _UINT8, nodes, bytes([self.comparison]) * nodes)
        yield _wholes(b"nodes_missing_value_tracks_true", columns.missing)
        yield _wholes(b"nodes_truenodeids", columns.true)
        yield _wholes(b"nodes_trueleafs", columns.true_is_leaf)
        yield _wholes(b"nodes_falsenodeids", columns.false)
        yield _wholes(b"nodes_falseleafs", columns.false_is_leaf)
        yield _wholes(b"leaf_targetids", columns.target)
        yield _tensor(
            b"leaf_weights", _DOUBLE, len(columns.weight), struct.pack(f"<{len(columns.weight)}d", *columns.weight)
        )


class _Columns:
    """The trees' nodes and leaves one after the other, as the operator wants them."""

    def __init__(self, forest: Forest) -> None:
        self.roots: list[int] = []
        self.feature: list[int] = []
        self.threshold: list[float] = []
        self.missing: list[int] = []
        self.true: list[int] = []
        self.true_is_leaf: list[int] = []
        self.false: list[int] = []
        self.false_is_leaf: list[int] = []
        self.target: list[int] = []
        self.weight: list[float] = []
        for tree, output in zip(forest.trees, forest.output_of, strict=True):
            self._add(tree, output)

    def _add(self, tree: Tree, output: int) -> None:
        leaves = [node for node, child in enumerate(tree.left) if child < 0]
        splits = [node for node, child in enumerate(tree.left) if child >= 0]
        place = {node: len(self.weight) + at for at, node in enumerate(leaves)}
        place |= {node: len(self.feature) + at for at, node in enumerate(splits)}
        self.roots.append(len(self.feature))
        self.target += [output] * len(leaves)
        self.weight += [tree.value[leaf] for leaf in leaves]
        if not splits:  # the operator has no tree of one leaf, so both ways lead to it
            self._split(0, 0.0, 0, (place[0], 1), (place[0], 1))
        for node in splits:
            ways = [(place[child], int(tree.left[child] < 0)) for child in (tree.left[node], tree.right[node])]
            self._split(tree.feature[node], tree.threshold[node], int(tree.missing_left[node]), *ways)

    def _split(
        self, feature: int, threshold: float, missing: int, true: tuple[int, int], false: tuple[int, int]
    ) -> None:
        self.feature.append(feature)
        self.threshold.append(threshold)
        self.missing.append(missing)
        self.true.append(true[0])
        self.true_is_leaf.append(true[1])
        self.false.append(false[0])
        self.false_is_leaf.append(false[1])


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _whole(name: bytes, value: int) -> bytes:
    return _message(1, name) + _number(3, value) + _number(20, _INT)


def _wholes(name: bytes, values: Sequence[int]) -> bytes:
    return _message(1, name) + _message(8, b"".join(map(_varint, values))) + _number(20, _INTS)


def _tensor(name: bytes, kind: int, count: int, raw: bytes) -> bytes:
    return (
        _message(1, name) + _message(5, _number(1, count) + _number(2, kind) + _message(9, raw)) + _number(20, _TENSOR)
    )


def _constant(name: bytes, kind: int, shape: Sequence[int], raw: bytes) -> bytes:
    sizes = b"".join(_number(1, size) for size in shape)
    return sizes + _number(2, kind) + _message(8, name) + _message(9, raw)


def _node(
    operator: bytes,
    given: Sequence[bytes],
    made: bytes,
    attributes: Iterable[bytes] = (),
    domain: bytes = b"",
) -> bytes:
    parts = (*(_message(1, each) for each in given), _message(2, made), _message(4, operator), _message(7, domain))
    return b"".join((*parts, *(_message(5, attribute) for attribute in attributes)))


def _port(name: bytes, width: int, number: int) -> bytes:
    shape = _message(1, _message(2, b"n")) + _message(1, _number(1, width))
    kind = _number(1, number) + _message(2, shape)
    return _message(1, name) + _message(2, _message(1, kind))


def _operators(domain: bytes, version: int) -> bytes:
    return _message(1, domain) + _number(2, version)
