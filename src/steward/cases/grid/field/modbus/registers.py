"""The register map: which point is kept where, in which type and at which scale."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from steward.cases.grid.field.points import METER, Layout, Point
from steward.errors import ContractError, DeclarationError

LARGEST_BLOCK = 125
"""Most registers that one request can read."""


class Kind(StrEnum):
    """How a number lies in registers of 16 bits, the high word first; the value of :attr:`missing` says there is none.

    Example:
        >>> Kind.INT32.registers, hex(Kind.INT32.missing & 0xFFFFFFFF)
        (2, '0x80000000')
    """

    INT16 = "h"
    UINT16 = "H"
    INT32 = "i"
    UINT32 = "I"

    @property
    def registers(self) -> int:
        """How many registers it takes."""
        return struct.calcsize(f">{self.value}") // 2

    @property
    def missing(self) -> int:
        """What a device writes where it has no value, as SunSpec does: the lowest, or if unsigned the highest."""
        bits = 16 * self.registers
        return -(1 << (bits - 1)) if self.value.islower() else (1 << bits) - 1

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and the highest number that are values."""
        bits = 16 * self.registers
        if self.value.islower():
            return 1 - (1 << (bits - 1)), (1 << (bits - 1)) - 1
        return 0, (1 << bits) - 2


@dataclass(frozen=True, kw_only=True)
class Register:
    """Where a device keeps the value of a point.

    Args:
        unit: The device's number on the line (1..247).
        address: The first register, from 0.
        kind: The number's type.
        scale: What a step of the number is worth, in the unit of the reading type.
        point: What it is the value of.
        settable: Whether it can be written, too.

    Example:
        >>> load = Register(unit=1, address=0, kind=Kind.INT32, scale=0.001, point=Point("es.meter", "power_mw"))
        >>> load.encode(-4.2), load.decode([0xFFFF, 0xEF98])
        ([65535, 61336], -4.2)
    """

    unit: int
    address: int
    kind: Kind
    scale: float
    point: Point
    settable: bool = False

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.kind.registers

    def encode(self, value: float | None) -> list[int]:
        """Return the registers that say a value, rounded to the scale.

        Raises:
            ContractError: It does not fit.
        """
        low, high = self.kind.limits
        if value is None:
            number = self.kind.missing
        elif not math.isfinite(value) or not low <= round(value / self.scale) <= high:
            raise ContractError(
                f"{value} does not fit the register of {self.point.name}",
                why=f"it holds {low * self.scale:g} to {high * self.scale:g}",
                field=self.point.reading_type,
            )
        else:
            number = round(value / self.scale)
        return list(struct.unpack(f">{self.kind.registers}H", struct.pack(f">{self.kind.value}", number)))

    def decode(self, registers: Sequence[int]) -> float | None:
        """Return the value that registers say; ``None`` if there is none."""
        packed = struct.pack(f">{self.kind.registers}H", *registers)
        (number,) = struct.unpack(f">{self.kind.value}", packed)
        return None if number == self.kind.missing else round(number * self.scale, 9)


@dataclass(frozen=True)
class RegisterMap:
    """The registers of all devices on a line.

    Raises:
        DeclarationError: Two of them overlap.

    Example:
        >>> table = plant_registers(Layout("es"))
        >>> [len(block) for block in table.blocks()], table.settable[0].point.name
        ([6, 8, 1], 'es.battery/setpoint_mw')
    """

    registers: tuple[Register, ...]

    def __post_init__(self) -> None:
        """Refuse registers that overlap."""
        ordered = sorted(self.registers, key=lambda register: (register.unit, register.address))
        for one, next_one in pairwise(ordered):
            if one.unit == next_one.unit and next_one.address < one.end:
                raise DeclarationError(
                    f"the registers of {one.point.name} and {next_one.point.name} overlap", field="registers"
                )

    @property
    def settable(self) -> tuple[Register, ...]:
        """The registers that can be written."""
        return tuple(register for register in self.registers if register.settable)

    def of(self, point: Point) -> Register:
        """Return where a point is kept.

        Raises:
            DeclarationError: It is not on the map.
        """
        for register in self.registers:
            if register.point == point:
                return register
        raise DeclarationError(f"{point.name} is in no register", field="point")

    def blocks(self) -> Iterator[list[Register]]:
        """Yield the registers that one request can read together: neighbours of one device, written or not."""
        block: list[Register] = []
        ordered = sorted(self.registers, key=lambda register: (register.unit, register.settable, register.address))
        for register in ordered:
            fits = block and (
                (block[-1].unit, block[-1].settable, block[-1].end)
                == (register.unit, register.settable, register.address)
                and register.end - block[0].address <= LARGEST_BLOCK
            )
            if block and not fits:
                yield block
                block = []
            block.append(register)
        if block:
            yield block


_SAID = (("power_mw", Kind.INT32, 0.001), ("soc_mwh", Kind.UINT32, 0.001), ("energy_limit_mwh", Kind.UINT32, 0.001),
         ("power_limit_mw", Kind.UINT32, 0.001), ("withdrawn_mwh", Kind.UINT32, 0.001),
         ("soc_at_day_start_mwh", Kind.UINT32, 0.001), ("temperature_c", Kind.INT16, 0.1))  # fmt: skip
_SETPOINT_ADDRESS = 100


def plant_registers(layout: Layout) -> RegisterMap:
    """Return the map of a plant: the meter and the feeders are unit 1, the inverter is unit 2.

    Example:
        >>> plant_registers(Layout("es")).of(Point("es.battery", "setpoint_mw")).address
        100
    """
    counted = [(layout.meter, reading_type) for reading_type in METER]
    loads = [(layout.feeder(number), "load_mw") for number in range(1, layout.feeders + 1)]
    registers = [
        Register(unit=1, address=2 * n, kind=Kind.INT32, scale=0.001, point=Point(*named))
        for n, named in enumerate((*counted, *loads))
    ]
    address = 0
    for reading_type, kind, scale in _SAID:
        point = Point(layout.battery, reading_type)
        registers.append(Register(unit=2, address=address, kind=kind, scale=scale, point=point))
        address += kind.registers
    setpoint = Point(layout.battery, "setpoint_mw")
    registers.append(
        Register(unit=2, address=_SETPOINT_ADDRESS, kind=Kind.INT32, scale=0.001, point=setpoint, settable=True)
    )
    weather = Point(layout.weather, "temperature_c")
    registers.append(Register(unit=2, address=address, kind=Kind.INT16, scale=0.1, point=weather))
    return RegisterMap(tuple(registers))
