"""Test tools that are shipped to users: faults, simulations by seed, the in-memory runtime, conformance suites."""

from steward.testing.faults import Faults, FaultyLedger, unwritable
from steward.testing.simulation.world import Simulation, Violation

__all__ = ["Faults", "FaultyLedger", "Simulation", "Violation", "unwritable"]
