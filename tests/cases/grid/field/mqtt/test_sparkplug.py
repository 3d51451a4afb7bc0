"""Payloads, tried against the library of protocol buffers itself."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from steward.cases.grid.field.mqtt.sparkplug import LARGEST_PAYLOAD_BYTES, Metric, Payload, Topic, Type, Verb
from steward.cases.grid.field.reading import Quality
from steward.errors import ContractError

NOON = datetime(2018, 1, 1, 12, tzinfo=UTC)
TEXT, UINT32, UINT64, FLOAT, DOUBLE, BOOL, MESSAGE = 9, 13, 4, 2, 1, 8, 11
VALUES: list[tuple[int, str, int]] = [
    (10, "int_value", UINT32), (11, "long_value", UINT64), (12, "float_value", FLOAT), (13, "double_value", DOUBLE),
    (14, "boolean_value", BOOL), (15, "string_value", TEXT),
]  # fmt: skip


def _message(file: Any, name: str, fields: list[tuple[Any, ...]], repeated: Collection[str] = ()) -> None:
    message = file.message_type.add(name=name)
    for number, field, kind, *of in fields:
        label = 3 if field in repeated else 1
        message.field.add(number=number, name=field, type=kind, label=label, type_name=of[0] if of else None)


def _payload_class() -> Any:
    """Build what `sparkplug_b.proto` declares, as far as it is used."""
    file = descriptor_pb2.FileDescriptorProto(name="spb.proto", package="spb", syntax="proto2")
    _message(file, "Value", [(1, "type", UINT32), (3, "int_value", UINT32), (4, "long_value", UINT64)])
    _message(file, "Properties", [(1, "keys", TEXT), (2, "values", MESSAGE, ".spb.Value")], repeated={"keys", "values"})
    head = [(1, "name", TEXT), (2, "alias", UINT64), (3, "timestamp", UINT64), (4, "datatype", UINT32)]
    rest = [(5, "is_historical", BOOL), (7, "is_null", BOOL), (9, "properties", MESSAGE, ".spb.Properties")]
    _message(file, "Metric", [*head, *rest, *VALUES])
    _message(
        file, "Payload",
        [(1, "timestamp", UINT64), (2, "metrics", MESSAGE, ".spb.Metric"), (3, "seq", UINT64), (4, "uuid", TEXT),
         (5, "body", 12)],
        repeated={"metrics"},
    )  # fmt: skip
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("spb.Payload"))


THEIRS = _payload_class()
metrics = st.builds(
    Metric,
    name=st.none() | st.text(max_size=40),
    alias=st.none() | st.integers(0, 2**64 - 1),
    timestamp_ms=st.none() | st.integers(0, 2**50),
    type=st.just(Type.INT64) | st.just(Type.DOUBLE),
    value=st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=40),
    quality=st.sampled_from(Quality),
)
payloads = st.builds(
    Payload,
    timestamp_ms=st.none() | st.integers(0, 2**50),
    seq=st.none() | st.integers(0, 255),
    metrics=st.lists(metrics, max_size=4).map(tuple),
)


@given(payloads)
def test_what_is_encoded_is_decoded_here_and_by_the_library(payload: Payload) -> None:
    data = payload.encode()
    assert Payload.decode(data) == payload
    theirs = THEIRS.FromString(data)
    assert theirs.seq == (payload.seq or 0)
    assert [metric.name for metric in theirs.metrics] == [metric.name or "" for metric in payload.metrics]
    assert [metric.is_null for metric in theirs.metrics] == [metric.value is None for metric in payload.metrics]
    assert Payload.decode(theirs.SerializeToString()) == payload


@pytest.mark.parametrize(
    ("kind", "field", "sent", "value"),
    [
        (Type.INT8, "int_value", 0xFFFF_FFFF, -1),
        (Type.INT16, "int_value", 0xFFFF_FFFE, -2),
        (Type.INT32, "int_value", 0x8000_0000, -(2**31)),
        (Type.INT32, "int_value", 7, 7),
        (Type.UINT32, "int_value", 0xFFFF_FFFF, 2**32 - 1),
        (Type.INT64, "long_value", 2**64 - 5, -5),
        (Type.UINT64, "long_value", 2**64 - 5, 2**64 - 5),
        (Type.FLOAT, "float_value", 0.5, 0.5),
        (Type.BOOLEAN, "boolean_value", True, True),
        (Type.STRING, "string_value", "on", "on"),
    ],
)
def test_what_others_encode_is_read(kind: Type, field: str, sent: Any, value: object) -> None:
    theirs = THEIRS(timestamp=1, seq=2, uuid="u", body=b"b")
    theirs.metrics.add(name="m", datatype=kind, is_historical=True, **{field: sent})
    (metric,) = Payload.decode(theirs.SerializeToString()).metrics
    assert (metric.value, metric.type, metric.quality) == (value, kind, Quality.GOOD)


@pytest.mark.parametrize(
    ("code", "quality"), [(192, Quality.GOOD), (0, Quality.BAD), (500, Quality.UNCERTAIN), (77, Quality.UNCERTAIN)]
)
def test_quality_is_a_property(code: int, quality: Quality) -> None:
    theirs = THEIRS()
    metric = theirs.metrics.add(name="m", double_value=1.0)
    metric.properties.keys.extend(["Colour", "Quality"])
    metric.properties.values.add(type=3, int_value=1)
    metric.properties.values.add(type=3, int_value=code)
    assert Payload.decode(theirs.SerializeToString()).metrics[0].quality is quality


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_read_or_refused(data: bytes) -> None:
    with suppress(ContractError):
        Payload.decode(data)


@given(payloads, st.data())
def test_a_payload_that_was_cut_or_changed_never_breaks_the_reader(payload: Payload, data: st.DataObject) -> None:
    sent = bytearray(payload.encode())
    if sent:
        at = data.draw(st.integers(0, len(sent) - 1))
        sent[at] ^= data.draw(st.integers(1, 255))
        del sent[data.draw(st.integers(0, len(sent))) :]
    with suppress(ContractError):
        Payload.decode(bytes(sent))


@pytest.mark.parametrize(
    "data",
    [
        b"\x2a\x05ab",  # a body of 5 bytes, of which 2 came
        b"\x18\x80\x02",  # sequence number 256
        b"\x08" + b"\xff" * 11,  # a number without end
        b"\x08" + b"\xff" * 9 + b"\x7f",  # a number of 70 bits
        b"\x0b",  # a group
        b"\x00\x00",  # field 0
        b"\x12\x03\x0a\x01\xff",  # a name that is not UTF-8
        b"\x10\x01",  # a number where metrics belong
        b"\x1a\x01\x00",  # bytes where the sequence number belongs
        b"\x12\x05\x6d\x00\x00\x00\x00",  # four bytes where a double belongs
        b"\x00" * (LARGEST_PAYLOAD_BYTES + 1),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_malformed_is_refused(data: bytes) -> None:
    with pytest.raises(ContractError):
        Payload.decode(data)


def test_too_many_metrics_are_refused() -> None:
    with pytest.raises(ContractError, match="more than"):
        Payload.decode(b"\x12\x00" * 10_001)


@given(st.sampled_from(Verb))
def test_a_topic_is_read_as_it_was_made(verb: Verb) -> None:
    topic = Topic("grid", verb, "es", "meter" if verb.startswith("D") else None)
    assert Topic.of(topic.text) == topic


@pytest.mark.parametrize(
    "text",
    [
        "", "spBv1.0", "spBv1.0/grid/NDATA", "spBv1.0/grid/NDATA/es/meter", "spBv1.0/grid/DDATA/es",
        "spBv1.0/grid/STATE/es", "spAv1.0/grid/NDATA/es", "spBv1.0//NDATA/es", "spBv1.0/grid/NDATA/es/m/x",
        "x" * 70_000,
    ],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_what_is_no_topic_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match="no topic"):
        Topic.of(text)
