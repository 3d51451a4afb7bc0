"""CloudEvents 1.0 on the wire: structured, binary and batched, to the bus's messages and back.

A message's topic is the event's ``type``, its key the ``partitionkey`` extension (else the ``subject``, else the
``source``), its contract's version the last part of ``dataschema`` (``urn:steward:contract:<name>:<version>``). Data is
JSON and is read strictly (:mod:`steward.wire`). Extensions that nobody here knows are checked for their names and
types, as the specification asks for, and left out.

See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, and ``formats/json-format.md`` and
``bindings/http-protocol-binding.md`` next to it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from steward import wire
from steward.errors import ContractError
from steward.ledger.port import Message

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
MAX_ATTRIBUTE_LETTERS = 1024
"""The longest attribute."""
MAX_BATCH_BYTES = 16 * 1024 * 1024
"""The largest batch of events that is read."""

Headers = Iterable[tuple[bytes, bytes]]
"""HTTP headers as ASGI gives them."""

_NAME = re.compile(r"[a-z0-9]+")
_URI = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_SCHEMA = re.compile(r"urn:steward:contract:(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+:([1-9][0-9]{0,17})")
_TRACE = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_JSON_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/(?:[a-z0-9!#$&^_.-]+\+)?json(?:\s*;.*)?", re.IGNORECASE)
_QUOTED = re.compile(r'^"(.*)"$')
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_time = msgspec.json.Decoder(datetime).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_value = msgspec.json.Decoder().decode


def decode(
    headers: Headers, body: bytes, *, known_at: datetime, versions: Mapping[str, int] | None = None
) -> list[Message]:
    """Read the events of an HTTP request, in the mode that its content type tells.

    Args:
        headers: The request's headers; names in any case.
        body: The request's body.
        known_at: When it arrived; also the time of events that have none. Aware.
        versions: The contract's version of each type, for events without a ``dataschema``; else 1.

    Raises:
        ContractError: An event is not a CloudEvent 1.0; ``field`` names the attribute, in a batch as ``[3].id``.

    Example:
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> [message] = decode(
        ...     [(b"content-type", b"application/json"), (b"ce-specversion", b"1.0"), (b"ce-id", b"1"),
        ...      (b"ce-source", b"meter-7"), (b"ce-type", b"grid.load")], b'{"load_mw": 27114.5}', known_at=now)
        >>> message.topic, message.key, message.data
        ('grid.load', 'meter-7', b'{"load_mw": 27114.5}')
    """
    read = _headers(headers)
    kind = read.get("content-type", "").partition(";")[0].strip().lower()
    if kind == STRUCTURED:
        return [decode_structured(body, known_at=known_at, versions=versions)]
    if kind == BATCHED:
        return decode_batch(body, known_at=known_at, versions=versions)
    return [_binary(read, body, known_at, versions)]


def decode_structured(data: bytes, *, known_at: datetime, versions: Mapping[str, int] | None = None) -> Message:
    """Read one event in the JSON format; see :func:`decode`.

    Example:
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> decode_structured(b'{"specversion": "1.0", "id": "1", "source": "m", "data": {}}', known_at=now)
        Traceback (most recent call last):
        ...
        steward.errors.ContractError: type is missing...
    """
    wire.decode(data)
    return _structured(data, known_at, versions)


def decode_batch(data: bytes, *, known_at: datetime, versions: Mapping[str, int] | None = None) -> list[Message]:
    """Read a JSON array of events, all or none; see :func:`decode`."""
    wire.decode(data, max_bytes=MAX_BATCH_BYTES)
    messages = []
    for place, item in enumerate(wire.read(_items, data)):
        try:
            messages.append(_structured(bytes(item), known_at, versions))
        except ContractError as error:
            path = wire.joined(f"[{place}]", error.field or "$") if error.field != "$" else f"[{place}]"
            raise ContractError(
                f"event {place}: {error.what}", why=error.why, fix=error.fix, code=error.code, field=path
            ) from error
    return messages


def encode_structured(message: Message) -> bytes:
    """Write one event in the JSON format.

    Raises:
        ContractError: The message's attributes or its data cannot be read again.

    Example:
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> message = Message("grid.load", "ES", "meter-7", "1", b'{"load_mw": 27114.5}', 2, now, now)
        >>> decode_structured(encode_structured(message), known_at=now) == message
        True
    """
    wire.decode(message.data)
    return msgspec.json.encode({**attributes(message), "data": msgspec.Raw(message.data)})


def encode_batch(messages: Sequence[Message]) -> bytes:
    """Write events as a JSON array."""
    return b"[" + b",".join(map(encode_structured, messages)) + b"]"


def encode_binary(message: Message) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Write one event as HTTP headers and a body.

    Example:
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> headers, body = encode_binary(Message("grid.load", "ES", "meter-7", "1", b"{}", 2, now, now))
        >>> headers[:2], body
        ([(b'content-type', b'application/json'), (b'ce-specversion', b'1.0')], b'{}')
    """
    written = attributes(message)
    headers = [(b"content-type", written.pop("datacontenttype").encode())]
    # Percent-encoded: space, double quote, percent, and all that is not printable ASCII.
    headers += [(f"ce-{name}".encode(), quote(text, safe=_UNQUOTED).encode()) for name, text in written.items()]
    return headers, message.data


