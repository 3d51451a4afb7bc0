"""Those who ask for decisions over a network that loses and doubles what they send, and do not give up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from steward.decision.contract import Contract, Event
from steward.decision.decision import Decision
from steward.errors import Conflict, StewardError
from steward.ledger.port import Message
from steward.loop.run import Answer
from steward.runtime.parts import Origin
from steward.runtime.runtime import Runtime
from steward.testing.simulation.server import Server
from steward.testing.simulation.watch import Watch
from steward.testing.simulation.world import Simulation

T = TypeVar("T")
PATIENCE_S: Final = 20.0
"""How long somebody waits for an answer before they ask again."""
_SHORTEST_S: Final = 0.1
_LONGEST_S: Final = 5.0


def is_passing(error: Exception) -> bool:
    """Tell whether asking again may help.

    Example:
        >>> is_passing(ConnectionResetError()), is_passing(Conflict("taken", code="already-answered"))
        (True, False)
    """
    if isinstance(error, Conflict):
        return error.code.endswith("in-flight")
    return isinstance(error, ConnectionError | TimeoutError) or bool(getattr(error, "retryable", False))


async def insist(
    simulation: Simulation, server: Server, work: Callable[[Runtime], Coroutine[Any, Any, T]], *, tries: int = 20_000
) -> T:
    """Ask a server again and again until it answers.

    Raises:
        StewardError: It said no.
        ConnectionError: It did not answer so many times.
    """
    while True:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await server.call(work)
        except (StewardError, ConnectionError, TimeoutError) as error:
            tries -= 1
            if not is_passing(error) or not tries:
                raise
        await asyncio.sleep(simulation.chance.uniform(_SHORTEST_S, _LONGEST_S))


class Clients:
    """Ask for decisions, each until they know the answer: directly with an idempotency key, or over the bus.

    The points are ``network.doubled`` (what was sent arrives twice) and ``network.bus`` (it is sent over the bus).

    Args:
        simulation: Whose chance and faults they have.
        server: Who is asked.
        watch: Hears what they were told.
        people: In whose name they ask.

    Example:
        >>> from steward.testing.scenarios.small import SMALL
        >>> SMALL.run(seed=2).happened["told decided"] > 0
        True
    """

    def __init__(self, simulation: Simulation, server: Server, watch: Watch, people: tuple[str, ...]) -> None:
        self._simulation, self._server, self._watch, self._people = simulation, server, watch, people

    async def ask(self, decision: Decision[Any, Any, Any], event: Event, number: int) -> None:
        """Ask once, as one who does not give up."""
        faults = self._simulation.faults
        copies = 2 if faults.at("network.doubled", 0.3) else 1
        if faults.at("network.bus", 0.4):
            await asyncio.gather(*(self._publish(event, number) for _ in range(copies)))
        else:
            by = self._simulation.chance.choice(self._people)
            await asyncio.gather(*(self._decide(decision, event, f"request-{number}", by) for _ in range(copies)))

    async def _decide(self, decision: Decision[Any, Any, Any], event: Event, key: str, by: str) -> None:
        async def work(runtime: Runtime) -> Answer:
            return await runtime.decide(decision.name, event, key=key, origin=Origin(by=by))

        answer = await insist(self._simulation, self._server, work)
        self._watch.decided(key, answer.record, answer.index, answer.body)

    async def _publish(self, event: Event, number: int) -> None:
        contract, now = Contract.of(type(event)), self._simulation.machine.now()
        data, id = contract.encode(event), f"event-{number}"
        message = Message(contract.name, "all", "simulation", id, data, contract.version, now, now)
        await insist(self._simulation, self._server, lambda runtime: runtime.publish([message]))
        self._watch.published(id)
