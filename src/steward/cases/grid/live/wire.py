"""Where the demo's plant is: at the far end of a wire, heard and told over OPC UA, or in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from steward.cases.grid.battery import Battery
from steward.cases.grid.field.opcua.client import OpcUaClient
from steward.cases.grid.field.opcua.identity import paired
from steward.cases.grid.field.points import Point
from steward.cases.grid.field.reading import Reading
from steward.cases.grid.field.remote import RemotePlant, over_the_field
from steward.cases.grid.field.serve import PlantOptions, Voices, speaking
from steward.cases.grid.field.world import FieldPlant
from steward.clock import Clock
from steward.errors import EngineError
from steward.runtime.project import AnyDecision

_HEARD_WITHIN_S = 10.0
_PUBLISHING = timedelta(milliseconds=10)
"""Hours pass in a fraction of a second here."""


class Link(Protocol):
    """How Steward reaches the plant.

    Attributes:
        address: Where it listens; empty if it is in this process.
    """

    address: str

    async def say(self) -> None:
        """Let the plant say what it reads now, and wait until that was heard."""
        ...

    def declare(self, declared: AnyDecision) -> AnyDecision:
        """Return a dispatch that reaches the plant this way."""
        ...


class Here:
    """A plant in this process: it is asked and told directly.

    Example:
        >>> Here().address
        ''
    """

    address = ""

    async def say(self) -> None:
        """Nothing is to be said: it is looked at."""

    def declare(self, declared: AnyDecision) -> AnyDecision:
        """Return the dispatch as it is."""
        return declared


class Wire:
    """A plant that speaks, and what is heard of it; a :class:`Link`.

    Args:
        plant: In this process, behind its server.
        voices: Its servers.
        remote: The plant as Steward knows it, by what it says.
        heard: Is set whenever something was heard.

    Attributes:
        address: Where it listens.
    """

    def __init__(self, plant: FieldPlant, voices: Voices, remote: RemotePlant, heard: asyncio.Event) -> None:
        self._plant, self._voices, self.remote, self._heard = plant, voices, remote, heard
        self.address = voices.addresses.opcua or ""

    async def say(self) -> None:
        """Let the plant say what it reads now, and wait until that was heard.

        Raises:
            EngineError: It was not heard in time.
        """
        await self._voices.publish()
        try:
            async with asyncio.timeout(_HEARD_WITHIN_S):
                while self._is_behind():
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError as error:
            raise EngineError(
                f"the plant at {self.address} was not heard", why="its readings did not come", retryable=True
            ) from error

    def declare(self, declared: AnyDecision) -> AnyDecision:
        """Return a dispatch that asks and orders the plant over this wire."""
        return over_the_field(declared, self.remote)

    def _is_behind(self) -> bool:
        last = (self.remote.last(Point.of(reading)) for reading in self._plant.readings())
        return any(each is None or each.source_time < self._plant.now for each in last)


def can_wire() -> bool:
    """Tell whether the library for OPC UA is installed."""
    return find_spec("asyncua") is not None


@asynccontextmanager
async def linked(
    plant: FieldPlant, folder: Path, battery: Battery, clock: Clock, *, by_wire: bool | None = None
) -> AsyncIterator[Link]:
    """Reach a plant: over OPC UA as :func:`wired` if that is installed or asked for, else in this process."""
    if can_wire() if by_wire is None else by_wire:
        async with wired(plant, folder, battery, clock) as wire:
            yield wire
    else:
        yield Here()


@asynccontextmanager
async def wired(plant: FieldPlant, folder: Path, battery: Battery, clock: Clock) -> AsyncIterator[Wire]:
    """Let a plant speak OPC UA for this machine, and listen to it: encrypted, with certificate and password.

    Args:
        plant: Somebody else lets its time pass.
        folder: Where keys and certificates are kept.
        battery: What its maker says of it.
        clock: The machine's, for certificates and waits.

    Raises:
        EngineError: It cannot listen, or does not answer.
    """
    options, heard = PlantOptions(folder=folder, site=plant.layout.name, opcua_port=0), asyncio.Event()
    _, security = paired(folder, now=clock.now())
    async with speaking(plant, options, clock) as voices:

        async def take(readings: Sequence[Reading]) -> None:
            for reading in readings:
                remote.hear(reading)
            heard.set()

        client = OpcUaClient(
            voices.addresses.opcua or "",
            plant.layout.points,
            take,
            security=security,
            clock=clock,
            publishing=_PUBLISHING,
        )
        remote = RemotePlant(plant.layout, plant.local, battery, client.call)
        async with client.running():
            yield Wire(plant, voices, remote, heard)
