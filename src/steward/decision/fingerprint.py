"""What a decision is, as plain data, and the hash that names it.

The hash covers the declaration and every function in it: its source, its defaults, what it closes over, and the
constants of its module that it names. So a threshold counts wherever it is written. It does not follow calls into
other functions; a release's lock file does that.
"""

from __future__ import annotations

import enum
import hashlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache, partial
from types import CellType, CodeType, FunctionType, MappingProxyType, MethodType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from steward.decision.contract import Contract
from steward.decision.lane import Lane
from steward.errors import DeclarationError

if TYPE_CHECKING:
    from steward.decision.decision import Decision

ABSENT: Final = MappingProxyType({"absent": True})
"""The metadata of a dataclass' field that came later: where it is ``None``, it has no part in the fingerprint."""
_CHANGES_NO_CHOICE = frozenset({"immutable", "lane"})


def fingerprint(decision: Decision[Any, Any, Any]) -> str:
    """Return ``sha256:`` over the plain form of the declaration, functions by their source.

    What is not declared (``None`` or empty) is left out, so that what a later version lets one declare besides renames
    no release that does not use it.
    """
    parts = {name: getattr(decision, name) for name in decision.__dataclass_fields__ if name not in _CHANGES_NO_CHOICE}
    return digest({name: plain(part) for name, part in parts.items() if part is not None and part != ()})


