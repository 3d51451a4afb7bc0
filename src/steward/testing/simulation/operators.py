"""Operators: they stop and resume decisions, and take back what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final
from uuid import UUID

from steward.errors import Conflict, StewardError
from steward.ledger.run import Run
from steward.runtime.runtime import Runtime
from steward.runtime.stops import Stop
from steward.testing.simulation.clients import insist
from steward.testing.simulation.server import Server
from steward.testing.simulation.watch import Watch
from steward.testing.simulation.world import Simulation

_TRIES: Final = 50
_STOPPED_S: Final = 30.0
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
        """Undo a run, if it has acted. Whoever begins that does not give up: nobody else would."""
        if await self._tell(run, "undo", lambda runtime: runtime.undo(UUID(run), by=_LIFTERS[0], reason="a mistake")):
            self._watch.undone(run)

    async def abort(self, run: str) -> None:
        """End a run that is under way."""
        await self._tell(run, "abort", lambda runtime: runtime.abort(UUID(run), by=_LIFTERS[0], reason="a storm"))

    async def redrive(self, run: str) -> None:
        """Let a failed or halted run go on."""
        await self._tell(run, "redrive", lambda runtime: runtime.redrive(UUID(run), by=_LIFTERS[0], reason="mended"))

    async def signal(self, run: str, name: str, *, after_s: float) -> None:
        """Tell a run what it waits for."""
        await asyncio.sleep(after_s)
        await self._tell(run, "signal", lambda runtime: runtime.signal(UUID(run), name, {"clear": True}, by="crew-3"))

    async def _tell(self, run: str, verb: str, work: Callable[[Runtime], Coroutine[Any, Any, Run]]) -> bool:
        try:
            while not await self._told(work):  # noqa: ASYNC110 - nobody is told when a stop is lifted
                await asyncio.sleep(_STOPPED_S)
        except (StewardError, ConnectionError, TimeoutError) as error:
            self._simulation.trace.note("refused", verb, run, getattr(error, "code", type(error).__name__))
            return False
        self._simulation.trace.note("told", verb, run)
        return True

    async def _told(self, work: Callable[[Runtime], Coroutine[Any, Any, Run]]) -> bool:
        """Tell something; ``False`` if it is to be told again when a stop is lifted."""
        try:
            await insist(self._simulation, self._server, work, tries=_TRIES)
        except Conflict as error:
            if error.code == "stopped":
                return False
            raise
        return True
