"""What a decision is, as plain data, and the hash that names it.

The hash covers the declaration and the source of every function in it, so that two decisions with one
fingerprint do the same. It does not follow calls into other functions; a release's lock file does that.
"""

from __future__ import annotations

import enum
import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from steward.decision.contract import Contract

if TYPE_CHECKING:
    from steward.decision.decision import Decision


def fingerprint(decision: Decision[Any, Any, Any]) -> str:
    """Return ``sha256:`` over the plain form of the declaration, functions by their source."""
    return digest({name: plain(getattr(decision, name)) for name in decision.__dataclass_fields__})


def digest(value: object) -> str:
    """Return ``sha256:<hex>`` of a plain value, independent of the order of its keys.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    return "sha256:" + hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def source_hash(function: Callable[..., Any]) -> str:
    """Return ``sha256:`` of a function's source, or of its compiled code where there is no source."""
    if isinstance(function, partial):
        return digest([source_hash(function.func), plain(function.args), plain(function.keywords)])
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        text = (
            repr((code.co_code, code.co_names, [c for c in code.co_consts if not inspect.iscode(c)]))
            if code
            else repr(type(function))
        )
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def plain(value: object) -> object:
    """Return a declared value as plain data; functions become their name and source hash."""
    if value is None or (isinstance(value, (bool, int, float, str)) and not isinstance(value, enum.Enum)):
        return value
    for kinds, turn in _PLAIN:
        if isinstance(value, kinds):
            return turn(value)
    if callable(value):
        return {
            "function": getattr(value, "__qualname__", type(value).__name__),
            "source": source_hash(value),
        }
    return msgspec.to_builtins(value)


def _plain_dataclass(value: Any) -> object:
    return {item.name: plain(getattr(value, item.name)) for item in fields(value) if item.compare}


def _plain_type(value: type) -> object:
    if hasattr(value, "contract_name"):
        return _plain_contract(Contract.of(value))
    return f"{value.__module__}.{value.__qualname__}"


def _plain_contract(contract: Contract[Any]) -> object:
    return {"contract": contract.name, "version": contract.version, "fields": list(contract.fields)}


class _Dataclass(type):
    def __instancecheck__(cls, value: object) -> bool:
        return is_dataclass(value) and not isinstance(value, type)


class _AnyDataclass(metaclass=_Dataclass):
    """Matches any instance of a dataclass."""


_PLAIN: tuple[tuple[Any, Callable[[Any], object]], ...] = (
    (enum.Enum, lambda value: value.value),
    (timedelta, lambda value: {"seconds": value.total_seconds()}),
    (type, _plain_type),
    (Contract, _plain_contract),
    (_AnyDataclass, _plain_dataclass),
    (Mapping, lambda value: {str(key): plain(item) for key, item in value.items()}),
    ((tuple, list, set, frozenset), lambda value: [plain(item) for item in value]),
)


def describe(decision: Decision[Any, Any, Any]) -> dict[str, object]:
    """Return the declaration as plain data, with its fingerprint and the event's JSON Schema."""
    described = {name: plain(getattr(decision, name)) for name in decision.__dataclass_fields__}
    return {"fingerprint": decision.fingerprint, **described}
