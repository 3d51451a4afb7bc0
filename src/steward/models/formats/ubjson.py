"""Reads Universal Binary JSON, as XGBoost writes it, strictly: known types, bounded sizes, no key twice."""

from __future__ import annotations

import struct
from typing import Any

MAX_DEPTH = 32
_NUMBERS = {"i": "b", "U": "B", "I": "h", "l": "i", "L": "q", "d": "f", "D": "d"}
_CONSTANTS = {"Z": None, "T": True, "F": False}


def decode(content: bytes) -> Any:
    """Return the object, arrays and numbers in ``content``.

    Raises:
        ValueError: It is not UBJSON of the kind that is read here.

    Example:
        >>> decode(b"{" + b"L" + (1).to_bytes(8, "big") + b"a" + b"[$i#U" + bytes([2, 5, 7]) + b"}")
        {'a': [5, 7]}
    """
    reader = _Reader(content)
    value = reader.value(reader.take(1), 0)
    if reader.at != len(content):
        raise ValueError("there is more after its end")
    return value


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def take(self, size: int) -> str:
        return self._raw(size).decode("latin-1")

    def _raw(self, size: int) -> bytes:
        start, self.at = self.at, self.at + size
        if size < 0 or self.at > len(self.content):
            raise ValueError("it is cut off")
        return self.content[start : self.at]

    def value(self, kind: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ValueError("it lies too deep within itself")
        if kind in _NUMBERS:
            return self._many(kind, 1)[0]
        if kind in _CONSTANTS:
            return _CONSTANTS[kind]
        if kind == "S":
            return self._text()
        if kind == "[":
            return self._array(depth)
        if kind == "{":
            return self._object(depth)
        raise ValueError(f"it has a value of the unknown type {kind!r}")

    def _many(self, kind: str, count: int) -> tuple[Any, ...]:
        form = f">{count}{_NUMBERS[kind]}"
        return struct.unpack(form, self._raw(count * struct.calcsize(_NUMBERS[kind])))

    def _length(self) -> int:
        kind = self.take(1)
        if kind not in _NUMBERS or kind in {"d", "D"}:
            raise ValueError("it has a length that is no whole number")
        length: int = self._many(kind, 1)[0]
        if not 0 <= length <= len(self.content):
            raise ValueError("it has a length that is longer than itself")
        return length

    def _text(self) -> str:
        return self._raw(self._length()).decode()

    def _array(self, depth: int) -> list[Any]:
        kind = self.take(1)
        if kind == "$":
            element = self.take(1)
            if self.take(1) != "#" or element not in _NUMBERS:
                raise ValueError("it has an array of an unknown form")
            return list(self._many(element, self._length()))
        if kind == "#":
            return [self.value(self.take(1), depth + 1) for _ in range(self._length())]
        found = []
        while kind != "]":
            found.append(self.value(kind, depth + 1))
            kind = self.take(1)
        return found

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while (self.content[self.at : self.at + 1]) != b"}":
            key = self._text()
            if key in found:
                raise ValueError(f"it has the key {key[:60]!r} twice")
            found[key] = self.value(self.take(1), depth + 1)
        self.at += 1
        return found