def attributes(message: Message) -> dict[str, str]:
    """Return a message's CloudEvents attributes, in the order of the specification.

    Raises:
        ContractError: The message cannot be a CloudEvent; ``field`` names the attribute.
    """
    written = {
        "specversion": "1.0",
        "id": message.id,
        "source": message.source,
        "type": message.topic,
        "datacontenttype": "application/json",
        "dataschema": f"urn:steward:contract:{quote(message.topic, safe='')}:{message.version}",
        "time": message.event_time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "partitionkey": message.key,
    }
    if message.trace is not None:
        written["traceparent"] = message.trace
    _message(dict(written), message.data, message.known_at, None)  # what is written here can be read again
    return written


_UNQUOTED = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"


def _headers(headers: Headers) -> dict[str, str]:
    read: dict[str, str] = {}
    for raw_name, raw in headers:
        name = raw_name.decode("latin-1").lower()
        if name != "content-type" and not name.startswith("ce-"):
            continue
        if name in read:
            raise _refused(name.removeprefix("ce-"), "comes twice", "readers differ in which one counts")
        try:
            read[name] = raw.decode("ascii").strip()
        except UnicodeDecodeError as error:
            raise _refused(
                name.removeprefix("ce-"), "is not ASCII", "other letters are percent-encoded UTF-8"
            ) from error
    return read


def _binary(headers: dict[str, str], body: bytes, known_at: datetime, versions: Mapping[str, int] | None) -> Message:
    written: dict[str, Any] = {}
    for header, text in headers.items():
        name = "datacontenttype" if header == "content-type" else header.removeprefix("ce-")
        if header == "ce-datacontenttype":
            raise _refused(name, "is a header of its own", "in binary mode it is the content type")
        try:
            written[name] = unquote(_QUOTED.sub(lambda found: re.sub(r"\\(.)", r"\1", found[1]), text), errors="strict")
        except UnicodeDecodeError as error:
            raise _refused(name, "is not percent-encoded UTF-8", str(error)) from error
    if "specversion" not in written:
        raise _refused("specversion", "is missing", f"the request is neither binary nor {STRUCTURED}")
    if "datacontenttype" not in written:
        raise _refused("datacontenttype", "is missing", "only JSON is read; send content-type: application/json")
    wire.decode(body)
    return _message(written, body, known_at, versions)


