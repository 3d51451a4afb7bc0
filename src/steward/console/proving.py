"""The proof that a decision is in the ledger, checked on the server by the verifier's own code as the page is made."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from typing import cast

import msgspec
from msgspec import Struct

from steward.ledger.bundle import SigningLedger, bundle
from steward.ledger.port import Ledger
from steward.ledger.verify import verify_bundle
from steward.ledger.verify_proofs import hash_leaf


class Proof(Struct, frozen=True, kw_only=True):
    """An entry's way up to the signed root.

    Attributes:
        index: Its place in the ledger.
        size: How many entries the checkpoint is over.
        leaf: The hash of the entry as it stands there.
        path: The hashes that are given, from the leaf up.
        root: The root that is signed.
        origin: Whose ledger it is.
        note: The signed checkpoint.
        breaks: What does not hold; empty if all does.

    Example:
        >>> Proof(index=0, size=1, leaf=b"", path=(), root=b"", origin="shop", note="", breaks=()).ok
        True
    """

    index: int
    size: int
    leaf: bytes
    path: Sequence[bytes]
    root: bytes
    origin: str
    note: str
    breaks: Sequence[str]

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return not self.breaks


class _Entry(Struct):
    index: int
    body: str


class _Bundle(Struct):
    entry: _Entry
    size: int
    proof: list[str]
    checkpoint: str


async def prove(ledger: Ledger, index: int) -> Proof:
    """Return the proof of one entry against a checkpoint that is signed now, as the verifier finds it."""
    signing = cast("SigningLedger", ledger)  # every engine signs; the port leaves the key's form open
    [entry] = await ledger.read(index, 1)
    text = await bundle(signing, entry)
    report = verify_bundle(text, public_key=signing.public_key)
    told = msgspec.json.decode(text, type=_Bundle)
    return Proof(
        index=index,
        size=told.size,
        leaf=hash_leaf(told.entry.body.encode()),
        path=[b64decode(each) for each in told.proof],
        root=bytes.fromhex(report.root),
        origin=report.origin,
        note=told.checkpoint,
        breaks=[str(each) for each in report.breaks],
    )
