"""The strict door for JSON from outside: what every untrusted byte passes before it means anything.

JSON as RFC 8259 allows it leaves holes that two readers fill differently. Here they are refused: duplicate keys, NaN
and infinities, numbers beyond a float (``1e999``), half surrogate pairs, bytes that are not UTF-8, texts that are too
large or nested too deep. Everything refused is a ``ContractError`` whose ``field`` is the dotted path of the place
(``$`` for the whole text).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, Final

import msgspec

from steward.errors import ContractError

MAX_BYTES = 1024 * 1024
"""The largest text that is read unless the caller says otherwise: 1 MiB."""
MAX_DEPTH = 32
"""How deep arrays and objects may be nested."""

_SHOWN_LETTERS = 200
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_PLACE = re.compile(r"(?P<what>.*) - at (?:`key` in )?`\$(?P<place>.*)`", re.DOTALL)
_NAMED = re.compile(r"Object (?:contains unknown|missing required) field `(?P<name>.*)`", re.DOTALL)


def decode(data: bytes, *, max_bytes: int = MAX_BYTES) -> Any:
    """Return the plain value of a JSON text.

    Args:
        data: The text, UTF-8, without a byte order mark.
        max_bytes: The largest text that is read.

    Raises:
        ContractError: The text is not strict JSON; ``error.field`` names the place.

    Example:
        >>> decode(b'{"load_mw": 27114.5}')
        {'load_mw': 27114.5}
        >>> decode(b'{"meter": {"load_mw": 1, "load_mw": 2}}')
        Traceback (most recent call last):
        ...
        steward.errors.ContractError: the key 'meter.load_mw' comes twice. Why: readers differ in which one counts...
    """
    check_bounds(data, max_bytes=max_bytes)
    try:
        value = read(_PLAIN, data)
    except ContractError as error:
        if "out of range" in error.why:
            check_finite(json.loads(data, parse_int=float))  # says which number
        raise
    check_keys(data)
    return value


def encode(value: object) -> bytes:
    """Return the JSON text of a plain value: what :func:`decode` reads, and never ``null`` for a number.

    Raises:
        ContractError: The value holds NaN, an infinity, or something that JSON cannot say.

    Example:
        >>> encode({"load_mw": 27114.5})
        b'{"load_mw":27114.5}'
    """
    try:
        data = msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ContractError("the value cannot be written as JSON", why=str(error), field="$") from error
    if b"null" in data or b"NaN" in data or b"Infinity" in data:  # what msgspec makes of NaN and the infinities
        check_finite(value)
    return data


def check_bounds(data: bytes, *, max_bytes: int = MAX_BYTES) -> None:
    """Refuse a text that is too large or nested too deep, before anything reads it."""
    if len(data) > max_bytes:
        raise ContractError(
            f"the text has {len(data)} bytes",
            why=f"at most {max_bytes} are read",
            fix="send less at once",
            field="$",
            code="contract.too-large",
        )
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _depth(data) > MAX_DEPTH:
        raise ContractError(
            "the text is nested too deep",
            why=f"at most {MAX_DEPTH} arrays and objects may lie in each other",
            fix="send a flatter shape",
            field="$",
            code="contract.too-deep",
        )


def check_keys(data: bytes) -> None:
    """Refuse duplicate keys in a text that is known to be JSON.

    Strings that all differ cannot hold a key twice, and comparing them costs a microsecond; only a text with escapes
    or with two equal strings is parsed again.
    """
    if b"\\" not in data:
        strings = data.split(b'"')[1::2]  # without escapes, every second piece is a string
        if len(set(strings)) == len(strings):
            return
    check_keys_exactly(data)


def check_keys_exactly(data: bytes) -> None:
    """As :func:`check_keys`, always by parsing the text."""
    text = data.decode()
    try:
        _parse_unique(text)
    except ContractError:
        place = _short(_first_duplicate(_parse_members(text), "") or "$")
        raise ContractError(
            f"the key {place!r} comes twice",
            why="readers differ in which one counts",
            fix="send it once",
            field=place,
            code="contract.duplicate-key",
        ) from None


def check_finite(value: object, path: str = "") -> None:
    """Refuse NaN and the infinities anywhere in a value, also inside structs and dataclasses."""
    if isinstance(value, Enum):
        value = value.value  # which is what is written; a member itself leads back to its class
    if isinstance(value, float | Decimal):
        if not (math.isfinite(value) if isinstance(value, float) else value.is_finite()):
            raise ContractError(
                f"{path or 'the value'} is {value}",
                why="JSON numbers are finite, up to 1.8e308",
                fix="leave it out",
                field=path or "$",
            )
        return
    if isinstance(value, str | bytes | int) or value is None:
        return
    for name, item in parts(value):
        check_finite(item, joined(path, name))


UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are not what they should be: not only msgspec's own errors."""


