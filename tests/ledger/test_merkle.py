"""The tree against published vectors, and against RFC 6962's recursive definition."""

from __future__ import annotations

import json
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.ledger import merkle
from steward.ledger.merkle import Frontier, holds_consistency, holds_inclusion, leaf_hash, root_at
from steward.ledger.verify_proofs import Peaks, root_of_path

VECTORS = Path(__file__).parents[3] / "shared" / "vectors"


def vectors(name: str) -> Any:
    path = VECTORS / name
    if not path.exists():
        pytest.skip(f"the published vectors are not there: {path}")
    return json.loads(path.read_text())


def mth(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


class Nodes:
    """All complete nodes, as an engine keeps them."""

    def __init__(self, bodies: list[bytes], *, at_once: int = 1) -> None:
        self.levels: list[list[bytes]] = []
        self.edge = Frontier()
        hashes = [leaf_hash(body) for body in bodies]
        for start in range(0, len(hashes), at_once):
            for height, made in enumerate(self.edge.extend(hashes[start : start + at_once])):
                if height == len(self.levels):
                    self.levels.append([])
                self.levels[height].extend(made)

    def __call__(self, height: int, index: int) -> bytes:
        return self.levels[height][index]


def test_roots_are_the_published_ones() -> None:
    tree = vectors("rfc6962-tree.json")
    leaves = [bytes.fromhex(leaf) for leaf in tree["leaves_hex"]]
    nodes = Nodes(leaves)
    for size, expected in enumerate(tree["roots_hex_of_first_n"]):
        peaks = Peaks()
        for leaf in leaves[:size]:
            peaks.push(leaf_hash(leaf))
        assert root_at(nodes, size).hex() == expected
        assert Frontier(size, nodes).root().hex() == expected
        assert peaks.root().hex() == expected


def test_published_inclusion_proofs() -> None:
    seen = set()
    for vector in vectors("rfc6962-proofs.json"):
        if "leafIdx" in vector:
            leaf, root = b64decode(vector["leafHash"]), b64decode(vector["root"])
            path = [b64decode(node) for node in vector["proof"] or []]
            index, size = vector["leafIdx"], vector["treeSize"]
            holds = not vector["wantErr"]
            assert holds_inclusion(leaf, index, size, path, root) == holds, vector["name"]
            try:
                independent = root_of_path(leaf, index, size, path) == root
            except ValueError:
                independent = False
            assert independent == holds, vector["name"]
            seen.add(holds)
    assert seen == {True, False}


def test_published_consistency_proofs() -> None:
    seen = set()
    for vector in vectors("rfc6962-proofs.json"):
        if "size1" in vector:
            roots = b64decode(vector["root1"]), b64decode(vector["root2"])
            path = [b64decode(node) for node in vector["proof"] or []]
            holds = not vector["wantErr"]
            assert holds_consistency(vector["size1"], vector["size2"], path, *roots) == holds, vector["name"]
            seen.add(holds)
    assert seen == {True, False}


@settings(deadline=None)
@given(st.integers(0, 80), st.integers(1, 80))
def test_batches_make_the_tree_of_the_definition(size: int, at_once: int) -> None:
    bodies = [b"%d" % n for n in range(size)]
    nodes = Nodes(bodies, at_once=at_once)
    assert nodes.edge.size == size
    assert nodes.edge.root() == mth(bodies) == root_at(nodes, size)
    for height, level in enumerate(nodes.levels):
        assert level == [mth(bodies[i << height : (i + 1) << height]) for i in range(size >> height)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 33, 64, 65])
def test_every_proof_holds_for_its_place_only(size: int) -> None:
    bodies = [b"%d" % n for n in range(size)]
    nodes, root = Nodes(bodies), mth(bodies)
    for index in range(size):
        path = merkle.inclusion_path(nodes, index, size)
        leaf = leaf_hash(bodies[index])
        assert holds_inclusion(leaf, index, size, path, root)
        assert root_of_path(leaf, index, size, path) == root
        for other in {0, index - 1, index + 1, size - 1} - {index}:
            assert not holds_inclusion(leaf, other, size, path, root)
        assert not holds_inclusion(leaf, index, size, [*path, root], root)
        if path:
            assert not holds_inclusion(leaf, index, size, path[:-1], root)
    for first in range(1, size):
        path = merkle.consistency_path(nodes, first, size)
        old = mth(bodies[:first])
        assert holds_consistency(first, size, path, old, root)
        assert not holds_consistency(first, size, path, root, old)
        assert not holds_consistency(first, size, path[:-1], old, root)
        assert not holds_consistency(first, size, [*path, root], old, root)
        if first > 1:
            assert not holds_consistency(first - 1, size, path, old, root)


def test_a_copied_edge_is_independent() -> None:
    edge = Frontier()
    edge.extend([leaf_hash(b"a")])
    root = edge.root()
    edge.copy().extend([leaf_hash(b"b"), leaf_hash(b"c")])
    assert (edge.size, edge.root()) == (1, root)


@pytest.mark.parametrize(("leaf", "index", "size"), [(bytes(31), 0, 1), (bytes(32), 1, 1), (bytes(32), -1, 1)])
def test_impossible_places_prove_nothing(leaf: bytes, index: int, size: int) -> None:
    assert not holds_inclusion(leaf, index, size, [], leaf)
    with pytest.raises(ValueError, match="no such leaf"):
        root_of_path(leaf, index, size, [])


def test_nothing_is_proven_about_the_empty_tree() -> None:
    assert not holds_consistency(0, 1, [], merkle.EMPTY_ROOT, leaf_hash(b"a"))
    assert merkle.consistency_path(Nodes([b"a"]), 0, 1) == []
