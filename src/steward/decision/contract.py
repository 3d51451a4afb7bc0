"""Contracts: the schema of an event or outcome, with its version.

An event is declared as a frozen struct; a dataclass or a pydantic model will do as well. What does not fit is refused
with a ``ContractError`` that names the field, whatever the kind of schema: see :mod:`steward.wire` for what JSON itself
leaves open, and ``docs/contracts.md`` for the whole list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, ClassVar, Generic, TypeVar, cast, dataclass_transform

import msgspec
from msgspec import Struct, StructMeta

from steward import wire
from steward.decision.codec import UNRESOLVED, Codec, codec_of, fields_of
from steward.errors import ContractError, DeclarationError, StewardError

E = TypeVar("E")
Upcast = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns the plain data of one version into that of the next."""

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*")
_OWN = ("contract_name", "contract_version", "contract_upcasts")


def kebab(name: str) -> str:
    """Return a class's name as it is written on the wire.

    Example:
        >>> kebab("LoadReading"), kebab("_Tick"), kebab("HTTPCall")
        ('load-reading', 'tick', 'http-call')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_+", "-", name)
    return words.strip("-").lower()


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
        taken = [own for own in _OWN if own in namespace.get("__annotations__", {}) and bases != (Struct,)]
        if taken:
            raise DeclarationError(
                f"the event {name} may not have a field {taken[0]!r}", fix="rename it", field=taken[0]
            )
        cls: Any = super().__new__(mcls, name, bases, namespace, **options)
        cls.contract_name = contract or kebab(name)
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
        schema: The Python type events are decoded to: an :class:`Event` or other msgspec struct, a dataclass, or a
            pydantic model with ``extra="forbid"``.
        name: Its name on the wire: lower-case words joined by dots and hyphens.
        version: The current version, from 1.
        upcasts: From each older version that is still read, the function to the next one, without gaps.

    Raises:
        DeclarationError: The contract contradicts itself or its type cannot be decoded strictly.

    Example:
        >>> class Tick(Event):
        ...     n: int
        >>> Contract.of(Tick).decode(b'{"n": 3}')
        Tick(n=3)
        >>> Contract.of(Tick).decode(b'{"n": 3, "n": 4}')
        Traceback (most recent call last):
        ...
        steward.errors.ContractError: tick: the key 'n' comes twice...
        >>> Contract(Tick, "tick", version=2, upcasts={1: lambda old: {"n": old["count"]}}).decode(
        ...     b'{"count": 3}', version=1)
        Tick(n=3)
    """

    schema: type[E]
    name: str
    version: int = 1
    upcasts: Mapping[int, Upcast] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Check what can be known before the first event."""
        if len(self.name) > 100 or not _NAME.fullmatch(self.name):
            raise DeclarationError(
                f"{self.name!r} is not a name for a contract",
                fix="use lower-case words joined by dots and hyphens: grid.load-reading",
                field="name",
            )
        if self.version < 1:
            raise DeclarationError(
                f"contract {self.name!r} has version {self.version!r}", fix="count from 1", field="version"
            )
        oldest = min(self.upcasts, default=self.version)
        if oldest < 1 or sorted(self.upcasts) != list(range(oldest, self.version)):
            raise DeclarationError(
                f"contract {self.name!r} of version {self.version} has upcasters from {sorted(self.upcasts)}",
                why="they must lead from the oldest version that is read to the current one, without a gap",
                field="upcasts",
            )
        try:
            self._codec  # noqa: B018 - made now, so that what cannot be decoded is found at the declaration
        except DeclarationError as error:
            if error.code != UNRESOLVED:  # a name that is defined further down is found at the first event
                raise

    @classmethod
    def of(cls, declared: type[E] | Contract[E]) -> Contract[E]:
        """Return the contract of an event type (cached), or the contract itself."""
        return (
            declared
            if isinstance(declared, Contract)
            else cast("Contract[E]", _contract_of(cast("Hashable", declared)))
        )

    @cached_property
    def _codec(self) -> Codec[E]:
        return codec_of(self.schema)

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of the event's fields, in declared order."""
        return fields_of(self.schema)

    def decode(self, data: bytes, *, version: int | None = None, max_bytes: int = wire.MAX_BYTES) -> E:
        """Decode JSON bytes strictly, upcasting from ``version`` if older.

        Args:
            data: The event as JSON.
            version: The version that ``data`` was written in, by default the current one.
            max_bytes: The largest text that is read; 1 MiB by default.

        Raises:
            ContractError: The bytes do not fit; ``error.field`` names the place, ``$`` the whole text.
        """
        try:
            if version is None or version == self.version:
                return self._codec.decode(data, max_bytes)
            return self._codec.decode(wire.encode(self._upcast(data, version, max_bytes)), max_bytes)
        except ContractError as error:
            raise self._named(error) from error

    def convert(self, value: object, *, version: int | None = None) -> E:
        """Make an event from plain data (a dict), exactly as strictly as :meth:`decode`.

        Raises:
            ContractError: The data does not fit; ``error.field`` names the place.
        """
        try:
            data = wire.encode(value)
        except ContractError as error:
            raise self._named(error) from error
        return self.decode(data, version=version)

    def encode(self, event: E) -> bytes:
        """Encode an event as JSON bytes of the current version, which :meth:`decode` is known to read.

        Raises:
            ContractError: The event does not fit its own contract (Python does not check what it is made of).
        """
        try:
            data = self._codec.encode(event)
            self._codec.decode(data, wire.MAX_BYTES)
        except ContractError as error:
            raise self._named(error) from error
        return data

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON Schema (Draft 2020-12) of the current version, with titles, ranges and units."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:steward:contract:{self.name}:{self.version}",
            **self._codec.json_schema(),
        }

    def _upcast(self, data: bytes, version: int, max_bytes: int) -> object:
        if version > self.version or version < 1:
            raise ContractError(
                f"version {version} is unknown",
                why=f"the current version is {self.version}",
                fix="upgrade this server first, then the senders",
                field="version",
                code="contract.version",
            )
        if version not in self.upcasts:
            raise ContractError(
                f"version {version} is no longer read",
                why=f"there is no upcaster from {version} to {version + 1}",
                fix=f"send version {self.version}, or declare upcasts={{{version}: ...}}",
                field="version",
                code="contract.version",
            )
        value = wire.decode(data, max_bytes=max_bytes)
        if not isinstance(value, dict):
            raise ContractError("an event is a JSON object", field="$")
        for older in range(version, self.version):
            try:
                value = self.upcasts[older](value)
            except StewardError:
                raise
            except Exception as error:
                raise ContractError(
                    f"version {older} could not be turned into {older + 1}",
                    why=f"{type(error).__name__}: {error}",
                    fix=f"send what version {older} asked for, or version {self.version}",
                    field=str(error.args[0]) if isinstance(error, KeyError) and error.args else "$",
                ) from error
        return value

    def _named(self, error: ContractError) -> ContractError:
        return ContractError(
            f"{self.name}: {error.what}", why=error.why, fix=error.fix, code=error.code, field=error.field
        )


@cache
def _contract_of(declared: Hashable) -> Contract[Any]:
    if not isinstance(declared, type):
        raise DeclarationError(
            f"{declared!r} is not an event type", fix="subclass steward.Event or wrap it in Contract(...)"
        )
    if issubclass(declared, Event):
        return Contract(declared, declared.contract_name, declared.contract_version, declared.contract_upcasts)
    return Contract(declared, kebab(declared.__name__))
