"""Test tools that are shipped to users: faults, simulations by seed, the in-memory runtime, conformance suites.

See ``docs/testing.md``.
"""

from steward.clock import VirtualClock
from steward.testing.faults import Faults, FaultyLedger, unwritable
from steward.testing.memory import InMemory, in_memory
from steward.testing.seeds import check, simulate
from steward.testing.simulation.device import Device, attached
from steward.testing.simulation.disk import SimulatedDisk, SimulatedLedger
from steward.testing.simulation.loop import VirtualLoop
from steward.testing.simulation.scenario import Outcome, Scenario
from steward.testing.simulation.stuck import Deadlock, Livelock, Unsimulated
from steward.testing.simulation.world import Simulation, Violation

__all__ = [
    "Deadlock",
    "Device",
    "Faults",
    "FaultyLedger",
    "InMemory",
    "Livelock",
    "Outcome",
    "Scenario",
    "SimulatedDisk",
    "SimulatedLedger",
    "Simulation",
    "Unsimulated",
    "Violation",
    "VirtualClock",
    "VirtualLoop",
    "attached",
    "check",
    "in_memory",
    "simulate",
    "unwritable",
]
