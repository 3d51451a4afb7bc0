"""What can be told to a grid, and a simulated one with breakers that stick and devices that do not answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from steward.cases.grid.emergency.events import Device, EmergencyEnded, FrequencyLow
from steward.errors import EngineError
from steward.records import Receipt

_NOMINAL_HZ = 50.0


class Switchgear(Protocol):
    """A grid's breakers and batteries, each order once under its idempotency key, whatever protocol carries it.

    All raise ``EngineError``, retryable, where a device does not answer.
    """

    async def frequency_hz(self) -> float:
        """Return what is measured now."""
        ...

    async def reserve_mw(self) -> float:
        """Return how much load could come back now without being missed again."""
        ...

    async def look(self, device: str) -> Device:
        """Return what a device says of itself now."""
        ...

    async def relieve(self, device: str, mw: float, *, key: str) -> Receipt:
        """Open a feeder's breaker, or let a battery feed ``mw``; the same key again changes nothing."""
        ...

    async def read_back(self, device: str, *, key: str) -> Receipt | None:
        """Return the receipt of the order that stands under ``key``, if it does; what it effects is for ``look``."""
        ...

    async def restore(self, device: str, *, key: str) -> Receipt:
        """Take back what stands under ``key``; nothing changes if nothing does, or another key has it."""
        ...


class Fault(StrEnum):
    """What can be wrong with a device.

    ``SILENT``: it does not answer. ``STUCK``: it takes orders and stays as it is. ``DEAF``: the order arrives, its
    answer does not.

    Example:
        >>> Fault("stuck").name
        'STUCK'
    """

    SILENT = "silent"
    STUCK = "stuck"
    DEAF = "deaf"


@dataclass(slots=True)
class _Line:
    """A device and what stands for it."""

    mw: float
    soc_mwh: float | None = None
    is_priority: bool = False
    ordered_mw: float = 0.0
    relieves_mw: float = 0.0
    key: str | None = None


