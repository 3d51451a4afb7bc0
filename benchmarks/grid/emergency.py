"""How soon an alarm is a written set-point, while the same process decides other things as fast as it can.

    python -m benchmarks.grid.emergency [--json] [--quick]

From the measurement of the alarm to the first call of the device, through the real loop on a ledger on disk: decided,
written down, the automation frozen, interlocks looked at. What the device itself takes is not part of it. The others
are decisions with an action of their own, asked for by clients that ask again as soon as they are answered.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any, Final
from uuid import UUID

from benchmarks.report import Figure, report

from steward import Action, Call, Choice, Decision, Event, Feature, Features, Prediction, Receipt, Risk, seconds
from steward.cases.grid.emergency.automation import ALL_CLEAR, OwnAutomation
from steward.cases.grid.emergency.decision import NAME, make_confirmation, make_decision
from steward.cases.grid.emergency.events import Relief
from steward.cases.grid.emergency.scheme import Feeder, Scheme, Store
from steward.cases.grid.emergency.switchgear import SimulatedGrid
from steward.clock import SystemClock
from steward.ledger.run import Run
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

GOAL_MS = 250.0
TRADES = "grid.trade"
FROZEN = ("grid.market", "grid.reserve")
ORDER: Final[tuple[Feeder | Store, ...]] = (
    Store("battery", least_soc_mwh=4.0),
    *(Feeder(f"f{number}") for number in range(1, 7)),
)


class Asked(Event):
    """A question of the load's."""

    amount: float


def hold(features: Features, prediction: Prediction[None]) -> Choice[str]:
    """Choose always the same."""
    return Choice("hold", reasons=("as always",))


def note(choice: str, call: Call) -> Receipt:
    """Do nothing, at once."""
    return Receipt(reference=call.key)


def other(name: str) -> Decision[Asked, None, str]:
    """Return one of the other decisions."""
    return Decision(
        name=name, owner="bench", purpose="Keep the process busy", risk=Risk.LOW, event=Asked,
        features=(Feature("amount"),), policy=hold, action=Action(do=note),
    )  # fmt: skip


class TimedGrid(SimulatedGrid):
    """Writes down when each order arrived."""

    def __post_init__(self) -> None:
        """Begin without any."""
        super().__post_init__()
        self.arrived_s: list[float] = []

    async def relieve(self, device: str, mw: float, *, key: str) -> Receipt:
        """Take an order, and the time."""
        self.arrived_s.append(perf_counter())
        return await super().relieve(device, mw, key=key)


class Bench:
    """A running house with a grid, and clients that keep it busy.

    Args:
        runtime: Open and started.
        grid: What is relieved.
    """

    def __init__(self, runtime: Runtime, grid: TimedGrid) -> None:
        self.runtime, self.grid = runtime, grid
        self.decided = 0

    async def emergencies(self, count: int, clients: int) -> tuple[list[float], list[float]]:
        """Return the ms to the first order and to the last, of each emergency beside so many clients."""
        busy = [asyncio.create_task(self._ask_on()) for _ in range(clients)]
        firsts, lasts = [], []
        for _ in range(count):
            first, last = await self._emergency()
            firsts.append(first)
            lasts.append(last)
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        return firsts, lasts

    async def _ask_on(self) -> None:
        while True:
            await self.runtime.decide(TRADES, Asked(amount=1.0))
            self.decided += 1

    async def _emergency(self) -> tuple[float, float]:
        self.grid.shortfall_mw = 24.0
        self.grid.arrived_s.clear()
        began_s = perf_counter()
        answer = await self.runtime.decide(NAME, self.grid.alarm(self.runtime.clock.now()))
        run_id = answer.record.decision_id
        relief = answer.record.choice
        assert isinstance(relief, Relief)
        await self._until(run_id, lambda run: len(self.grid.arrived_s) == len(relief.parts))
        self.grid.shortfall_mw = 0.0
        await self.runtime.signal(run_id, ALL_CLEAR, by="bench")
        await self._until(run_id, lambda run: run.receipt is not None)
        return 1e3 * (self.grid.arrived_s[0] - began_s), 1e3 * (self.grid.arrived_s[-1] - began_s)

    async def _until(self, run_id: UUID, reached: Callable[[Run], bool]) -> None:
        while not reached(run := await self.runtime.run(run_id)):
            if run.failure is not None:
                raise SystemExit(f"an emergency failed: {run.failure.reason}")
            await asyncio.sleep(0.005)


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[Bench]:
    """Open a house on a ledger on disk, with all its background work."""
    scheme = Scheme(order=ORDER, most_shed_mw=20.0, freezes=FROZEN, hold_at_most=seconds(600))
    grid = TimedGrid("es", {f"f{number}": 5.0 for number in range(1, 7)}, soc_mwh=30.0)
    automation, clock = OwnAutomation(), SystemClock()
    decisions: list[Decision[Any, Any, Any]] = [
        make_decision(scheme, grid=grid, automation=automation, clock=clock),
        make_confirmation(scheme, automation=automation, ask_above_eur=1e9),
        *(other(name) for name in (TRADES, *FROZEN)),
    ]
    async with await Runtime.open(decisions, settings=Settings(root=folder), clock=clock) as runtime:
        automation.runtime = runtime
        runtime.start()
        yield Bench(runtime, grid)


async def measure(*, quick: bool) -> list[Figure]:
    """Return the figures: alone, beside few clients, and beside so many that the process is full."""
    found: list[Figure] = []
    count = 40 if quick else 200
    for load, clients in (("alone", 0), ("beside 8 clients", 8), ("beside 64 clients", 64)):
        with tempfile.TemporaryDirectory() as folder:
            async with house(Path(folder)) as bench:
                await bench.emergencies(3, clients)
                bench.decided, began_s = 0, perf_counter()
                firsts, lasts = await bench.emergencies(count, clients)
                rate = bench.decided / (perf_counter() - began_s)
        found += [
            Figure(f"first set-point p50, {load}", quantiles(firsts, n=100)[49], "ms"),
            Figure(f"first set-point p99, {load}", quantiles(firsts, n=100)[98], "ms", GOAL_MS, below=True),
            Figure(f"all four devices p99, {load}", quantiles(lasts, n=100)[98], "ms"),
            Figure(f"other decisions, {load}", rate, "1/s"),
        ]
    return found


def figures(*, quick: bool = False) -> list[Figure]:
    """Return the part's figures."""
    return asyncio.run(measure(quick=quick))


if __name__ == "__main__":
    report("grid.emergency", figures(quick="--quick" in sys.argv))
