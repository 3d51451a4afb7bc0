"""Judges a proof bundle that somebody brings: what of it holds by itself, and what against the running ledger."""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from steward.errors import NotFound
from steward.ledger.port import Ledger
from steward.ledger.verify import check_key, verify_bundle
from steward.ledger.verify_proofs import hash_leaf, open_checkpoint, split_key
from steward.runtime.audit import Audit

_MOST_LETTERS: Final = 300


class Verdict(StrEnum):
    """What is to be thought of a bundle.

    Example:
        >>> Verdict.UNVOUCHED.value
        'unvouched'
    """

    HOLDS = "holds"
    """Everything holds, under a key that is trusted."""
    UNVOUCHED = "unvouched"
    """It fits together, but nobody here vouches for the key: anybody can make such a bundle."""
    BROKEN = "broken"
    """Something does not hold."""


class Statement(Struct, frozen=True, kw_only=True):
    """One thing that a bundle claims.

    Attributes:
        claim: What, in words.
        holds: Whether it does; ``None`` where it cannot be told here.
        why: What was compared.
    """

    claim: str
    holds: bool | None
    why: str


class Judged(Struct, frozen=True, kw_only=True):
    """What holds of a bundle, and what does not.

    Attributes:
        verdict: All of it together.
        statements: One by one, in the order in which they build on each other.
        index: Its entry's place in its ledger; ``None`` if it cannot be read.
        kind: What the entry is, if that can be read.
        decision_id: The entry's run, if that can be read.
        key: The name in the key by which it says that it was signed.
        is_ours: Whether that is the key of the running ledger.
        size: Over how many entries its head is.
        leaf: The entry's hash, in hex.
        path: The hashes that are given, from the leaf up, in hex.
        root: The signed root, in hex.

    Example:
        >>> Judged(verdict=Verdict.BROKEN, statements=[]).index is None
        True
    """

    verdict: Verdict
    statements: list[Statement]
    index: int | None = None
    kind: str = ""
    decision_id: UUID | None = None
    key: str = ""
    is_ours: bool = False
    size: int = 0
    leaf: str = ""
    path: list[str] = []
    root: str = ""


class _Entry(Struct):
    index: int
    body: str


class _Bundle(Struct):
    entry: _Entry
    proof: list[bytes]
    checkpoint: str
    public_key: str


class _Names(Struct):
    kind: str
    decision_id: UUID


_decode_bundle = msgspec.json.Decoder(_Bundle).decode
_decode_names = msgspec.json.Decoder(_Names).decode


async def judge(audit: Audit, bundle: bytes, *, public_key: str | None = None) -> Judged:
    """Tell what holds of a bundle.

    Args:
        audit: Knows the running ledger and its key.
        bundle: What was brought; anything.
        public_key: The key under which it must hold, if it is of another ledger.

    Raises:
        ContractError: ``public_key`` is not one.

    Example:
        >>> import asyncio
        >>> from steward.ledger.memory import MemoryLedger
        >>> asyncio.run(judge(Audit(MemoryLedger()), b"rubbish")).statements[0].holds
        False
    """
    check_key(public_key)
    alone = verify_bundle(bundle)
    if (parsed := _parsed(bundle)) is None:
        why = _short(str(alone.breaks[0]) if alone.breaks else "it is not a bundle")
        statement = Statement(claim="It can be read as a proof bundle.", holds=False, why=why)
        return Judged(verdict=Verdict.BROKEN, statements=[statement])
    ours, key = audit.public_key, parsed.public_key.strip()
    is_ours = key == ours and public_key is None
    statements = [
        Statement(claim="It can be read as a proof bundle.", holds=True, why="It has all its parts, each once."),
        Statement(
            claim="The entry, its proof and the signed head belong together.",
            holds=alone.ok,
            why=_short("; ".join(each.what for each in alone.breaks))
            or f"The entry and {len(parsed.proof)} hashes lead to the root that was signed.",
        ),
        _signed(key, ours, public_key),
    ]
    if is_ours and alone.ok:
        statements += await _in_ledger(audit.ledger, parsed)
    return _judged(parsed, statements, is_ours=is_ours)


