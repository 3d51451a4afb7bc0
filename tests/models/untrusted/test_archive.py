"""An archive is the same bytes each time, opens with any tool, and is taken only if it is exactly that."""

from __future__ import annotations

import io
import zipfile
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.errors import ContractError
from steward.models.untrusted import archive
from steward.models.untrusted.archive import Entry, read, write

LAYOUT = [("manifest.json", b"{}"), ("files/a.txt", b"aaa"), ("files/b.txt", b""), ("statements/card.json", b"[]")]
NAMES = st.from_regex(r"files/[A-Za-z0-9](?:[._-]?[A-Za-z0-9]){0,20}", fullmatch=True).filter(
    lambda name: (
        name.split("/")[1].split(".")[0].lower() not in {"con", "prn", "aux", "nul"}
        and name[6:9].lower() not in {"com", "lpt"}
    )
)


def made(entries: list[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    write(file, entries)
    return file.getvalue()


def test_the_format_is_frozen() -> None:
    """Archives that were made long ago must be taken: a change of one byte here breaks them all."""
    assert sha256(made(LAYOUT)).hexdigest() == "161af8acb13f33115ab27e49624975d506f3d7e47bdba76c3f0e284f5f13b16a"


def test_any_tool_opens_it() -> None:
    with zipfile.ZipFile(io.BytesIO(made(LAYOUT))) as opened:
        assert opened.testzip() is None
        assert [(each.filename, opened.read(each)) for each in opened.infolist()] == LAYOUT
        assert {each.compress_type for each in opened.infolist()} == {zipfile.ZIP_STORED}
        assert {each.external_attr >> 16 for each in opened.infolist()} == {0o100444}


@given(st.dictionaries(NAMES, st.binary(max_size=300), max_size=6))
def test_what_is_written_is_read(files: dict[str, bytes]) -> None:
    by_case = {name.lower(): name for name in files}
    entries = [("manifest.json", b"{}"), *((name, files[name]) for name in sorted(by_case.values()))]
    content = made(entries)
    found = read(io.BytesIO(content))
    assert [(each.name, content[each.at : each.end]) for each in found] == entries


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_byte_is_noticed_unless_it_is_content(at: int, mask: int) -> None:
    content = bytearray(made(LAYOUT))
    at %= len(content)
    inside = any(entry.at <= at < entry.end for entry in read(io.BytesIO(content)))
    content[at] ^= mask
    if inside:
        assert [entry.name for entry in read(io.BytesIO(content))] == [name for name, _ in LAYOUT]
    else:
        with pytest.raises(ContractError) as caught:
            read(io.BytesIO(content))
        assert caught.value.code == "model-archive"


def test_content_may_come_in_pieces() -> None:
    file = io.BytesIO()
    entries = write(file, [("manifest.json", iter([b"{", b"}"])), ("files/a.txt", iter([]))])
    assert entries == [Entry("manifest.json", 2, entries[0].crc32, 43), Entry("files/a.txt", 0, 0, 86)]
    assert file.getvalue() == made([("manifest.json", b"{}"), ("files/a.txt", b"")])


@pytest.mark.parametrize(
    "names",
    [
        ["files/a.txt"],
        ["files/a.txt", "manifest.json"],
        ["manifest.json", "files/b", "files/a"],
        ["manifest.json", "files/a", "files/A"],
        ["manifest.json", "files/aux.txt"],
        ["manifest.json", "files/../a"],
        ["manifest.json", "statements/a.txt"],
    ],
)
def test_only_what_can_be_read_is_written(names: list[str]) -> None:
    with pytest.raises(ContractError):
        made([(name, b"") for name in names])


def test_what_is_too_large_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_ARCHIVE_BYTES", 100_000)
    made(LAYOUT)
    with pytest.raises(ContractError, match="too large for an archive"):
        made([("manifest.json", b"{}"), ("files/a.txt", bytes(100_001))])
    monkeypatch.undo()
    with pytest.raises(ContractError, match="at most 256"):
        made([("manifest.json", b"{}"), *((f"files/{at:04}", b"") for at in range(256))])
