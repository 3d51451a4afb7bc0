"""The verifier's tree is the same however its leaves arrive, and its keys are read strictly."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.ledger.note import Signer
from steward.ledger.verify_proofs import Peaks, split_key

LEAVES = [sha256(b"%d" % number).digest() for number in range(1_300)]


@given(st.lists(st.integers(0, 700), max_size=6))
def test_leaves_may_come_in_pieces(widths: list[int]) -> None:
    pieces, alone = Peaks(), Peaks()
    for width in widths:
        piece = LEAVES[pieces.size : pieces.size + width]
        pieces.push_all(piece)
        for leaf in piece:
            alone.push(leaf)
        assert (pieces.size, pieces.root()) == (alone.size, alone.root())
    assert pieces.nodes == alone.nodes
    assert len(pieces.nodes) == sum(pieces.size >> height for height in range(8, 12))


def key_of(algorithm: int) -> str:
    """Return a well-formed verifier key of another algorithm than Ed25519, with the id that fits."""
    key = bytes([algorithm]) + bytes(32)
    return f"a+{sha256(b'a' + bytes([10]) + key).hexdigest()[:8]}+{b64encode(key).decode()}"


KEY = Signer.of_seed("steward.local/a", bytes(32)).vkey


def test_a_key_is_split() -> None:
    name, key_id, key = split_key(f" {KEY}\n")
    assert split_key(key_of(1))[2] == bytes(32)
    assert (name, key_id, len(key)) == ("steward.local/a", KEY.split("+")[1], 32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "x+y",
        KEY[:-1],
        KEY[:-4],
        KEY.replace("a+", "b+", 1),
        KEY + "AAAA",
        key_of(2),
        "\udc80+1+AA==",
        KEY.replace("+", " "),
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the public key is malformed"):
        split_key(text)
