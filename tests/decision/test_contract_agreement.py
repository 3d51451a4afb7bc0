"""Two tell the same: the quick look and the slow one, the contract and its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import jsonschema_rs
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.decision.shapes import (
    GOOD,
    KINDS,
    RICH,
    Node,
    Reading,
    Rich,
    Sparse,
)

from steward import wire
from steward.decision.contract import Contract
from steward.errors import ContractError

# -- the quick look equals the slow one ------------------------------------------------------------------------------

field_texts = {
    "region": ['"ES"', '"a\\"b"', '"\\u0041"', '"load_mw"', '":"', '"é"', "1"],
    "at": ['"2026-01-01T00:00:00Z"', '"2026-01-01 00:00:00.25+05:30"', '"2026-01-01T00:00:00"'],
    "load_mw": ["5", "5.5", '"5"', "-1", "1e400"],
    "count": ["3", "3.0", "true"],
    "valid": ["true", "false", "null"],
}
members = st.sampled_from(sorted(field_texts)).flatmap(
    lambda name: st.tuples(st.sampled_from([f'"{name}"', f'"\\u{ord(name[0]):04x}{name[1:]}"']),
                           st.sampled_from([*field_texts[name][:1] * 4, *field_texts[name]]))
)  # fmt: skip
_LEAST = [('"region"', '"ES"'), ('"at"', '"2026-01-01T00:00:00Z"')]
spaces = st.sampled_from(["", " ", "\n"])


@settings(max_examples=400)
@given(
    st.permutations([(f'"{name}"', texts[0]) for name, texts in field_texts.items()]),
    st.lists(members, max_size=2),
    spaces,
)
@example([(f'"{name}"', texts[0]) for name, texts in field_texts.items()], [('"count"', "3")], "")
def test_the_quick_path_refuses_exactly_what_the_slow_one_does(
    required: list[tuple[str, str]], more: list[tuple[str, str]], space: str
) -> None:
    data = ("{" + ",".join(f"{key}{space}:{space}{value}" for key, value in [*required, *more]) + "}").encode()

    _agree_quick_and_slow(Reading, data)
    _agree_quick_and_slow(Sparse, data)


@settings(max_examples=400)
@given(st.lists(members, max_size=5), spaces)
@example([*_LEAST, ('"count"', "3"), ('"count"', "3")], "")
@example([*_LEAST, ('"count"', "3"), ('"count"', "3"), ('"valid"', "true")], "")
@example([('"region"', '"ES"'), ('"region"', '"ES"'), ('"load_mw"', "3"), ('"count"', "4"), ('"valid"', "true")], "")
@example([('"region"', '"region"'), ('"at"', '"2026-01-01T00:00:00Z"')], "")
def test_the_quick_path_is_right_about_fields_that_may_be_missing(pairs: list[tuple[str, str]], space: str) -> None:
    data = ("{" + ",".join(f"{key}{space}:{space}{value}" for key, value in pairs) + "}").encode()
    _agree_quick_and_slow(Sparse, data)
    _agree_quick_and_slow(Reading, data)


def _agree_quick_and_slow(kind: type[Any], data: bytes) -> None:
    def slowly(data: bytes) -> Any:
        wire.check_keys_exactly(data)
        event = msgspec.json.decode(data, type=kind)
        if event.at.tzinfo is None:
            raise ValueError
        return event

    assert _outcome(Contract.of(kind).decode, data) == _outcome(slowly, data)


def _outcome(decode: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return decode(data)
    except (ContractError, ValueError):
        return "refused"


# -- JSON Schema -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*KINDS, Rich, Node])
def test_schemas_are_valid_and_complete(kind: type[Any]) -> None:
    schema = Contract.of(kind).json_schema()
    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["$id"] == f"urn:steward:contract:{Contract.of(kind).name}:1"
    if kind in KINDS:
        assert schema["properties"]["load_mw"]["unit"] == "MW"
        assert schema["additionalProperties"] is False
        assert schema["title"] == kind.__name__


TIMES = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00+01:00", "2026-02-30T00:00:00Z", "x", "",
         "2026-01-01", "2026-01-01T00:00Z", "1767225600", "2026-01-01_00:00:00Z"]  # fmt: skip
WORDS = ["ES", "1.5", "1e5", "NaN", "1_0", "north", "EUR", str(UUID(int=7)), UUID(int=7).hex]
numbers = st.integers(-5, 5) | st.floats(-5, 5).filter(lambda number: number % 1 != 0)
anything = st.none() | st.booleans() | numbers | st.sampled_from([*TIMES, *WORDS, [], {}])
positions = st.fixed_dictionaries({"lat": st.just(1), "lon": st.just(2.5)}, optional={"since": anything, "x": anything})
flat = st.fixed_dictionaries(
    {}, optional={name: st.just(good) | anything for name, good in GOOD.items()} | {"more": anything}
) | st.builds(lambda change: {**GOOD, **change}, st.dictionaries(st.sampled_from(sorted(GOOD)), anything, max_size=1))
prices = st.fixed_dictionaries({"amount": anything}, optional={"currency": anything})
rich = st.builds(
    lambda change: {**RICH, **change},
    st.fixed_dictionaries(
        {},
        optional={
            "zone": anything,
            "position": positions,
            "id": anything,
            "day": anything,
            "price": prices | anything,
            "readings": st.lists(flat, max_size=2),
            "by_name": st.dictionaries(st.sampled_from("ab"), positions | anything, max_size=2),
            "extra": st.fixed_dictionaries({"note": anything}, optional={"x": anything}),
            "span": st.tuples(anything, anything).map(list),
            "pair": st.lists(anything, max_size=3),
            "context": anything,
            "amounts": st.lists(anything, max_size=2),
        },
    ),
)


def _agree(kind: type[Any], value: Any) -> None:
    contract = Contract.of(kind)
    valid = jsonschema_rs.validator_for(contract.json_schema(), validate_formats=True).is_valid(value)
    decoded = _outcome(contract.decode, json.dumps(value).encode())
    assert valid == (decoded != "refused"), (value, decoded)


@settings(max_examples=300)
@given(flat | anything)
@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_says_what_the_contract_does(kind: type[Any], value: Any) -> None:
    _agree(kind, value)


@settings(max_examples=600)
@given(rich)
def test_the_schema_of_nested_types_says_what_the_contract_does(value: Any) -> None:
    _agree(Rich, value)