@dataclass
class SimulatedGrid:
    """A grid that lacks some power: its frequency is as much too low as it is not relieved.

    Args:
        site: Its name.
        feeders_mw: The load of each feeder.
        priority: Feeders with a hospital, say.
        battery_mw: The power of its battery, which is named ``battery``.
        soc_mwh: What is in it.
        mw_per_hz: How much is missing for each hertz below 50.

    Attributes:
        shortfall_mw: What is missing; the world sets it.
        faults: What is wrong with which device; the world sets it.
        switched: Every order that took effect, in order: the device and what it relieves from then on.

    Example:
        >>> import asyncio
        >>> grid = SimulatedGrid("es", {"f1": 6.0, "f2": 9.0}, shortfall_mw=12.0)
        >>> asyncio.run(grid.frequency_hz())
        49.4
        >>> asyncio.run(grid.relieve("f2", 9.0, key="run-1/f2")).detail
        {'mw': '9.0'}
        >>> asyncio.run(grid.frequency_hz()), asyncio.run(grid.look("f2")).relieves_mw
        (49.85, 9.0)
    """

    site: str
    feeders_mw: Mapping[str, float]
    priority: frozenset[str] = frozenset()
    battery_mw: float = 10.0
    soc_mwh: float = 30.0
    mw_per_hz: float = 20.0
    shortfall_mw: float = 0.0
    faults: dict[str, Fault] = field(default_factory=dict)
    switched: list[tuple[str, float]] = field(default_factory=list)
    unserved_mwh: float = 0.0

    def __post_init__(self) -> None:
        """Close all breakers."""
        self._lines = {name: _Line(mw, is_priority=name in self.priority) for name, mw in self.feeders_mw.items()}
        self._lines["battery"] = _Line(self.battery_mw, soc_mwh=self.soc_mwh)

    # What an action calls

    async def frequency_hz(self) -> float:
        """Return what is measured now."""
        return self._hz()

    async def reserve_mw(self) -> float:
        """Return by how much more is relieved than missing."""
        return max(-self._missing_mw(), 0.0)

    async def look(self, device: str) -> Device:
        """Return what a device says of itself now."""
        return _seen(device, self._line(device))

    async def relieve(self, device: str, mw: float, *, key: str) -> Receipt:
        """Take an order once."""
        line = self._line(device)
        if line.key != key:
            if line.key is not None:
                raise EngineError(f"{device} is held under {line.key!r}", code="held-by-another")
            line.key, line.ordered_mw = key, mw
            self._switch(device, line, mw)
        if self.faults.get(device) is Fault.DEAF:
            raise EngineError(f"the answer of {device} was lost", retryable=True, code="device.no-answer")
        return _receipt(device, line)

    async def read_back(self, device: str, *, key: str) -> Receipt | None:
        """Return the receipt of what stands under ``key``."""
        line = self._line(device)
        return _receipt(device, line) if line.key == key else None

    async def restore(self, device: str, *, key: str) -> Receipt:
        """Take an order back once."""
        line = self._line(device)
        if line.key == key:
            self._switch(device, line, 0.0)
            if line.relieves_mw:
                raise EngineError(f"the breaker of {device} does not close", retryable=True, code="device.stuck")
            line.key, line.ordered_mw = None, 0.0
        return Receipt(reference=f"{device}/normal")

    # What the world does

    def alarm(self, at: datetime) -> FrequencyLow:
        """Return the alarm of this moment; silent devices are not part of it."""
        answering = [name for name in self._lines if self.faults.get(name) is not Fault.SILENT]
        return FrequencyLow(
            site=self.site,
            at=at,
            frequency_hz=self._hz(),
            shortfall_mw=max(self._missing_mw(), 0.0),
            devices=tuple(_seen(name, self._lines[name]) for name in answering),
        )

    def wait(self, hours: float) -> None:
        """Let time pass: what is shed is not served, and the battery empties."""
        for line in self._lines.values():
            if line.soc_mwh is None:
                self.unserved_mwh += line.relieves_mw * hours
            else:
                line.soc_mwh = max(line.soc_mwh - line.relieves_mw * hours, 0.0)

    def ended(self, at: datetime, *, relay_unserved_mwh: float) -> EmergencyEnded:
        """Return what the meters say of the emergency that was measured at ``at``."""
        return EmergencyEnded(
            site=self.site, at=at, unserved_mwh=round(self.unserved_mwh, 6), relay_unserved_mwh=relay_unserved_mwh
        )

    @property
    def relieving(self) -> dict[str, float]:
        """What each device relieves now, of those that do."""
        return {name: line.relieves_mw for name, line in self._lines.items() if line.relieves_mw}

    def _missing_mw(self) -> float:
        return self.shortfall_mw - sum(line.relieves_mw for line in self._lines.values())

    def _hz(self) -> float:
        return round(_NOMINAL_HZ - max(self._missing_mw(), 0.0) / self.mw_per_hz, 3)

    def _line(self, device: str) -> _Line:
        if self.faults.get(device) is Fault.SILENT or device not in self._lines:
            raise EngineError(f"{device} does not answer", retryable=True, code="device.no-answer")
        return self._lines[device]

    def _switch(self, device: str, line: _Line, mw: float) -> None:
        if self.faults.get(device) is not Fault.STUCK and line.relieves_mw != mw:
            line.relieves_mw = mw
            self.switched.append((device, mw))


def _seen(device: str, line: _Line) -> Device:
    possible = line.mw if line.soc_mwh is None or line.soc_mwh > 0 else 0.0
    return Device(
        name=device,
        can_relieve_mw=possible - line.relieves_mw,
        relieves_mw=line.relieves_mw,
        is_priority=line.is_priority,
        soc_mwh=line.soc_mwh,
    )


def _receipt(device: str, line: _Line) -> Receipt:
    return Receipt(reference=f"{device}/relieved", detail={"mw": str(line.ordered_mw)})
