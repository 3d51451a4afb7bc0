"""The JSON Schema of a struct or dataclass: msgspec's own, made as strict as the codec."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import inspect

from steward.decision.lax import DECIMAL_PATTERN, is_open, unwrapped
from steward.decision.settle import DATE_TIME_PATTERN

_UUID_PATTERN = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$|^[0-9a-fA-F]{32}$"


def struct_schema(schema: type, info: inspect.Type) -> dict[str, Any]:
    """Return the schema, with the event's own fields at its root and nested objects under ``$defs``.

    Example:
        >>> from datetime import datetime
        >>> class Tick(msgspec.Struct, forbid_unknown_fields=True):
        ...     n: int
        >>> struct_schema(Tick, inspect.type_info(Tick))["properties"]
        {'n': {'type': 'integer'}}
    """
    made: dict[str, Any] = msgspec.json.schema(schema)
    defs: dict[str, Any] = made.get("$defs", {})
    _refine(made, info, defs, set())
    reference = made.pop("$ref", None)
    if reference is None:
        return made
    name = reference.rsplit("/", 1)[1]
    if reference.encode() not in msgspec.json.encode(defs):  # no part of it contains the whole again
        made.update(defs.pop(name))
    else:
        made["$ref"] = reference
    if not defs:
        made.pop("$defs", None)
    return made


def _refine(schema: dict[str, Any], info: inspect.Type, defs: dict[str, Any], done: set[str]) -> None:
    """Say in ``schema`` what the codec checks beyond msgspec."""
    info = unwrapped(info)
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        if name not in done:
            done.add(name)
            _refine(defs[name], info, defs, done)
    elif isinstance(info, inspect.UnionType):
        _refine_union(schema, info, defs, done)
    elif isinstance(info, inspect.StructType | inspect.DataclassType | inspect.TypedDictType):
        _refine_object(schema, info, defs, done)
    elif isinstance(info, inspect.DateTimeType):
        schema.update(format="date-time", pattern=DATE_TIME_PATTERN)
    elif isinstance(info, inspect.UUIDType):
        schema.pop("format", None)
        schema["pattern"] = _UUID_PATTERN
    elif isinstance(info, inspect.DecimalType):
        schema.update(type=["string", "number"], pattern=DECIMAL_PATTERN)
        schema.pop("format", None)
    else:
        _refine_items(schema, info, defs, done)


def _refine_items(schema: dict[str, Any], info: Any, defs: dict[str, Any], done: set[str]) -> None:
    if isinstance(info, inspect.CollectionType) and "items" in schema:
        _refine(schema["items"], info.item_type, defs, done)
    elif isinstance(info, inspect.TupleType):
        for inner, kind in zip(schema.get("prefixItems", []), info.item_types, strict=True):
            _refine(inner, kind, defs, done)
    elif isinstance(info, inspect.NamedTupleType):
        for inner, field in zip(schema.get("prefixItems", []), info.fields, strict=True):
            _refine(inner, field.type, defs, done)
    elif isinstance(info, inspect.DictType) and isinstance(schema.get("additionalProperties"), dict):
        _refine(schema["additionalProperties"], info.value_type, defs, done)


def _refine_object(schema: dict[str, Any], info: Any, defs: dict[str, Any], done: set[str]) -> None:
    if getattr(info, "array_like", False):
        for inner, field in zip(schema.get("prefixItems", []), info.fields, strict=False):
            _refine(inner, field.type, defs, done)
        return
    if is_open(info):
        schema["additionalProperties"] = False
    for field in info.fields:
        _refine(schema["properties"][field.encode_name], field.type, defs, done)


def _refine_union(schema: dict[str, Any], info: inspect.UnionType, defs: dict[str, Any], done: set[str]) -> None:
    """Match each branch of a union to its type: at most one is a string, and objects go by their name."""
    branches = schema.get("anyOf", [])
    for kind in map(unwrapped, info.types):
        for branch in branches:
            if _fits(branch, kind):
                _refine(branch, kind, defs, done)


def _fits(branch: dict[str, Any], kind: Any) -> bool:
    if "$ref" in branch:
        return bool(getattr(getattr(kind, "cls", None), "__name__", None) == branch["$ref"].rsplit("/", 1)[1])
    if isinstance(kind, inspect.DateTimeType | inspect.UUIDType | inspect.DecimalType):
        return branch.get("type") == "string"
    if isinstance(kind, inspect.CollectionType | inspect.TupleType):
        return branch.get("type") == "array"
    return isinstance(kind, inspect.DictType) and branch.get("type") == "object"
