"""A scenario: decisions, who asks for them, who answers, and a machine that fails while they do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Final

from steward.clock import Chance
from steward.decision.contract import Event
from steward.decision.decision import Decision
from steward.errors import StewardError
from steward.testing.simulation.clients import Clients
from steward.testing.simulation.device import Device, attached
from steward.testing.simulation.operators import Operators
from steward.testing.simulation.people import Changes, People
from steward.testing.simulation.server import Server
from steward.testing.simulation.trace import Trace
from steward.testing.simulation.watch import Watch
from steward.testing.simulation.world import Simulation

Asks = Callable[[Chance, int], tuple[Decision[Any, Any, Any], Event]]
_JUMPS: Final = (timedelta(hours=1), timedelta(hours=-1), timedelta(days=1), timedelta(days=-1))
_LOOK_EVERY: Final = timedelta(minutes=10)
_MOST_LOOKS: Final = 600
_PROVE_ONE_OF: Final = 8


@dataclass(frozen=True)
class Outcome:
    """What one seed came to.

    Attributes:
        seed: Which.
        trace: What happened.
        steps: How many callbacks ran.
        lasted: How much virtual time passed.
        violation: What did not hold, if anything.

    Example:
        >>> from steward.testing.scenarios.small import SMALL
        >>> outcome = SMALL.run(seed=1)
        >>> outcome.violation is None, outcome.happened["end"], len(outcome.last) > 10
        (True, 1, True)
    """

    seed: int
    trace: Trace
    steps: int
    lasted: timedelta
    violation: StewardError | None

    @property
    def digest(self) -> str:
        """The trace's: equal for equal runs."""
        return self.trace.digest()

    @property
    def happened(self) -> Counter[str]:
        """How often each kind of thing happened, faults by their name."""
        return Counter(str(facts[0]) if what == "fault" else what for what, facts in self.trace)

    @property
    def last(self) -> Sequence[str]:
        """The end of the trace."""
        return self.trace.last(40)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Decisions in a world where much goes wrong.

    Requests come through an unreliable network, the server is killed between any two of its steps and starts again on
    what was synced, the clock jumps, devices and disk fail, people answer as people do. Then everything is calm, and
    whatever was begun must end as :class:`~steward.testing.simulation.watch.Watch` says.

    Args:
        name: What it is called.
        decisions: What is run; their actions are done by a simulated device.
        asks: Makes the next request from chance and its number; without it the clock alone asks.
        requests: How many there are at most.
        people: Who is asked.
        lasts: How long things go wrong.
        changes: What people put in the place of a choice that they are asked about; needs the gate's ``limits``.
        stops: Whether operators stop decisions, and resume them.
        undoes: Whether operators take back what was done, end what is under way, and let go on what has failed.
        signals: What runs wait for; crews say it in time, late or never.

    Example:
        >>> from steward.testing.scenarios.small import SMALL
        >>> outcome = SMALL.run(seed=1)
        >>> outcome.violation is None, outcome.digest == SMALL.run(seed=1).digest
        (True, True)
    """

    name: str
    decisions: Sequence[Decision[Any, Any, Any]] = ()
    asks: Asks | None = None
    requests: int = 4
    people: tuple[str, ...] = ("ann", "bo", "cy")
    lasts: timedelta = timedelta(minutes=15)
    changes: Changes | None = None
    stops: bool = True
    undoes: bool = True
    signals: tuple[str, ...] = ()

    def run(self, seed: int) -> Outcome:
        """Live through it once; what does not hold is in the outcome."""
        simulation, violation = Simulation(seed), None
        try:
            simulation.run(self._world)
        except StewardError as error:
            violation = error
        lasted = timedelta(microseconds=simulation.loop.now_us)
        return Outcome(seed, simulation.trace, simulation.loop.steps, lasted, violation)

    def made_for(self, simulation: Simulation) -> Sequence[Decision[Any, Any, Any]]:
        """Return the decisions that are run; a scenario whose world is another for each seed makes its own."""
        return self._attached

    def served(self, simulation: Simulation, decisions: Sequence[Decision[Any, Any, Any]]) -> Server:
        """Return what runs the decisions."""
        return Server(simulation, decisions)

    def watched(
        self, simulation: Simulation, server: Server, device: Device, decisions: Sequence[Decision[Any, Any, Any]]
    ) -> Watch:
        """Return what says whether all holds that must; a scenario may know of more."""
        return Watch(simulation, server.disk, device, decisions)

    async def beside(self, simulation: Simulation, server: Server) -> None:
        """Do what else happens in the world; nothing, unless a scenario says so."""

    @cached_property
    def _attached(self) -> Sequence[Decision[Any, Any, Any]]:
        """The decisions as they are run; made once, as it takes longer than a run."""
        return [attached(decision) for decision in self.decisions]

    async def _world(self, simulation: Simulation) -> None:
        device = Device(simulation)
        decisions = self.made_for(simulation)
        server = self.served(simulation, decisions)
        watch = self.watched(simulation, server, device, decisions)
        People(simulation, server, watch, self.people, self.changes)
        operators = Operators(simulation, server, watch)
        for work in (server.supervise(), self._trouble(simulation, server, watch), self.beside(simulation, server)):
            simulation.outside(work)
        chance, clients = simulation.chance, Clients(simulation, server, watch, self.people)
        asking = [self._ask(chance, clients, number) for number in range(chance.randint(1, self.requests))]
        operating = [self._stop(simulation, operators, decisions), self._correct(simulation, operators, watch)]
        if self.signals:
            simulation.outside(self._signal(simulation, operators, watch))
        await asyncio.gather(*asking, *operating)
        await asyncio.sleep(max(self.lasts.total_seconds() - simulation.loop.time(), 0.0))
        simulation.faults.calm()
        for _ in range(_MOST_LOOKS):
            await asyncio.sleep(_LOOK_EVERY.total_seconds())
            if not watch.unfinished():
                break
        watch.over()
        if simulation.seed % _PROVE_ONE_OF == 0:
            await watch.prove()
        await asyncio.sleep(0)

    async def _ask(self, chance: Chance, clients: Clients, number: int) -> None:
        await asyncio.sleep(chance.random() * self.lasts.total_seconds() * 0.5)
        if self.asks is not None:
            await clients.ask(*self.asks(chance, number), number)

    async def _correct(self, simulation: Simulation, operators: Operators, watch: Watch) -> None:
        """Let operators take things back, end them, or let them go on, now and then."""
        chance, faults = simulation.chance, simulation.faults
        if not self.undoes:
            return
        for point, wanted, correct in (
            ("operator.aborts", "decided", operators.abort),
            ("operator.undoes", "acted", operators.take_back),
            ("operator.redrives", "failed", operators.redrive),
        ):
            if not faults.at(point, 0.5):
                continue
            await asyncio.sleep(chance.random() * self.lasts.total_seconds() * 0.3)
            if found := [run for run, story in watch.stories.items() if story.key and story.last(wanted)]:
                await correct(chance.choice(found))

    async def _stop(
        self, simulation: Simulation, operators: Operators, decisions: Sequence[Decision[Any, Any, Any]]
    ) -> None:
        """Let operators stop everything for a while, now and then."""
        chance, faults = simulation.chance, simulation.faults
        if self.stops and faults.at("operator.stops", 0.4):
            await asyncio.sleep(chance.random() * self.lasts.total_seconds() * 0.5)
            await operators.stop_and_go(chance.choice(("*", *(decision.name for decision in decisions))))

    async def _signal(self, simulation: Simulation, operators: Operators, watch: Watch) -> None:
        """Let crews say, to some runs, what they wait for."""
        chance, told = simulation.chance, set[str]()
        while simulation.loop.time() < self.lasts.total_seconds():
            await asyncio.sleep(chance.uniform(5.0, 30.0))
            for run, story in list(watch.stories.items()):
                if story.key is not None and run not in told:
                    told.add(run)
                    for name in self.signals:
                        if chance.random() < 0.8:
                            simulation.outside(operators.signal(run, name, after_s=chance.expovariate(1 / 100)))

    async def _trouble(self, simulation: Simulation, server: Server, watch: Watch) -> None:
        """Kill the server, and let its clock jump, until all is calm."""
        chance, faults = simulation.chance, simulation.faults
        until = self.lasts.total_seconds()
        while True:
            await asyncio.sleep(chance.expovariate(1 / (until / 6)))
            if simulation.loop.time() > until:
                return
            if faults.at("server.killed", 0.5):
                await watch.head()
                server.kill(after_steps=chance.randint(1, 200))
            elif faults.at("clock.jumped", 0.2):
                simulation.machine.jump(chance.choice(_JUMPS))
