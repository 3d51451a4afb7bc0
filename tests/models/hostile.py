"""A corpus of uploads that nobody should take: archives that are none, and archives of models that are none."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from tests.models.artefacts import INPUTS, linear_file

from steward.models.manifest import FileFacts, declared, encode
from steward.models.untrusted import archive

MADE = datetime(2026, 1, 1, tzinfo=UTC)
LOCAL = struct.Struct("<4sHHHHHIIIHH")
CENTRAL = struct.Struct("<4sHHHHHHIIIHHHHHII")
END = struct.Struct("<4sHHHHIIH")


def manifest_of(files: Mapping[str, bytes], kind: str = "linear", task: str = "regression") -> bytes:
    facts = {name: FileFacts.of(content, name) for name, content in files.items()}
    made = declared("load", version=1, kind=kind, task=task, inputs=INPUTS, files=facts, created_at=MADE)
    return encode(made)


def packed(files: Mapping[str, bytes], manifest: bytes | None = None, **about: Any) -> bytes:
    """Return a well-formed archive of whatever files."""
    made = io.BytesIO()
    content = manifest_of(files, **about) if manifest is None else manifest
    archive.write(made, [("manifest.json", content), *((f"files/{name}", files[name]) for name in sorted(files))])
    return made.getvalue()


GOOD = {"model.json": linear_file()}


def plain() -> bytes:
    return packed(GOOD)


class Entry:
    """One entry of a ZIP, each part of which may lie."""

    def __init__(self, name: bytes, content: bytes, **lies: int | bytes) -> None:
        self.name, self.content, self.lies = name, content, lies

    def _told(self, field: str, truth: int | bytes) -> Any:
        return self.lies.get(field, truth)

    def local(self) -> bytes:
        data = self.lies.get("packed", self.content)
        assert isinstance(data, bytes)
        head = LOCAL.pack(
            b"PK\3\4", 20, self._told("flags", 0), self._told("method", 0), 0, 0x21, zlib.crc32(self.content),
            self._told("local_packed", len(data)), self._told("local_size", len(self.content)), len(self.name),
            len(self._told("extra", b"")),
        )  # fmt: skip
        return head + self.name + bytes(self._told("extra", b"")) + data

    def central(self, at: int) -> bytes:
        data = self.lies.get("packed", self.content)
        assert isinstance(data, bytes)
        return CENTRAL.pack(
            b"PK\1\2", 0x0314, 20, self._told("flags", 0), self._told("method", 0), 0, 0x21, zlib.crc32(self.content),
            self._told("packed_size", len(data)), self._told("size", len(self.content)), len(self.name),
            0, 0, 0, 0, self._told("mode", 0o100444) << 16, self._told("at", at),
        ) + self.name  # fmt: skip


def zipped(*entries: Entry, count: int | None = None, before: bytes = b"") -> bytes:
    body, listed = before, b""
    for entry in entries:
        listed += entry.central(len(body))
        body += entry.local()
    number = len(entries) if count is None else count
    return body + listed + END.pack(b"PK\5\6", 0, 0, number, number, len(listed), len(body), 0)


def with_file(name: bytes, content: bytes = GOOD["model.json"], **lies: int | bytes) -> bytes:
    return zipped(Entry(b"manifest.json", manifest_of(GOOD)), Entry(name, content, **lies))


BOMB = zlib.compressobj(9, zlib.DEFLATED, -15)
_ZEROS = bytes(1 << 20)
PACKED_ZEROS = BOMB.compress(_ZEROS) + BOMB.flush()


def tarred(**changes: Any) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        member = tarfile.TarInfo(changes.pop("name", "files/model.json"))
        for field, value in changes.items():
            setattr(member, field, value)
        tar.addfile(member, io.BytesIO(b"x" * member.size))
    return made.getvalue()


def by_zipfile(names: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in names.items():
            target.writestr(name, content)
    return made.getvalue()


NAMES = (
    b"../model.json", b"files/../../model.json", b"/etc/passwd", b"files//model.json", b"files/", b"files/a/b",
    b"files\\model.json", b"C:\\model.json", b"files/model\0.json", b"files/.hidden", b"files/..", b"files/.",
    b"files/-rf", b"files/a..b", b"files/a b", b"files/CON", b"files/nul.txt", b"files/com1.json", b"files/model.json.",
    "files/\uff4d\uff4f\uff44\uff45\uff4c.json".encode(), "files/mod\u0435l.json".encode(),
    "files/model\u200b.json".encode(), "files/\u202enosj.ledom".encode(), b"files/" + b"a" * 300, b"file/model.json",
    b"FILES/model.json", b"Manifest.json", b"statements/../signature.json", b"statements/signature.txt", b"", b".",
    b"files/model.json\n", b"~/model.json", b"$HOME/x", b"files/%2e%2e", b"files/a:b",
)  # fmt: skip


def structure() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield archives that are none, or hide something."""
    good, manifest = plain(), manifest_of(GOOD)
    content = GOOD["model.json"]
    first = Entry(b"manifest.json", manifest)
    file = Entry(b"files/model.json", content)
    for name in NAMES:
        yield f"the name {name!r}", partial(with_file, name)
    for what, mode in (("link", 0o120777), ("folder", 0o040755), ("device", 0o020666), ("pipe", 0o010666)):
        yield f"a {what}", partial(with_file, b"files/model.json", mode=mode)
    lies: dict[str, dict[str, Any]] = {
        "a bomb": {"method": 8, "packed": PACKED_ZEROS}, "encrypted": {"flags": 1}, "of unknown length": {"flags": 8},
        "bzip2": {"method": 12}, "lzma": {"method": 14}, "a size of 4 GiB": {"size": 0xFFFFFFFF},
        "a size of none": {"size": 0}, "a packed size of 4 GiB": {"packed_size": 0xFFFFFFFF},
        "another place": {"at": 0}, "a place of 4 GiB": {"at": 0xFFFFFFFF}, "another local size": {"local_size": 3},
        "another local packed size": {"local_packed": 3}, "an extra field": {"extra": b"\1\0\4\0abcd"},
    }  # fmt: skip
    for what, told in lies.items():
        yield (
            f"an entry that is {what}",
            partial(with_file, b"files/model.json", _ZEROS if "packed" in told else content, **told),
        )
    yield "overlapping entries", lambda: zipped(first, file, Entry(b"files/other.json", content, at=0))
    yield "two entries of a name", lambda: zipped(first, file, file)
    yield "two manifests", lambda: zipped(first, first, file)
    yield "names that differ by case", lambda: zipped(first, file, Entry(b"files/MODEL.json", content))
    yield "the manifest last", lambda: zipped(file, first)
    yield "no manifest", lambda: zipped(file)
    yield "no file", lambda: zipped(first)
    yield "a file too many", lambda: zipped(first, file, Entry(b"files/other.json", content))
    yield "files not in order", lambda: zipped(first, Entry(b"statements/card.json", b"{}"), file)
    yield "an unknown statement", lambda: zipped(first, file, Entry(b"statements/evil.json", b"{}"))
    yield "more entries than it says", lambda: zipped(first, file, count=1)
    yield "fewer entries than it says", lambda: zipped(first, file, count=3)
    yield "60,000 entries that are not there", lambda: zipped(first, file, count=60_000)
    yield "bytes before it", lambda: zipped(first, file, before=b"#!/bin/sh\n")
    yield "bytes behind it", lambda: good + b"\0"
    yield "two archives", lambda: good + good
    yield "a comment", lambda: good[:-2] + b"\3\0abc"
    for at in (0, 1, 21, 22, 100, len(good) // 2, len(good) - 1):
        yield f"cut off at {at}", partial(bytes, good[:at])
    for at in range(0, len(good), 61):
        yield f"byte {at} changed", partial(bytes, good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    yield "an archive in an archive", lambda: with_file(b"files/model.json", good)
    yield "written by another program", lambda: by_zipfile({"manifest.json": manifest, "files/model.json": content})


def containers() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield what is another container altogether."""
    good = plain()
    kinds = {"symlink": b"2", "hard link": b"1", "device": b"3", "block device": b"4", "pipe": b"6"}
    for what, kind in kinds.items():
        yield f"a tar with a {what}", partial(tarred, type=kind, linkname="/etc/passwd")
    yield "a tar with a path out of it", lambda: tarred(name="../../evil", size=5)
    yield "a tar with a file of 8 GiB", lambda: tarred(name="x")[:124] + b"77777777777\0" + tarred(name="x")[136:]
    yield "gzip", lambda: gzip.compress(good)
    yield "bzip2", lambda: bz2.compress(good)
    yield "xz", lambda: lzma.compress(good)
    yield "a gzip bomb", lambda: gzip.compress(bytes(8 << 20))
    yield "a pickle", lambda: pickle.dumps({"model": 1})
    yield "text", lambda: b"hello, world\n" * 99
    yield "zeros", lambda: bytes(5000)
    yield "an HTML page", lambda: b"<!doctype html><title>502 Bad Gateway</title>" * 9


def manifests() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield well-formed archives whose manifest is hostile."""
    facts = msgspec.to_builtins(FileFacts.of(GOOD["model.json"], "model.json"))
    changes: dict[str, dict[str, Any]] = {
        "another digest": {"files": {"model.json": {**facts, "sha256": 64 * "0"}}},
        "another size": {"files": {"model.json": {**facts, "bytes": 3}}},
        "a size of 2^63": {"files": {"model.json": {**facts, "bytes": 2**63}}},
        "a negative size": {"files": {"model.json": {**facts, "bytes": -1}}},
        "a file of another name": {"files": {"../model.json": facts}},
        "no files": {"files": {}},
        "a name that is a path": {"name": "../load"},
        "an absolute name": {"name": "/load"},
        "a name in capitals": {"name": "Load"},
        "version 0": {"version": 0},
        "version -1": {"version": -1},
        "version 2^70": {"version": 2**70},
        "a version that is text": {"version": "1"},
        "a field more": {"code": "import os"},
        "another format": {"format": "steward.model/2"},
        "inputs twice": {"inputs": ["a", "a"]},
        "a million inputs": {"inputs": [f"input_{at}" for at in range(100_000)]},
        "a metric that is none": {"metrics": {"auc": "NaN"}},
        "a kind that is not there": {"kind": "pickle"},
        "a kind that is a path": {"kind": "../linear"},
        "a kind that is a module": {"kind": "os:system"},
        "no time zone": {"created_at": "2026-01-01T00:00:00"},
    }
    for what, changed in changes.items():
        yield f"a manifest with {what}", partial(changed_manifest, changed)
    texts = {
        "nested deeply": b'{"a":' * 50_000, "no JSON": b"hello", "empty": b"", "of 2 MiB": b" " * (2 << 20),
        "with a key twice": manifest_of(GOOD)[:-2] + b',"name":"price"}\n', "of bytes": bytes(range(256)),
    }  # fmt: skip
    for what, text in texts.items():
        yield f"a manifest {what}", partial(packed, GOOD, text)


def changed_manifest(changes: Mapping[str, Any]) -> bytes:
    plain = msgspec.json.decode(manifest_of(GOOD))
    return packed(GOOD, msgspec.json.encode({**plain, **changes}))


def refers(text: bytes, field: bytes, value: bytes) -> bytes:
    """Change a field of LightGBM's text."""
    start = text.index(field + b"=") + len(field) + 1
    return text[:start] + value + text[text.index(b"\n", start) :]
