"""Whether entries hold: many at once, in a few passes over whole columns, or one by one, to say what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID

import msgspec
from msgspec import Struct

from steward.ledger.verify_proofs import hash_leaf

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no body, or one of brackets within brackets without end."""

_UUID_CHARACTERS, _UUID_DASHES, _UUID_BYTES = 36, (8, 13, 18, 23), 16


class _Names(Struct):
    """The fields of a body that are repeated in the entry's columns."""

    kind: str
    decision_id: UUID


class _Texts(Struct, gc=False):
    """The same, without the cost of a UUID object."""

    kind: str
    decision_id: str


_decode_names = msgspec.json.Decoder(_Names).decode
_decode_texts = msgspec.json.Decoder(_Texts).decode


def _same(names: _Names, kind: str, run_id: bytes) -> bool:
    return names.kind == kind and names.decision_id.int == int.from_bytes(run_id)


def repeats(body: bytes, kind: str, run_id: bytes) -> bool:
    """Return whether an entry's columns say what its body says.

    Example:
        >>> body = b'{"kind":"acted","decision_id":"00000000-0000-0000-0000-000000000007"}'
        >>> repeats(body, "acted", UUID(int=7).bytes), repeats(body, "failed", UUID(int=7).bytes)
        (True, False)
    """
    try:
        return _same(_decode_names(body), kind, run_id)
    except UNREADABLE:
        return False


def breaks_of(kind: str, run_id: bytes, leaf: bytes, body: bytes | str) -> list[str]:
    """Return what does not hold in one entry, whatever types its columns have.

    Example:
        >>> breaks_of("acted", bytes(16), bytes(32), b"{}")
        ['its body is not the one that was hashed', "its body is not an entry's JSON"]
    """
    breaks = list[str]()
    try:
        if isinstance(body, str) or hash_leaf(body) != leaf:
            breaks.append("its body is not the one that was hashed")
        if not _same(_decode_names(body), kind, run_id):
            breaks.append("its columns do not repeat its body")
    except UNREADABLE:
        breaks.append("its body is not an entry's JSON")
    except TypeError:
        breaks.append("a column has a value of the wrong type")
    return breaks


def all_hold(kinds: Sequence[str], run_ids: Sequence[bytes], leaves: Sequence[bytes], bodies: Sequence[bytes]) -> bool:
    """Return ``True`` only if no entry has a break: half the work of asking :func:`breaks_of` for each.

    ``False`` decides nothing: a body that spells its decision's id in an unusual way is left to :func:`breaks_of`.

    Example:
        >>> body = b'{"kind":"acted","decision_id":"00000000-0000-0000-0000-000000000007"}'
        >>> all_hold(["acted"], [UUID(int=7).bytes], [hash_leaf(body)], [body])
        True
        >>> all_hold(["acted"], [UUID(int=8).bytes], [hash_leaf(body)], [body])
        False
    """
    try:
        if [sha256(b"\x00" + body).digest() for body in bodies] != list(leaves):
            return False
        texts = list(map(_decode_texts, bodies))
        return [text.kind for text in texts] == list(kinds) and _spell([text.decision_id for text in texts], run_ids)
    except (*UNREADABLE, TypeError):
        return False


def _spell(texts: list[str], run_ids: Sequence[bytes]) -> bool:
    """Return whether each text is the usual spelling of the UUID beside it.

    Joined, they are compared without a step for each; that lengths and dashes are in place keeps one text from
    borrowing of its neighbour.
    """
    if set(map(len, texts)) != {_UUID_CHARACTERS} or set(map(len, run_ids)) != {_UUID_BYTES}:
        return False
    joined, dashes = "".join(texts), "-" * len(texts)
    return (
        all(joined[place::_UUID_CHARACTERS] == dashes for place in _UUID_DASHES)
        and joined.replace("-", "") == b"".join(run_ids).hex()
    )


def index_rows(identified: Sequence[tuple[str, int]]) -> bytes:
    """Return the rows, of 24 bytes each, of an index that leads from texts to numbers.

    Example:
        >>> row = index_rows([("order-17", 7)])
        >>> row[:4].hex(), row[16:].hex()
        ('72a90ea3', '0000000000000007')
    """
    import numpy as np  # noqa: PLC0415 - heavy, and only the verification of a whole ledger needs it

    digests = b"".join([sha256(text.encode()).digest() for text, _ in identified])
    rows = np.empty((len(identified), 3), ">u8")
    rows[:, :2] = np.frombuffer(digests, ">u8").reshape(-1, 4)[:, :2]
    rows[:, 2] = [number for _, number in identified]
    return rows.tobytes()
