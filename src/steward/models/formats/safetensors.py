"""Reads safetensors strictly: numbers in a flat file, with nothing beside them, between them or twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

MAX_HEADER_BYTES = 16 << 20
_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def decode(content: bytes) -> dict[str, Any]:
    """Return the arrays of a file by name; they cannot be written to.

    Raises:
        ValueError: It is not what the format allows, or has a type that NumPy does not know.

    Example:
        >>> header = b'{"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}'
        >>> decode(len(header).to_bytes(8, "little") + header + np.array([1.5]).tobytes())["w"].tolist()
        [1.5]
    """
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= size <= min(MAX_HEADER_BYTES, len(content) - 8) or content[8:9] != b"{":
        raise ValueError("it has no header of safetensors")
    try:
        header = json.loads(content[8 : 8 + size].decode(), object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("its header lies too deep within itself") from error
    about = header.pop("__metadata__", {})
    if not isinstance(about, dict) or not all(isinstance(value, str) for value in about.values()):
        raise ValueError("its metadata is not text by name")
    data = memoryview(content)[8 + size :].toreadonly()
    arrays = {}
    at = 0
    for name, told in sorted(header.items(), key=_begin):
        arrays[name] = array = _array(name, told, data, at)
        at += array.nbytes
    if at != len(data):
        raise ValueError("its tensors do not fill it")
    return {name: arrays[name] for name in header}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header has a name twice")
    return found


def _begin(item: tuple[str, Any]) -> tuple[int, int]:
    told = item[1]
    bounds = (
        told.get("data_offsets") if isinstance(told, dict) and set(told) == {"dtype", "shape", "data_offsets"} else 0
    )
    if not isinstance(bounds, list) or len(bounds) != 2 or not all(type(bound) is int for bound in bounds):
        raise ValueError(f"its tensor {item[0][:60]!r} is not described as the format wants it")
    return bounds[0], bounds[1]


def _array(name: str, told: Mapping[str, Any], data: memoryview, at: int) -> Any:
    kind, shape, (begin, end) = told["dtype"], told["shape"], told["data_offsets"]
    if kind not in _TYPES or not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 1 << 40 for n in shape):
        raise ValueError(f"its tensor {name[:60]!r} has an unknown type or shape")
    size = np.dtype(_TYPES[kind]).itemsize
    for length in shape:
        size *= length
    if begin != at or end - begin != size or end > len(data):
        raise ValueError(f"its tensor {name[:60]!r} does not lie where it must")
    array = np.frombuffer(data[begin:end], dtype=_TYPES[kind])
    if kind.startswith("F") and not np.isfinite(array).all():
        raise ValueError(f"its tensor {name[:60]!r} has a number that is not finite")
    if kind == "BOOL" and (np.frombuffer(data[begin:end], np.uint8) > 1).any():
        raise ValueError(f"its tensor {name[:60]!r} has a truth that is neither 0 nor 1")
    return array.reshape(shape)


def encode(arrays: Mapping[str, Any]) -> bytes:
    """Return the bytes of a file with these arrays.

    Raises:
        ValueError: An array has a type that the format does not know here.

    Example:
        >>> decode(encode({"w": np.array([[1.5, 2.5]])}))["w"].tolist()
        [[1.5, 2.5]]
    """
    known = {np.dtype(kind): name for name, kind in _TYPES.items()}
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    at = 0
    for name, given in sorted(arrays.items()):
        array = np.ascontiguousarray(given)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if array.dtype not in known:
            raise ValueError(f"the tensor {name!r} is of {array.dtype}, and only numbers and truths can be written")
        parts.append(array.tobytes())
        bounds = [at, at + len(parts[-1])]
        header[name] = {"dtype": known[array.dtype], "shape": list(np.shape(given)), "data_offsets": bounds}
        at += len(parts[-1])
    told = json.dumps(header, separators=(",", ":")).encode()
    told += b" " * (-len(told) % 8)
    return len(told).to_bytes(8, "little") + told + b"".join(parts)
