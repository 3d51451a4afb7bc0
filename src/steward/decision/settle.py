"""Times in an event just decoded: every one an aware UTC moment, whatever offset it was sent with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct

from steward import wire
from steward.errors import ContractError

DATE_TIME_PATTERN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
"""How a time is written: RFC 3339, with its offset."""


def settled(value: Any, path: str) -> Any:
    """Return a decoded value with every time in it turned to UTC, in place where it can be.

    Raises:
        ContractError: A time has no offset.
    """
    if isinstance(value, datetime):
        return _in_utc(value, path)
    if value is None or isinstance(value, str | bytes | int | float | Enum):
        return value
    if isinstance(value, Mapping):
        return {name: settled(item, wire.joined(path, str(name))) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [settled(item, wire.joined(path, place)) for place, item in enumerate(value)]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    for name, item in wire.parts(value):
        in_utc = settled(item, wire.joined(path, name))
        if in_utc is not item:
            put(value, str(name), in_utc)
    return value


def without_offset(path: str) -> ContractError:
    """Return the error for a time that does not say which moment it means."""
    return ContractError(
        f"{path} is not a time with an offset",
        why="nobody can tell which moment it means",
        fix="write it as in 2026-01-01T12:00:00Z or 2026-01-01T13:00:00+01:00",
        field=path,
    )


def _in_utc(value: datetime, path: str) -> datetime:
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        raise without_offset(path)
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ContractError(f"{path} lies outside the years 1 to 9999 in UTC", field=path) from error


def put(event: Any, name: str, value: object) -> None:
    """Set a field of an event that was made a moment ago, frozen or not."""
    # The event was made a moment ago and nobody has seen it: setting a frozen field is still part of making it.
    if isinstance(event, Struct):
        msgspec.structs.force_setattr(event, name, value)
    else:
        object.__setattr__(event, name, value)
