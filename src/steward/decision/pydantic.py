"""Pydantic models as contracts: strict mode, no extra fields, and the checks of JSON that pydantic leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import pydantic
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from steward import wire
from steward.decision.codec import unreadable
from steward.decision.settle import DATE_TIME_PATTERN, settled, without_offset
from steward.errors import ContractError, DeclarationError

E = TypeVar("E")
_date_time = re.compile(DATE_TIME_PATTERN)


class PydanticCodec(Generic[E]):
    """The codec of pydantic models and pydantic dataclasses.

    Example:
        >>> class Reading(pydantic.BaseModel, extra="forbid"):
        ...     load_mw: float = pydantic.Field(ge=0)
        >>> PydanticCodec(Reading).decode(b'{"load_mw": 5}', wire.MAX_BYTES)
        Reading(load_mw=5.0)
    """

    def __init__(self, schema: type[E]) -> None:
        try:
            self._adapter = TypeAdapter(schema)
            self._json_schema = self._adapter.json_schema()
        except (pydantic.PydanticUserError, NameError) as error:
            raise unreadable(schema, error) from error
        self._has_times = False
        for part in _parts(self._json_schema):
            if isinstance(part.get("properties"), dict) and part.get("additionalProperties") is not False:
                raise DeclarationError(
                    f"the model {part.get('title', schema.__name__)} lets unknown fields pass",
                    why="a contract refuses them",
                    fix='write model_config = ConfigDict(extra="forbid")',
                    field="schema",
                )
            if part.get("format") == "date-time":
                self._has_times = True
                part["pattern"] = DATE_TIME_PATTERN

    def decode(self, data: bytes, max_bytes: int) -> E:
        """Return the event; see :class:`steward.decision.codec.Codec`."""
        plain = wire.decode(data, max_bytes=max_bytes)  # pydantic reads NaN, 1e999 and duplicate keys
        try:
            event = self._adapter.validate_json(data, strict=True)
        except pydantic.ValidationError as error:
            raise _refusal(error) from error
        if self._has_times:  # pydantic reads "1767225600" and times without seconds
            _check_times(plain, [self._json_schema], self._json_schema.get("$defs", {}), "")
            settled(event, "")
        return event

    def encode(self, event: E) -> bytes:
        """Return the event as JSON."""
        wire.check_finite(event)
        try:
            return self._adapter.dump_json(event, by_alias=True, warnings="error")
        except (PydanticSerializationError, ValueError) as error:
            raise ContractError("the event cannot be written as JSON", why=str(error), field="$") from error

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the bytes."""
        return dict(self._json_schema)


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Return a schema and every object in it."""
    if isinstance(schema, dict):
        yield schema
        for inner in list(schema.values()):
            yield from _parts(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _parts(inner)


def _check_times(value: Any, schemas: list[Any], defs: dict[str, Any], path: str) -> None:
    """Refuse strings that can only be times, by one of ``schemas``, and are not written as such."""
    branches = list(_branches(schemas, defs))
    if isinstance(value, str):
        strings = [branch for branch in branches if branch.get("type", "string") == "string"]
        only_times = strings and all(branch.get("format") == "date-time" for branch in strings)
        if only_times and not _date_time.match(value):
            raise without_offset(path)
    elif isinstance(value, dict):
        for name, item in value.items():
            inner = [branch.get("properties", {}).get(name, branch.get("additionalProperties")) for branch in branches]
            _check_times(item, inner, defs, wire.joined(path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            inner = [_item_schema(branch, place) for branch in branches]
            _check_times(item, inner, defs, wire.joined(path, place))


def _item_schema(branch: dict[str, Any], place: int) -> Any:
    first = branch.get("prefixItems", [])
    return first[place] if place < len(first) else branch.get("items")


def _branches(schemas: list[Any], defs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return what a value may be, with references followed and alternatives side by side."""
    for schema in schemas:
        if not isinstance(schema, dict):
            continue
        if "$ref" in schema:
            yield from _branches([defs.get(schema["$ref"].rsplit("/", 1)[1])], defs)
        elif inner := [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]:
            yield from _branches(inner, defs)
        else:
            yield schema


def _refusal(error: pydantic.ValidationError) -> ContractError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ""
    for step in first["loc"]:
        place = wire.joined(place, step)
    if first["type"] == "extra_forbidden":
        return wire.unknown_field(place)
    return ContractError(
        f"{place or 'the whole text'} does not fit",
        why=first["msg"][:1].lower() + first["msg"][1:],
        fix="send what the contract's schema asks for",
        field=place or "$",
    )
