"""The verifier's own tree and note reading: nothing here is shared with the code that writes ledgers."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

HASH_BYTES = 32
STORED_HEIGHT = 8
BLOCK_LEAVES = 1 << STORED_HEIGHT


class Head(Struct, frozen=True):
    """What a checkpoint says whose signature holds.

    Example:
        >>> Head("steward.example/ledger", 3, bytes(32)).size
        3
    """

    origin: str
    size: int
    root: bytes


def split_key(vkey: str) -> tuple[str, str, bytes]:
    """Return name, id in hex and the 32 bytes of a verifier key ``<name>+<hex id>+<base64>``.

    Raises:
        ValueError: It is none of Ed25519, or its id does not fit.

    Example:
        >>> split_key("a+key+")
        Traceback (most recent call last):
        ...
        ValueError: the public key is malformed
    """
    name, _, rest = vkey.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        key = b64decode(encoded, validate=True)
        if len(key) == 33 and key[0] == 1 and sha256(f"{name}\n".encode() + key).hexdigest()[:8] == key_id:
            return name, key_id, key[1:]
    except ValueError as error:
        raise ValueError("the public key is malformed") from error
    raise ValueError("the public key is malformed")


def open_checkpoint(note: str, vkey: str) -> Head:
    """Return what a checkpoint says if ``vkey`` signed it.

    Raises:
        ValueError: The note or key is malformed, or the signature does not hold.

    Example:
        >>> open_checkpoint("a note", "a+key+")
        Traceback (most recent call last):
        ...
        ValueError: the public key is malformed
    """
    try:
        name, key_id, key = split_key(vkey)
        text, gap, tail = note.partition("\n\n")
        lines = [line.split(" ") for line in tail.split("\n") if line.startswith(f"— {name} ")]
        if not gap or not tail.endswith("\n") or len(lines) != 1 or len(lines[0]) != 3:
            raise ValueError("it is not a note of this key")
        signature = b64decode(lines[0][2], validate=True)
        if b64encode(signature).decode() != lines[0][2]:
            raise ValueError("its base64 has bits that mean nothing")
        if signature[:4].hex() != key_id:
            raise ValueError("it is signed by another key")
        Ed25519PublicKey.from_public_bytes(key).verify(signature[4:], f"{text}\n".encode())
        origin, size, encoded_root = text.split("\n")[:3]
        root = b64decode(encoded_root, validate=True)
        if not size.isdecimal() or str(int(size)) != size or len(root) != HASH_BYTES:
            raise ValueError("it is not a tree head")
        return Head(origin, int(size), root)
    except (InvalidSignature, Base64Error) as error:
        raise ValueError("its signature does not hold") from error


def hash_leaf(body: bytes) -> bytes:
    """Return RFC 6962's hash of a leaf.

    Example:
        >>> hash_leaf(b"").hex()[:8]
        '6e340b9c'
    """
    return sha256(b"\x00" + body).digest()


def root_of_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    r"""Return the root to which an inclusion proof leads, walking down from the top as RFC 6962 defines it.

    Raises:
        ValueError: The proof is too long or too short for this place.

    Example:
        >>> root_of_path(hash_leaf(b""), 0, 2, [hash_leaf(b"\x00")]).hex()[:8]
        'fac54203'
    """
    if not 0 <= index < size or len(leaf) != HASH_BYTES:
        raise ValueError("there is no such leaf")
    if size == 1:
        if path:
            raise ValueError("the proof is too long")
        return leaf
    if not path or len(path[-1]) != HASH_BYTES:
        raise ValueError("the proof is too short or malformed")
    left_size = 1 << ((size - 1).bit_length() - 1)
    if index < left_size:
        below = root_of_path(leaf, index, left_size, path[:-1])
        return sha256(b"\x01" + below + path[-1]).digest()
    below = root_of_path(leaf, index - left_size, size - left_size, path[:-1])
    return sha256(b"\x01" + path[-1] + below).digest()


class Peaks:
    r"""The tree as a stack of perfect subtrees, merged as a binary counter counts.

    Attributes:
        size: Leaves so far.
        nodes: The complete nodes from height 8 up, by ``height << 56 | index``, as the database names them.

    Example:
        >>> peaks = Peaks()
        >>> for body in (b"", b"\x00", b"\x10"):
        ...     peaks.push(hash_leaf(body))
        >>> peaks.root().hex()[:8]
        'aeb6bcfe'
    """

    def __init__(self) -> None:
        self.size = 0
        self.nodes: dict[int, bytes] = {}
        self._peaks: list[bytes] = []

    def push(self, leaf: bytes) -> None:
        """Add a leaf hash."""
        self._carry(leaf, self.size, 0)
        self.size += 1

    def push_all(self, leaves: Sequence[bytes]) -> None:
        """Add leaf hashes by the widest perfect subtrees that fit where the tree ends: half the time of each alone."""
        start = 0
        while left := len(leaves) - start:
            aligned = self.size | BLOCK_LEAVES
            width = min(aligned & -aligned, 1 << (left.bit_length() - 1))
            self._push_subtree(leaves[start : start + width])
            start += width

    def _push_subtree(self, nodes: Sequence[bytes]) -> None:
        width = len(nodes)
        while len(nodes) > 1:
            pairs = iter(nodes)
            nodes = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
        height = width.bit_length() - 1
        if height == STORED_HEIGHT:
            self.nodes[height << 56 | self.size >> height] = nodes[0]
        self._carry(nodes[0], self.size >> height, height)
        self.size += width

    def _carry(self, node: bytes, place: int, height: int) -> None:
        peaks = self._peaks
        while place & 1:
            node = sha256(b"\x01" + peaks.pop() + node).digest()
            place >>= 1
            height += 1
            if height >= STORED_HEIGHT:
                self.nodes[height << 56 | place] = node
        peaks.append(node)

    def root(self) -> bytes:
        """Return the root over all leaves so far."""
        if not self._peaks:
            return sha256(b"").digest()
        node = self._peaks[-1]
        for left in self._peaks[-2::-1]:
            node = sha256(b"\x01" + left + node).digest()
        return node
