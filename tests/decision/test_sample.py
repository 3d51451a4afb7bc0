"""Samples fit the contracts they are made for."""

from __future__ import annotations

import enum
from datetime import date, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from steward import Contract, Event
from steward.decision.sample import sample_of


class Place(Struct):
    x: float
    tags: list[str]


class Colour(enum.Enum):
    RED = "red"


class Everything(Event):
    text: str
    short: Annotated[str, Meta(max_length=2)]
    long: Annotated[str, Meta(min_length=9)]
    shown: Annotated[str, Meta(examples=["r-1"])]
    whole: Annotated[int, Meta(ge=5, le=7)]
    positive: Annotated[int, Meta(gt=41)]
    low: Annotated[float, Meta(gt=0)]
    between: Annotated[float, Meta(gt=2, lt=3)]
    high: Annotated[float, Meta(le=-5)]
    flag: bool
    word: Literal["b", "a"]
    colour: Colour
    at: datetime
    day: date
    lasting: timedelta
    name: UUID
    place: Place
    places: Annotated[list[Place], Meta(min_length=2)]
    pair: tuple[int, str]
    maybe: int | None
    left_out: int = 5


class Patterned(Event):
    code: Annotated[str, Meta(pattern="^[A-Z]{3}[0-9]{4}$")]


def test_a_sample_of_everything_decodes() -> None:
    contract = Contract.of(Everything)
    sample = sample_of(contract)
    assert sample is not None
    event = contract.decode(sample)
    assert (event.shown, event.left_out, len(event.places)) == ("r-1", 5, 2)


def test_what_cannot_be_guessed_gets_no_sample() -> None:
    assert sample_of(Contract.of(Patterned)) is None