def digest(value: object) -> str:
    """Return ``sha256:<hex>`` of a plain value, independent of the order of its keys.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    return "sha256:" + hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()


def source_hash(function: Callable[..., Any]) -> str:
    """Return ``sha256:`` of what a function does: its source and every value it was made with.

    Example:
        >>> def above(limit: float) -> Callable[[float], bool]:
        ...     return lambda amount: amount > limit
        >>> source_hash(above(5)) == source_hash(above(5)), source_hash(above(5)) == source_hash(above(6))
        (True, False)
    """
    return digest(_function(function, ()))


def _function(function: Any, inside: tuple[int, ...]) -> object:
    """Return a callable as plain data; ``inside`` holds the ids of those whose parts it is."""
    if id(function) in inside:
        return "itself"
    inside = (*inside, id(function))
    if isinstance(function, partial):
        parts = [function.func, *function.args, *(item for pair in sorted(function.keywords.items()) for item in pair)]
        return [_part(part, inside) for part in parts]
    if isinstance(function, MethodType):
        return [_function(function.__func__, inside), _owner(function.__self__, inside)]
    if not isinstance(function, FunctionType):
        kind = type(function) if not isinstance(function, type) else function
        made_with = getattr(function, "__dict__", {}) if kind is not function else {}
        name = getattr(function, "__qualname__", kind.__qualname__)
        return [name, _source(kind), {key: _part(item, inside) for key, item in made_with.items()}]
    return {
        "source": _source(function),
        "defaults": _part(function.__defaults__, inside),
        "keyword defaults": _part(function.__kwdefaults__, inside),
        "closure": [_cell(cell, inside) for cell in function.__closure__ or ()],
        "constants": {name: _part(value, inside) for name, value in _constants(function)},
    }


def _owner(owner: object, inside: tuple[int, ...]) -> object:
    """Return what a method is bound to; of what can change (a client, a plant) only the type is code."""
    parameters = getattr(owner, "__dataclass_params__", None)
    if parameters is not None and not parameters.frozen:
        return f"{type(owner).__module__}.{type(owner).__qualname__}"
    return _part(owner, inside)


def _source(thing: Any) -> object:
    """Return the source, or the names and constants of the compiled code where there is none.

    A class that ships with Steward says by ``code_version`` when it does something else, so that runs under way are not
    halted by a release that only moves its lines.
    """
    if isinstance(thing, type) and "code_version" in vars(thing):
        return f"{thing.__module__}.{thing.__qualname__} {vars(thing)['code_version']}"
    code = getattr(thing, "__code__", None)
    if isinstance(thing, FunctionType) and not hasattr(thing, "__wrapped__"):
        source = _text(thing.__code__, thing.__code__.co_filename)
    else:
        source = _text(thing, "")
    # One line may hold several lambdas, and a lambda of several lines gives only its first.
    return [source, _compiled(code)] if code and (not source or code.co_name == "<lambda>") else source


@lru_cache(maxsize=4096)
def _text(thing: Any, file: str) -> str:
    """Return the source, found once: the same code closes over many things. Equal code of two files is told apart."""
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError):
        return ""


def _compiled(code: CodeType) -> object:
    constants = [_compiled(item) if isinstance(item, CodeType) else _part(item, ()) for item in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), list(code.co_varnames), constants]


def _cell(cell: CellType, inside: tuple[int, ...]) -> object:
    try:
        return _part(cell.cell_contents, inside)
    except ValueError:
        return "empty"  # a name that is bound only after the function was made


def _constants(function: FunctionType) -> Iterator[tuple[str, object]]:
    """Return the plain values of the module that a function names."""
    for name in sorted(set(_names(function.__code__))):
        value = function.__globals__.get(name)
        if isinstance(value, bool | int | float | str | Decimal | timedelta | tuple | frozenset | enum.Enum):
            yield name, value


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _part(value: object, inside: tuple[int, ...]) -> object:
    """Return a value that a function was made with; what is no plain data is named by its type."""
    if isinstance(value, FunctionType | MethodType | partial):
        return _function(value, inside)
    if isinstance(value, tuple | list):
        return [_part(item, inside) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    try:
        return msgspec.to_builtins(plain(value), str_keys=True)
    except (TypeError, ValueError, RecursionError, DeclarationError):
        return f"{type(value).__module__}.{type(value).__qualname__}"


def plain(value: object) -> object:
    """Return a declared value as plain data; functions become their name and source hash."""
    if value is None or (isinstance(value, (bool, int, float, str)) and not isinstance(value, enum.Enum)):
        return value
    for kinds, turn in _PLAIN:
        if isinstance(value, kinds):
            return turn(value)
    if callable(value):
        return {
            "function": getattr(value, "__qualname__", type(value).__qualname__),
            "source": source_hash(value),
        }
    return msgspec.to_builtins(value)


def _plain_dataclass(value: Any) -> object:
    told = [(item, getattr(value, item.name)) for item in fields(value) if item.compare]
    made = {item.name: plain(part) for item, part in told if part is not None or "absent" not in item.metadata}
    if not callable(value):
        return made
    return {"function": type(value).__qualname__, "source": digest(_source(type(value))), **made}


def _plain_type(value: type) -> object:
    if hasattr(value, "contract_name") or is_dataclass(value) or hasattr(value, "model_fields"):
        return _plain_contract(Contract.of(value))
    return f"{value.__module__}.{value.__qualname__}"


def _plain_contract(contract: Contract[Any]) -> object:
    return {
        "contract": contract.name,
        "version": contract.version,
        "fields": list(contract.fields),
        "schema": digest(contract.json_schema()),
        "upcasts": {str(version): source_hash(upcast) for version, upcast in sorted(contract.upcasts.items())},
    }


def _plain_set(value: set[Any] | frozenset[Any]) -> object:
    # The order of a set differs from process to process.
    return sorted((plain(item) for item in value), key=msgspec.json.encode)


class _Dataclass(type):
    def __instancecheck__(cls, value: object) -> bool:
        return is_dataclass(value) and not isinstance(value, type)


class _AnyDataclass(metaclass=_Dataclass):
    """Matches any instance of a dataclass."""


_PLAIN: tuple[tuple[Any, Callable[[Any], object]], ...] = (
    (Lane, lambda value: value.name.lower()),
    (enum.Enum, lambda value: value.value),
    (timedelta, lambda value: {"seconds": value.total_seconds()}),
    (type, _plain_type),
    (Contract, _plain_contract),
    (_AnyDataclass, _plain_dataclass),
    (Mapping, lambda value: {str(key): plain(item) for key, item in value.items()}),
    ((set, frozenset), _plain_set),
    ((tuple, list), lambda value: [plain(item) for item in value]),
)


def describe(decision: Decision[Any, Any, Any]) -> dict[str, object]:
    """Return the declaration as plain data, with its fingerprint and the event's JSON Schema."""
    described = {name: plain(getattr(decision, name)) for name in decision.__dataclass_fields__}
    return {"fingerprint": decision.fingerprint, **described}
