"""The Merkle tree as the SQLite ledger keeps it: leaf hashes beside their entries, nodes from height 8 up as rows.

Nodes below height 8 are computed from the 256 leaf hashes of their block when a proof needs them: storing one node
for 256 entries keeps appends cheap, and a proof at a million entries still takes well under a millisecond.
"""

from __future__ import annotations

import sqlite3

from steward.errors import IntegrityError
from steward.ledger.merkle import node_hash
from steward.ledger.sqlite_errors import damaged

STORED_HEIGHT = 8
HASH_BYTES = 32
_BLOCK_LEAVES = 1 << STORED_HEIGHT
_INDEX_BITS = 56


def node_id(height: int, index: int) -> int:
    """Return the row of a node.

    Example:
        >>> node_id(8, 0) == 8 << 56
        True
    """
    return height << _INDEX_BITS | index


class StoredTree:
    """Finds complete nodes in the database; remembers blocks, so make a new one for each proof.

    Args:
        database: A connection to the ledger.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._blocks: dict[int, list[list[bytes]]] = {}

    def node(self, height: int, index: int) -> bytes:
        """Return a complete node's hash; see :data:`steward.ledger.merkle.NodeAt`.

        Raises:
            IntegrityError: The database lacks it.
        """
        if height < STORED_HEIGHT:
            block, place = divmod(index << height, _BLOCK_LEAVES)
            levels = self._blocks.get(block) or self._load_block(block)
            if height < len(levels) and place >> height < len(levels[height]):
                return levels[height][place >> height]
        else:
            row = self._database.execute("SELECT hash FROM nodes WHERE id = ?", (node_id(height, index),)).fetchone()
            if row is not None:
                return bytes(row[0])
        raise IntegrityError(
            f"the ledger lacks node {index} of height {height} of its tree",
            why="rows were removed from the database",
            fix="run `steward verify --all`, then restore from a backup",
        )

    def _load_block(self, block: int) -> list[list[bytes]]:
        first = block * _BLOCK_LEAVES
        rows = self._database.execute(
            "SELECT leaf FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx", (first, first + _BLOCK_LEAVES)
        )
        leaves = [leaf for (leaf,) in rows]
        if any(type(leaf) is not bytes or len(leaf) != HASH_BYTES for leaf in leaves):
            raise damaged(f"a leaf of the tree at entries {first} to {first + _BLOCK_LEAVES - 1} is no hash")
        levels = [leaves]
        while len(levels[-1]) > 1:
            pairs = iter(levels[-1])
            levels.append([node_hash(left, right) for left, right in zip(pairs, pairs, strict=False)])
        self._blocks[block] = levels
        return levels
