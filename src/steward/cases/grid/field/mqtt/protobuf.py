"""The wire format of protocol buffers, as far as Sparkplug B needs it: strict, and bounded in what it takes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from steward.errors import ContractError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_LARGEST_FIELD = (1 << 29) - 1
Wire = int | bytes
"""What a field holds: a number for ``VARINT``, raw bytes for all others."""


def varint(number: int) -> bytes:
    """Return an unsigned number as 7 bits a byte, the lowest first.

    Example:
        >>> varint(300).hex()
        'ac02'
    """
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def number_field(field: int, number: int) -> bytes:
    """Return a field that holds an unsigned number."""
    return varint(field << 3 | VARINT) + varint(number)


def bytes_field(field: int, data: bytes) -> bytes:
    """Return a field that holds bytes, text or a message."""
    return varint(field << 3 | BYTES) + varint(len(data)) + data


def double_field(field: int, number: float) -> bytes:
    """Return a field that holds a double."""
    return varint(field << 3 | FIXED64) + struct.pack("<d", number)


def fields(data: bytes) -> Iterator[tuple[int, int, Wire]]:
    """Yield each field's number, wire type and content.

    Raises:
        ContractError: The bytes end too early, or are no message.
    """
    at, end = 0, len(data)
    while at < end:
        tag, at = _varint_at(data, at)
        field, wire = tag >> 3, tag & 7
        if not 0 < field <= _LARGEST_FIELD:
            raise _malformed(f"there is no field {field}")
        if wire == VARINT:
            number, at = _varint_at(data, at)
            yield field, wire, number
            continue
        if wire == BYTES:
            size, at = _varint_at(data, at)
        elif wire in {FIXED64, FIXED32}:
            size = 8 if wire == FIXED64 else 4
        else:
            raise _malformed(f"wire type {wire} is not used")
        if at + size > end:
            raise _malformed(f"it ends {at + size - end} bytes too early")
        yield field, wire, data[at : at + size]
        at += size


def text_of(data: Wire) -> str:
    """Return what text a field holds.

    Raises:
        ContractError: It is not UTF-8.
    """
    try:
        return bytes_of(data).decode()
    except UnicodeDecodeError as error:
        raise _malformed("a text is not UTF-8") from error


def bytes_of(data: Wire) -> bytes:
    """Return what bytes a field holds.

    Raises:
        ContractError: It holds a number.
    """
    if isinstance(data, bytes):
        return data
    raise _malformed("a number is where bytes belong")


def number_of(data: Wire) -> int:
    """Return what number a field holds.

    Raises:
        ContractError: It holds bytes.
    """
    if isinstance(data, int):
        return data
    raise _malformed("bytes are where a number belongs")


def real_of(data: Wire, size: int) -> float:
    """Return what float (4 bytes) or double (8) a field holds.

    Raises:
        ContractError: It is of another size.
    """
    if not isinstance(data, bytes) or len(data) != size:
        raise _malformed(f"a real number of {size} bytes is something else")
    return float(struct.unpack("<f" if size == 4 else "<d", data)[0])


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for n in range(_LONGEST_VARINT):
        if at + n >= len(data):
            raise _malformed("it ends within a number")
        byte = data[at + n]
        number |= (byte & 0x7F) << 7 * n
        if byte < 0x80:
            if number >> 64:
                break
            return number, at + n + 1
    raise _malformed("a number has more than 64 bits")


def _malformed(why: str) -> ContractError:
    return ContractError("this is no protocol-buffers message", why=why)
