"""The tables of the document are the tables of the code."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from steward.cases.grid.field.cim import FIELDS, READING_TYPES, THINGS
from steward.cases.grid.field.modbus.registers import plant_registers
from steward.cases.grid.field.opcua.names import ARGUMENTS
from steward.cases.grid.field.points import Layout
from steward.cases.grid.field.reading import Reading

TEXT = (Path(__file__).parents[4] / "docs" / "cases" / "grid-field.md").read_text(encoding="utf-8")


def rows(after: str) -> dict[str, tuple[str, ...]]:
    """Return the rows of the table whose head begins so, by what stands in their first column."""
    table = TEXT.split(after, 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table]
    return {first.strip("`"): tuple(rest) for first, *rest in cells}


def test_every_reading_type_is_shown_as_it_is() -> None:
    assert rows("| reading type |") == {
        name: (cim.attribute, cim.unit, "" if cim.code is None else str(cim.code))
        for name, cim in READING_TYPES.items()
    }


def test_every_field_and_thing_is_shown() -> None:
    shown = rows("| field of a reading |")
    assert list(shown) == list(FIELDS) == [field.name for field in msgspec.structs.fields(Reading)]
    assert all(FIELDS[name].startswith(cim) for name, (cim,) in shown.items())
    things = rows("| last part of an mRID |")
    assert {re.sub(r"-\d+$", "", name): cim for name, (cim,) in things.items()} == dict(THINGS)


def test_every_method_is_shown() -> None:
    (methods,) = rows("| node | what |")["ns=2;s=Orders"]
    assert set(re.findall(r"`(\w+)`", methods)) == set(ARGUMENTS)


def test_every_register_is_where_the_document_says() -> None:
    table = TEXT.split("| unit | input registers |", 1)[1].split("\n\n", 1)[0]
    shown = {
        (int(line.split("|")[1]), int(address), name)
        for line in table.splitlines()[2:]
        for address, name in re.findall(r"(\d+) (?:meter |battery |weather )?`(\w+)`", line)
    }
    there = {(one.unit, one.address, one.point.reading_type) for one in plant_registers(Layout("es")).registers}
    assert shown == {one for one in there if one[2] != "load_mw"}
