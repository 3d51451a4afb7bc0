"""What a policy's inputs may be: the part of JSON Schema that an input node may hold.

An object whose properties are numbers (with bounds), integers, texts (maybe of a list), truth values, or arrays of
texts. An input that is not ``required`` may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from steward.errors import DeclarationError
from steward.policies.kinds import Kind

Bound = Decimal | None
_Number = int | float


@dataclass(frozen=True, kw_only=True)
class Domain:
    """What a value may be.

    Attributes:
        kind: Number, text, flag or list.
        low: The least number, if there is one.
        high: The greatest.
        low_open: Whether the least number itself is left out.
        high_open: Whether the greatest is.
        whole: Whether numbers have no fraction.
        values: All the values there are, if they are few.
        may_miss: Whether it may be missing.

    Example:
        >>> read_domains('{"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}}')["age"].low
        Decimal('0')
    """

    kind: Kind
    low: Bound = None
    high: Bound = None
    low_open: bool = False
    high_open: bool = False
    whole: bool = False
    values: tuple[Decimal | str | bool, ...] | None = None
    may_miss: bool = True

    def holds(self, value: Decimal | str | bool) -> bool:
        """Tell whether a value of the right kind may be.

        Example:
            >>> Domain(kind=Kind.NUMBER, low=Decimal(0), low_open=True).holds(Decimal(0))
            False
        """
        if self.values is not None:
            return value in self.values
        if not isinstance(value, Decimal):
            return True
        if self.whole and value != value.to_integral_value():
            return False
        if self.low is not None and (value < self.low or (self.low_open and value == self.low)):
            return False
        return self.high is None or value < self.high or (value == self.high and not self.high_open)


class _Items(Struct, forbid_unknown_fields=True):
    type: Literal["string"]
    enum: tuple[str, ...] | None = None


_Type = Literal["number", "integer", "string", "boolean", "array", "null"]


class _Property(Struct, forbid_unknown_fields=True, rename="camel"):
    type: _Type | tuple[_Type, ...] | None = None
    enum: tuple[str | int | float | bool | None, ...] | None = None
    minimum: _Number | None = None
    maximum: _Number | None = None
    exclusive_minimum: _Number | None = None
    exclusive_maximum: _Number | None = None
    format: Literal["date", "date-time"] | None = None
    items: _Items | None = None
    title: str = ""
    description: str = ""
    # what people leave in a schema and what changes nothing
    examples: tuple[object, ...] = ()


class _Schema(Struct, forbid_unknown_fields=True, rename={"dialect": "$schema", "additional": "additionalProperties"}):
    type: Literal["object"]
    properties: dict[Annotated[str, Meta(min_length=1)], _Property] = {}
    required: tuple[str, ...] = ()
    additional: bool = True
    dialect: str = ""
    title: str = ""
    description: str = ""


_KINDS: Final = {
    "number": Kind.NUMBER,
    "integer": Kind.NUMBER,
    "string": Kind.TEXT,
    "boolean": Kind.FLAG,
    "array": Kind.LIST,
}


def read_domains(schema: str) -> Mapping[str, Domain]:
    """Return what a schema says of each input, by name; nothing for an empty schema.

    Raises:
        DeclarationError: The schema says something that is not understood here.
    """
    if not schema:
        return {}
    try:
        read = msgspec.json.decode(schema, type=_Schema)
        return {name: _domain(name, each, name in read.required) for name, each in read.properties.items()}
    except (msgspec.MsgspecError, InvalidOperation) as error:
        raise DeclarationError(
            "the schema of the input node cannot be used",
            why=str(error),
            fix="use an object with properties of number, integer, string, boolean or array, bounds and enum",
            code="policy",
            field="schema",
        ) from error


def _domain(name: str, told: _Property, required: bool) -> Domain:
    types = (told.type,) if isinstance(told.type, str) else told.type or ()
    kinds = {_KINDS[each] for each in types if each != "null"} | {_kind(v) for v in told.enum or () if v is not None}
    if len(kinds) != 1:
        raise DeclarationError(
            f"the schema does not say of which one type {name!r} is", code="policy", field="schema", fix="give a type"
        )
    null = "null" in types or (told.enum is not None and None in told.enum)
    low, high = told.minimum, told.maximum
    return Domain(
        kind=kinds.pop(),
        low=_exact(told.exclusive_minimum if low is None else low),
        high=_exact(told.exclusive_maximum if high is None else high),
        low_open=low is None and told.exclusive_minimum is not None,
        high_open=high is None and told.exclusive_maximum is not None,
        whole="integer" in types,
        values=None if told.enum is None else tuple(_value(each) for each in told.enum if each is not None),
        may_miss=null or not required,
    )


def _kind(value: object) -> Kind:
    if isinstance(value, bool):
        return Kind.FLAG
    return Kind.NUMBER if isinstance(value, int | float) else Kind.TEXT


def _value(value: str | float | bool) -> Decimal | str | bool:
    return value if isinstance(value, str | bool) else Decimal(repr(value))


def _exact(value: float | None) -> Bound:
    return None if value is None else Decimal(repr(value))
