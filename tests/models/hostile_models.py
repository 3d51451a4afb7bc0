"""Well-formed archives of models that are hostile themselves: headers that lie, nest, point elsewhere or run code."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from tests.models.artefacts import lightgbm_text, linear_file
from tests.models.hostile import PACKED_ZEROS, Entry, packed, refers, zipped

_DEEP = 100_000


def one(kind: str, name: str, content: bytes, task: str = "regression") -> Callable[[], bytes]:
    return lambda: packed({name: content}, kind=kind, task=task)


def field(number: int, content: bytes) -> bytes:
    """Return a field of protobuf."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*made, value])


def linear() -> Iterator[tuple[str, Callable[[], bytes]]]:
    good = linear_file()
    contents = {
        "nested deeply": b'{"format":"steward.linear/1","intercept":' + b"[" * _DEEP, "cut off": good[:-5],
        "continued": good + b"{}", "too large a number": good.replace(b"0.25", b"1e999"),
        "NaN": good.replace(b"0.25", b"NaN"), "a number of a million digits": good.replace(b"0.25", b"9" * 1_000_000),
        "other inputs": good.replace(b"price_eur", b"price_usd"), "a field more": good[:-1] + b',"code":"x"}',
    }  # fmt: skip
    for what, content in contents.items():
        yield f"linear: {what}", one("linear", "model.json", content)
    yield "linear: under another name", one("linear", "weights.json", good)
    yield "linear: registered as lightgbm", one("lightgbm", "model.txt", good)
    yield "linear: with a pickle beside it", lambda: packed({"model.json": good, "more.pkl": pickle.dumps(1)})


