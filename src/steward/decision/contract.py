"""Contracts: the schema of an event or outcome, with its version.

An event is declared as a frozen struct; what does not fit is refused with a ``ContractError`` that names the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Generic, TypeVar, cast, dataclass_transform

import msgspec
from msgspec import Struct, StructMeta

from steward.errors import ContractError, DeclarationError

E = TypeVar("E")
Upcast = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns the plain data of one version into that of the next."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class _EventMeta(StructMeta):
    """Takes the contract's own class keywords before msgspec sees the rest."""

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        contract: str | None = None,
        version: int = 1,
        upcasts: Mapping[int, Upcast] | None = None,
        **options: Any,
    ) -> Any:
        cls: Any = super().__new__(mcls, name, bases, namespace, **options)
        cls.contract_name = contract or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
        cls.contract_version = version
        cls.contract_upcasts = dict(upcasts or {})
        return cls


class Event(Struct, metaclass=_EventMeta, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of a typed, versioned fact; also of outcomes.

    Class keywords: ``contract`` (its name on the wire, by default the class name in kebab case), ``version``
    (from 1) and ``upcasts`` (from each older version, a function to the next one).

    Example:
        >>> class LoadReading(Event, version=2):
        ...     region: str
        ...     load_mw: float
        >>> LoadReading.contract_name, LoadReading.contract_version
        ('load-reading', 2)
    """

    contract_name: ClassVar[str] = "event"
    contract_version: ClassVar[int] = 1
    contract_upcasts: ClassVar[Mapping[int, Upcast]] = {}


@dataclass(frozen=True)
class Contract(Generic[E]):
    """The schema of one kind of event or outcome.

    Attributes:
        schema: The Python type events are decoded to.
        name: Its name on the wire.
        version: The current version, from 1.
        upcasts: From each older version, the function to the next one.

    Example:
        >>> class Tick(Event):
        ...     n: int
        >>> Contract.of(Tick).decode(b'{"n": 3}')
        Tick(n=3)
    """

    schema: type[E]
    name: str
    version: int = 1
    upcasts: Mapping[int, Upcast] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, declared: type[E] | Contract[E]) -> Contract[E]:
        """Return the contract of an event type (cached), or the contract itself."""
        return declared if isinstance(declared, Contract) else cast("Contract[E]", _contract_of(declared))

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the event's fields, in declared order."""
        schema: Any = self.schema
        return tuple(schema.__struct_fields__)

    def decode(self, data: bytes, *, version: int | None = None) -> E:
        """Decode JSON bytes strictly, upcasting from ``version`` if older.

        Raises:
            ContractError: The bytes do not fit; ``error.field`` names the place.
        """
        try:
            return msgspec.json.decode(data, type=self.schema)
        except msgspec.DecodeError as error:
            raise ContractError(f"{self.name}: {error}") from error

    def encode(self, event: E) -> bytes:
        """Encode an event as JSON bytes of the current version."""
        return msgspec.json.encode(event)


@cache
def _contract_of(declared: Hashable) -> Contract[Any]:
    if not (isinstance(declared, type) and issubclass(declared, Event)):
        raise DeclarationError(
            f"{declared!r} is not an event type", fix="subclass steward.Event or wrap it in Contract(...)"
        )
    return Contract(declared, declared.contract_name, declared.contract_version, declared.contract_upcasts)
