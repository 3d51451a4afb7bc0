"""A scenario: decisions, who asks for them, who answers, and a machine that fails while they do."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Final

from steward.decision.contract import Event
from steward.decision.decision import Decision
from steward.errors import Conflict, StewardError
from steward.testing.simulation.device import Device, attached
from steward.testing.simulation.people import People, is_passing
from steward.testing.simulation.server import Server
from steward.testing.simulation.watch import Watch
from steward.testing.simulation.world import Simulation

Asks = Callable[[random.Random, int], tuple[Decision[Any, Any, Any], Event]]
_JUMPS: Final = (timedelta(hours=1), timedelta(hours=-1), timedelta(days=1), timedelta(days=-1))
_PATIENCE_S: Final = 20.0
_LOOK_EVERY: Final = timedelta(minutes=10)
_MOST_LOOKS: Final = 600
_PROVE_ONE_OF: Final = 8


@dataclass(frozen=True)
class Outcome:
    """What one seed came to.

    Attributes:
        seed: Which.
        digest: Of the trace: equal for equal runs.
        steps: How many callbacks ran.
        lasted: How much virtual time passed.
        happened: How often each kind of thing happened, faults included.
        violation: What did not hold, if anything.
        last: The end of the trace.

    Example:
        >>> Outcome(1, "ab", 17, timedelta(hours=1), Counter(), None, ()).violation is None
        True
    """

    seed: int
    digest: str
    steps: int
    lasted: timedelta
    happened: Counter[str]
    violation: StewardError | None
    last: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Decisions in a world where much goes wrong.

    Requests come through an unreliable network, the server is killed between any two of its steps and starts again on
    what was synced, the clock jumps, devices and disk fail, people answer as people do. Then everything is calm, and
    whatever was begun must end as :class:`~steward.testing.simulation.watch.Watch` says.

    Args:
        name: What it is called.
        decisions: What is run; their actions are done by a simulated device.
        asks: Makes the next request from chance and its number.
        requests: How many there are at most.
        people: Who is asked.
        lasts: How long things go wrong.

    Example:
        >>> from steward.testing.scenarios.small import SMALL
        >>> outcome = SMALL.run(seed=1)
        >>> outcome.violation is None, outcome.digest == SMALL.run(seed=1).digest
        (True, True)
    """

    name: str
    decisions: Sequence[Decision[Any, Any, Any]]
    asks: Asks
    requests: int = 4
    people: tuple[str, ...] = ("ann", "bo", "cy")
    lasts: timedelta = timedelta(minutes=15)

    def run(self, seed: int) -> Outcome:
        """Live through it once; what does not hold is in the outcome."""
        simulation, violation = Simulation(seed), None
        try:
            simulation.run(self._world)
        except StewardError as error:
            violation = error
        trace = simulation.trace
        return Outcome(
            seed=seed,
            digest=trace.digest(),
            steps=simulation.loop.steps,
            lasted=timedelta(microseconds=simulation.loop.now_us),
            happened=Counter(facts[0] if what == "fault" else what for what, facts in trace),  # type: ignore[misc] # a fault's first fact is its name
            violation=violation,
            last=tuple(trace.last(40)),
        )

    @cached_property
    def _attached(self) -> Sequence[Decision[Any, Any, Any]]:
        """The decisions as they are run; made once, as it takes longer than a run."""
        return [attached(decision) for decision in self.decisions]

    async def _world(self, simulation: Simulation) -> None:
        device = Device(simulation)
        server = Server(simulation, self._attached)
        watch = Watch(simulation, server.disk, device)
        People(simulation, server, watch, self.people)
        loop = asyncio.get_running_loop()
        for work in (server.supervise(), self._trouble(simulation, server, watch)):
            simulation.outside(work)
        number = simulation.chance.randint(1, self.requests)
        asking = [self._ask(simulation, server, watch, each) for each in range(number)]
        await asyncio.gather(*asking)
        await asyncio.sleep(max(self.lasts.total_seconds() - loop.time(), 0.0))
        simulation.faults.calm()
        for _ in range(_MOST_LOOKS):
            await asyncio.sleep(_LOOK_EVERY.total_seconds())
            if not watch.unfinished():
                break
        watch.over()
        if simulation.seed % _PROVE_ONE_OF == 0:
            await watch.prove()
        await asyncio.sleep(0)

    async def _ask(self, simulation: Simulation, server: Server, watch: Watch, number: int) -> None:
        """Ask as a client that does not give up: with a key, again and again, until there is an answer."""
        chance = simulation.chance
        await asyncio.sleep(chance.random() * self.lasts.total_seconds() * 0.5)
        decision, event = self.asks(chance, number)
        key = f"request-{number}"

        async def once() -> None:
            while True:
                try:
                    call = server.call(lambda runtime: runtime.decide(decision.name, event, key=key))
                    answer = await asyncio.wait_for(call, _PATIENCE_S)
                except (StewardError, ConnectionError, TimeoutError) as error:
                    if not (is_passing(error) or isinstance(error, Conflict)):
                        raise
                    await asyncio.sleep(chance.uniform(0.1, 5.0))
                else:
                    watch.decided(key, answer.record, answer.index, answer.body)
                    return

        doubled = simulation.faults.at("network.doubled", 0.3)
        await asyncio.gather(*(once() for _ in range(2 if doubled else 1)))

    async def _trouble(self, simulation: Simulation, server: Server, watch: Watch) -> None:
        """Kill the server, and let its clock jump, until all is calm."""
        chance, faults = simulation.chance, simulation.faults
        until = self.lasts.total_seconds()
        while (loop := asyncio.get_running_loop()).time() < until:
            await asyncio.sleep(chance.expovariate(1 / (until / 6)))
            if faults.at("server.killed", 0.5):
                await watch.head()
                server.kill(after_steps=chance.randint(1, 200))
            elif faults.at("clock.jumped", 0.2):
                simulation.machine.jump(chance.choice(_JUMPS))
            if loop.time() > until:
                return
