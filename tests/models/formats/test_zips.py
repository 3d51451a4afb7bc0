"""A ZIP within a model is unpacked only where every reader would find the same in it."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.hostile import NAMES, PACKED_ZEROS, Entry, zipped

from steward.models.formats.zips import check

MIB = 1 << 20
SCHEMA = Entry(b"schema.json", b"{}")
ZEROS = bytes(MIB)


def by_zipfile(names: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as target:
        for name, content in names.items():
            target.writestr(name, content)
    return made.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_python_writes_is_fine(method: int) -> None:
    names = {"schema.json": b"{}", "1.npy": b"\x93NUMPY" + bytes(3 * MIB), "sub/2.npy": b""}
    found = check(by_zipfile(names, method), most_bytes=4 * MIB)
    assert [(each.name, each.size_bytes) for each in found] == [(name, len(part)) for name, part in names.items()]


WRONG: dict[str, tuple[bytes, str]] = {
    "too large": (by_zipfile({"a": bytes(4 * MIB)}), "more than 2097152 bytes"),
    "a bomb that lies": (
        zipped(SCHEMA, Entry(b"a", ZEROS, method=8, packed=PACKED_ZEROS, size=9, local_size=9)), "as long",
    ),
    "a bomb that lies less": (
        zipped(SCHEMA, Entry(b"a", ZEROS, method=8, packed=PACKED_ZEROS, size=MIB - 1, local_size=MIB - 1)), "as long",
    ),
    "more than is there": (
        zipped(SCHEMA, Entry(b"a", ZEROS, method=8, packed=PACKED_ZEROS, size=MIB + 1, local_size=MIB + 1)), "as long",
    ),
    "cut off within": (zipped(Entry(b"a", ZEROS, method=8, packed=PACKED_ZEROS[:-9])), "cut off"),
    "something behind it": (zipped(Entry(b"a", ZEROS, method=8, packed=PACKED_ZEROS + b"x")), "more behind"),
    "not deflated": (zipped(Entry(b"a", b"\xff" * 9, method=8)), "cannot be unpacked"),
    "a head that lies": (zipped(Entry(b"a", b"abc", local_size=4)), "head of a"),
    "a place that lies": (zipped(SCHEMA, Entry(b"a", b"abc", at=0)), "does not lie behind"),
    "a hole": (zipped(SCHEMA, before=b"x"), "does not lie behind"),
    "a tail": (by_zipfile({"a": b"x"}) + b"x", "does not end"),
    "a comment": (by_zipfile({"a": b"x"})[:-2] + b"\1\0x", "does not end"),
    "nothing": (b"", "cut off"),
    "an empty one": (zipped(), "list of entries"),
    "fewer entries": (zipped(SCHEMA, Entry(b"a", b""), count=1), "longer than it says"),
    "more entries": (zipped(SCHEMA, count=2), "cut off"),
    "twice": (zipped(SCHEMA, SCHEMA), "one name"),
    "by case": (zipped(SCHEMA, Entry(b"Schema.JSON", b"")), "one name"),
    "a pickle": (zipped(Entry(b"a", b"\x80\x04]")), "pickle"),
    "an archive": (zipped(Entry(b"a", zipped(SCHEMA))), "itself an archive"),
    "an extra field": (zipped(Entry(b"a", b"x", extra=b"\1\0\0\0")), "head of a"),
    "flags": (zipped(Entry(b"a", b"x", flags=8)), "unknown length"),
    "a method": (zipped(Entry(b"a", b"x", method=14)), "not known"),
    "a link": (zipped(Entry(b"a", b"/etc", mode=0o120777)), "a link or a device"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told(what: str) -> None:
    content, says = WRONG[what]
    with pytest.raises(ValueError, match=says):
        check(content, most_bytes=2 * MIB)


HARMLESS = {b"files/a/b", b"files/CON", b"files/nul.txt", b"files/com1.json", b"files/model.json.", b"files/-rf"}
HARMLESS |= {
    b"file/model.json",
    b"FILES/model.json",
    b"Manifest.json",
    b"statements/signature.txt",
    b"files/" + b"a" * 300,
}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in HARMLESS], ids=repr)
def test_a_name_that_is_a_path_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match="no name of an entry"):
        check(zipped(Entry(name, b"x")), most_bytes=MIB)


@given(st.integers(0, 10_000), st.integers(1, 255), st.binary(max_size=200))
def test_whatever_passes_is_what_python_reads(at: int, mask: int, content: bytes) -> None:
    changed = bytearray(by_zipfile({"schema.json": b"{}", "a/b.npy": content}))
    changed[at % len(changed)] ^= mask
    found: Any = ()
    try:
        found = check(bytes(changed), most_bytes=MIB)
    except ValueError:
        return
    with zipfile.ZipFile(io.BytesIO(bytes(changed))) as opened:
        assert [len(opened.read(each.name)) for each in found] == [each.size_bytes for each in found]
