"""A Modbus TCP server of a plant: its registers say what was read, and take set-points."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from steward.cases.grid.field.lazily import lazily, quiet
from steward.cases.grid.field.modbus.registers import Register, RegisterMap
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Reading
from steward.errors import ContractError, EngineError, StewardError

if TYPE_CHECKING:
    from pymodbus import constants, server, simulator
else:
    constants, server, simulator = map(lazily, ("pymodbus.constants", "pymodbus.server", "pymodbus.simulator"))

Write = Callable[[Point, float], float]
"""Takes what was written to a point, and returns what it holds now."""


class ModbusServer:
    """Speaks for the devices of a register map.

    Modbus has neither users nor encryption: whoever reaches the port can write. It listens for this machine only,
    unless it is told otherwise; put a gateway in front of it then.

    Args:
        registers: What lies where.
        write: Takes set-points.
        host: Where to listen.
        port: 0 takes a free one.

    Raises:
        EngineError: At :meth:`start`, if it cannot listen there.

    Example:
        >>> async def serve(server: ModbusServer, plant: FieldPlant) -> None:
        ...     await server.start()
        ...     server.publish(plant.readings())
    """

    def __init__(self, registers: RegisterMap, write: Write, *, host: str = "127.0.0.1", port: int = 502) -> None:
        self.registers, self._write, self._host, self._port = registers, write, host, port
        self._memory = {
            (register.unit, register.address + n): word
            for register in registers.registers
            for n, word in enumerate(register.encode(None))
        }
        quiet("pymodbus")
        self._places = {register.point: register for register in registers.registers}
        self._server: server.ModbusTcpServer | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{self._host}:{self._port}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    async def start(self) -> None:
        """Listen."""
        units = sorted({register.unit for register in self.registers.registers})
        listening = server.ModbusTcpServer([self._device(unit) for unit in units], address=(self._host, self._port))
        try:
            await listening.serve_forever(background=True)
        except RuntimeError as error:
            raise EngineError(f"cannot listen on {self.address}", why=str(error), fix="choose another port") from error
        if isinstance(listening.transport, asyncio.Server):
            self._port = listening.transport.sockets[0].getsockname()[1]
        self._server = listening

    async def stop(self) -> None:
        """Close every connection and listen no more."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call] # it says nothing of itself
            self._server = None

    def publish(self, readings: Sequence[Reading]) -> None:
        """Let the registers say what was read; what does not fit a register is said to be missing."""
        for reading in readings:
            if (register := self._places.get(Point.of(reading))) is not None:
                self._remember(register, reading.value)

    def _remember(self, register: Register, value: float | None) -> None:
        try:
            words = register.encode(value)
        except ContractError:
            words = register.encode(None)
        for n, word in enumerate(words):
            self._memory[register.unit, register.address + n] = word

    def _device(self, unit: int) -> simulator.SimDevice:
        mine = [register for register in self.registers.registers if register.unit == unit]

        async def answer(*request: Any) -> constants.ExcCodes | None:
            _function, start, address, count, held, given = request
            if given is not None:
                return self._take(mine, address, given)
            held[address - start : address - start + count] = [
                self._memory.get((unit, n), 0) for n in range(address, address + count)
            ]
            return None

        words = [
            simulator.SimData(
                register.address,
                count=register.kind.registers,
                datatype=simulator.DataType.REGISTERS,
                readonly=not register.settable,
            )
            for register in mine
        ]
        return simulator.SimDevice(unit, simdata=words, action=answer)

    def _take(self, mine: Sequence[Register], address: int, given: list[int]) -> constants.ExcCodes | None:
        """Take a whole set-point, and let the register hold what the plant holds: perhaps less than was written."""
        for register in mine:
            if (register.address, register.kind.registers) == (address, len(given)):
                break
        else:
            return constants.ExcCodes.ILLEGAL_ADDRESS
        value = register.decode(given)
        if value is None:
            return constants.ExcCodes.ILLEGAL_VALUE
        try:
            held = self._write(register.point, value)
        except StewardError:
            return constants.ExcCodes.DEVICE_FAILURE
        self._remember(register, held)
        return None
