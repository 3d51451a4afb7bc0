"""The grid case with its battery in the simulator: ``python -m steward.testing.simulate --scenario grid``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from steward.bus.port import Accepted
from steward.cases.grid.battery import Battery
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.dispatch.decision import ROWS, make_decision
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.dispatch.skills import DispatchPlan
from steward.cases.grid.streams import MeteredInterval
from steward.decision.contract import Contract
from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.decision.model import Pipeline
from steward.ledger.port import Message
from steward.runtime.runtime import Runtime
from steward.testing.simulation.clients import insist
from steward.testing.simulation.clock import NEW_YEAR
from steward.testing.simulation.device import attached
from steward.testing.simulation.scenario import Scenario
from steward.testing.simulation.server import Server
from steward.testing.simulation.world import Simulation

_NIGHT: Final = range(1, 6)
_EVENING: Final = range(6, 12)
_CHEAP_EUR_MWH, _DEAR_EUR_MWH = 30.0, 95.0
_HOURS: Final = 25
"""The longest local day has one more than 24."""


def plan_by_the_hour(features: Features) -> DispatchPlan:
    """Charge in the first hours of the day, and feed the grid in those after: no model, so that it is quick."""
    powers = tuple(-10.0 if hour in _NIGHT else 10.0 if hour in _EVENING else 0.0 for hour in range(_HOURS))
    prices = tuple(_DEAR_EUR_MWH if hour in _EVENING else _CHEAP_EUR_MWH for hour in range(_HOURS))
    return DispatchPlan(power_mw=powers, price_eur_mwh=prices, expected_eur=0.0)


def rehearsed(plant: SimulatedPlant) -> Decision[Any, Any, Any]:
    """Return the case's decision as declared, but for its forecasts.

    Example:
        >>> rehearsed(SimulatedPlant("es", LocalDays("Europe/Madrid"), Battery())).name
        'grid.battery-dispatch'
    """
    declared = make_decision(plant, has_load=False)
    return replace(declared, features=ROWS, predict=Pipeline(plan_by_the_hour))


@dataclass(frozen=True, kw_only=True)
class GridScenario(Scenario):
    """A battery that is asked for every hour; dear hours need a person, and each set-point takes several steps.

    Example:
        >>> GRID.run(seed=1).violation is None
        True
    """

    name: str = "grid"
    lasts: timedelta = timedelta(hours=12)

    def made_for(self, simulation: Simulation) -> Sequence[Decision[Any, Any, Any]]:
        """Return the decision of a battery of this world's own."""
        plant = SimulatedPlant("es", LocalDays("Europe/Madrid"), Battery())
        _PLANT.set(plant)
        return [attached(rehearsed(plant), really=True)]

    async def beside(self, simulation: Simulation, server: Server) -> None:
        """Let the hours pass in the plant, and the meter tell."""
        plant, at = _PLANT.get(), NEW_YEAR
        while True:
            passed = simulation.loop.time()
            await asyncio.sleep((at + HOUR - NEW_YEAR).total_seconds() - passed)
            metered = plant.run_hour(at, price_eur_mwh=_CHEAP_EUR_MWH)
            simulation.trace.note("metered", repr(metered.energy_mwh))
            simulation.outside(_tell(simulation, server, metered))
            at += HOUR


async def _tell(simulation: Simulation, server: Server, metered: MeteredInterval) -> None:
    contract, now = Contract.of(MeteredInterval), simulation.machine.now()
    data, id = contract.encode(metered), metered.at.isoformat()
    message = Message(contract.name, metered.site, "meter", id, data, contract.version, metered.at, now)

    async def work(runtime: Runtime) -> Accepted:
        return await runtime.publish([message])

    await insist(simulation, server, work)


_PLANT: ContextVar[SimulatedPlant] = ContextVar("steward_simulated_plant")
"""The plant of the simulation that is under way."""
GRID: Final = GridScenario()
