"""People who are asked: quick, late, forgetful, two at once, and of two minds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from steward.errors import Conflict, EngineError, GateExpired, StewardError
from steward.ledger.run import Run
from steward.runtime.runtime import Runtime
from steward.testing.simulation.server import Server
from steward.testing.simulation.watch import Watch
from steward.testing.simulation.world import Simulation

_TRIES: Final = 5
_PATIENCE_S: Final = 20.0


class People:
    """Answer what they are asked, each in their own way.

    Args:
        simulation: Draws their habits.
        server: Where they answer.
        watch: Hears which answers were taken.
        names: Who they are.

    Example:
        >>> from steward.testing.scenarios.small import SMALL
        >>> SMALL.people
        ('ann', 'bo', 'cy')
    """

    def __init__(self, simulation: Simulation, server: Server, watch: Watch, names: Sequence[str]) -> None:
        self._simulation, self._server, self._watch = simulation, server, watch
        self._names = names
        watch.told_of_asked = self._begin

    def _begin(self, run_id: UUID, asked: dict[str, Any]) -> None:
        for name in self._names:
            if self._simulation.chance.random() < 0.65:  # the others never look
                self._simulation.outside(self._consider(name, run_id, asked))

    async def _consider(self, name: str, run_id: UUID, asked: dict[str, Any]) -> None:
        chance, gate = self._simulation.chance, asked["gate"]
        left = datetime.fromisoformat(gate["deadline"]) - self._simulation.machine.now()
        about_late = chance.random() < 0.2
        think = left + timedelta(seconds=chance.uniform(-1, 1)) if about_late else left * chance.random() * 0.8
        await asyncio.sleep(max(think.total_seconds(), 0.0))
        evidence = str(asked["evidence"]) if chance.random() < 0.9 else "sha256:of-something-else"
        verb = "approved" if chance.random() < 0.7 else "rejected"
        answers = [self._answer(name, run_id, verb, evidence)]
        if chance.random() < 0.2:  # in two windows, or of two minds
            other = verb if chance.random() < 0.5 else "rejected" if verb == "approved" else "approved"
            answers.append(self._answer(name, run_id, other, evidence))
        await asyncio.gather(*answers)

    async def _answer(self, name: str, run_id: UUID, verb: str, evidence: str) -> None:
        async def work(runtime: Runtime) -> Run:
            speak = runtime.approve if verb == "approved" else runtime.reject
            return await speak(run_id, by=name, reason="I have looked at it", evidence=evidence)

        for _ in range(_TRIES):
            try:
                await asyncio.wait_for(self._server.call(work), _PATIENCE_S)
            except (Conflict, GateExpired):
                return
            except (ConnectionError, TimeoutError, EngineError):
                await asyncio.sleep(self._simulation.chance.uniform(0.1, 5.0))
            else:
                if evidence.endswith("else"):
                    self._simulation.violate(f"an answer to what {name} was not shown was taken")
                self._watch.answered(run_id, verb, name)
                return


def is_passing(error: Exception) -> bool:
    """Tell whether another try may help."""
    return isinstance(error, ConnectionError | TimeoutError) or (
        isinstance(error, StewardError) and getattr(error, "retryable", False)
    )
