"""Each format is told by its bytes; what runs code when it is read is refused by its name."""

from __future__ import annotations

import bz2
import collections
import gzip
import io
import lzma
import pickle
import re
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.models.artefacts import lightgbm_text, linear_file

from steward.errors import ContractError
from steward.models.formats.sniffing import KINDS, Format, check_kind, foreign, kind_of, sniff
from steward.models.loading import ENGINES


def zipped(*names: str, compression: int = zipfile.ZIP_STORED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as archive:
        for name in names:
            member = zipfile.ZipInfo(name)  # of 1980: the bytes, and with them the tests' names, hold no time of day
            member.compress_type = compression
            archive.writestr(member, b"x" * 40)
    return made.getvalue()


def npz() -> bytes:
    made = io.BytesIO()
    np.savez(made, weights=np.zeros(3))
    return made.getvalue()


def npy() -> bytes:
    made = io.BytesIO()
    np.save(made, np.zeros(3))
    return made.getvalue()


def field(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return bytes([number << 3, content])
    return bytes([number << 3 | 2, len(content)]) + content


ONNX = field(1, 8) + field(2, b"skl2onnx") + field(7, b"graph") + field(8, b"\x10\x13")
SAFETENSORS = struct.pack("<Q", 2) + b"{}"
XGBOOST = b'{"learner":{"gradient_booster":{}},"version":[2,1,0]}'
GOOD = {
    Format.LIGHTGBM: b"tree\nversion=v4\n",
    Format.LINEAR: b'{"format":"steward.linear/1","intercept":1.0,"terms":[]}',
    Format.XGBOOST: XGBOOST,
    Format.ONNX: ONNX,
    Format.SAFETENSORS: SAFETENSORS,
    Format.SKOPS: zipped("4711.npy", "schema.json"),
    Format.JSON: b' {"classes": ["a", "b"]}',
}


@pytest.mark.parametrize("kind", Format)
def test_each_format_is_told_by_its_bytes(kind: Format) -> None:
    assert sniff("model.bin", GOOD[kind]) is kind
    assert foreign(GOOD[kind]) is None


def test_what_the_libraries_write_is_known() -> None:
    assert sniff("model.txt", lightgbm_text()) is Format.LIGHTGBM
    assert sniff("model.json", linear_file()) is Format.LINEAR


def test_a_format_is_told_however_its_json_is_laid_out() -> None:
    laid_out = b'{\n  "terms": [],\n  "intercept": 1.0,\n  "format": "steward.linear/1"\n}\n'
    assert sniff("model.json", laid_out) is Format.LINEAR
    assert sniff("model.json", b'{"version":[2,1,0],"learner":{}}') is Format.XGBOOST
    assert sniff("model.ubj", b"{L\0\0\0\0\0\0\0\x07learner{") is Format.XGBOOST
    assert sniff("notes.json", b'{"format": "steward.linear/2"}') is Format.JSON


SAVED: list[Any] = [[1, 2], {"a": 1}, collections.OrderedDict(a=1), np.float64(1.5), np.zeros(4)]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", SAVED, ids=lambda value: type(value).__name__)
def test_a_pickle_is_refused_by_its_name(protocol: int, value: Any) -> None:
    with pytest.raises(ContractError, match="a Python pickle") as caught:
        sniff("model.pkl", pickle.dumps(value, protocol))
    assert "skops" in caught.value.fix
    assert caught.value.code == "model-format"


FOREIGN: dict[str, tuple[bytes, str, str]] = {
    "joblib, compressed": (zlib.compress(pickle.dumps([1] * 99)), "zlib", "skops"),
    "joblib, gzip": (gzip.compress(b"x"), "gzip", "skops"),
    "joblib, bz2": (bz2.compress(b"x"), "bzip2", "skops"),
    "joblib, xz": (lzma.compress(b"x"), "xz", "skops"),
    "joblib, lzma": (lzma.compress(b"x", lzma.FORMAT_ALONE), "lzma", "skops"),
    "torch": (zipped("archive/data.pkl", "archive/data/0"), "PyTorch", "ONNX"),
    "a zip of pickles": (zipped("model.pkl"), "pickle", "skops"),
    "a skops file with a pickle": (zipped("model.pkl", "schema.json"), "pickle", "skops"),
    "keras 3": (zipped("metadata.json", "config.json", "model.weights.h5"), "Keras", "ONNX"),
    "keras 2": (b"\x89HDF\r\n\x1a\n" + b"\0" * 64, "HDF5", "ONNX"),
    "npz": (npz(), r"NumPy arrays \(.npz\)", "safetensors"),
    "npy": (npy(), r"\.npy", "safetensors"),
    "tar": (b"\0" * 257 + b"ustar\0" + b"00", "tar", "unpack"),
    "tflite": (b"\x1c\0\0\0TFL3", "TensorFlow Lite", "ONNX"),
    "gguf": (b"GGUF\3\0\0\0", "GGUF", "OpenAI"),
    "catboost": (b"CBM1....", "CatBoost", "onnx"),
    "catboost json": (b'{"oblivious_trees": []}', "CatBoost", "onnx"),
    "xgboost binary": (b"binf....", "XGBoost's old", r"model\.json"),
    "xgboost dump": (b"booster[0]:\n0:[f0<1]", "dump", r"model\.json"),
    "lightgbm dump": (b'{"name":"tree","tree_info":[]}', "dump", "save_model"),
    "lightgbm, copied as text": (b"tree\r\nversion=v4\r\n", "line ends", "binary"),
    "pmml": (b'<?xml version="1.0"?><PMML>', "PMML", "ONNX"),
    "mlmodel": (b"artifact_path: model\nflavors:\n", "MLmodel", "own file"),
    "python": (b"import os\nos.abort()\n", "Python source", "package"),
    "a program": (b"\x7fELF\2\1\1", "program", "own file"),
    "a script": (b"#!/bin/sh\n", "script", "own file"),
    "our own archive": (zipped("manifest.json", "files/model.txt"), "archive", "models import"),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_no_model_is_refused_by_its_name(what: str) -> None:
    content, named, instead = FOREIGN[what]
    with pytest.raises(ContractError, match=named) as caught:
        sniff("model.bin", content)
    assert re.search(instead, caught.value.fix)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"tree",
        b"hello, world",
        b"PK\3\4",
        b"PK\5\6" + b"\0" * 18,
        zipped("readme.txt"),
        b"{",
        b'{"a":',
        b'{"a":' * 100_000,
        b"[1, 2]",
        b'{"a": 1} trailing',
        ONNX[:-1],
        ONNX + b"\0",
        field(1, 8) + field(2, b"tensorflow"),
        b"\x08\x04" + b"\x3a" + b"\xff" * 9 + b"\x7f",
        b"\x08" + b"\xff" * 20,
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 3) + b"{}",
        struct.pack("<Q", 100_000_001) + b"{}",
    ],
    ids=lambda content: repr(content[:24]),
)
def test_what_nobody_knows_is_refused(content: bytes) -> None:
    with pytest.raises(ContractError, match="in no format that models may be in") as caught:
        sniff("model.bin", content)
    assert "lightgbm, xgboost, linear, onnx" in caught.value.fix


