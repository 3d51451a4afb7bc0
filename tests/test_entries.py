"""Every kind of entry comes back as it was written, and nothing else is taken for one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steward import entries
from steward.entries import Body, decode_body
from steward.records import Money, Receipt

KINDS: dict[str, type[Any]] = {str(kind.__struct_config__.tag): kind for kind in get_args(Body)}
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
TIMES = st.datetimes(datetime.fromisoformat("1970-01-01"), timezones=st.just(UTC))

FEW = settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])

st.register_type_strategy(object, PLAIN)
st.register_type_strategy(str, st.text(max_size=6))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(int, st.integers(-(2**53), 2**53))
st.register_type_strategy(datetime, TIMES)
st.register_type_strategy(
    Receipt,
    st.builds(Receipt, reference=st.text(max_size=4), detail=st.dictionaries(st.text(max_size=4), st.text(max_size=4))),
)
st.register_type_strategy(Money, st.integers(-(10**9), 10**9).map(lambda cents: Money.of_minor(cents, "EUR")))
st.register_type_strategy(Decimal, st.integers(0, 10**6).map(lambda n: Decimal(n) / 100))
st.register_type_strategy(msgspec.UnsetType, st.just(msgspec.UNSET))


@pytest.mark.parametrize("kind", sorted(KINDS))
@FEW
@given(data=st.data())
def test_a_kind_comes_back_as_it_was_written(kind: str, data: st.DataObject) -> None:
    body = data.draw(st.builds(KINDS[kind]))
    encoded = msgspec.json.encode(body)
    assert encoded.startswith(b'{"kind":"%b",' % kind.encode())
    assert decode_body(encoded) == body


@pytest.mark.parametrize("kind", sorted(KINDS))
@FEW
@given(data=st.data())
def test_an_unknown_field_is_refused(kind: str, data: st.DataObject) -> None:
    encoded = msgspec.json.encode(data.draw(st.builds(KINDS[kind])))
    with pytest.raises(msgspec.ValidationError, match="unknown field `extra`"):
        decode_body(encoded[:-1] + b',"extra":1}')


@pytest.mark.parametrize("body", [b"{}", b'{"kind":"guessed"}', b"[]", b'{"kind":"stopped","kind":"resumed"}', b""])
def test_what_is_no_entry_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_body(body)


def test_every_kind_can_be_imported_and_belongs_to_a_decision() -> None:
    exported = {name for name in entries.__all__ if isinstance(getattr(entries, name), type)}
    assert {kind.__name__ for kind in KINDS.values()} - exported == {"Record"}
    assert all({"decision_id", "decision"} <= set(kind.__struct_fields__) for kind in KINDS.values())
