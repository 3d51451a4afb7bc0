"""Operators: they stop and resume decisions, and take back what was done."""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

from steward.errors import Conflict, StewardError
from steward.runtime.runtime import Runtime
from steward.runtime.stops import Stop
from steward.testing.simulation.clients import insist
from steward.testing.simulation.server import Server
from steward.testing.simulation.watch import Watch
from steward.testing.simulation.world import Simulation

_TRIES: Final = 5
_LIFTERS: Final = ("operator-1", "operator-2")


class Operators:
    """Now and then stop everything, lift that again, and take something back.

    Args:
        simulation: Draws when.
        server: Where they do it.
        watch: Hears what they were told.

    Example:
        >>> from steward.testing.scenarios.small import SMALL
        >>> SMALL.stops
        True
    """

    def __init__(self, simulation: Simulation, server: Server, watch: Watch) -> None:
        self._simulation, self._server, self._watch = simulation, server, watch

    async def stop_and_go(self, decision: str) -> None:
        """Stop a decision, and let it go on after a while, as two people want it."""
        chance = self._simulation.chance

        async def stop(runtime: Runtime) -> Stop:
            return await runtime.stop(decision, by=_LIFTERS[0], reason="something smells")

        await insist(self._simulation, self._server, stop)
        self._watch.stopped.add(decision)
        self._simulation.trace.note("told stopped", decision)
        await asyncio.sleep(chance.expovariate(1 / 200.0))
        await self.resume(decision)

    async def resume(self, decision: str) -> None:
        """Lift a stop, whoever wanted that before and however long it takes."""
        await self._want(decision, _LIFTERS[0])
        # From here on it may be lifted, whether or not anybody is told so.
        self._watch.stopped.discard(decision)
        await self._want(decision, _LIFTERS[1])
        self._simulation.trace.note("told resumed", decision)

    async def _want(self, decision: str, by: str) -> None:
        async def work(runtime: Runtime) -> Stop | None:
            return await runtime.resume(decision, by=by, reason="it was the coffee")

        try:
            await insist(self._simulation, self._server, work)
        except Conflict as error:
            if error.code not in {"second-person", "not-stopped"}:
                raise

    async def take_back(self, run: str) -> None:
        """Undo a run, if it has acted."""

        async def work(runtime: Runtime) -> object:
            return await runtime.undo(UUID(run), by=_LIFTERS[0], reason="a mistake")

        try:
            await insist(self._simulation, self._server, work)
        except StewardError as error:
            self._simulation.trace.note("not undone", run, error.code)
        else:
            self._watch.taken_back(run)