def _structured(data: bytes, known_at: datetime, versions: Mapping[str, int] | None) -> Message:
    """Read one event from a text that is known to be strict JSON."""
    members = wire.read(_members, data)
    raw = members.pop("data", None)
    coded = members.pop("data_base64", None)
    written = {name: value for name, text in members.items() if (value := _value(text)) is not None}
    if raw is not None and coded is not None:
        raise _refused("data_base64", "comes next to data", "an event has one of them")
    if coded is not None:
        try:
            body = base64.b64decode(wire.read(_text, coded), validate=True)
        except ValueError as error:
            raise _refused("data_base64", "is not base64", str(error)) from error
        wire.decode(body)
    else:
        body = b"null" if raw is None else bytes(raw)
    return _message(written, body, known_at, versions)


_text = msgspec.json.Decoder(str).decode


def _message(written: dict[str, Any], data: bytes, known_at: datetime, versions: Mapping[str, int] | None) -> Message:
    for name, value in written.items():
        _check_attribute(name, value)
    if written.get("specversion") != "1.0":
        raise _refused("specversion", "is not 1.0" if "specversion" in written else "is missing", "only 1.0 is read")
    for name in ("id", "source", "type"):
        if name not in written:
            raise _refused(name, "is missing", "CloudEvents requires it")
    _match(written, "source", _URI, "it is no URI reference (RFC 3986)")
    _match(written, "traceparent", _TRACE, "it is no W3C trace parent")
    _match(written, "datacontenttype", _JSON_TYPE, "only JSON is read")
    schema = _match(written, "dataschema", _SCHEMA, "it is not of the form urn:steward:contract:<name>:<version>")
    topic, source = written["type"], written["source"]
    return Message(
        topic=topic,
        key=written.get("partitionkey") or written.get("subject") or source,
        source=source,
        id=written["id"],
        data=data,
        version=int(schema[1]) if schema else (versions or {}).get(topic, 1),
        event_time=_event_time(written["time"]) if "time" in written else known_at,
        known_at=known_at,
        trace=written.get("traceparent"),
    )


def _check_attribute(name: str, value: object) -> None:
    """Check the rules that all attributes share: names, types, letters."""
    if not _NAME.fullmatch(name) or name == "data":
        raise _refused(
            name,
            "is not a name for an attribute",
            "names have lower-case letters and digits only, and data is the data",
        )
    if isinstance(value, str):
        if not value:
            raise _refused(name, "is empty", "leave it out, or say something")
        if len(value) > MAX_ATTRIBUTE_LETTERS:
            raise _refused(name, f"has {len(value)} letters", f"at most {MAX_ATTRIBUTE_LETTERS} are read")
        if _FORBIDDEN.search(value):
            raise _refused(name, "has a control character or a code point that is none", "CloudEvents forbids them")
    elif name in _STRINGS:
        raise _refused(name, "is not a string", f"it is a {type(value).__name__}")
    elif not isinstance(value, bool) and not (isinstance(value, int) and -(2**31) <= value < 2**31):
        raise _refused(
            name, "is neither a string, a boolean nor a 32-bit integer", "CloudEvents has no other types here"
        )


_STRINGS = frozenset(
    {"specversion", "id", "source", "type", "datacontenttype", "dataschema", "subject", "time"}
    | {"partitionkey", "traceparent", "tracestate"}
)


def _match(written: dict[str, Any], name: str, pattern: re.Pattern[str], why: str) -> re.Match[str] | None:
    if name not in written:
        return None
    found = pattern.fullmatch(written[name])
    if found is None:
        raise _refused(name, "does not fit", why)
    return found


def _event_time(text: str) -> datetime:
    why = "it is no RFC 3339 time with an offset, such as 2026-01-01T12:00:00Z"
    try:
        time: datetime = _time(msgspec.json.encode(text))
        if time.tzinfo is not None:
            return time.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError) as error:
        raise _refused("time", "does not fit", why) from error
    raise _refused("time", "does not fit", why)


def _refused(name: str, what: str, why: str) -> ContractError:
    shown = name if len(name) <= 100 else name[:100] + "…"
    return ContractError(
        f"{shown} {what}", why=why, fix="send a CloudEvent 1.0", field=shown, code="contract.cloudevent"
    )
