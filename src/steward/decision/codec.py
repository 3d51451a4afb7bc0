"""How the bytes of an event become a value: one codec for each kind of schema, all equally strict.

msgspec and pydantic check types and ranges. What they let pass is checked here: duplicate keys, times without an
offset, unknown fields of dataclasses, ``NaN`` as a decimal. A schema is looked at once, when its contract is made, so
that an event of flat, required fields costs one more comparison than its decoding.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct, inspect

from steward import wire
from steward.decision.lax import OBJECTS, Laxity, unwrapped, within
from steward.decision.settle import put, settled
from steward.errors import DeclarationError

E = TypeVar("E")
UNRESOLVED = "declaration.unresolved-name"
"""The code of the error for a type that names something not defined yet."""


class Codec(Protocol[E]):
    """Turns bytes into events of one schema and back."""

    def decode(self, data: bytes, max_bytes: int) -> E:
        """Return the event; raise ``ContractError`` if the bytes do not fit."""
        ...

    def encode(self, event: E) -> bytes:
        """Return the event as JSON, as its library writes it."""
        ...

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (2020-12) of the bytes."""
        ...


def codec_of(schema: type[E]) -> Codec[E]:
    """Return the codec of a struct, dataclass or pydantic model.

    Raises:
        DeclarationError: Events of this type could not be decoded strictly.
    """
    if hasattr(schema, "__pydantic_validator__"):
        from steward.decision.pydantic import PydanticCodec  # noqa: PLC0415 - only for those who use pydantic

        return PydanticCodec(schema)
    if issubclass(schema, Struct) or dataclasses.is_dataclass(schema):
        return StructCodec(schema)
    raise DeclarationError(
        f"{schema!r} is not a type of events",
        fix="subclass steward.Event, or use a dataclass or a pydantic model",
        field="schema",
    )


def fields_of(schema: Any) -> tuple[str, ...]:
    """Return the names of the fields of a struct, dataclass or pydantic model, in declared order."""
    if issubclass(schema, Struct):
        return tuple(schema.__struct_fields__)
    if dataclasses.is_dataclass(schema):
        return tuple(field.name for field in dataclasses.fields(schema))
    return tuple(schema.__pydantic_fields__)


def unreadable(schema: type, error: Exception) -> DeclarationError:
    """Return the error for a schema whose library cannot make a decoder of it."""
    return DeclarationError(
        f"{schema.__name__} has a field that cannot be read from JSON",
        why=str(error).split("\n")[0],
        fix="use types that its library knows, declared at module level",
        field="schema",
        code=UNRESOLVED if isinstance(error, NameError) else None,
    )


class StructCodec(Generic[E]):
    """The codec of msgspec structs and dataclasses.

    Example:
        >>> from dataclasses import make_dataclass
        >>> codec = StructCodec(make_dataclass("Reading", [("load_mw", float)]))
        >>> codec.decode(b'{"load_mw": 5}', wire.MAX_BYTES)
        Reading(load_mw=5.0)
        >>> codec.decode(b'{"lod_mw": 5, "load_mw": 5}', wire.MAX_BYTES)
        Traceback (most recent call last):
        ...
        steward.errors.ContractError: lod_mw is not a field of the contract...
    """

    def __init__(self, schema: type[E]) -> None:
        try:
            info = inspect.type_info(schema)
            self._decode = msgspec.json.Decoder(schema).decode
        except (TypeError, NameError, AttributeError) as error:
            raise unreadable(schema, error) from error
        if not isinstance(info, inspect.StructType | inspect.DataclassType):
            raise DeclarationError(f"{schema.__name__} is not a struct or dataclass", field="schema")
        for part in within(info):
            _check_readable(part, schema)
        self.schema, self.info = schema, info
        self._quotes = _quotes(info)
        self._flat = all(map(_is_scalar, (field.type for field in info.fields)))
        self._lax = Laxity.of(info)
        self._times = tuple(
            field.name for field in info.fields if any(isinstance(t, inspect.DateTimeType) for t in within(field.type))
        )

    def decode(self, data: bytes, max_bytes: int) -> E:
        """Return the event; see :class:`Codec`."""
        if not self._flat or len(data) > max_bytes:
            wire.check_bounds(data, max_bytes=max_bytes)
        try:
            event = self._decode(data)
        except (ValueError, RecursionError):
            event = wire.read(self._decode, data)  # fails again, and says where
        # Every field is required, so each key is there once at least; more quotes than that are a second key or an
        # escape. Fewer cannot be: the types say which values are strings.
        if data.count(b'"') != self._quotes:
            wire.check_keys(data)
        if self._lax is not None:
            self._lax.check(wire.read(_plain, data))
        for name in self._times:
            value = getattr(event, name)
            if value.__class__ is not datetime or value.tzinfo is not UTC:
                in_utc = settled(value, name)
                if in_utc is not value:
                    put(event, name, in_utc)
        return event

    def encode(self, event: E) -> bytes:
        """Return the event as JSON."""
        return wire.encode(event)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the bytes."""
        from steward.decision.json_schema import struct_schema  # noqa: PLC0415 - only when asked for

        return struct_schema(self.schema, self.info)


_plain = msgspec.json.Decoder().decode


def _check_readable(info: inspect.Type, schema: type) -> None:
    """Refuse types that cannot be read strictly from JSON."""
    wrong = ""
    if isinstance(info, inspect.RawType | inspect.ExtType | inspect.CustomType):
        wrong = "raw, extension and custom types are not checked by anybody"
    elif isinstance(info, inspect.DateTimeType) and info.tz is False:
        wrong = "times must carry an offset, so Meta(tz=False) fits none"
    elif isinstance(info, inspect.DictType) and not _is_text(unwrapped(info.key_type)):
        wrong = "JSON's keys are strings; other keys can be spelt in two ways and so come twice"
    if wrong:
        raise DeclarationError(f"{schema.__name__} has a field that cannot be read strictly", why=wrong, field="schema")


_NESTING = (
    *OBJECTS,
    inspect.NamedTupleType,
    inspect.CollectionType,
    inspect.TupleType,
    inspect.DictType,
    inspect.AnyType,
)


def _is_scalar(info: inspect.Type) -> bool:
    """Tell whether a value of this type holds no arrays or objects."""
    return not any(isinstance(part, _NESTING) for part in within(info))


def _is_text(info: inspect.Type) -> bool:
    if isinstance(info, inspect.EnumType):
        return all(isinstance(member.value, str) for member in info.cls)
    if isinstance(info, inspect.LiteralType):
        return all(isinstance(value, str) for value in info.values)
    return isinstance(info, inspect.StrType | inspect.AnyType)


def _quotes(info: inspect.StructType | inspect.DataclassType) -> int | None:
    """Return how many quotes every text of a flat event has that has no key twice; ``None`` if that differs."""
    if isinstance(info, inspect.DataclassType) or info.array_like or info.tag is not None:
        return None
    total = 0
    for field in info.fields:
        kind = unwrapped(field.type)
        if not field.required:
            return None
        if isinstance(kind, inspect.IntType | inspect.FloatType | inspect.BoolType):
            total += 2
        elif isinstance(kind, inspect.DateTimeType | inspect.DateType | inspect.UUIDType) or (
            _is_text(kind) and not isinstance(kind, inspect.AnyType)
        ):
            total += 4
        else:
            return None
    return total
