"""One registered version as one file, to be carried elsewhere: the same content gives the same bytes, always.

It is a ZIP that any tool opens: ``manifest.json``, ``files/...`` and ``statements/...``, stored, in this order. Reading
is strict by one rule: an archive is taken only if it is byte for byte what :func:`write` makes of what it holds. So
there is no room for what makes archives dangerous: packed data, overlapping or repeated entries, links, foreign names,
sizes that lie, or bytes that no entry owns.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Final, NamedTuple
from zlib import crc32

from steward.errors import ContractError
from steward.models.manifest import MANIFEST

SUFFIX: Final = ".steward-model"
MEDIA_TYPE: Final = "application/vnd.steward.model+zip"
FILES: Final = "files/"
STATEMENTS: Final = "statements/"
MAX_ENTRIES: Final = 256
MAX_ARCHIVE_BYTES: Final = 0xFFFF_FFFF
CHUNK_BYTES: Final = 1 << 20
_NAME: Final = re.compile(
    rb"manifest\.json|files/[A-Za-z0-9](?:[A-Za-z0-9]|[._-](?=[A-Za-z0-9])){0,127}|statements/[a-z0-9-]{1,64}\.json"
)
_DEVICE: Final = re.compile(rb".*/(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
"""Names that are no files under Windows, whatever follows their first dot."""
_LOCAL: Final = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<4sHHHHIIH")
_VERSION, _STORED, _MIDNIGHT, _NEW_YEAR_1980 = 20, 0, 0, 0x21
_BY_UNIX, _READABLE_FILE = 0x0314, 0o100444 << 16


class Entry(NamedTuple):
    """A file within an archive.

    Attributes:
        name: Its name, as ``files/model.txt``.
        size_bytes: How many bytes it has.
        crc32: Their check sum, which every tool for ZIP looks at.
        at: Where they begin in the archive.

    Example:
        >>> Entry("manifest.json", 3, crc32(b"abc"), 43).size_bytes
        3
    """

    name: str
    size_bytes: int
    crc32: int
    at: int

    @property
    def end(self) -> int:
        """Where its bytes end in the archive."""
        return self.at + self.size_bytes


class Part:
    r"""Bytes of an open file, read in pieces and as often as wanted, wherever the file is just read.

    Args:
        file: The file; it has a descriptor.
        at: Where the bytes begin.
        size_bytes: How many they are.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryFile() as file:
        ...     _ = file.write(b"tree\nversion=v4\n")
        ...     file.flush()
        ...     Part(file, 5, 7).read()
        b'version'
    """

    def __init__(self, file: IO[bytes], at: int, size_bytes: int) -> None:
        self._file, self._at, self.size_bytes = file, at, size_bytes

    def __iter__(self) -> Iterator[bytes]:
        at, end = self._at, self._at + self.size_bytes
        while at < end and (piece := os.pread(self._file.fileno(), min(end - at, CHUNK_BYTES), at)):
            at += len(piece)
            yield piece

    def read(self) -> bytes:
        """Return all of it."""
        return b"".join(self)


def write(target: IO[bytes], entries: Iterable[tuple[str, bytes | Iterable[bytes]]]) -> Sequence[Entry]:
    """Write an archive; the entries must come in order: the manifest, the files by name, the statements by name.

    Args:
        target: A file that can be searched, empty.
        entries: Name and content of each; the content whole or in pieces, read once.

    Returns:
        What was written.

    Raises:
        ContractError: There is too much of it for an archive, or a name does not belong into one.

    Example:
        >>> from io import BytesIO
        >>> made = BytesIO()
        >>> [entry.name for entry in write(made, [("manifest.json", b"{}"), ("files/model.txt", b"tree")])]
        ['manifest.json', 'files/model.txt']
        >>> [entry.at for entry in read(made)]
        [43, 90]
    """
    written: list[Entry] = []
    for name, content in entries:
        place = target.tell()
        at = place + _LOCAL.size + len(name)
        target.seek(at)
        size_bytes = check = 0
        for piece in (content,) if isinstance(content, bytes) else content:
            check = crc32(piece, check)
            size_bytes += len(piece)
            _check_size(at + size_bytes)
            target.write(piece)
        entry = Entry(name, size_bytes, check, at)
        target.seek(place)
        target.write(_local(entry))
        target.seek(entry.end)
        written.append(entry)
    _check_names([entry.name.encode() for entry in written])
    end = target.tell()
    _check_size(end + (MAX_ENTRIES + 1) * 256)
    target.write(_directory(written, end))
    return written


def read(archive: IO[bytes]) -> Sequence[Entry]:
    """Return what an archive holds, without reading its contents.

    Args:
        archive: A file that can be searched.

    Raises:
        ContractError: It is not what :func:`write` makes (``code`` is ``model-archive``).
    """
    size_bytes = archive.seek(0, os.SEEK_END)
    if size_bytes < _END.size or size_bytes > MAX_ARCHIVE_BYTES:
        raise _refused(f"it has {size_bytes} bytes")
    archive.seek(size_bytes - _END.size)
    magic, _, _, _, count, length, start, _ = _END.unpack(archive.read(_END.size))
    if magic != b"PK\5\6" or not 0 < count <= MAX_ENTRIES or start + length + _END.size != size_bytes:
        raise _refused("it does not end as an archive does: it was cut off, or something was put behind it")
    archive.seek(start)
    directory = archive.read(length + _END.size)
    entries = _listed(directory[:length], count)
    if not entries or entries[-1].end != start or _directory(entries, start) != directory:
        raise _refused("its list of entries is not the one that is written by an export")
    for entry in entries:
        head = _local(entry)
        archive.seek(entry.at - len(head))
        if archive.read(len(head)) != head:
            raise _refused(f"what stands before {entry.name} is not what its list of entries says")
    return entries


def _listed(directory: bytes, count: int) -> Sequence[Entry]:
    """Return the entries, each laid out behind the one before, whatever places the list says."""
    entries: list[Entry] = []
    names: list[bytes] = []
    at = place = 0
    for _ in range(count):
        if at + _CENTRAL.size > len(directory):
            raise _refused("its list of entries is cut off")
        told = _CENTRAL.unpack_from(directory, at)
        check, size_bytes, length = told[7], told[9], told[10]
        name = directory[at + _CENTRAL.size : at + _CENTRAL.size + length]
        names.append(name)
        entry = Entry(name.decode("ascii", "replace"), size_bytes, check, place + _LOCAL.size + length)
        entries.append(entry)
        at, place = at + _CENTRAL.size + length, entry.end
    _check_names(names)
    return entries


def _check_names(names: Sequence[bytes]) -> None:
    for name in names:
        if not _NAME.fullmatch(name) or _DEVICE.fullmatch(name):
            raise _refused(f"{name.decode('ascii', 'backslashreplace')!r} is no name of an entry")
    inner = [name.lower() for name in names[1:]]
    if len(set(inner)) < len(inner):
        raise _refused("two of its entries have one name, or names that differ by case only")
    if names[:1] != [MANIFEST.encode()] or list(names[1:]) != sorted(names[1:]) or MANIFEST.encode() in names[1:]:
        raise _refused(f"its entries must be {MANIFEST}, then the files and the statements, by name")
    if len(names) > MAX_ENTRIES:
        raise _refused(f"it has {len(names)} entries, at most {MAX_ENTRIES} may be in one")


def _check_size(size_bytes: int) -> None:
    if size_bytes > MAX_ARCHIVE_BYTES:
        raise ContractError(
            "the model is too large for an archive",
            why=f"at most {MAX_ARCHIVE_BYTES} bytes fit",
            fix="copy its folder in the registry instead",
            code="model-archive",
        )


def _local(entry: Entry) -> bytes:
    name = entry.name.encode()
    size = entry.size_bytes
    return (
        _LOCAL.pack(b"PK\3\4", _VERSION, 0, _STORED, _MIDNIGHT, _NEW_YEAR_1980, entry.crc32, size, size, len(name), 0)
        + name
    )


def _directory(entries: Iterable[Entry], start: int) -> bytes:
    lines = []
    for entry in entries:
        name, size = entry.name.encode(), entry.size_bytes
        line = _CENTRAL.pack(
            b"PK\1\2", _BY_UNIX, _VERSION, 0, _STORED, _MIDNIGHT, _NEW_YEAR_1980, entry.crc32, size, size, len(name),
            0, 0, 0, 0, _READABLE_FILE, entry.at - _LOCAL.size - len(name),
        )  # fmt: skip
        lines.append(line + name)
    listed = b"".join(lines)
    return listed + _END.pack(b"PK\5\6", 0, 0, len(lines), len(lines), len(listed), start, 0)


def _refused(why: str) -> ContractError:
    return ContractError(
        "this is not an archive of a model",
        why=why,
        fix="make it with: steward models export NAME, and copy it as binary",
        code="model-archive",
    )
