"""CloudEvents come in and go out in all three modes; what the specification forbids is refused by name."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.bus import cloudevents
from steward.errors import ContractError
from steward.ledger.port import Message

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
EVENT: dict[str, object] = {
    "specversion": "1.0",
    "id": "41",
    "source": "urn:meter:7",
    "type": "grid.load",
    "time": "2026-01-01T01:00:00+01:00",
    "datacontenttype": "application/json",
    "dataschema": "urn:steward:contract:grid.load-reading:2",
    "partitionkey": "ES",
    "traceparent": TRACE,
    "data": {"load_mw": 27114.5},
}
MESSAGE = Message(
    "grid.load", "ES", "urn:meter:7", "41", b'{"load_mw": 27114.5}', 2, NOW, NOW + timedelta(hours=1), TRACE
)
LATER = MESSAGE.known_at


def structured(**changes: object) -> bytes:
    return json.dumps({name: value for name, value in {**EVENT, **changes}.items() if value is not ...}).encode()


def binary(**changes: Any) -> list[tuple[bytes, bytes]]:
    written = {**{name: value for name, value in EVENT.items() if name != "data"}, **changes}
    headers = {
        ("content-type" if name == "datacontenttype" else f"ce-{name}"): value for name, value in written.items()
    }
    return [(name.encode(), str(value).encode()) for name, value in headers.items() if value is not ...]


def test_structured() -> None:
    assert cloudevents.decode_structured(structured(), known_at=LATER) == MESSAGE
    headers = [(b"Content-Type", b"application/cloudevents+json; charset=utf-8")]
    assert cloudevents.decode(headers, structured(), known_at=LATER) == [MESSAGE]


def test_binary() -> None:
    assert cloudevents.decode(binary(), MESSAGE.data, known_at=LATER) == [MESSAGE]
    headers = [(name.upper(), value) for name, value in binary()]
    assert cloudevents.decode([*headers, (b"X-Other", b"\xff")], MESSAGE.data, known_at=LATER) == [MESSAGE]


def test_batched() -> None:
    body = b"[" + structured() + b"," + structured(id="42") + b"]"
    messages = cloudevents.decode([(b"content-type", cloudevents.BATCHED.encode())], body, known_at=LATER)
    assert [message.id for message in messages] == ["41", "42"]
    assert messages[0] == MESSAGE
    assert cloudevents.decode_batch(b"[]", known_at=LATER) == []


def test_what_may_be_left_out() -> None:
    least = b'{"specversion":"1.0","id":"1","source":"/meters","type":"grid.load","subject":null}'
    message = cloudevents.decode_structured(least, known_at=LATER)
    assert message == Message("grid.load", "/meters", "/meters", "1", b"null", 1, LATER, LATER)
    assert cloudevents.decode_structured(least, known_at=LATER, versions={"grid.load": 3}).version == 3
    assert cloudevents.decode_structured(structured(partitionkey=..., subject="PT"), known_at=LATER).key == "PT"


def test_data_keeps_its_bytes() -> None:
    data = b'{"amount": 12.30,\n "text": "\\u00e9"}'
    body = structured().replace(json.dumps(EVENT["data"]).encode(), data)
    assert cloudevents.decode_structured(body, known_at=LATER).data == data
    coded = structured(data=..., data_base64=base64.b64encode(data).decode())
    assert cloudevents.decode_structured(coded, known_at=LATER).data == data


@pytest.mark.parametrize("value", ["text", "é ü", 7, -(2**31), 2**31 - 1, True, None])
def test_unknown_extensions_are_checked_and_left_out(value: object) -> None:
    assert cloudevents.decode_structured(structured(sampledrate1=value), known_at=LATER) == MESSAGE


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"specversion": ...}, "specversion"),
    ({"specversion": "0.3"}, "specversion"),
    ({"id": ...}, "id"),
    ({"id": ""}, "id"),
    ({"id": "a\x07"}, "id"),
    ({"id": "\uffff"}, "id"),
    ({"id": "x" * 1025}, "id"),
    ({"source": ...}, "source"),
    ({"source": ""}, "source"),
    ({"source": "a b"}, "source"),
    ({"source": "<meter>"}, "source"),
    ({"source": "100%"}, "source"),
    ({"type": ...}, "type"),
    ({"type": ""}, "type"),
    ({"subject": ""}, "subject"),
    ({"time": "2026-01-01T00:00:00"}, "time"),
    ({"time": "2026-01-01"}, "time"),
    ({"time": "2026-02-30T00:00:00Z"}, "time"),
    ({"time": "0001-01-01T00:00:00+01:00"}, "time"),
    ({"datacontenttype": "text/xml"}, "datacontenttype"),
    ({"datacontenttype": "application/jsonx"}, "datacontenttype"),
    ({"dataschema": "https://example.org/schema"}, "dataschema"),
    ({"dataschema": "urn:steward:contract:load"}, "dataschema"),
    ({"dataschema": "urn:steward:contract:load:0"}, "dataschema"),
    ({"dataschema": "urn:steward:contract:load:1.5"}, "dataschema"),
    ({"partitionkey": ""}, "partitionkey"),
    ({"traceparent": "00-abc-def-01"}, "traceparent"),
    ({"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}, "traceparent"),
    ({"traceparent": "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, "traceparent"),
    ({"my-ext": "1"}, "my-ext"),
    ({"my_ext": "1"}, "my_ext"),
]
STRUCTURED_ONLY: list[tuple[dict[str, Any], str]] = [
    ({"id": 41}, "id"),
    ({"source": ["a"]}, "source"),
    ({"time": 1767225600}, "time"),
    ({"partitionkey": 7}, "partitionkey"),
    ({"myExt": "1"}, "myExt"),
    ({"": "1"}, ""),
    ({"ext": 1.5}, "ext"),
    ({"ext": 2**31}, "ext"),
    ({"ext": {"a": 1}}, "ext"),
    ({"ext": [1]}, "ext"),
    ({"data_base64": "e30="}, "data_base64"),
    ({"data": ..., "data_base64": "e30"}, "data_base64"),
    ({"data": ..., "data_base64": "{}"}, "data_base64"),
    ({"data": ..., "data_base64": base64.b64encode(b'{"a":1,"a":2}').decode()}, "a"),
    ({"data": {"x": float("nan")}}, "$"),
]


@pytest.mark.parametrize(("changes", "field"), [*REFUSED, *STRUCTURED_ONLY])
def test_structured_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ContractError) as refused:
        cloudevents.decode_structured(structured(**changes), known_at=LATER)
    assert refused.value.field == field


@pytest.mark.parametrize(("changes", "field"), [*REFUSED, ({"datacontenttype": ...}, "datacontenttype")])
def test_binary_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ContractError) as refused:
        cloudevents.decode(binary(**changes), MESSAGE.data, known_at=LATER)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("extra", "field"),
    [
        ((b"ce-id", b"42"), "id"),
        ((b"CE-Time", b"2026-01-01T00:00:00Z"), "time"),
        ((b"ce-ext", b"%ff"), "ext"),
        ((b"ce-ext", b"\xc3\xa9"), "ext"),
        ((b"ce-ext", b"a%00b"), "ext"),
        ((b"ce-data", b"1"), "data"),
        ((b"ce-datacontenttype", b"application/json"), "datacontenttype"),
        ((b"ce-", b"1"), ""),
    ],
)
def test_headers_are_refused_by_name(extra: tuple[bytes, bytes], field: str) -> None:
    with pytest.raises(ContractError) as refused:
        cloudevents.decode([*binary(), extra], MESSAGE.data, known_at=LATER)
    assert refused.value.field == field


def test_headers_may_be_quoted_and_percent_encoded() -> None:
    [message] = cloudevents.decode(
        binary(partitionkey='"two words"', subject="Euro%20%E2%82%AC%20%F0%9F%98%80"), MESSAGE.data, known_at=LATER
    )
    assert message.key == "two words"
    [message] = cloudevents.decode(binary(partitionkey=..., subject="%E2%82%AC%22"), MESSAGE.data, known_at=LATER)
    assert message.key == '€"'


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1e999}', b'"\xff"', b"[" * 40])
def test_data_is_strict_json_in_every_mode(body: bytes) -> None:
    with pytest.raises(ContractError):
        cloudevents.decode(binary(), body, known_at=LATER)
    whole = structured().replace(json.dumps(EVENT["data"]).encode(), body)
    with pytest.raises(ContractError):
        cloudevents.decode_structured(whole, known_at=LATER)
    with pytest.raises(ContractError):
        cloudevents.encode_structured(Message("t", "k", "s", "1", body, 1, NOW, NOW))


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (structured(id=...), "[1].id"),
        (b"3", "[1]"),
        (b'{"id":1,"id":2}', "[1].id"),
        (structured(source=""), "[1].source"),
    ],
)
def test_a_batch_is_refused_whole_and_names_its_event(event: bytes, field: str) -> None:
    with pytest.raises(ContractError) as refused:
        cloudevents.decode_batch(b"[" + structured() + b"," + event + b"]", known_at=LATER)
    assert refused.value.field == field


@pytest.mark.parametrize("content_type", [b"text/plain", b"application/json", b""])
def test_a_request_that_is_no_cloud_event_is_refused(content_type: bytes) -> None:
    with pytest.raises(ContractError) as refused:
        cloudevents.decode([(b"content-type", content_type)], b"{}", known_at=LATER)
    assert refused.value.field == "specversion"


text = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=20)
messages = st.builds(
    Message,
    topic=text,
    key=text,
    source=st.text("abcXYZ019-._~:/?#[]@!$&'()*+,;=", min_size=1, max_size=20),
    id=text,
    data=st.sampled_from([b"null", b"{}", b'{"a": [1, 2.50, "x"]}', b'"\\u00e9"', b"-1e5"]),
    version=st.integers(1, 10**9),
    event_time=st.datetimes(
        min_value=datetime(2, 1, 1),  # noqa: DTZ001 - hypothesis wants naive bounds
        max_value=datetime(9998, 1, 1),  # noqa: DTZ001
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))]),
    ),
    known_at=st.just(LATER),
    trace=st.none() | st.just(MESSAGE.trace),
)


@given(st.lists(messages, min_size=1, max_size=3))
def test_every_mode_gives_the_message_back(sent: list[Message]) -> None:
    assert cloudevents.decode_batch(cloudevents.encode_batch(sent), known_at=LATER) == sent
    assert cloudevents.decode_structured(cloudevents.encode_structured(sent[0]), known_at=LATER) == sent[0]
    headers, body = cloudevents.encode_binary(sent[0])
    assert all(0x20 < letter < 0x7F and letter != 0x22 for _, value in headers for letter in value)
    assert cloudevents.decode(headers, body, known_at=LATER) == [sent[0]]


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (Message("t", "k", "a b", "1", b"{}", 1, NOW, NOW), "source"),
        (Message("t", "k", "s", "", b"{}", 1, NOW, NOW), "id"),
        (Message("t", "k\n", "s", "1", b"{}", 1, NOW, NOW), "partitionkey"),
        (Message("t", "k", "s", "1", b"{}", 1, NOW, NOW, "00-1-2-3"), "traceparent"),
        (Message("t", "k", "s", "1", b"{}", 0, NOW, NOW), "dataschema"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(message: Message, field: str) -> None:
    for encode in (cloudevents.encode_structured, cloudevents.encode_binary):
        with pytest.raises(ContractError) as refused:
            encode(message)
        assert refused.value.field == field
