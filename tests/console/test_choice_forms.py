"""Forms for choices: made from the types that decisions declare, and read as strictly as their schema says."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Annotated, Any, Literal

import pydantic
import pytest
from msgspec import Meta, Struct

from steward.console.choice_forms import WHOLE, form_of, read_choice
from steward.errors import ContractError


class Setpoint(StrEnum):
    CHARGE, HOLD = "charge", "hold"


class Level(Enum):
    LOW, HIGH = 1, 2


class Part(Struct, frozen=True):
    at: str


class Order(Struct, frozen=True):
    power_mw: Annotated[float, Meta(ge=-40, le=40)]
    times: Annotated[int, Meta(ge=1)]
    pay: bool
    mode: Setpoint
    note: str = ""
    cap_eur: float | None = None
    parts: tuple[Part, ...] = ()


class Loan(pydantic.BaseModel):
    amount_eur: float
    state: Literal["open", "closed"] = "open"


ORDER = {"power_mw": 7.5, "times": 2, "pay": True, "mode": "hold", "note": "n", "cap_eur": None, "parts": [{"at": "x"}]}
SENT = {"power_mw": "-3", "times": "4", "pay": "false", "mode": '"charge"', "note": "<b>", "parts": "[]"}


def test_each_part_gets_the_control_that_fits() -> None:
    fields = {field.name: field for field in form_of(Order, ORDER)}
    assert [(each.name, each.control, each.text) for each in fields.values()] == [
        ("power_mw", "number", "7.5"),
        ("times", "number", "2"),
        ("pay", "select", "true"),
        ("mode", "select", '"hold"'),
        ("note", "text", "n"),
        ("cap_eur", "number", ""),
        ("parts", "json", '[{"at":"x"}]'),
    ]
    assert (fields["power_mw"].label, fields["power_mw"].unit, fields["power_mw"].bounds) == (
        "Power",
        "MW",
        "−40 to 40",
    )
    assert (fields["times"].bounds, fields["times"].is_whole) == ("at least 1", True)
    assert [field.required for field in fields.values()] == [True, True, True, True, False, False, False]
    assert fields["pay"].options == (("true", "Yes"), ("false", "No"))


def test_what_was_typed_is_read_as_plain_data() -> None:
    fields = form_of(Order, ORDER)
    assert read_choice(fields, SENT) == {
        "power_mw": -3, "times": 4, "pay": False, "mode": "charge", "note": "<b>", "parts": [],
    }  # fmt: skip
    same = {field.name: field.text for field in fields if field.text}
    assert read_choice(fields, same) == {name: value for name, value in ORDER.items() if value is not None}


@pytest.mark.parametrize(
    ("part", "text", "told"),
    [
        ("power_mw", "forty", "'forty' is not a number"),
        ("power_mw", "true", "'true' is not a number"),
        ("power_mw", "NaN", "'NaN' is not a number"),
        ("power_mw", "41", "it must be −40 to 40"),
        ("times", "1.5", "'1.5' is not a whole number"),
        ("times", "0", "it must be at least 1"),
        ("mode", "charge", "'charge' is not one of the choices"),
        ("parts", "[" * 100_000, "is not JSON"),
        ("times", None, "Times is missing"),
    ],
)
def test_what_does_not_fit_is_named(part: str, text: str | None, told: str) -> None:
    sent = {name: value for name, value in {**SENT, part: text}.items() if value is not None}
    with pytest.raises(ContractError, match=told) as refused:
        read_choice(form_of(Order, ORDER), sent)
    assert refused.value.field == f"choice.{part}"
    with pytest.raises(ContractError, match="no field 'other'"):
        read_choice(form_of(Order, ORDER), {**SENT, "other": "1"})


@pytest.mark.parametrize(
    ("kind", "value", "control", "sent", "expected"),
    [
        (Setpoint, "hold", "select", '"charge"', "charge"),
        (Level, 1, "select", "2", 2),
        (Literal["a", "b"], "a", "select", '"b"', "b"),
        (bool, True, "select", "false", False),
        (float, 1.5, "number", "2.5", 2.5),
        (str, "a", "text", "b", "b"),
        (list[int], [1], "json", "[2]", [2]),
        (None, {"a": 1}, "json", '{"a":2}', {"a": 2}),
        (complex, 1, "json", "2", 2),
    ],
)
def test_a_choice_without_parts_has_one_field(kind: Any, value: object, control: str, sent: str, expected: Any) -> None:
    [field] = form_of(kind, value)
    assert (field.name, field.control) == (WHOLE, control)
    assert read_choice([field], {WHOLE: sent}) == expected


def test_models_of_pydantic_have_fields_too() -> None:
    fields = form_of(Loan, {"amount_eur": 9.0, "state": "open"})
    assert [(each.name, each.control) for each in fields] == [("amount_eur", "number"), ("state", "select")]
    assert read_choice(fields, {"amount_eur": "8", "state": '"closed"'}) == {"amount_eur": 8, "state": "closed"}
