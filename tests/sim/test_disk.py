"""The simulated ledger keeps the port's promises; its disk forgets only what nobody was told is durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from steward.errors import EngineError
from steward.ledger.port import Commit, Draft, Ledger
from steward.testing import Faults, FaultyLedger, SimulatedDisk, SimulatedLedger, Simulation
from steward.testing.conformance.ledger import DurableLedgerConformance, LedgerConformance, Reopen, draft


class TestSimulated(LedgerConformance, DurableLedgerConformance):
    @pytest.fixture
    def disk(self) -> SimulatedDisk:
        return SimulatedDisk(calm())

    @pytest.fixture
    async def ledger(self, disk: SimulatedDisk) -> AsyncIterator[Ledger]:
        ledger = SimulatedLedger(calm(), disk)
        yield ledger
        await ledger.close()

    @pytest.fixture
    async def reopen(self, disk: SimulatedDisk) -> Reopen:
        async def again() -> Ledger:
            await disk.recover()
            return SimulatedLedger(calm(), disk)

        return again


def calm() -> Simulation:
    simulation = Simulation(seed=1)
    simulation.faults.calm()
    return simulation


def crashed_while_writing(seed: int) -> int:
    """Return how many entries survive when the power fails between write and sync of two commits."""

    async def world(simulation: Simulation) -> int:
        simulation.faults.calm()
        disk = SimulatedDisk(simulation)
        ledger = SimulatedLedger(simulation, disk)
        await ledger.append(Commit(entries=[draft(0)]))
        writing = [asyncio.ensure_future(ledger.append(Commit(entries=[draft(n), draft(n)]))) for n in (1, 2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in writing:
            task.cancel()
        await disk.recover()
        return await SimulatedLedger(simulation, disk).size()

    return Simulation(seed).run(world)


def test_a_crash_keeps_what_was_acknowledged_and_maybe_what_was_not() -> None:
    survived = {crashed_while_writing(seed) for seed in range(60)}
    assert {1, 5} <= survived <= {1, 3, 5}


def test_nobody_sees_what_is_not_durable() -> None:
    async def world(simulation: Simulation) -> list[int]:
        simulation.faults.calm()
        ledger = SimulatedLedger(simulation, SimulatedDisk(simulation))
        writing = asyncio.ensure_future(ledger.append(Commit(entries=[draft(0)])))
        await asyncio.sleep(0)
        before = await ledger.size()
        await writing
        return [before, await ledger.size()]

    assert Simulation(2).run(world) == [0, 1]


def test_each_fault_of_the_disk_is_an_error_of_its_kind() -> None:
    async def world(simulation: Simulation) -> dict[str, int]:
        found: dict[str, int] = {}
        for point in ("ledger.full", "ledger.answer-lost"):
            simulation.faults.only(point)
            disk = SimulatedDisk(simulation)
            ledger, number = SimulatedLedger(simulation, disk), 0
            while True:
                number += 1
                try:
                    await ledger.append(Commit(entries=[Draft("decided", UUID(int=number), b"{}")]))
                except EngineError:
                    break
            found[point] = await disk.ledger.size() - number
        return found

    assert Simulation(3).run(world) == {"ledger.full": -1, "ledger.answer-lost": 0}


def test_a_closed_faulty_ledger_refuses_to_read_too() -> None:
    async def world(simulation: Simulation) -> None:
        disk = SimulatedDisk(simulation)
        ledger = FaultyLedger(disk.ledger, keep_open=True)
        await ledger.close()
        with pytest.raises(EngineError, match="closed"):
            await ledger.size()
        assert await disk.ledger.size() == 0

    Simulation(1).run(world)


def test_faults_are_live_in_some_runs_only_and_can_be_chosen() -> None:
    live = [Simulation(seed).faults.at("x", 1.0) for seed in range(100)]
    assert 25 < sum(live) < 75
    always = Simulation(live.index(True)).faults
    assert all(always.at("x", 1.0) for _ in range(10))
    faults = Simulation(1).faults
    faults.only("this")
    assert faults.at("this", 1.0)
    assert not faults.at("that", 1.0)
    faults.calm()
    assert not faults.at("this", 1.0)
    assert isinstance(faults, Faults)
