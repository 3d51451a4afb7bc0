"""What msgspec lets pass: unknown fields of dataclasses and open structs, and odd spellings of decimals."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec import inspect

from steward import wire
from steward.errors import ContractError

DECIMAL_PATTERN = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
"""How a decimal is written as a string."""
OBJECTS = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)
_decimal = re.compile(DECIMAL_PATTERN)


class Laxity:
    """The places of a schema where msgspec is lax, found once, and the check of plain values there.

    Example:
        >>> from dataclasses import make_dataclass
        >>> info = inspect.type_info(make_dataclass("Reading", [("load_mw", float)]))
        >>> Laxity(info).check({"load_mw": 1.5, "lod_mw": 1.5})
        Traceback (most recent call last):
        ...
        steward.errors.ContractError: lod_mw is not a field of the contract...
    """

    def __init__(self, info: inspect.Type) -> None:
        self._info = info
        # Types by id: inspection makes one for each mention, and they are kept alive by the root.
        self._lax = {id(part) for part in within(info) if any(map(_is_lax, within(part)))}
        self._fields = {id(part): self._fields_of(part) for part in within(info) if isinstance(part, OBJECTS)}

    @classmethod
    def of(cls, info: inspect.Type) -> Laxity | None:
        """Return the laxity of a schema; ``None`` if msgspec is strict about all of it."""
        return cls(info) if any(map(_is_lax, within(info))) else None

    def check(self, value: Any) -> None:
        """Check a plain value that msgspec has read as this schema.

        Raises:
            ContractError: It has an unknown field or an odd decimal.
        """
        self._check(value, self._info, "")

    def _fields_of(self, info: Any) -> dict[str, inspect.Type | None]:
        """Return the fields of an object by their name on the wire, those to look into with their type."""
        types = {field.encode_name: field.type if id(field.type) in self._lax else None for field in info.fields}
        tag = getattr(info, "tag_field", None)
        return types if tag is None else {tag: None, **types}

    def _check(self, value: Any, info: inspect.Type, path: str) -> None:
        info = unwrapped(info)
        if isinstance(info, inspect.UnionType):
            info = _branch(value, info)
        if isinstance(value, dict):
            self._check_object(value, info, path)
        elif isinstance(value, list):
            inner = inner_types(info)
            kinds = inner * len(value) if isinstance(info, inspect.CollectionType) else inner
            for place, (item, kind) in enumerate(zip(value, kinds, strict=False)):
                if id(kind) in self._lax:
                    self._check(item, kind, wire.joined(path, place))
        elif isinstance(info, inspect.DecimalType) and isinstance(value, str) and not _decimal.match(value):
            raise ContractError(
                f"{path} does not fit",
                why=f"{value[:40]!r} is not a decimal number",
                fix='write it as in "12.34"',
                field=path,
            )

    def _check_object(self, value: dict[str, Any], info: inspect.Type, path: str) -> None:
        if isinstance(info, inspect.DictType):
            fields = dict.fromkeys(value, info.value_type if id(info.value_type) in self._lax else None)
        else:
            fields = self._fields.get(id(info)) or dict.fromkeys(value)
        for name, item in value.items():
            if name not in fields:
                raise wire.unknown_field(wire.joined(path, name))
            kind = fields[name]
            if kind is not None:
                self._check(item, kind, wire.joined(path, name))


def within(info: inspect.Type, seen: set[int] | None = None) -> Iterator[inspect.Type]:
    """Return a type and every type inside it, each once."""
    seen = set() if seen is None else seen
    if id(info) in seen:
        return
    seen.add(id(info))
    yield info
    for inner in inner_types(info):
        yield from within(inner, seen)


def inner_types(info: inspect.Type) -> tuple[inspect.Type, ...]:
    """Return the types directly inside a type."""
    for kinds, inner in _INSIDE:
        if isinstance(info, kinds):
            return tuple(inner(info))
    return ()


_INSIDE: tuple[tuple[Any, Callable[[Any], Iterable[inspect.Type]]], ...] = (
    (inspect.Metadata, lambda info: [info.type]),
    ((*OBJECTS, inspect.NamedTupleType), lambda info: [field.type for field in info.fields]),
    (inspect.UnionType, lambda info: info.types),
    (inspect.TupleType, lambda info: info.item_types),
    (inspect.CollectionType, lambda info: [info.item_type]),
    (inspect.DictType, lambda info: [info.key_type, info.value_type]),
)


def unwrapped(info: inspect.Type) -> inspect.Type:
    """Return a type without the metadata around it."""
    return unwrapped(info.type) if isinstance(info, inspect.Metadata) else info


def is_open(info: inspect.Type) -> bool:
    """Tell whether msgspec itself would let unknown fields of an object pass."""
    if isinstance(info, inspect.StructType):
        return not info.forbid_unknown_fields
    return isinstance(info, inspect.DataclassType | inspect.TypedDictType)


def _is_lax(info: inspect.Type) -> bool:
    return is_open(info) or isinstance(info, inspect.DecimalType)


def _branch(value: Any, info: inspect.UnionType) -> inspect.Type:
    """Return the member of a union that a value was read as."""
    kinds: list[Any] = [unwrapped(kind) for kind in info.types]
    if isinstance(value, dict):
        kinds = [kind for kind in kinds if isinstance(kind, (*OBJECTS, inspect.DictType))]
        tagged = [kind for kind in kinds if getattr(kind, "tag_field", None) and value.get(kind.tag_field) == kind.tag]
        kinds = tagged or kinds
    elif isinstance(value, list):
        kinds = [kind for kind in kinds if inner_types(kind) and not isinstance(kind, inspect.DictType)]
    else:
        kinds = [kind for kind in kinds if isinstance(kind, inspect.DecimalType)]
    chosen: inspect.Type = kinds[0] if kinds else inspect.AnyType()
    return chosen
