"""The strict door: what two readers could understand differently is refused, and the place is named."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steward import wire
from steward.errors import ContractError

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_what_is_written_is_read_again(value: Any) -> None:
    data = wire.encode(value)
    assert wire.decode(data) == json.loads(data) == json.loads(json.dumps(value))


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"", "$"),
        (b"{", "$"),
        (b"{} {}", "$"),
        (b'{"a":NaN}', "$"),
        (b'{"a":-Infinity}', "$"),
        (b'{"a":1e999}', "a"),
        (b'{"a":[1,{"b":-1e999}]}', "a[1].b"),
        (b'{"a":[1' + b"0" * 5000 + b"]}", "a[0]"),
        (b'{"a":01}', "$"),
        (b"{'a':1}", "$"),
        (b'{"a":1,}', "$"),
        (b'\xef\xbb\xbf{"a":1}', "$"),
        (b'{"a":"\xff"}', "$"),
        (b'{"\xff":1}', "$"),
        (b'{"a":"\xed\xa0\x80"}', "$"),
        (b'{"a":"\\ud800"}', "$"),
        (b'{"a":"\\udc00"}', "$"),
        (b'{"a":"\\ud800\\u0041"}', "$"),
        (b'{"a":"\x01"}', "$"),
        (b'{"a":1,"a":2}', "a"),
        (b'{"a":1,"\\u0061":2}', "a"),
        (b'{"x":{"y":[{"a":1},{"a":1,"b":2,"a":1}]}}', "x.y[1].a"),
        (b'{"":1,"":2}', "$"),
        (b"[" * 33 + b"]" * 33, "$"),
        (b"[" * 100_000 + b"]" * 100_000, "$"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "$"),
    ],
)
def test_what_is_not_strict_is_refused(data: bytes, field: str) -> None:
    with pytest.raises(ContractError) as refused:
        wire.decode(data)
    assert refused.value.field == field
    assert refused.value.what


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":"\\ud83d\\ude00","b":"\\u0000"}',
        b'{"a":"a","b":"a"}',
        b'{"a":{"a":{"a":1}}}',
        b'[{"a":1},{"a":1}]',
        b'{"a":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
        b'{"a":"\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\\"}',
        b"[" * 32 + b"]" * 32,
        b"[" + b"[]," * 100 + b"[]]",
        b"1e308",
        b'"a"',
    ],
)
def test_what_only_looks_wrong_is_read(data: bytes) -> None:
    assert wire.decode(data) == msgspec.json.decode(data)


def test_a_large_text_is_refused_before_it_is_read() -> None:
    data = b" " * wire.MAX_BYTES + b"1"
    with pytest.raises(ContractError) as refused:
        wire.decode(data)
    assert refused.value.code == "contract.too-large"
    assert wire.decode(data, max_bytes=wire.MAX_BYTES + 1) == 1


names = st.sampled_from(["a", "b", "ab", "a b", ":", "a:", 'a"', "\\", "ä", "", "\n", ","])


@st.composite
def texts(draw: st.DrawFn, depth: int = 3) -> tuple[str, bool]:
    """A JSON text, often with a key twice, and whether it has one."""
    kind = draw(st.sampled_from(["object", "object", "list", "text", "number"] if depth else ["text", "number"]))
    if kind == "text":
        return _written(draw, draw(names)), False
    if kind == "number":
        return draw(st.sampled_from(["1", "-2.5e3", "true", "null"])), False
    space = st.sampled_from(["", "", " ", "\n\t"])
    items = draw(st.lists(texts(depth - 1), max_size=3))
    twice = any(has for _, has in items)
    if kind == "list":
        return "[" + ",".join(text + draw(space) for text, _ in items) + "]", twice
    keys = [draw(names) for _ in items]
    members = [
        f"{draw(space)}{_written(draw, k)}{draw(space)}:{draw(space)}{t}" for k, (t, _) in zip(keys, items, strict=True)
    ]
    return "{" + ",".join(members) + "}", twice or len(set(keys)) < len(keys)


def _written(draw: st.DrawFn, text: str) -> str:
    if draw(st.booleans()):
        return json.dumps(text, ensure_ascii=draw(st.booleans()))
    return '"' + "".join(f"\\u{ord(letter):04x}" for letter in text) + '"'


def _refused(check: Any, data: bytes) -> bool:
    try:
        check(data)
    except ContractError as error:
        return error.code == "contract.duplicate-key"
    return False


@given(texts())
@example(('{"v":"s",":x":1,":x":2}', True))
@example(('["a",":b",{"k":1,"k":2}]', True))
def test_the_quick_look_at_keys_equals_the_exact_one_and_the_truth(made: tuple[str, bool]) -> None:
    text, twice = made
    data = text.encode()
    assert _refused(wire.check_keys, data) == _refused(wire.check_keys_exactly, data) == twice


@dataclass
class Point:
    x: float
    parts: dict[str, Any]


class Meter(msgspec.Struct):
    values: list[float]


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (float("nan"), "$"),
        ({"a": [1.0, float("inf")]}, "a[1]"),
        (Point(1.0, {"y": (float("-inf"),)}), "parts.y[0]"),
        (Meter([float("nan")]), "values[0]"),
        ({"a": Decimal("NaN")}, "a"),
        ({"a": Decimal("-Infinity")}, "a"),
        ({"a": object()}, "$"),
        ({"a": "\ud800"}, "$"),
        ({(1, 2): 3}, "$"),
    ],
)
def test_what_json_cannot_say_is_not_written(value: object, field: str) -> None:
    with pytest.raises(ContractError) as refused:
        wire.encode(value)
    assert refused.value.field == field


def test_null_and_the_word_nan_are_written() -> None:
    value = {"a": None, "b": "NaN", "c": [None, 1.5], "d": Decimal("1.50"), "e": {1.0, 2.0}}
    assert msgspec.json.decode(wire.encode(value))["b"] == "NaN"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("Expected `int`, got `str` - at `$.n[1].b`", "n[1].b"),
        ("Expected `int`, got `str` - at `$.d[...].b`", "d[...].b"),
        ("Expected `int`, got `str` - at `$[0]`", "[0]"),
        ("Expected `int`, got `str` - at `key` in `$.k`", "k"),
        ("Expected `object`, got `array`", "$"),
        ("Object missing required field `b` - at `$.n[1]`", "n[1].b"),
        ("Object contains unknown field `z`", "z"),
        ("Object contains unknown field `" + "z" * 5000 + "`", "z" * 200 + "…"),
    ],
)
def test_places_are_dotted_paths(message: str, field: str) -> None:
    error = wire.refusal(message)
    assert error.field == field
    assert len(str(error)) < 1000


class Mode(Enum):
    HOLD = "hold"
    LEVEL = 1.5
    NOWHERE = math.inf


def test_a_member_of_an_enum_is_what_it_stands_for() -> None:
    wire.check_finite({"modes": [Mode.HOLD, Mode.LEVEL]})
    with pytest.raises(ContractError, match="inf") as raised:
        wire.check_finite({"modes": [Mode.HOLD, Mode.NOWHERE]})
    assert raised.value.field == "modes[1]"


@pytest.mark.parametrize("data", [b"\xe1\xe1", b'{"kind": "\xe1"}', b"[" * 100_000, b"", b"nonsense"])
def test_whatever_cannot_be_decoded_is_known_as_unreadable(data: bytes) -> None:
    with pytest.raises(wire.UNREADABLE):
        msgspec.json.decode(data)