def told(content: bytes) -> str:
    try:
        return sniff("model.bin", content)
    except ContractError as error:
        return error.code


@given(st.binary(max_size=400))
def test_any_bytes_are_told_or_refused(content: bytes) -> None:
    assert told(content) in {*Format, "model-format"}


@given(st.sampled_from(sorted(GOOD)), st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_never_makes_it_fail_otherwise(kind: Format, at: int, byte: int) -> None:
    content = bytearray(GOOD[kind])
    content[at % len(content)] = byte
    assert told(bytes(content)) in {*Format, "model-format"}


def test_a_kind_takes_only_its_formats() -> None:
    check_kind("onnx", {"model.onnx": ONNX, "classes.json": b'{"classes": []}'})
    with pytest.raises(ContractError, match="is a file of kind 'linear', and the model is registered as 'lightgbm'"):
        check_kind("lightgbm", {"model.txt": GOOD[Format.LINEAR]})
    with pytest.raises(ContractError, match="pickle"):
        check_kind("lightgbm", {"model.txt": GOOD[Format.LIGHTGBM], "more.pkl": pickle.dumps(1)})
    check_kind("rules", {"rules.json": b"{}"})
    with pytest.raises(ContractError, match="registered as 'rules'"):
        check_kind("rules", {"rules.json": GOOD[Format.LINEAR]})


def test_the_kind_of_files_is_told_by_what_is_in_them() -> None:
    assert kind_of({"a": ONNX, "b": b"{}"}) == "onnx"
    for files in ({"a": b"{}"}, {"a": ONNX, "b": GOOD[Format.LIGHTGBM]}):
        with pytest.raises(ContractError, match="kind"):
            kind_of(files)


def test_every_kind_with_a_file_that_an_engine_answers_for_is_listed() -> None:
    assert set(KINDS) <= {str(each) for each in Format}
    assert {"lightgbm", "linear"} <= set(KINDS) & set(ENGINES)
