"""A disk that forgets in a crash what it had not synced, and the ledger on it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from datetime import timedelta
from functools import cache

from steward.errors import EngineError, StewardError
from steward.ledger.memory import MemoryLedger
from steward.ledger.note import Signer
from steward.ledger.port import Commit, Committed, Entry, Ledger, stale_basis
from steward.testing.faults import FaultyLedger
from steward.testing.simulation.process import CURRENT
from steward.testing.simulation.world import Simulation

Waiting = tuple[Commit, asyncio.Future[Committed]]
_SLOW = timedelta(seconds=2)
_SYNC_S = 0.002
_LAST_STEPS = 8


class SimulatedDisk:
    """Holds what is durable. What was handed over but not synced when the power fails is there whole, or not at all.

    Args:
        simulation: Decides by its seed what survives.

    Attributes:
        ledger: What is durable.
        written: Told every entry as it becomes durable.

    Example:
        >>> from uuid import UUID
        >>> from steward.ledger.port import Draft
        >>> async def world(simulation: Simulation) -> int:
        ...     disk = SimulatedDisk(simulation)
        ...     ledger = SimulatedLedger(simulation, disk)
        ...     await ledger.append(Commit(entries=[Draft("decided", UUID(int=1), b"{}")]))
        ...     await disk.recover()
        ...     return await SimulatedLedger(simulation, disk).size()
        >>> Simulation(seed=1).run(world)
        1
    """

    def __init__(self, simulation: Simulation) -> None:
        self.ledger = MemoryLedger(signer=_signer())
        self.written: Callable[[Entry], object] = lambda entry: None
        self._simulation = simulation
        self._unsynced: list[Commit] = []

    def hand_over(self, commits: list[Commit]) -> None:
        """Take commits that are not durable yet."""
        self._unsynced = commits

    async def sync(self) -> list[Committed | StewardError]:
        """Make what was handed over durable, and return where each commit ended up, or why it was refused."""
        commits, self._unsynced = self._unsynced, []
        return [await self._write(commit) for commit in commits]

    async def recover(self) -> None:
        """Find after a crash what was not synced: whole, though nobody was told, or not at all."""
        if self._unsynced and self._simulation.chance.random() < 0.5:
            await self.sync()
        self._unsynced = []

    async def _write(self, commit: Commit) -> Committed | StewardError:
        try:
            committed = await self.ledger.append(commit)
        except StewardError as error:
            return error
        for index, draft in enumerate(commit.entries, committed.first_index):
            self._simulation.trace.note("durable", index, draft.kind, zlib.crc32(draft.body))
            self.written(Entry(index, draft.kind, draft.run_id, draft.body, draft.key))
        return committed


class SimulatedLedger(FaultyLedger):
    """A ledger on a :class:`SimulatedDisk`, as one process has it open.

    Commits that wait are synced together and answered afterwards; until then nobody sees them. The points
    ``ledger.full`` (nothing is written), ``ledger.answer-lost`` (written, but an error comes back),
    ``ledger.unreadable`` and ``ledger.slow`` make it fail as a real disk does. At ``ledger.power-lost`` its process
    dies between write and sync, or shortly after.

    Args:
        simulation: Whose faults and time it has.
        disk: What outlives the process.

    Example:
        >>> async def world(simulation: Simulation) -> int:
        ...     return await SimulatedLedger(simulation, SimulatedDisk(simulation)).size()
        >>> Simulation(seed=1).run(world)
        0
    """

    def __init__(self, simulation: Simulation, disk: SimulatedDisk) -> None:
        super().__init__(disk.ledger, keep_open=True)
        self._simulation, self._disk, self._faults = simulation, disk, simulation.faults
        self._waiting: list[Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def append(self, commit: Commit) -> Committed:
        """Write ``commit`` durably; see the port."""
        super()._reach()
        if commit.basis not in (None, self.failures):
            raise stale_basis()
        if self._faults.at("ledger.full", 0.03):
            raise self._failed(
                EngineError("the disk is full", retryable=True, fix="make room", code="engine.disk-full")
            )
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Committed] = loop.create_future()
        self._waiting.append((commit, answer))
        if self._writing is None:
            self._writing = loop.create_task(self._write())
        committed = await answer
        if self._faults.at("ledger.answer-lost", 0.03):
            raise self._failed(
                EngineError("the disk did not answer", retryable=True, fix="look again", code="engine.disk-io")
            )
        return committed

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            self._disk.hand_over([commit for commit, _ in group])
            if (process := CURRENT.get()) is not None and self._faults.at("ledger.power-lost", 0.02):
                process.fuse = self._simulation.chance.randint(1, _LAST_STEPS)
            await asyncio.sleep(self._simulation.chance.random() * _SYNC_S)
            await self._faults.pause("ledger.slow", _SLOW, 0.05)
            for (_, answer), outcome in zip(group, await self._disk.sync(), strict=True):
                if answer.done():
                    continue
                if isinstance(outcome, StewardError):
                    answer.set_exception(outcome)
                else:
                    answer.set_result(outcome)
        self._writing = None

    def _reach(self) -> Ledger:
        if self._faults.at("ledger.unreadable", 0.02):
            raise EngineError("the disk cannot be read", retryable=True, fix="look again", code="engine.disk-io")
        return super()._reach()


@cache
def _signer() -> Signer:
    return Signer.generate("steward.local/simulation")