def lightgbm() -> Iterator[tuple[str, Callable[[], bytes]]]:
    good = lightgbm_text(trees=2)
    contents = {
        "tree_sizes that lie": refers(good, b"tree_sizes", b"9999999 1"),
        "tree_sizes of 2^63": refers(good, b"tree_sizes", b"9223372036854775808 1"),
        "negative tree_sizes": refers(good, b"tree_sizes", b"-1 -1"),
        "2^31 leaves": refers(good, b"num_leaves", b"2147483648"),
        "2^31 features": refers(good, b"max_feature_idx", b"2147483647"),
        "a feature that is not there": refers(good, b"split_feature", b" ".join([b"99"] * 14)),
        "a cycle of children": refers(good, b"left_child", b" ".join([b"0"] * 14)),
        "a child out of range": refers(good, b"right_child", b" ".join([b"1000000"] * 14)),
        "a leaf that is no number": refers(good, b"leaf_value", b" ".join([b"nan"] * 15)),
        "another objective": refers(good, b"objective", b"custom:/etc/passwd"),
        "cut off": good[: len(good) // 2],
        "a NUL": good.replace(b"version", b"ver\0ion"),
        "a million classes": refers(good, b"num_class", b"1000000"),
        "a line of a megabyte": good.replace(b"\n\n", b"\n" + b"x" * (1 << 20) + b"\n\n", 1),
    }
    for what, content in contents.items():
        yield f"lightgbm: {what}", one("lightgbm", "model.txt", content, "binary")


def onnx() -> Iterator[tuple[str, Callable[[], bytes]]]:
    head = b"\x08\x08"
    opsets = field(8, b"\x10\x13")
    graph = b""
    for _ in range(200):  # a graph within an attribute of a node of a graph
        graph = field(1, field(5, field(6, graph)) + field(4, b"If"))
    node = field(1, field(4, b"Identity"))
    outside = field(5, field(13, field(1, b"location") + field(2, b"/etc/passwd")) + b"\x70\x01" + field(8, b"w"))
    contents = {
        "a length of 2^63": head + b"\x3a" + varint(2**63) + opsets,
        "a length of 2^70": head + b"\x3a" + b"\xff" * 10 + b"\x01" + opsets,
        "a number without end": head + b"\x3a" + b"\xff" * 40,
        "graphs within graphs": head + field(7, graph) + opsets,
        "external data": head + field(7, outside + node) + opsets,
        "no graph": head + opsets,
        "an empty graph": head + field(7, b"") + opsets,
        "another domain": head + field(7, node) + field(8, field(1, b"com.evil") + b"\x10\x01"),
        "groups": head + b"\x3b\x3c" + opsets,
        "zeros": bytes(100),
        "cut off": (head + field(7, node) + opsets)[:-1],
    }
    for what, content in contents.items():
        yield f"onnx: {what}", one("onnx", "model.onnx", content)


def safetensors() -> Iterator[tuple[str, Callable[[], bytes]]]:
    def made(header: bytes, data: bytes = bytes(8), length: int | None = None) -> bytes:
        return struct.pack("<Q", len(header) if length is None else length) + header + data

    def tensor(kind: str = "F64", shape: str = "[1]", offsets: str = "[0,8]") -> bytes:
        return f'{{"w":{{"dtype":"{kind}","shape":{shape},"data_offsets":{offsets}}}}}'.encode()

    contents = {
        "a header of 2^63": made(tensor(), length=2**63), "a header of 2^64-1": made(tensor(), length=2**64 - 1),
        "a header longer than the file": made(tensor(), length=5_000), "a header of nothing": made(b"", length=0),
        "a header nested deeply": made(b'{"w":' * _DEEP), "a header that is no JSON": made(b"{" + b"x" * 50),
        "a name twice": made(tensor()[:-1] + b"," + tensor()[1:]), "a type that is not there": made(tensor("PICKLE")),
        "offsets beyond it": made(tensor(offsets="[0,800]")), "negative offsets": made(tensor(offsets="[-8,0]")),
        "offsets of 2^63": made(tensor(offsets="[9223372036854775807,9223372036854775815]")),
        "offsets backwards": made(tensor(offsets="[8,0]")),
        "a shape of 2^63": made(tensor(shape="[9223372036854775807]")),
        "a shape that overflows": made(tensor(shape="[4294967296,4294967296]")),
        "a negative shape": made(tensor(shape="[-1]")), "bytes behind it": made(tensor(), bytes(9)),
        "bytes that nobody owns": made(tensor(offsets="[8,16]"), bytes(16)),
        "a shape of text": made(tensor(shape='["1"]')),
    }  # fmt: skip
    code = b'{"format":"steward.code/1","function":"os:system","source":"sha256:00"}'
    for what, content in contents.items():
        yield (
            f"safetensors: {what}",
            partial(packed, {"model.safetensors": content, "code.json": code}, kind="safetensors"),
        )


def xgboost() -> Iterator[tuple[str, Callable[[], bytes]]]:
    contents = {
        "nested deeply": b'{"learner":' + b'{"a":' * _DEEP, "no model": b'{"learner":{},"version":[2,1,0]}',
        "a count of 2^63": b"{L" + struct.pack(">q", 7) + b"learner{[#L" + struct.pack(">q", 2**63 - 1),
        "a negative length": b"{L" + struct.pack(">q", 7) + b"learnerSL" + struct.pack(">q", -1) + b"}",
        "nested deeply in UBJSON": b"{L" + struct.pack(">q", 7) + b"learner" + b"[" * _DEEP,
    }  # fmt: skip
    for what, content in contents.items():
        name = "model.ubj" if content.startswith(b"{L") else "model.json"
        yield f"xgboost: {what}", one("xgboost", name, content)


def skops() -> Iterator[tuple[str, Callable[[], bytes]]]:
    schema = Entry(b"schema.json", b'{"__class__": "dict"}')
    zeros = bytes(1 << 20)
    contents: dict[str, bytes] = {
        "a bomb that lies": zipped(schema, Entry(b"0.npy", zeros, method=8, packed=PACKED_ZEROS, size=9, local_size=9)),
        "a bomb of 100 GiB": zipped(
            schema, *(Entry(b"%d.npy" % at, zeros, method=8, packed=PACKED_ZEROS, size=1 << 31) for at in range(50))
        ),
        "a pickle in it": zipped(schema, Entry(b"0.npy", pickle.dumps([1]))),
        "an archive in it": zipped(schema, Entry(b"0.npy", zipped(schema))),
        "a path out of it": zipped(schema, Entry(b"../0.npy", b"x")),
        "a link": zipped(schema, Entry(b"0.npy", b"/etc/passwd", mode=0o120777)),
        "overlapping entries": zipped(schema, Entry(b"0.npy", b"x", at=0)),
        "two entries of a name": zipped(schema, schema),
        "encrypted": zipped(schema, Entry(b"0.npy", b"x", flags=1)),
        "cut off": zipped(schema)[:-1],
        "bytes behind it": zipped(schema) + b"x",
        "a type that is not trusted": _skops('{"__class__": "system", "__module__": "os", "__loader__": "TypeNode"}'),
    }
    for what, content in contents.items():
        yield f"skops: {what}", one("skops", "model.skops", content)
    yield "skops: a good one with a comment that hides something", _hiding


def _hiding() -> bytes:
    """Return what skops itself would read."""
    from skops.io import dumps

    good: bytes = dumps({"a": 1})
    return packed({"model.skops": good[:-2] + b"\x07\x00#!/bin/"}, kind="skops")


def _skops(schema: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as target:
        target.writestr("schema.json", schema)
    return made.getvalue()


def references() -> Iterator[tuple[str, Callable[[], bytes]]]:
    changes: dict[str, Any] = {
        "no reference": b"{}", "nested deeply": b'{"a":' * _DEEP, "a list": b"[1]", "code": b"import os",
        "a field more": b'{"format":"steward.code/1","function":"os:system","source":"x","code":"x"}',
    }  # fmt: skip
    for what, content in changes.items():
        yield f"function: {what}", one("function", "function.json", content)


def models() -> Iterator[tuple[str, Callable[[], bytes]]]:
    for kind in (linear, lightgbm, onnx, safetensors, xgboost, skops, references):
        yield from kind()
