"""Contracts refuse what does not fit, name the place, and read old versions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.decision.shapes import (
    GOOD,
    KINDS,
    RICH,
    Down,
    Model,
    Moments,
    Move,
    Node,
    Price,
    Reading,
    Rich,
    Span,
    Up,
    text,
)

from steward.decision.contract import Contract
from steward.errors import ContractError


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_schema_reads_and_writes_the_same(kind: type[Any]) -> None:
    contract = Contract.of(kind)
    event = contract.decode(text(at="2026-01-01T02:00:00.5+02:00", load_mw=5))
    assert (event.region, event.load_mw, event.count, event.valid) == ("ES", 5.0, 3, True)
    assert type(event.load_mw) is float
    assert event.at == datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert event.at.tzinfo is UTC
    assert contract.decode(contract.encode(event)) == event == contract.convert(json.loads(contract.encode(event)))
    assert contract.fields == ("region", "at", "load_mw", "count", "valid")


REFUSED: list[tuple[bytes, str]] = [
    (b"", "$"),
    (b"[]", "$"),
    (b"null", "$"),
    (text()[:-1], "$"),
    (text() + b"{}", "$"),
    (text(lod_mw=1), "lod_mw"),
    (text(load_mw="5"), "load_mw"),
    (text(load_mw=None), "load_mw"),
    (text(load_mw=True), "load_mw"),
    (text(load_mw=-0.001), "load_mw"),
    (text(load_mw=100_000.001), "load_mw"),
    (text(load_mw=float("nan")), "$"),
    (text(load_mw=float("inf")), "$"),
    (text().replace(b"27114.5", b"1e999"), "load_mw"),
    (text(count=3.0), "count"),
    (text(count="3"), "count"),
    (text(count=True), "count"),
    (text(valid=1), "valid"),
    (text(region=1), "region"),
    (text(at="2026-01-01T00:00:00"), "at"),
    (text(at="2026-01-01"), "at"),
    (text(at="2026-02-30T00:00:00Z"), "at"),
    (text(at=1767225600), "at"),
    (text(at="1767225600"), "at"),
    (text(at="2026-01-01T00:00Z"), "at"),
    (text(at="0001-01-01T00:00:00+01:00"), "at"),
    (b'{"region":"PT",' + text()[1:], "region"),
    (text()[:-1] + b',"count":3}', "count"),
    (text()[:-1] + b',"\\u0063ount":3}', "count"),
    (text(region="ES").replace(b"ES", b"\xff"), "$"),
    (text(region="\ud800"), "$"),
    (json.dumps({name: GOOD[name] for name in GOOD if name != "at"}).encode(), "at"),
    (text(region="x" * 1024 * 1024), "$"),
    (text(region=[[]]), "region"),
    (text().replace(b'"ES"', b"[" * 50_000 + b"]" * 50_000), "$"),
]


@pytest.mark.parametrize(("data", "field"), REFUSED)
@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_fit_is_refused_and_its_place_named(kind: type[Any], data: bytes, field: str) -> None:
    contract = Contract.of(kind)
    with pytest.raises(ContractError) as refused:
        contract.decode(data)
    if kind is not Model and field == "$" and data.count(b"[") > 100:
        field = "region"  # flat schemas find the wrong type before anybody looks at the depth
    assert refused.value.field == field
    assert refused.value.what.startswith(contract.name + ": ")


def test_the_limit_of_size_is_a_parameter() -> None:
    contract = Contract.of(Reading)
    assert contract.decode(text(), max_bytes=len(text())).count == 3
    with pytest.raises(ContractError, match="bytes"):
        contract.decode(text(), max_bytes=len(text()) - 1)
    assert len(contract.decode(text(region="x" * 1024 * 1024), max_bytes=2**21).region) == 1024 * 1024


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"position": {"lat": 1, "lon": 2, "alt": 3}}, "position.alt"),
        ({"price": {"amount": "1", "cents": 3}}, "price.cents"),
        ({"price": {"amount": "NaN"}}, "price.amount"),
        ({"price": {"amount": "Infinity"}}, "price.amount"),
        ({"price": {"amount": "1_0"}}, "price.amount"),
        ({"price": {"amount": " 1"}}, "price.amount"),
        ({"price": {"amount": "\u0661"}}, "price.amount"),
        ({"amounts": ["1", "2", "sNaN"]}, "amounts[2]"),
        ({"extra": {"note": "a", "more": 1}}, "extra.more"),
        ({"by_name": {"a": None, "b": {"lat": 1, "lon": 2, "x": 1}}}, "by_name.b.x"),
        ({"by_name": {"b": {"lat": 1, "lon": 2, "since": "2026-01-01T00:00:00"}}}, "by_name.b.since"),
        ({"position": {"lat": 1, "lon": 2, "since": "2026-01-01T00:00:00"}}, "position.since"),
        ({"readings": [GOOD, {**GOOD, "at": "2026-01-01T00:00:00"}]}, "readings[1].at"),
        ({"readings": [GOOD, {**GOOD, "lod": 1}]}, "readings[1].lod"),
        ({"span": ["2026-01-01T00:00:00", 3]}, "span[0]"),
        ({"pair": [1, "2026-01-01T00:00:00"]}, "pair[1]"),
        ({"day": "2026-13-01"}, "day"),
        ({"zone": "west"}, "zone"),
        ({"id": "x"}, "id"),
    ],
)
def test_nested_values_are_as_strict_as_flat_ones(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ContractError) as refused:
        Contract.of(Rich).convert({**RICH, **changes})
    assert refused.value.field == field


@pytest.mark.parametrize("wrong", ["2026-01-01T00:00:00", "1767225600", "2026-01-01T00:00Z", "2026-01-01_00:00:00Z"])
@pytest.mark.parametrize(
    ("shape", "field"),
    [
        ('{"first": {"at": %s}}', "first.at"),
        ('{"all": ["2026-01-01T00:00:00Z", %s]}', "all[1]"),
        ('{"by_name": {"a": {"at": 3}, "b": {"at": %s}}}', "by_name.b.at"),
        ('{"pair": [1, %s]}', "pair[1]"),
    ],
)
def test_times_in_models_are_as_strict_as_in_structs(shape: str, field: str, wrong: str) -> None:
    contract = Contract.of(Moments)
    contract.decode((shape % '"2026-01-01T01:00:00+01:00"').encode())
    with pytest.raises(ContractError) as refused:
        contract.decode((shape % json.dumps(wrong)).encode())
    assert refused.value.field == field
    assert contract.decode(b'{"free": "not a time"}').free == "not a time"


def test_a_tagged_union_is_checked_as_the_member_it_names() -> None:
    contract = Contract.of(Move)
    assert contract.convert({"move": {"type": "down", "to_mw": "1.50"}}).move == Down(Decimal("1.50"))
    assert contract.convert({"move": {"type": "up", "by_mw": 2}}).move == Up(Decimal(2))
    for move, field in (
        ({"type": "down", "to_mw": "NaN"}, "move.to_mw"),
        ({"type": "down", "to_mw": "1", "by_mw": "1"}, "move.by_mw"),
        ({"type": "up", "by_mw": "1", "to_mw": "1"}, "move.to_mw"),
        ({"type": "sideways", "by_mw": "1"}, "move.type"),
    ):
        with pytest.raises(ContractError) as refused:
            contract.convert({"move": move})
        assert refused.value.field == field
    with pytest.raises(ContractError) as refused:
        contract.convert({"move": {"type": "up", "by_mw": 2}, "note": [{"lat": 1, "lon": 2, "alt": 3}]})
    assert refused.value.field == "note[0].alt"


def test_nested_duplicates_are_found() -> None:
    data = json.dumps({**RICH, "context": {"x": [1]}}).encode().replace(b'"x": [1]', b'"x": [{"k": 1, "k": 1}]')
    with pytest.raises(ContractError) as refused:
        Contract.of(Rich).decode(data)
    assert (refused.value.field, refused.value.code) == ("context.x[0].k", "contract.duplicate-key")


def test_every_time_is_turned_to_utc_wherever_it_stands() -> None:
    at = "2026-01-01T02:00:00+02:00"
    utc = datetime(2026, 1, 1, tzinfo=UTC)
    event = Contract.of(Rich).convert({
        **RICH,
        "position": {"lat": 1, "lon": 2, "since": at},
        "by_name": {"a": {"lat": 1, "lon": 2, "since": at}},
        "readings": [{**GOOD, "at": at}],
        "span": [at, 3],
        "pair": [1, at],
        "price": {"amount": "12.30"},
        "extra": {"note": "x"},
        "context": {"at": at},
    })  # fmt: skip
    assert event.span is not None
    assert event.pair is not None
    times = [event.position.since, event.readings[0].at, event.span.start, event.pair[1]]
    times += [position.since for position in event.by_name.values() if position]
    assert len(times) == 5
    assert all(time == utc and time.tzinfo is UTC for time in times if time is not None)
    assert None not in times
    assert isinstance(event.span, Span)
    assert event.context == {"at": at}  # what has no type is not touched
    assert event.price == Price(Decimal("12.30"))


def test_trees_are_read_down_to_the_limit_of_depth() -> None:
    def tree(depth: int) -> dict[str, Any]:
        return {"name": "n", "children": [tree(depth - 1)] if depth else []}

    contract = Contract.of(Node)
    assert contract.convert(tree(15)).name == "n"
    with pytest.raises(ContractError) as refused:
        contract.convert(tree(16))
    assert refused.value.code == "contract.too-deep"
    assert "$ref" in contract.json_schema()


# -- versions --------------------------------------------------------------------------------------------------------

CHAIN = Contract(
    Reading,
    "grid.load-reading",
    version=3,
    upcasts={
        1: lambda old: {**old, "valid": True},
        2: lambda old: {("load_mw" if name == "load" else name): value for name, value in old.items()},
    },
)


def test_old_versions_are_upcast_step_by_step() -> None:
    old = {"region": "ES", "at": "2026-01-01T00:00:00+01:00", "load": 5, "count": 1}
    expected = Reading(region="ES", at=datetime(2025, 12, 31, 23, tzinfo=UTC), load_mw=5.0, count=1, valid=True)
    assert CHAIN.decode(json.dumps(old).encode(), version=1) == expected
    assert CHAIN.convert({**old, "valid": True}, version=2) == expected
    assert CHAIN.decode(text(), version=3) == CHAIN.decode(text())


@pytest.mark.parametrize(
    ("data", "version", "field"),
    [
        (text(), 4, "version"),
        (text(), 0, "version"),
        (text(), -1, "version"),
        (b'{"load": 1, "load": 1}', 1, "load"),
        (b'{"load": NaN}', 1, "$"),
        (b'{"load": 1e999}', 1, "load"),
        (b"[]", 1, "$"),
        (b'{"load": 1}', 1, "region"),
        (text(more=1), 1, "more"),
        (text(load_mw=-1), 2, "load_mw"),
        (text(region="x" * 2**20), 2, "$"),
    ],
)
def test_old_versions_are_read_as_strictly(data: bytes, version: int, field: str) -> None:
    with pytest.raises(ContractError) as refused:
        CHAIN.decode(data, version=version)
    assert refused.value.field == field


def test_a_version_without_upcaster_is_refused_by_name() -> None:
    contract = Contract(Reading, "load", version=3, upcasts={2: dict})
    with pytest.raises(ContractError, match="no upcaster from 1 to 2"):
        contract.decode(text(), version=1)
    assert contract.decode(text(), version=2).count == 3


@pytest.mark.parametrize("wrong", [lambda old: old["missing"], lambda old: old["count"] / 0, lambda _: {"x": object()}])
def test_an_upcaster_that_fails_is_the_senders_error(wrong: Any) -> None:
    with pytest.raises(ContractError):
        Contract(Reading, "load", version=2, upcasts={1: wrong}).decode(text(), version=1)


# -- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"load_mw": float("nan")},
        {"load_mw": -5.0},
        {"load_mw": "5"},
        {"at": datetime(2026, 1, 1)},  # noqa: DTZ001 - the point of this test
        {"region": "\ud800"},
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_what_python_lets_pass_is_not_written(kind: type[Any], changes: dict[str, Any]) -> None:
    values = {**GOOD, "at": datetime(2026, 1, 1, tzinfo=UTC), **changes}
    event = kind.model_construct(**values) if issubclass(kind, pydantic.BaseModel) else kind(**values)
    contract = Contract.of(kind)
    with pytest.raises(ContractError):
        contract.encode(event)


@pytest.mark.parametrize("nan", [float("nan"), float("inf")])
def test_nan_does_not_become_null(nan: float) -> None:
    with pytest.raises(ContractError) as refused:
        Contract.of(Rich).convert({**RICH, "context": {"x": [nan]}})
    assert refused.value.field == "context.x[0]"


@given(
    st.builds(
        Reading,
        region=st.text(),
        at=st.datetimes(
            min_value=datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis wants naive bounds
            max_value=datetime(9998, 1, 1),  # noqa: DTZ001
            timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))]),
        ),
        load_mw=st.floats(0, 100_000),
        count=st.integers(),
        valid=st.booleans(),
    )
)
def test_what_is_written_is_read_again(event: Reading) -> None:
    contract = Contract.of(Reading)
    assert contract.decode(contract.encode(event)) == event