def _signed(key: str, ours: str, trusted: str | None) -> Statement:
    name = _short(key.partition("+")[0])
    if trusted is not None:
        holds = key == trusted.strip()
        why = f"It names the key of {name}, {'which is' if holds else 'not'} the one that you gave."
        return Statement(claim="It was signed with the key that you trust.", holds=holds, why=why)
    if key == ours:
        why = f"It names the key of {name}, with which this process signs."
        return Statement(claim="It was signed by this ledger.", holds=True, why=why)
    return Statement(
        claim="It was signed by somebody whom you trust.",
        holds=None,
        why=f"It is of another ledger, {name}, and carries its own key, which anybody can make. Ask its owner for the "
        "key, on another way than the bundle, and give it below.",
    )


async def _in_ledger(ledger: Ledger, parsed: _Bundle) -> list[Statement]:
    """Compare it with what the ledger has now."""
    head, index = open_checkpoint(parsed.checkpoint, parsed.public_key), parsed.entry.index
    have = await ledger.size()
    claim = f"This ledger still begins with the {head.size:,} entries that were signed."
    if have < head.size:
        why = f"It has only {have:,} entries: its end was cut off, or an old copy was put back."
        return [Statement(claim=claim, holds=False, why=why)]
    same_root = await ledger.root(head.size) == head.root
    found = await ledger.read(index, 1)
    same_entry = bool(found) and hash_leaf(found[0].body) == hash_leaf(parsed.entry.body.encode())
    return [
        Statement(claim=claim, holds=same_root, why=f"Their root is {'' if same_root else 'not '}the signed one."),
        Statement(
            claim=f"Entry {index:,} of this ledger is the one in the bundle.",
            holds=same_entry,
            why="Its bytes are the same." if same_entry else "Its bytes are others: the ledger was changed since.",
        ),
    ]


def _judged(parsed: _Bundle, statements: list[Statement], *, is_ours: bool) -> Judged:
    held = [each.holds for each in statements]
    verdict = Verdict.BROKEN if False in held else Verdict.UNVOUCHED if None in held else Verdict.HOLDS
    try:
        names = _decode_names(parsed.entry.body)
    except (msgspec.MsgspecError, RecursionError):
        names = None
    try:
        head = open_checkpoint(parsed.checkpoint, parsed.public_key)
    except ValueError:
        head = None
    return Judged(
        verdict=verdict,
        statements=statements,
        index=parsed.entry.index,
        kind="" if names is None else _short(names.kind),
        decision_id=None if names is None else names.decision_id,
        key=_short(parsed.public_key.partition("+")[0]),
        is_ours=is_ours,
        size=0 if head is None else head.size,
        leaf=hash_leaf(parsed.entry.body.encode()).hex(),
        path=[hashed.hex() for hashed in parsed.proof],
        root="" if head is None else head.root.hex(),
    )


def _parsed(bundle: bytes) -> _Bundle | None:
    try:
        parsed = _decode_bundle(bundle)
        split_key(parsed.public_key)
        parsed.entry.body.encode()
    except (ValueError, RecursionError):  # msgspec's errors are values' errors
        return None
    return parsed


def _short(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"


async def places_of(ledger: Ledger, text: str) -> tuple[int, ...]:
    """Return the places of the entries that a text names: an index, or the id of a run.

    Raises:
        NotFound: It names none.

    Example:
        >>> import asyncio
        >>> from steward.ledger.memory import MemoryLedger
        >>> asyncio.run(places_of(MemoryLedger(), "seven"))
        Traceback (most recent call last):
        ...
        steward.errors.NotFound: 'seven' names no entry. Next: give its index, or the id of its decision
    """
    wanted = text.strip().replace(",", "")
    if wanted.isascii() and wanted.isdecimal() and len(wanted) < 19:
        if int(wanted) < await ledger.size():
            return (int(wanted),)
    else:
        try:
            entries = await ledger.of_run(UUID(wanted))
        except ValueError:
            entries = ()
        if entries:
            return tuple(entry.index for entry in entries)
    raise NotFound(f"{_short(text)!r} names no entry", fix="give its index, or the id of its decision")
