"""The Merkle tree of RFC 6962, section 2.1: append at the right edge, roots, inclusion and consistency proofs.

Engines differ only in where complete nodes are kept: they pass a :data:`NodeAt`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

NodeAt = Callable[[int, int], bytes]
"""``node(height, index)``: hash of the complete subtree over leaves ``[index << height, (index + 1) << height)``."""

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(body: bytes) -> bytes:
    """Return the hash of a leaf, 32 bytes.

    Example:
        >>> leaf_hash(b"").hex()[:16]
        '6e340b9cffb37a98'
    """
    return sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    r"""Return the hash of an inner node, 32 bytes.

    Example:
        >>> node_hash(leaf_hash(b""), leaf_hash(b"\x00")).hex()[:16]
        'fac54203e7cc696c'
    """
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    r"""The right edge of a tree: all that must be remembered in order to append, 32 bytes a height.

    Args:
        size: Number of leaves so far.
        node: Where to find the nodes of those leaves; not needed for an empty tree.

    Example:
        >>> edge = Frontier()
        >>> edge.extend([leaf_hash(b""), leaf_hash(b"\x00"), leaf_hash(b"\x10")])[1][0].hex()[:8]
        'fac54203'
        >>> edge.size, edge.root().hex()[:8]
        (3, 'aeb6bcfe')
    """

    __slots__ = ("_edge", "size")

    def __init__(self, size: int = 0, node: NodeAt | None = None) -> None:
        self.size = size
        self._edge: list[bytes | None] = []
        for height in range(size.bit_length() if node is not None else 0):
            index = size >> height
            self._edge.append(node(height, index - 1) if node is not None and index & 1 else None)

    def copy(self) -> Frontier:
        """Return an independent edge, to be kept only if what follows succeeds."""
        twin = Frontier()
        twin.size, twin._edge = self.size, self._edge.copy()
        return twin

    def extend(self, leaves: Sequence[bytes]) -> list[Sequence[bytes]]:
        """Append leaf hashes; return the nodes that became complete, by height (0: the leaves themselves).

        The nodes of height ``h`` start at index ``size_before >> h``.
        """
        self.size += len(leaves)
        made: list[Sequence[bytes]] = []
        new: Sequence[bytes] = leaves
        height = 0
        while new:
            made.append(new)
            if height == len(self._edge):
                self._edge.append(None)
            waiting = self._edge[height]
            run = list(new) if waiting is None else [waiting, *new]
            self._edge[height] = run.pop() if len(run) & 1 else None
            pairs = iter(run)
            new = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            height += 1
        return made

    def root(self) -> bytes:
        """Return the root over all leaves."""
        root: bytes | None = None
        for node in self._edge:
            if node is not None:
                root = node if root is None else node_hash(node, root)
        return EMPTY_ROOT if root is None else root


def _split(width: int) -> int:
    """Return the largest power of two below ``width`` (RFC 6962's k)."""
    return 1 << ((width - 1).bit_length() - 1)


def _range_hash(node: NodeAt, start: int, end: int) -> bytes:
    """Return MTH(D[start:end]); ``start`` is a multiple of the next power of two of the width."""
    width = end - start
    if width & (width - 1) == 0:
        height = width.bit_length() - 1
        return node(height, start >> height)
    middle = start + _split(width)
    return node_hash(_range_hash(node, start, middle), _range_hash(node, middle, end))


def root_at(node: NodeAt, size: int) -> bytes:
    """Return the root over the first ``size`` leaves.

    Example:
        >>> root_at(lambda height, index: b"", 0).hex()[:8]
        'e3b0c442'
    """
    return _range_hash(node, 0, size) if size else EMPTY_ROOT


def inclusion_path(node: NodeAt, index: int, size: int) -> list[bytes]:
    """Return the audit path of leaf ``index`` (0 <= index < size) in the tree of ``size`` leaves."""
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_hash(node, middle, end))
            end = middle
        else:
            path.append(_range_hash(node, start, middle))
            start = middle
    return path[::-1]


def consistency_path(node: NodeAt, first: int, second: int) -> list[bytes]:
    """Return the proof that the first ``first`` leaves (0 <= first <= second) begin the tree of ``second``."""
    if first in {0, second}:
        return []
    path: list[bytes] = []
    start, end, whole = 0, second, True
    while first != end:
        middle = start + _split(end - start)
        if first <= middle:
            path.append(_range_hash(node, middle, end))
            end = middle
        else:
            path.append(_range_hash(node, start, middle))
            start, whole = middle, False
    if not whole:
        path.append(_range_hash(node, start, end))
    return path[::-1]


def holds_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tell whether ``path`` proves that ``leaf`` (a leaf hash) is number ``index`` in the tree with ``root``.

    Example:
        >>> left, right = leaf_hash(b"a"), leaf_hash(b"b")
        >>> holds_inclusion(left, 0, 2, [right], node_hash(left, right))
        True
        >>> holds_inclusion(left, 1, 2, [right], node_hash(left, right))
        False
    """
    if not 0 <= index < size or len(leaf) != 32:
        return False
    hashed, place, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            hashed = node_hash(sibling, hashed)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and hashed == root


def holds_consistency(first: int, second: int, path: Sequence[bytes], root1: bytes, root2: bytes) -> bool:
    """Tell whether ``path`` proves that the tree of ``first`` leaves begins that of ``second`` (RFC 9162, 2.1.4.2).

    Example:
        >>> left, right = leaf_hash(b"a"), leaf_hash(b"b")
        >>> holds_consistency(1, 2, [right], left, node_hash(left, right))
        True
    """
    if first == second:
        return not path and root1 == root2
    if not 0 < first < second or not path:
        return False  # every tree begins with the empty one: such a proof would say nothing
    rest: Iterator[bytes] = iter(path)
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old = new = root1 if place == 0 else next(rest)
    for sibling in rest:
        if last == 0:
            return False
        if place & 1 or place == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and old == root1 and new == root2
