"""Proves that a ZIP within a model is nothing but a list of files, before a library unpacks it.

Readers of ZIP differ in what they believe: the list at the end, the heads before each file, sizes that contradict each
other. Here all of them must agree, entries must lie side by side from the first byte to the list, and each is unpacked
once, in pieces, to see that it is as long as it says.
"""

from __future__ import annotations

import re
import stat
import struct
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from zlib import MAX_WBITS, crc32, decompressobj
from zlib import error as ZlibError

MAX_ENTRIES: Final = 10_000
_PIECE_BYTES: Final = 1 << 20
_NAME: Final = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}){0,7}")
_LOCAL: Final = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<4sHHHHIIH")
_STORED, _DEFLATED = 0, 8
_NESTED: Final = (b"PK\3\4", b"PK\5\6", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"7z\xbc\xaf", b"Rar!", b"\x28\xb5\x2f\xfd")
_PICKLE: Final = re.compile(rb"\x80[\x02-\x05]")


class Packed(NamedTuple):
    """An entry of a ZIP.

    Attributes:
        name: Its name.
        method: How it is packed: 0 not at all, 8 deflated.
        crc32: The check sum of its bytes.
        packed_bytes: How many bytes it has in the ZIP.
        size_bytes: How many it says that it has unpacked.
        at: Where its head begins.

    Example:
        >>> Packed("schema.json", 0, 0, 2, 2, 0).name
        'schema.json'
    """

    name: str
    method: int
    crc32: int
    packed_bytes: int
    size_bytes: int
    at: int


def check(content: bytes, *, most_bytes: int) -> Sequence[Packed]:
    """Prove that a ZIP is safe to unpack, and return what is in it.

    Args:
        content: The ZIP.
        most_bytes: How many bytes all of it may have when it is unpacked.

    Raises:
        ValueError: It is not; the message says where.

    Example:
        >>> import zipfile
        >>> from io import BytesIO
        >>> made = BytesIO()
        >>> with zipfile.ZipFile(made, "w") as archive:
        ...     archive.writestr("schema.json", "{}")
        >>> [entry.name for entry in check(made.getvalue(), most_bytes=100)]
        ['schema.json']
        >>> check(made.getvalue(), most_bytes=1)
        Traceback (most recent call last):
        ValueError: unpacked it has more than 1 bytes
    """
    entries, start = _listed(content)
    if sum(entry.size_bytes for entry in entries) > most_bytes:
        raise ValueError(f"unpacked it has more than {most_bytes} bytes")
    at = 0
    for entry in entries:
        if entry.at != at:
            raise ValueError(f"{entry.name} does not lie behind the entry before it")
        body = at + _LOCAL.size + len(entry.name)
        if content[at:body] != _head(content, entry):
            raise ValueError(f"the head of {entry.name} is not what the list of entries says")
        at = body + entry.packed_bytes
        _unpack(entry, content[body:at])
    if at != start:
        raise ValueError("there is more in it than its entries")
    return entries


def _listed(content: bytes) -> tuple[Sequence[Packed], int]:
    if len(content) < _END.size:
        raise ValueError("it is cut off")
    magic, disk, other_disk, here, count, length, start, comment = _END.unpack_from(content, len(content) - _END.size)
    if magic != b"PK\5\6" or disk or other_disk or comment or here != count:
        raise ValueError("it does not end as a ZIP does")
    if not 0 < count <= MAX_ENTRIES or start + length + _END.size != len(content):
        raise ValueError("its list of entries is not where it says")
    entries = list(_entries(content[start : start + length], count))
    if len({entry.name.lower() for entry in entries}) < count:
        raise ValueError("two entries have one name, or names that differ by case only")
    return entries, start


def _entries(listed: bytes, count: int) -> Iterator[Packed]:
    at = 0
    for _ in range(count):
        if at + _CENTRAL.size > len(listed):
            raise ValueError("its list of entries is cut off")
        (
            magic, _, _, flags, method, _, _, check_sum, packed_bytes, size_bytes, length, extra, comment, disk, _,
            mode, place,
        ) = _CENTRAL.unpack_from(listed, at)  # fmt: skip
        name = listed[at + _CENTRAL.size : at + _CENTRAL.size + length]
        shown = name.decode("ascii", "backslashreplace")
        if magic != b"PK\1\2" or extra or comment or disk:
            raise ValueError(f"its list has more about {shown!r} than is needed")
        if not _NAME.fullmatch(name) or b".." in name:
            raise ValueError(f"{shown!r} is no name of an entry")
        if flags or method not in (_STORED, _DEFLATED):
            raise ValueError(f"{shown} is encrypted, of unknown length, or packed in a way that is not known")
        if stat.S_IFMT(mode >> 16) not in (0, stat.S_IFREG):
            raise ValueError(f"{shown} is a link or a device, not a file")
        at += _CENTRAL.size + length
        yield Packed(shown, method, check_sum, packed_bytes, size_bytes, place)
    if at != len(listed):
        raise ValueError("its list of entries is longer than it says")


def _head(content: bytes, entry: Packed) -> bytes:
    """Return the head that an entry must have; its version and time are its own."""
    own = _LOCAL.unpack_from(content, entry.at) if entry.at + _LOCAL.size <= len(content) else (b"",) * 6
    name = entry.name.encode()
    sizes = (entry.crc32, entry.packed_bytes, entry.size_bytes)
    return _LOCAL.pack(b"PK\3\4", own[1] or 0, 0, entry.method, own[4] or 0, own[5] or 0, *sizes, len(name), 0) + name


def _unpack(entry: Packed, packed: bytes) -> None:
    """Unpack an entry in pieces, keeping none, and compare what comes with what it says."""
    size_bytes = check_sum = 0
    for piece in _pieces(entry, packed):
        if not size_bytes and (piece.startswith(_NESTED) or _PICKLE.match(piece)):
            raise ValueError(f"{entry.name} is itself an archive or a pickle")
        size_bytes += len(piece)
        check_sum = crc32(piece, check_sum)
        if size_bytes > entry.size_bytes:
            break
    if size_bytes != entry.size_bytes or check_sum != entry.crc32:
        raise ValueError(f"{entry.name} is not as long as it says, or its check sum does not hold")


def _pieces(entry: Packed, packed: bytes) -> Iterator[bytes]:
    if entry.method == _STORED:
        yield packed
        return
    unpacker = decompressobj(-MAX_WBITS)
    try:
        while not unpacker.eof:
            piece = unpacker.decompress(packed, _PIECE_BYTES)
            packed = unpacker.unconsumed_tail
            if not piece and not unpacker.eof:
                raise ValueError(f"{entry.name} is cut off")
            if piece:
                yield piece
    except ZlibError as error:
        raise ValueError(f"{entry.name} cannot be unpacked: {error}") from error
    if unpacker.unused_data or packed:
        raise ValueError(f"there is more behind {entry.name}")
