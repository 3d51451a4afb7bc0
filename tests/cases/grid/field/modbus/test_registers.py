from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.cases.grid.field.modbus.registers import LARGEST_BLOCK, Kind, Register, RegisterMap, plant_registers
from steward.cases.grid.field.points import Layout, Point
from steward.errors import ContractError, DeclarationError

LOAD = Point("es.feeder-1", "load_mw")


def register(kind: Kind = Kind.INT32, *, address: int = 0, unit: int = 1, settable: bool = False) -> Register:
    return Register(unit=unit, address=address, kind=kind, scale=0.001, point=LOAD, settable=settable)


@given(st.sampled_from(Kind), st.data())
def test_what_is_encoded_is_decoded(kind: Kind, data: st.DataObject) -> None:
    low, high = kind.limits
    value = data.draw(st.integers(low, high)) * 0.001
    words = register(kind).encode(value)
    assert len(words) == kind.registers
    assert all(0 <= word <= 0xFFFF for word in words)
    assert register(kind).decode(words) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("kind", Kind)
def test_no_value_is_no_value_and_what_does_not_fit_is_refused(kind: Kind) -> None:
    one = register(kind)
    assert one.decode(one.encode(None)) is None
    low, high = kind.limits
    assert one.decode(one.encode(high * 0.001)) is not None
    for value in ((low - 1) * 0.001, (high + 1) * 0.001, float("nan"), float("inf"), 1e300):
        with pytest.raises(ContractError, match="does not fit"):
            one.encode(value)


def test_registers_that_overlap_are_refused() -> None:
    with pytest.raises(DeclarationError, match="overlap"):
        RegisterMap((register(address=0), register(address=1)))
    RegisterMap((register(address=0), register(address=1, unit=2)))
    with pytest.raises(DeclarationError, match="no register"):
        RegisterMap((register(),)).of(Point("es.feeder-2", "load_mw"))


def test_neighbours_are_read_together_but_no_more_than_a_request_can() -> None:
    many = RegisterMap(tuple(register(address=2 * n) for n in range(100)))
    sizes = [block[-1].end - block[0].address for block in many.blocks()]
    assert sizes == [124, 76]
    assert max(sizes) <= LARGEST_BLOCK
    apart = RegisterMap((register(address=0), register(address=4), register(address=6, settable=True)))
    assert [len(block) for block in apart.blocks()] == [1, 1, 1]


def test_every_point_of_a_plant_is_in_a_register() -> None:
    layout = Layout("es", feeders=4)
    assert {one.point for one in plant_registers(layout).registers} == set(layout.points)
