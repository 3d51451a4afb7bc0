"""Sparkplug B payloads and topics: metrics with names, aliases, times and qualities, as bytes and back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from steward.cases.grid.field.mqtt import protobuf
from steward.cases.grid.field.mqtt.protobuf import Wire
from steward.cases.grid.field.reading import Quality
from steward.errors import ContractError

LARGEST_PAYLOAD_BYTES: Final = 1 << 20
_MOST_METRICS = 10_000
_NAMESPACE = "spBv1.0"
Value = float | int | bool | str | None
_QUALITY_CODES = {Quality.GOOD: 192, Quality.UNCERTAIN: 500, Quality.BAD: 0}
_QUALITIES = {code: quality for quality, code in _QUALITY_CODES.items()}


class Type(IntEnum):
    """The data types of metrics that are numbers, truth values or texts.

    Example:
        >>> Type(10).name
        'DOUBLE'
    """

    INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64 = 1, 2, 3, 4, 5, 6, 7, 8
    FLOAT, DOUBLE, BOOLEAN, STRING, DATETIME = 9, 10, 11, 12, 13


_TYPES = {kind.value: kind for kind in Type}
_SIGNED_BITS = {Type.INT8: 8, Type.INT16: 16, Type.INT32: 32, Type.INT64: 64}


class Verb(StrEnum):
    """What a message is: a birth, a death, data or a command, of a node or a device.

    Example:
        >>> Verb("NBIRTH").is_birth
        True
    """

    NBIRTH, NDEATH, NDATA, NCMD = "NBIRTH", "NDEATH", "NDATA", "NCMD"
    DBIRTH, DDEATH, DDATA, DCMD = "DBIRTH", "DDEATH", "DDATA", "DCMD"

    @property
    def is_birth(self) -> bool:
        """Whether it says everything anew."""
        return self in {Verb.NBIRTH, Verb.DBIRTH}


@dataclass(frozen=True)
class Topic:
    """Where a message goes.

    Example:
        >>> Topic("grid", Verb.NDATA, "es").text, Topic.of("spBv1.0/grid/DDATA/es/meter").device
        ('spBv1.0/grid/NDATA/es', 'meter')
    """

    group: str
    verb: Verb
    node: str
    device: str | None = None

    @property
    def text(self) -> str:
        """The topic as MQTT has it."""
        return "/".join(filter(None, (_NAMESPACE, self.group, self.verb.value, self.node, self.device)))

    @classmethod
    def of(cls, text: str) -> Topic:
        """Read a topic.

        Raises:
            ContractError: It is none of Sparkplug B.
        """
        namespace, *parts = text.split("/")
        if namespace == _NAMESPACE and len(parts) in {3, 4} and all(parts) and parts[1] in Verb.__members__:
            verb = Verb(parts[1])
            if (len(parts) == 4) == verb.startswith("D"):
                return cls(parts[0], verb, parts[2], parts[3] if len(parts) == 4 else None)
        raise ContractError(f"{text[:200]!r} is no topic of Sparkplug B", field="topic")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One value in a payload.

    Attributes:
        name: Its name; data messages may leave it out and give the alias only.
        alias: A number that stands for the name from birth to death.
        timestamp_ms: When it was measured, since 1970.
        type: Its type; data messages may leave it out.
        value: ``None`` if it is null, or of a type that is not read here.
        quality: As its property ``Quality`` says.

    Example:
        >>> Metric(name="es.battery/soc_mwh", alias=4, type=Type.DOUBLE, value=12.5).quality
        <Quality.GOOD: 'good'>
    """

    name: str | None = None
    alias: int | None = None
    timestamp_ms: int | None = None
    type: Type | None = None
    value: Value = None
    quality: Quality = Quality.GOOD


