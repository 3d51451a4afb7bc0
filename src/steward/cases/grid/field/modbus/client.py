"""A Modbus TCP client: asks the devices of a register map in turn, and writes with a look at what was written."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from steward.cases.grid.field.lazily import lazily, quiet
from steward.cases.grid.field.modbus.registers import Register, RegisterMap
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Quality, Reading
from steward.cases.grid.field.source import PATIENT, Backoff, Gap, Source, Take, unheard
from steward.clock import Clock
from steward.errors import EngineError

if TYPE_CHECKING:
    from pymodbus import client, exceptions, pdu
else:
    client, exceptions, pdu = map(lazily, ("pymodbus.client", "pymodbus.exceptions", "pymodbus.pdu"))

_EXCEPTIONS = {
    1: "it does not know this function",
    2: "it has no such register",
    3: "it does not take this value",
    4: "it failed",
    5: "it has begun, and will take long",
    6: "it is busy",
    10: "its gateway knows no way to it",
    11: "it does not answer its gateway",
}
_BUSY = {5, 6, 11}


class ModbusClient(Source):
    """Polls the devices of a line.

    A request is never repeated by itself. Modbus knows neither times nor qualities: a reading is of the time when it
    was asked for, bad where the device has no value or answers with an exception, good otherwise.

    Args:
        host: Where the devices are.
        port: Usually 502.
        registers: What lies where.
        take: Takes each reading.
        clock: For times and waits.
        every: How often each device is asked.
        answer_within: How long an answer may take.
        on_gap: Is told when the connection is lost, and when readings come again.
        backoff: How long to wait before another try to connect.

    Example:
        >>> async def watch(client: ModbusClient, setpoint: Point) -> None:
        ...     async with client.running():
        ...         await client.write(setpoint, -8.0)
    """

    def __init__(
        self,
        host: str,
        port: int,
        registers: RegisterMap,
        take: Take,
        *,
        clock: Clock,
        every: timedelta = timedelta(seconds=1),
        answer_within: timedelta = timedelta(seconds=1),
        on_gap: Callable[[Gap], None] = unheard,
        backoff: Backoff = PATIENT,
    ) -> None:
        quiet("pymodbus")
        super().__init__(f"{host}:{port}", take, clock=clock, on_gap=on_gap, backoff=backoff)
        self._host, self._port, self._registers = host, port, registers
        self._every, self._answer_within = every, answer_within
        self._line: client.AsyncModbusTcpClient | None = None

    async def read(self, point: Point) -> Reading:
        """Ask for one point now.

        Raises:
            EngineError: The device does not answer (retryable), or answers with an exception or with too little.
        """
        register = self._registers.of(point)
        (reading,) = await self._ask([register])
        return reading

    async def write(self, point: Point, value: float) -> Reading:
        """Write a point, and return what it says then.

        Raises:
            ContractError: The value does not fit the register.
            EngineError: As :meth:`read`; or it holds something else than was written (``code`` is ``not-held``).
        """
        register = self._registers.of(point)
        words = register.encode(value)
        line = self._open_line()
        await self._answer(line.write_registers(register.address, words, device_id=register.unit), register)
        said = await self.read(point)
        if said.value is None or register.encode(said.value) != words:
            raise EngineError(f"{point.name} says {said.value} after {value} was written", code="not-held")
        return said

    async def _listen(self) -> NoReturn:
        blocks = list(self._registers.blocks())
        async with self._connect():
            self._up()
            while True:
                began = self._clock.now()
                for block in blocks:
                    await self._heard(await self._readings(block))
                await self._clock.sleep_until(began + self._every)

    async def _readings(self, block: Sequence[Register]) -> list[Reading]:
        """Ask for a block; what a device refuses is bad, and what does not answer is lost."""
        now = self._clock.now()
        try:
            return await self._ask(block)
        except EngineError as refused:
            if refused.code != "modbus-refused":
                raise
            bad = Quality.BAD
            return [r.point.reading(None, quality=bad, source_time=now, server_time=now, now=now) for r in block]

    async def _ask(self, block: Sequence[Register]) -> list[Reading]:
        line, now, first = self._open_line(), self._clock.now(), block[0]
        count = block[-1].end - first.address
        read = line.read_holding_registers if first.settable else line.read_input_registers
        said = await self._answer(read(first.address, count=count, device_id=first.unit), first)
        if len(said.registers) != count:
            raise EngineError(
                f"unit {first.unit} at {self.address} gave {len(said.registers)} registers of {count}",
                why="its answer was cut short, or is of another request",
                retryable=True,
                code="modbus-short",
            )
        words, at = said.registers, first.address
        return [
            r.point.reading(
                r.decode(words[r.address - at : r.end - at]), source_time=now, server_time=now, now=self._clock.now()
            )
            for r in block
        ]

    async def _answer(self, request: Awaitable[pdu.ModbusPDU], register: Register) -> pdu.ModbusPDU:
        device = f"unit {register.unit} at {self.address}"
        try:
            said = await request
        except (exceptions.ModbusException, OSError) as error:
            raise EngineError(
                f"{device} does not answer", why=str(error), retryable=True, code="modbus-unreachable"
            ) from error
        if isinstance(said, pdu.ExceptionResponse):
            code = said.exception_code
            raise EngineError(
                f"{device} refuses register {register.address}: {_EXCEPTIONS.get(code, f'exception {code}')}",
                retryable=code in _BUSY,
                code="modbus-refused",
            )
        return said

    def _open_line(self) -> client.AsyncModbusTcpClient:
        if self._line is None or not self._line.connected:
            raise self._lost("modbus-unreachable")
        return self._line

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[None]:
        line = client.AsyncModbusTcpClient(
            self._host, port=self._port, timeout=self._answer_within.total_seconds(), retries=0, reconnect_delay=0
        )
        if not await line.connect():
            raise EngineError(f"{self.address} does not answer", retryable=True, code="modbus-unreachable")
        self._line = line
        try:
            yield
        finally:
            self._line = None
            line.close()
