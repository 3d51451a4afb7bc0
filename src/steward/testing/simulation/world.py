"""A simulation: one seed, and all that is drawn from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from typing import Any, TypeVar

from steward.clock import seeded
from steward.errors import StewardError
from steward.testing.faults import Faults
from steward.testing.simulation.clock import LoopClock, Machine
from steward.testing.simulation.loop import VirtualLoop
from steward.testing.simulation.process import CURRENT
from steward.testing.simulation.trace import Trace

T = TypeVar("T")


class Violation(StewardError):
    """Something that must always hold did not.

    Example:
        >>> Violation("an effect came twice").code
        'simulation.violation'
    """

    code = "simulation.violation"


class Simulation:
    """The world of one seed: its loop, its clock, its faults and its trace. The same seed does the same again.

    Args:
        seed: Where all chance comes from.

    Attributes:
        chance: For whoever plays a part in the world.
        loop: Runs everything.
        machine: The machine's wall clock; ``machine.jump`` sets it forward or back.
        faults: What goes wrong, by name.
        trace: What happened.

    Example:
        >>> async def world(simulation: Simulation) -> str:
        ...     await asyncio.sleep(3600)
        ...     return simulation.machine.now().isoformat()
        >>> Simulation(seed=7).run(world)
        '2026-01-01T01:00:00+00:00'
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = seeded(seed)
        self.loop = VirtualLoop(seeded(self._draw()))
        self.machine = Machine(self.loop, seeded(self._draw()))
        self.trace = Trace(self.loop)
        self.faults = Faults(seeded(self._draw()), told=lambda point: self.trace.note("fault", point))

    def _draw(self) -> int:
        return self.chance.getrandbits(64)

    def new_clock(self) -> LoopClock:
        """Return a clock for one process, whose ids and chances are its own."""
        return LoopClock(self.machine, seed=self._draw())

    def run(self, world: Callable[[Simulation], Coroutine[Any, Any, T]]) -> T:
        """Run ``world`` until it returns, and drop what is still under way.

        Raises:
            Violation: Something that must hold did not.
            Deadlock: Everybody waits for somebody.
            Livelock: Much happens, but time stands still.
        """
        try:
            return self.loop.run_until_complete(world(self))
        finally:
            self.trace.note("end", self.loop.steps, self._draw())
            self.loop.close()

    def outside(self, work: Coroutine[Any, Any, T]) -> Awaitable[T]:
        """Run ``work`` in the world, not in the process that asks: it goes on when that one is killed or gives up."""
        context = copy_context()
        context.run(CURRENT.set, None)
        return asyncio.shield(self.loop.create_task(work, context=context))

    def violate(self, what: str, *, why: str = "") -> None:
        """End the simulation: something that must hold does not."""
        self.trace.note("violation", what)
        self.loop.fail(Violation(what, why=why))
