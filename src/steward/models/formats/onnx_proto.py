"""Reads ONNX's protobuf strictly, before the C++ runtime gets to see it.

The runtime follows a model's wish to read other files (external data), runs operators of other domains, draws random
numbers and loops without end. A model that may do so is refused; the runtime is given only what was read whole here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_BYTES = 256 << 20
MAX_DEPTH = 8
"""How deep graphs may lie within graphs."""

DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}
REFUSED = {
    "Loop": "may never end", "Scan": "may never end",
    "RandomNormal": "draws random numbers", "RandomNormalLike": "draws random numbers",
    "RandomUniform": "draws random numbers", "RandomUniformLike": "draws random numbers",
    "Multinomial": "draws random numbers", "Bernoulli": "draws random numbers",
    "ZipMap": "answers with dictionaries (convert with options={'zipmap': False})",
}  # fmt: skip

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NUMBERS = re.compile(rb"(?:\x40[\x80-\xff]{0,9}[\x00-\x7f])+|(?:\x3d.{4})+", re.DOTALL)
"""A run of an attribute's whole numbers or floats, which trees have by the ten thousand."""

_MODEL = {1, 2, 3, 4, 5, 6, 7, 8, 14}
_GRAPH = {1, 2, 5, 10, 11, 12, 13, 14, 16}
_NODE = {1, 2, 3, 4, 5, 6, 7, 9}
_ATTRIBUTE = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 20}
_TENSOR = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16}
_TYPES = {1: "float32", 7: "int64", 11: "float64"}


class Unsupported(ValueError):
    """The file is an ONNX model that is not served.

    Example:
        >>> Unsupported("the operator Loop").args
        ('the operator Loop',)
    """


@dataclass(frozen=True)
class Port:
    """An input or output of a model: its name, its type, and its shape (``None`` where it may vary).

    Example:
        >>> Port("X", "float32", (None, 4)).shape[1]
        4
    """

    name: str
    type: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Proven:
    """What a checked model takes and gives, the operators it is made of, and what it says has written it.

    Example:
        >>> Proven((Port("X", "float32", (None, 4)),), (), ("Gemm",)).operators
        ('Gemm',)
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: tuple[str, ...]
    producer: str = ""


def check(content: bytes) -> Proven:
    """Prove that a file is an ONNX model that stands by itself and only computes.

    Raises:
        ValueError: It is not an ONNX model; the message says where.
        Unsupported: It is, with external data, custom operators, or one that is not served.
    """
    if len(content) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
    graph: memoryview | None = None
    producer = ""
    for number, value in _fields(memoryview(content)):
        _known(number, _MODEL, "the model")
        if number == 7:
            if graph is not None:
                raise ValueError("it has two graphs")
            graph = _bytes(value)
        elif number == 2:
            producer = _text(value)
        elif number == 8:
            _check_domain(_texts(_bytes(value)).get(1, ""))
    if graph is None:
        raise ValueError("it has no graph")
    operators: list[str] = []
    inputs, outputs = _check_graph(graph, operators, 0)
    return Proven(tuple(inputs), tuple(outputs), tuple(sorted(set(operators))), producer)


def _check_graph(content: memoryview, operators: list[str], depth: int) -> tuple[list[Port], list[Port]]:
    if depth > MAX_DEPTH:
        raise ValueError("its graphs lie too deep within each other")
    inputs: list[Port] = []
    outputs: list[Port] = []
    given: set[str] = set()
    for number, value in _fields(content):
        _known(number, _GRAPH, "a graph")
        if number == 1:
            _check_node(_bytes(value), operators, depth)
        elif number == 5:
            given.add(_check_tensor(_bytes(value)))
        elif number in {11, 12}:
            (inputs if number == 11 else outputs).append(_port(_bytes(value)))
    return [port for port in inputs if port.name not in given], outputs


def _check_node(content: memoryview, operators: list[str], depth: int) -> None:
    name = domain = ""
    for number, value in _fields(content):
        _known(number, _NODE, "a node")
        if number == 4:
            name = _text(value)
        elif number == 7:
            domain = _text(value)
        elif number == 5:
            _check_attribute(_bytes(value), operators, depth)
    _check_domain(domain)
    if name in REFUSED:
        raise Unsupported(f"its operator {name} {REFUSED[name]}")
    operators.append(name)


def _check_attribute(content: memoryview, operators: list[str], depth: int) -> None:
    for number, value in _fields(content, _NUMBERS):
        _known(number, _ATTRIBUTE, "an attribute")
        if number in {5, 10}:
            _check_tensor(_bytes(value))
        elif number in {6, 11}:
            _check_graph(_bytes(value), operators, depth + 1)


def _check_tensor(content: memoryview) -> str:
    name = ""
    for number, value in _fields(content):
        if number == 13 or (number == 14 and value != 0):
            raise Unsupported("it keeps weights in other files (external data)")
        _known(number, _TENSOR, "a tensor")
        if number == 8:
            name = _text(value)
    return name


def _port(content: memoryview) -> Port:
    """Read a ``ValueInfoProto``; what is no tensor has no shape."""
    name, kind = "", "other"
    shape: tuple[int | None, ...] = ()
    for number, value in _fields(content):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for which, inner in _fields(_bytes(value)):
                if which == 1:
                    kind, shape = _tensor_type(_bytes(inner))
    return Port(name, kind, shape)


def _tensor_type(content: memoryview) -> tuple[str, tuple[int | None, ...]]:
    kind = "other"
    shape: list[int | None] = []
    for number, value in _fields(content):
        if number == 1:
            kind = _TYPES.get(value, "other") if isinstance(value, int) else "other"
        elif number == 2:
            for which, dimension in _fields(_bytes(value)):
                if which == 1:
                    sizes = [size for at, size in _fields(_bytes(dimension)) if at == 1 and isinstance(size, int)]
                    shape.append(sizes[-1] if sizes and 0 < sizes[-1] < 1 << 31 else None)
    return kind, tuple(shape)


def _check_domain(domain: str) -> None:
    if domain not in DOMAINS:
        raise Unsupported(f"it uses operators of the domain {domain[:60]!r}, and only ONNX's own are run")


def _known(number: int, known: set[int], where: str) -> None:
    if number not in known:
        raise Unsupported(f"{where} has a field ({number}) that is not read, as functions, training or sparse tensors")


def _texts(content: memoryview) -> dict[int, str]:
    return {number: _text(value) for number, value in _fields(content) if not isinstance(value, int)}


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number stands where a message must be")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_bytes(value)).decode()


def _fields(content: memoryview, skipped: re.Pattern[bytes] | None = None) -> Iterator[tuple[int, int | memoryview]]:
    """Yield each field's number and value; fixed-width values as their raw bytes."""
    at, end = 0, len(content)
    while at < end:
        if skipped is not None and (run := skipped.match(content, at)):
            at = run.end()
            continue
        tag, at = _varint(content, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(content, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(content, at)
        elif kind in {_FIXED32, _FIXED64}:
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError("it is not protobuf")
        if number == 0 or at + size > end:
            raise ValueError("it is cut off, or not protobuf")
        yield number, content[at : at + size]
        at += size


def _varint(content: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(content) and shift < 70:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("it is cut off, or not protobuf")
