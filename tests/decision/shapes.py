"""Events of every shape that a contract may have, and good examples of them as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pydantic
from msgspec import Meta, Struct

from steward.decision.contract import Event

Megawatts = Annotated[float, Meta(ge=0, le=100_000, description="Load", extra_json_schema={"unit": "MW"})]


class Reading(Event, contract="grid.load-reading"):
    region: str
    at: datetime
    load_mw: Megawatts
    count: int
    valid: bool


class Sparse(Event):
    region: str
    at: datetime
    load_mw: float = 0.0
    count: int = 0
    valid: bool = False


class Zone(Enum):
    NORTH = "north"
    SOUTH = "south"


@dataclass(frozen=True)
class Position:
    lat: float
    lon: float
    since: datetime | None = None


class Price(Struct):
    amount: Decimal
    currency: Literal["EUR", "USD"] = "EUR"


class Extra(TypedDict):
    note: str


class Span(NamedTuple):
    start: datetime
    length: int


class Rich(Event):
    zone: Zone
    position: Position
    id: UUID
    day: date
    price: Price | None = None
    readings: tuple[Reading, ...] = ()
    by_name: dict[str, Position | None] = msgspec.field(default_factory=dict)
    extra: Extra | None = None
    span: Span | None = None
    pair: tuple[int, datetime] | None = None
    context: Any = None
    amounts: tuple[Decimal, ...] = ()


class Up(Struct, tag="up"):
    by_mw: Decimal


class Down(Struct, tag="down"):
    to_mw: Decimal


class Move(Event):
    move: Up | Down
    note: Decimal | list[Position] | None = None


class Node(Event):
    name: str
    children: tuple[Node, ...] = ()


@dataclass
class Plain:
    region: str
    at: datetime
    load_mw: Megawatts
    count: int
    valid: bool


class Moment(pydantic.BaseModel, extra="forbid"):
    at: datetime | int


class Moments(pydantic.BaseModel, extra="forbid"):
    first: Moment | None = None
    all: list[datetime] = []
    by_name: dict[str, Moment] = {}
    pair: tuple[int, datetime] | None = None
    free: datetime | str = ""


class Model(pydantic.BaseModel, extra="forbid", frozen=True):
    region: str
    at: datetime
    load_mw: float = pydantic.Field(ge=0, le=100_000, json_schema_extra={"unit": "MW"})
    count: int
    valid: bool


KINDS: list[type[Any]] = [Reading, Plain, Model]
GOOD = {"region": "ES", "at": "2026-01-01T00:00:00Z", "load_mw": 27114.5, "count": 3, "valid": True}
RICH = {
    "zone": "north",
    "position": {"lat": 1, "lon": 2.5},
    "id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
    "day": "2026-01-01",
}


def text(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()