def read(decoder: Callable[[bytes], Any], data: bytes) -> Any:
    """Call a msgspec decoder and turn whatever it raises into a ``ContractError``."""
    try:
        return decoder(data)
    except msgspec.ValidationError as error:
        raise refusal(str(error)) from error
    except UnicodeDecodeError as error:
        raise ContractError(
            "a string is not UTF-8", why=str(error), fix="encode the text as UTF-8", field="$"
        ) from error
    except msgspec.DecodeError as error:
        why = str(error)
        if b"\\u" in data and "truncated" in why:
            why += ", or a string ends within a surrogate pair"
        raise ContractError(
            "the text is not JSON", why=why, fix="send one JSON value, without NaN or Infinity", field="$"
        ) from error
    except RecursionError as error:  # only reached through types that contain themselves
        raise ContractError("the text is nested too deep", field="$", code="contract.too-deep") from error


def refusal(message: str) -> ContractError:
    """Return the ``ContractError`` for one of msgspec's messages, with the place as a dotted path.

    Example:
        >>> refusal("Expected `float`, got `str` - at `$.meter.load_mw`").field
        'meter.load_mw'
        >>> refusal("Object contains unknown field `lod_mw`").field
        'lod_mw'
    """
    found = _PLACE.fullmatch(message)
    what, place = (found["what"], found["place"].lstrip(".")) if found else (message, "")
    named = _NAMED.fullmatch(what)
    if named:
        place = joined(place, named["name"])
        if "unknown" in what:
            return unknown_field(place)
        return ContractError(f"{_short(place)} is missing", why="the contract requires it", fix="send it", field=place)
    place = _short(place) or "$"
    return ContractError(
        f"{'the whole text' if place == '$' else place} does not fit",
        why=_short(what[:1].lower() + what[1:]),
        fix="send what the contract's schema asks for",
        field=place,
    )


def unknown_field(place: str) -> ContractError:
    """Return the error for a field that the contract does not have."""
    return ContractError(
        f"{_short(place)} is not a field of the contract",
        why="fields that nobody reads are refused, as they are most often misspelt",
        fix="leave it out or correct its name",
        field=_short(place),
    )


def joined(path: str, name: str | int) -> str:
    """Return the path one step further: ``meters`` and ``0`` make ``meters[0]``.

    Example:
        >>> joined(joined("meters", 0), "load_mw")
        'meters[0].load_mw'
    """
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


_PLAIN = msgspec.json.Decoder().decode


class _Members(list[tuple[str, Any]]):
    """The members of one JSON object, in order, none dropped."""


def _unique(members: list[tuple[str, Any]]) -> None:
    if len(dict(members)) != len(members):
        raise ContractError("a key comes twice")


# Numbers were checked by the first reader; float() takes every one of them, int() not those of 4,300 digits.
_parse_unique = json.JSONDecoder(object_pairs_hook=_unique, parse_int=float).decode
_parse_members = json.JSONDecoder(object_pairs_hook=_Members, parse_int=float).decode


def _first_duplicate(value: Any, path: str) -> str | None:
    """Return the path of the first key that its object has twice, depth first."""
    if isinstance(value, _Members):
        seen: set[str] = set()
        for name, item in value:
            place = joined(path, name)
            if name in seen:
                return place
            seen.add(name)
            if (found := _first_duplicate(item, place)) is not None:
                return found
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if (found := _first_duplicate(item, joined(path, index))) is not None:
                return found
    return None


def _depth(data: bytes) -> int:
    depth = deepest = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", data)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def parts(value: object) -> Iterable[tuple[str | int, object]]:
    """Return what a value is made of, with the name or place of each part."""
    if isinstance(value, Mapping):
        return [(str(name), item) for name, item in value.items()]
    if isinstance(value, msgspec.Struct):
        return [(name, getattr(value, name)) for name in value.__struct_fields__]
    if isinstance(value, Sequence | Set):
        return enumerate(value)
    if is_dataclass(value):
        return [(item.name, getattr(value, item.name)) for item in fields(value)]
    return list(getattr(value, "__dict__", {}).items())


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_LETTERS else text[:_SHOWN_LETTERS] + "…"
