"""A choice as the fields of a form, made from the JSON schema of the choice's own type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from steward.console.choices import chosen, named
from steward.console.words import number
from steward.errors import ContractError

WHOLE: Final = "value"
"""The name of the only field of a choice that has no parts."""


class Field(Struct, frozen=True, kw_only=True):
    """One field of a form for a choice.

    Attributes:
        name: Its name below ``choice.``.
        label: For people.
        control: ``select``, ``number``, ``text`` or ``json``.
        text: What stands in it.
        unit: Of a number, if known.
        options: Of a ``select``: what is sent, and its words.
        low: The least number.
        high: The greatest.
        is_whole: Whether only whole numbers fit.
        required: Whether it must be filled in.

    Example:
        >>> field, = fields_of({"type": "object", "properties": {"power_mw": {"type": "number", "maximum": 20}}}, {})
        >>> field.label, field.unit, field.bounds, field.read("7.5")
        ('Power', 'MW', 'at most 20', 7.5)
    """

    name: str
    label: str
    control: str
    text: str = ""
    unit: str = ""
    options: tuple[tuple[str, str], ...] = ()
    low: float | None = None
    high: float | None = None
    is_whole: bool = False
    required: bool = True

    @property
    def bounds(self) -> str:
        """Which numbers fit, in words."""
        low, high = (None if each is None else number(each) for each in (self.low, self.high))
        if low and high:
            return f"{low} to {high}"
        return f"at least {low}" if low else f"at most {high}" if high else ""

    def read(self, text: str | None) -> object:
        """Return what was typed as plain data.

        Raises:
            ContractError: It does not fit; ``field`` names the field.
        """
        if text is None:
            if self.required:
                raise ContractError(f"{self.label} is missing", fix="fill it in", field=f"choice.{self.name}")
            return None
        if self.control == "text":
            return text
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            raise self._wrong(text) from None  # with its cause it would count as a request that is no JSON
        if self.control == "number":
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise self._wrong(text)
            if self.is_whole and not float(value).is_integer():
                raise self._wrong(text)
            self._check_bounds(value)
            return int(value) if self.is_whole else value
        return value

    def _check_bounds(self, value: float) -> None:
        if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
            raise ContractError(
                f"{self.label} is {number(value)}", why=f"it must be {self.bounds}", fix="correct it",
                field=f"choice.{self.name}",
            )  # fmt: skip

    def _wrong(self, text: str) -> ContractError:
        kinds = {"number": "a whole number" if self.is_whole else "a number", "select": "one of the choices"}
        return ContractError(
            f"{text[:60]!r} is not {kinds.get(self.control, 'JSON')}", fix="correct it", field=f"choice.{self.name}"
        )


def form_of(kind: Any, value: object) -> list[Field]:
    """Return the form for a choice of a type, filled with a present value.

    Args:
        kind: The type that the policy declares to return; ``None`` if it does not.
        value: The present choice, as plain data.

    Example:
        >>> from enum import StrEnum
        >>> class Setpoint(StrEnum):
        ...     CHARGE, HOLD = "charge", "hold"
        >>> field, = form_of(Setpoint, "hold")
        >>> field.control, field.text, field.options
        ('select', '"hold"', (('"charge"', 'Charge'), ('"hold"', 'Hold')))
    """
    return fields_of(_schema(kind), value)


def fields_of(schema: Mapping[str, Any], value: object) -> list[Field]:
    """Return the form for a choice by its JSON schema."""
    definitions = schema.get("$defs", {})
    schema = _resolved(schema, definitions)
    if "properties" not in schema:
        return [_field(WHOLE, "Choice", schema, value)]
    required, present = schema.get("required", ()), value if isinstance(value, Mapping) else {}
    return [
        _field(name, named(name)[0], _resolved(part, definitions), present.get(name), required=name in required)
        for name, part in schema["properties"].items()
    ]


def read_choice(fields: Sequence[Field], sent: Mapping[str, str]) -> object:
    """Return a choice as plain data, from what was typed.

    Raises:
        ContractError: Something does not fit, or is no field of it.
    """
    if unknown := sent.keys() - {field.name for field in fields}:
        raise ContractError(f"the choice has no field {min(unknown)!r}", fix="load the page again", field="choice")
    values = {field.name: field.read(sent.get(field.name)) for field in fields}
    if [*values] == [WHOLE]:
        return values[WHOLE]
    return {name: value for name, value in values.items() if value is not None or name in sent}


def _schema(kind: Any) -> Mapping[str, Any]:
    if kind is None:
        return {}
    if hasattr(kind, "model_json_schema"):  # of pydantic
        described: Mapping[str, Any] = kind.model_json_schema()
        return described
    try:
        return msgspec.json.schema(kind)
    except TypeError:
        return {}  # a type of a library that says nothing of itself: people write it as JSON


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    options = schema.get("anyOf")
    if options:  # of something or nothing, the something
        there = [each for each in options if each.get("type") != "null"]
        return _resolved(there[0], definitions) if len(there) == 1 else {}
    if "$ref" in schema:
        return _resolved(definitions.get(schema["$ref"].rpartition("/")[2], {}), definitions)
    return schema


def _field(name: str, label: str, schema: Mapping[str, Any], value: object, *, required: bool = True) -> Field:
    kind, text = schema.get("type"), "" if value is None else msgspec.json.encode(value).decode()
    common: dict[str, Any] = {"name": name, "label": label, "required": required}
    if "enum" in schema or kind == "boolean":
        options = schema.get("enum", (True, False))
        told = tuple((msgspec.json.encode(each).decode(), chosen(each)) for each in options)
        return Field(control="select", text=text, options=told, **common)
    if kind in ("number", "integer"):
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        bounds: dict[str, Any] = {"low": low, "high": high, "is_whole": kind == "integer"}
        return Field(control="number", text=text, unit=named(name)[1], **bounds, **common)
    if kind == "string":
        return Field(control="text", text=value if isinstance(value, str) else "", **common)
    return Field(control="json", text=text, **common)
