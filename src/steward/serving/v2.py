"""The wire of the Open Inference Protocol, version 2 (REST): named tensors, as JSON or in the binary extension.

Spoken both ways: by the engine that asks other servers, and by our own routes. JSON has no NaN, so a tensor that holds
one goes in the binary extension or not at all: https://github.com/kserve/open-inference-protocol.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from steward.errors import ContractError

HEADER_LENGTH: Final = "inference-header-content-length"
"""The header that says where the JSON ends and the raw tensors begin."""
BINARY: Final = "binary_tensor_data"
"""The name of the extension, as servers list it."""
DTYPES: Final[Mapping[str, Any]] = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64,
    "INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64,
    "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
}  # fmt: skip
_SIZE = "binary_data_size"
_MOST_VALUES: Final = 2**28


class Tensor(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tensor on the wire; ``data`` is flat or nested, and absent where its bytes follow the JSON.

    Example:
        >>> Tensor(name="predict", shape=(1, 2), datatype="FP64", data=msgspec.Raw(b"[1.0, 2.0]")).shape
        (1, 2)
    """

    name: str
    shape: tuple[int, ...]
    datatype: str
    parameters: Mapping[str, Any] = {}
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class WantedOutput(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An output that is asked for."""

    name: str
    parameters: Mapping[str, Any] = {}


class InferenceRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is sent to ``/infer``."""

    inputs: tuple[Tensor, ...]
    id: str = ""
    parameters: Mapping[str, Any] = {}
    outputs: tuple[WantedOutput, ...] = ()


class InferenceResponse(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What ``/infer`` answers."""

    model_name: str
    outputs: tuple[Tensor, ...]
    model_version: str | None = None
    id: str | None = None
    parameters: Mapping[str, Any] | None = None


class TensorFacts(Struct, frozen=True, kw_only=True):
    """What a model's metadata says of an input or output; -1 stands for any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class ModelFacts(Struct, frozen=True, kw_only=True):
    """A model's metadata."""

    name: str
    platform: str = ""
    versions: tuple[str, ...] | None = None
    inputs: tuple[TensorFacts, ...] | None = None
    outputs: tuple[TensorFacts, ...] | None = None


class ServerFacts(Struct, frozen=True, kw_only=True):
    """A server's metadata."""

    name: str
    version: str = ""
    extensions: tuple[str, ...] = ()


class InferenceFailure(Struct, frozen=True):
    """What a server answers in the place of an inference."""

    error: str


def tensor(name: str, values: Any, datatype: str, *, binary: bool) -> tuple[Tensor, bytes]:
    """Return an array as a tensor, and the bytes that follow the JSON.

    Raises:
        ContractError: It holds what JSON cannot say.

    Example:
        >>> made, raw = tensor("predict", np.array([[1.5, 2.0]]), "FP64", binary=False)
        >>> msgspec.json.encode(made), raw
        (b'{"name":"predict","shape":[1,2],"datatype":"FP64","data":[1.5,2.0]}', b'')
    """
    array = np.ascontiguousarray(values, DTYPES[datatype])
    if binary:
        raw = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        return Tensor(name=name, shape=array.shape, datatype=datatype, parameters={_SIZE: len(raw)}), raw
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ContractError(
            f"the tensor {name!r} holds NaN or an infinity, which JSON cannot say",
            fix="use the binary extension, or fill what is missing",
            code="nan-not-sendable",
        )
    data = msgspec.Raw(msgspec.json.encode(array.ravel().tolist()))
    return Tensor(name=name, shape=array.shape, datatype=datatype, data=data), b""


def packed(head: InferenceRequest | InferenceResponse, blobs: Sequence[bytes]) -> tuple[bytes, list[tuple[str, str]]]:
    """Return a body and its headers."""
    body = msgspec.json.encode(head)
    if not any(blobs):
        return body, [("content-type", "application/json")]
    headers = [("content-type", "application/octet-stream"), (HEADER_LENGTH, str(len(body)))]
    return b"".join((body, *blobs)), headers


def split(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    """Return the JSON and what follows it.

    Raises:
        ContractError: The header is no length within the body.
    """
    if header_length is None:
        return body, b""
    if not (header_length.isascii() and header_length.isdigit() and int(header_length) <= len(body)):
        raise ContractError(f"{header_length!r} is no length within the body", field=HEADER_LENGTH)
    return body[: int(header_length)], body[int(header_length) :]


def arrays(tensors: Sequence[Tensor], rest: bytes) -> dict[str, Any]:
    """Return tensors as arrays, by name.

    Raises:
        ContractError: One is not what its shape and datatype say, or two have one name.
    """
    found: dict[str, Any] = {}
    for each in tensors:
        if each.name in found:
            raise ContractError(f"two tensors are named {each.name!r}", field="name")
        found[each.name], rest = _array(each, rest)
    if rest:
        raise ContractError(f"{len(rest)} bytes belong to no tensor", field=HEADER_LENGTH)
    return found


def _array(each: Tensor, rest: bytes) -> tuple[Any, bytes]:
    dtype = DTYPES.get(each.datatype)
    if dtype is None:
        known = ", ".join(DTYPES)
        raise ContractError(f"the datatype {each.datatype!r} is not taken", fix=f"use {known}", field="datatype")
    count = math.prod(each.shape)
    if min(each.shape, default=0) < 0 or count > _MOST_VALUES:
        raise ContractError(f"{list(each.shape)} is no shape of {each.name!r}", field="shape")
    size = each.parameters.get(_SIZE)
    if size is not None:
        wanted = count * np.dtype(dtype).itemsize
        if size != wanted or len(rest) < wanted:
            raise ContractError(f"{each.name!r} needs {wanted} bytes, {min(len(rest), wanted)} are there", field=_SIZE)
        array = np.frombuffer(rest[:wanted], np.dtype(dtype).newbyteorder("<"))
        return array.reshape(each.shape), rest[wanted:]
    return _from_json(each, dtype, count), rest


def _from_json(each: Tensor, dtype: Any, count: int) -> Any:
    if each.data is msgspec.UNSET:
        raise ContractError(f"{each.name!r} has no data", field="data")
    try:
        # Not as numbers right away: numpy would take null for NaN, and true for 1.
        array = np.array(msgspec.json.decode(each.data))
        kinds = "fiu" if each.datatype.startswith("FP") else "b" if each.datatype == "BOOL" else "iu"
        if count and array.dtype.kind not in kinds:
            raise ContractError(f"{each.name!r} holds what is no {each.datatype}", field="data")
        flat = array.astype(dtype).ravel()
    except (msgspec.DecodeError, ValueError, TypeError, OverflowError) as error:
        raise ContractError(f"the data of {each.name!r} cannot be read", why=str(error), field="data") from error
    if flat.size != count:
        raise ContractError(f"{each.name!r} holds {flat.size} values, not the {count} of its shape", field="data")
    return flat.reshape(each.shape)
