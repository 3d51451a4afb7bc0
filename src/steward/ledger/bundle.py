"""Proof bundles: one entry with all that is needed to check it, without the ledger and without Steward."""

from __future__ import annotations

from base64 import b64encode
from typing import Protocol

import msgspec

from steward.errors import ContractError
from steward.ledger.port import Entry, Ledger

FORMAT = "steward.bundle/1"


class SigningLedger(Ledger, Protocol):
    """A ledger that tells which key checks its checkpoints."""

    @property
    def public_key(self) -> str:
        """The key, as a signed-note verifier key."""
        ...


async def bundle(ledger: SigningLedger, entry: Entry) -> bytes:
    """Return the JSON that proves ``entry`` against a fresh checkpoint of its ledger.

    Raises:
        ContractError: The entry's body is not text.

    Example:
        >>> import asyncio
        >>> from uuid import UUID
        >>> from steward.ledger.memory import MemoryLedger
        >>> from steward.ledger.port import Commit, Draft
        >>> from steward.ledger.verify import verify_bundle
        >>> async def main() -> bytes:
        ...     ledger = MemoryLedger()
        ...     await ledger.append(Commit(entries=[Draft("decided", UUID(int=1), b"{}")]))
        ...     return await bundle(ledger, (await ledger.read())[0])
        >>> verify_bundle(asyncio.run(main())).ok
        True
    """
    try:
        body = entry.body.decode()
    except UnicodeDecodeError as error:
        raise ContractError(
            f"entry {entry.index} cannot be bundled", why="its body is not UTF-8 text", field="body"
        ) from error
    head = await ledger.checkpoint()
    proof = await ledger.inclusion(entry.index, head.size)
    return msgspec.json.encode(
        {
            "format": FORMAT,
            "entry": {"index": entry.index, "body": body},
            "size": head.size,
            "proof": [b64encode(node).decode() for node in proof],
            "checkpoint": head.note,
            "public_key": ledger.public_key,
        }
    )
