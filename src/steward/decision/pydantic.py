"""Pydantic models as contracts: strict mode, no extra fields, and the checks of JSON that pydantic leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import pydantic
from pydantic import TypeAdapter

from steward import wire
from steward.decision.codec import unreadable
from steward.decision.settle import settled
from steward.errors import ContractError, DeclarationError

E = TypeVar("E")


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
        for title in _open_objects(self._json_schema):
            raise DeclarationError(
                f"the model {title} lets unknown fields pass",
                why="a contract refuses them",
                fix='write model_config = ConfigDict(extra="forbid")',
                field="schema",
            )

    def decode(self, data: bytes, max_bytes: int) -> E:
        """Return the event; see :class:`steward.decision.codec.Codec`."""
        wire.decode(data, max_bytes=max_bytes)  # pydantic reads NaN, 1e999 and duplicate keys
        try:
            event = self._adapter.validate_json(data, strict=True)
        except pydantic.ValidationError as error:
            raise _refusal(error) from error
        settled(event, "")
        return event

    def encode(self, event: E) -> bytes:
        """Return the event as JSON."""
        wire.check_finite(event)
        return self._adapter.dump_json(event, by_alias=True)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the bytes."""
        return dict(self._json_schema)


def _open_objects(schema: Any) -> Iterator[str]:
    """Return the titles of the objects in a schema that take fields they do not name."""
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict) and schema.get("additionalProperties") is not False:
            yield str(schema.get("title", "without a title"))
        for inner in schema.values():
            yield from _open_objects(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _open_objects(inner)


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
