"""A sample of an event, made from its JSON schema, so that the first ``curl`` can be copied and works."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from steward.decision.contract import Contract
from steward.errors import ContractError

_KNOWN: Final = {
    "date-time": "2026-01-01T12:00:00Z",
    "date": "2026-01-01",
    "time": "12:00:00Z",
    "uuid": "0197ab12-0000-7000-8000-000000000000",
    "duration": "PT1H",
}
_Schema = Mapping[str, Any]


def sample_of(contract: Contract[Any]) -> bytes | None:
    """Return JSON that fits a contract, ``None`` if none could be made.

    Example:
        >>> from steward import Event
        >>> class Payment(Event):
        ...     customer: str
        ...     amount_eur: float
        >>> sample_of(Contract.of(Payment))
        b'{"amount_eur":1.0,"customer":"text"}'
    """
    schema = contract.json_schema()
    made = msgspec.json.encode(_sample(schema, schema), order="sorted")
    try:
        contract.decode(made)
    except ContractError:
        return None  # a pattern, or a rule that no schema tells
    return made


def _sample(schema: _Schema, root: _Schema) -> Any:
    for word in ("examples", "enum"):
        if schema.get(word):
            return schema[word][0]
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    if "$ref" in schema:
        return _sample(_resolved(schema["$ref"], root), root)
    if choices := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return _sample(choices[0], root)
    kind = schema.get("type")
    return _BY_TYPE.get(kind[0] if isinstance(kind, list) else kind, lambda schema, root: None)(schema, root)


def _resolved(reference: str, root: _Schema) -> _Schema:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found  # type: ignore[no-any-return] # a schema's references lead to schemas


def _object(schema: _Schema, root: _Schema) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    return {name: _sample(part, root) for name, part in schema.get("properties", {}).items() if name in required}


def _array(schema: _Schema, root: _Schema) -> list[Any]:
    if "prefixItems" in schema:
        return [_sample(part, root) for part in schema["prefixItems"]]
    items = schema.get("items")
    return [_sample(items, root)] * int(schema.get("minItems", 0)) if isinstance(items, Mapping) else []


def _string(schema: _Schema, root: _Schema) -> str:
    if "format" not in schema and "pattern" in schema:
        return next((known for known in _KNOWN.values() if re.search(schema["pattern"], known)), "text")
    made = _KNOWN.get(schema.get("format", ""), "text")
    return made.ljust(int(schema.get("minLength", 0)), "x")[: int(schema.get("maxLength", 100))]


def _integer(schema: _Schema, root: _Schema) -> int:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    return int(min(max(1, low), schema.get("maximum", max(1, low))))


def _number(schema: _Schema, root: _Schema) -> float:
    low, high = (
        schema.get("minimum", schema.get("exclusiveMinimum")),
        schema.get("maximum", schema.get("exclusiveMaximum")),
    )
    if low is not None and high is not None:
        return (float(low) + float(high)) / 2
    if low is not None:
        return float(low) + 1
    return 1.0 if high is None else min(1.0, float(high) - 1)


_BY_TYPE: Final[dict[Any, Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda schema, root: True,
}