@dataclass(frozen=True, kw_only=True)
class Payload:
    """What a message holds.

    Attributes:
        timestamp_ms: When it was sent.
        seq: Its number, 0..255 and round; deaths have none.
        metrics: Its values.

    Example:
        >>> sent = Payload(timestamp_ms=1000, seq=0, metrics=(Metric(name="bdSeq", type=Type.INT64, value=3),))
        >>> Payload.decode(sent.encode()) == sent, len(sent.encode())
        (True, 18)
    """

    timestamp_ms: int | None = None
    seq: int | None = None
    metrics: tuple[Metric, ...] = ()

    def encode(self) -> bytes:
        """Return it as bytes."""
        parts = [protobuf.number_field(1, self.timestamp_ms)] if self.timestamp_ms is not None else []
        parts += [protobuf.bytes_field(2, _encode_metric(metric)) for metric in self.metrics]
        if self.seq is not None:
            parts.append(protobuf.number_field(3, self.seq))
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> Payload:
        """Read it from bytes; fields that are not known here are passed over.

        Raises:
            ContractError: It is no payload, or larger than anything sensible.
        """
        if len(data) > LARGEST_PAYLOAD_BYTES:
            raise ContractError(f"a payload of {len(data)} bytes is too large", field="payload")
        timestamp_ms = seq = None
        metrics = []
        for field, _, content in protobuf.fields(data):
            if field == 1:
                timestamp_ms = protobuf.number_of(content)
            elif field == 2:
                metrics.append(_decode_metric(protobuf.bytes_of(content)))
                if len(metrics) > _MOST_METRICS:
                    raise ContractError(f"a payload has more than {_MOST_METRICS} metrics", field="metrics")
            elif field == 3:
                seq = protobuf.number_of(content)
        if seq is not None and seq > 255:
            raise ContractError(f"{seq} is no sequence number", why="they go from 0 to 255", field="seq")
        return cls(timestamp_ms=timestamp_ms, seq=seq, metrics=tuple(metrics))


def _encode_metric(metric: Metric) -> bytes:
    parts = []
    if metric.name is not None:
        parts.append(protobuf.bytes_field(1, metric.name.encode()))
    for field, number in ((2, metric.alias), (3, metric.timestamp_ms), (4, metric.type)):
        if number is not None:
            parts.append(protobuf.number_field(field, number))
    if metric.value is None:
        parts.append(protobuf.number_field(7, 1))
    if metric.quality is not Quality.GOOD:
        parts.append(protobuf.bytes_field(9, _encode_quality(metric.quality)))
    if metric.value is not None:
        parts.append(_encode_value(metric.value))
    return b"".join(parts)


def _encode_value(value: float | int | bool | str) -> bytes:
    """Return a value in the field of its own type: truth value, long, double or text."""
    if isinstance(value, bool):
        return protobuf.number_field(14, value)
    if isinstance(value, int):
        return protobuf.number_field(11, value & 0xFFFF_FFFF_FFFF_FFFF)
    if isinstance(value, float):
        return protobuf.double_field(13, value)
    return protobuf.bytes_field(15, value.encode())


def _encode_quality(quality: Quality) -> bytes:
    code = protobuf.number_field(1, Type.INT32) + protobuf.number_field(3, _QUALITY_CODES[quality])
    return protobuf.bytes_field(1, b"Quality") + protobuf.bytes_field(2, code)


def _decode_metric(data: bytes) -> Metric:
    found: dict[int, Wire] = {field: content for field, _, content in protobuf.fields(data)}

    def number(field: int) -> int | None:
        return protobuf.number_of(found[field]) if field in found else None

    kind = number(4)
    known = _TYPES.get(kind) if kind is not None else None
    return Metric(
        name=protobuf.text_of(found[1]) if 1 in found else None,
        alias=number(2),
        timestamp_ms=number(3),
        type=known,
        value=None if number(7) else _decode_value(found, known),
        quality=_decode_quality(protobuf.bytes_of(found[9])) if 9 in found else Quality.GOOD,
    )


def _decode_value(found: dict[int, Wire], kind: Type | None) -> Value:
    """Return the value that is there, whichever of the fields it is in."""
    for field in (10, 11):
        if field in found:
            number = protobuf.number_of(found[field])
            bits = _SIGNED_BITS.get(kind, 0) if kind is not None else 0
            # A negative number comes as its two's complement, and a short one in 32 bits.
            mask = (1 << bits) - 1
            return (number & mask) - (1 << bits) if bits and number & mask >= 1 << (bits - 1) else number
    if 12 in found:
        return protobuf.real_of(found[12], 4)
    if 13 in found:
        return protobuf.real_of(found[13], 8)
    if 14 in found:
        return bool(protobuf.number_of(found[14]))
    return protobuf.text_of(found[15]) if 15 in found else None


def _decode_quality(data: bytes) -> Quality:
    """Return what the property ``Quality`` says; a code that is not known is uncertain."""
    content = list(protobuf.fields(data))
    names = [protobuf.text_of(value) for field, _, value in content if field == 1]
    values = [protobuf.bytes_of(value) for field, _, value in content if field == 2]
    for name, value in zip(names, values, strict=False):
        if name == "Quality":
            codes = [protobuf.number_of(number) for field, _, number in protobuf.fields(value) if field in {3, 4}]
            return _QUALITIES.get(codes[0], Quality.UNCERTAIN) if codes else Quality.UNCERTAIN
    return Quality.GOOD
