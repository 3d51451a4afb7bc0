"""What may be declared as a contract, and what a contract is called."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
from msgspec import Meta
from tests.decision.shapes import (
    Model,
    Plain,
    Reading,
)

from steward.decision.contract import Contract, Event, kebab
from steward.errors import DeclarationError


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"version": 0}, "version"),
        ({"version": -1}, "version"),
        ({"name": "Grid Load"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"version": 3, "upcasts": {1: dict}}, "upcasts"),
        ({"version": 2, "upcasts": {2: dict}}, "upcasts"),
        ({"version": 2, "upcasts": {0: dict, 1: dict}}, "upcasts"),
        ({"upcasts": {1: dict}}, "upcasts"),
        ({"schema": int}, "schema"),
    ],
)
def test_a_contract_that_contradicts_itself_is_refused(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        Contract(**{"schema": Reading, "name": "load", **arguments})
    assert refused.value.field == field


class Permissive(pydantic.BaseModel):
    n: int


class Outer(pydantic.BaseModel, extra="forbid"):
    inner: Permissive


class Raws(Event):
    n: msgspec.Raw


class IntKeys(Event):
    n: dict[int, str]


class Naive(Event):
    at: Annotated[datetime, Meta(tz=False)]


class Unknown(Event):
    n: Callable[[int], int]


@pytest.mark.parametrize("schema", [Permissive, Outer, Raws, IntKeys, Naive, Unknown])
def test_types_that_cannot_be_read_strictly_are_refused(schema: type[Any]) -> None:
    with pytest.raises(DeclarationError) as refused:
        Contract.of(schema)
    assert refused.value.field == "schema"


@pytest.mark.parametrize("wrong", [3, "load", list[int]])
def test_only_types_and_contracts_have_a_contract(wrong: Any) -> None:
    with pytest.raises(DeclarationError):
        Contract.of(wrong)


def test_an_event_may_not_hide_its_contract() -> None:
    with pytest.raises(DeclarationError, match="contract_name"):
        types.new_class("Hiding", (Event,), exec_body=lambda body: body.update(__annotations__={"contract_name": str}))


def test_contracts_are_values() -> None:
    contract = Contract(Reading, "load", version=2, upcasts={1: dict})
    assert Contract.of(Reading) is Contract.of(Reading)
    assert Contract.of(contract) is contract
    assert contract == Contract(Reading, "load", version=2, upcasts={1: dict})
    assert hash(contract) == hash(replace(contract))
    assert contract != replace(contract, name="other")
    assert (Contract.of(Plain).name, Contract.of(Model).name) == ("plain", "model")


@pytest.mark.parametrize(
    ("name", "written"),
    [("LoadReading", "load-reading"), ("_Tick", "tick"), ("HTTPCall", "http-call"), ("My_Event2", "my-event2")],
)
def test_class_names_become_wire_names(name: str, written: str) -> None:
    assert kebab(name) == written


def test_an_unresolved_name_is_found_at_the_first_event() -> None:
    class Local(Event):
        n: NotYet  # type: ignore[name-defined]  # noqa: F821 - the point of this test

    contract = Contract.of(Local)
    assert contract.fields == ("n",)
    with pytest.raises(DeclarationError, match="NotYet"):
        contract.decode(b'{"n": 1}')


def test_pydantic_is_only_loaded_by_those_who_use_it() -> None:
    code = "import sys, steward; raise SystemExit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
