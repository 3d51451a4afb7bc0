"""Many seeds of a scenario, what came of them, and how one that failed is run alone."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib import import_module
from typing import Final

from steward.decision.checks import nearest
from steward.errors import DeclarationError
from steward.testing.simulation.scenario import Outcome, Scenario
from steward.testing.simulation.world import Violation

SCENARIOS: Final = {
    "small": "steward.testing.scenarios.small:SMALL",
    "switching": "steward.testing.scenarios.switching:SWITCHING",
    "rolling": "steward.testing.scenarios.rolling:ROLLING",
    "grid": "steward.cases.grid.dispatch.rehearsal:GRID",
}
"""The scenarios that are shipped; any other is named by ``module:attribute``."""
_COLLECT_EVERY: Final = 100


@dataclass
class Report:
    """What many seeds came to.

    Attributes:
        seeds: How many were run.
        lasted: Virtual time of all together.
        steps: Callbacks of all together.
        happened: How often each kind of thing happened.
        failed: The outcomes with a violation.

    Example:
        >>> from steward.testing.scenarios.small import SMALL
        >>> report = simulate(SMALL, range(3))
        >>> report.seeds, report.failed, report.lasted > timedelta(hours=1)
        (3, [], True)
    """

    seeds: int = 0
    lasted: timedelta = timedelta(0)
    steps: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    failed: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one more seed."""
        self.seeds += 1
        self.lasted += outcome.lasted
        self.steps += outcome.steps
        self.happened.update(outcome.happened)
        if outcome.violation is not None:
            self.failed.append(outcome)


def simulate(
    scenario: Scenario, seeds: Iterable[int], *, told: Callable[[Outcome], object] = lambda outcome: None
) -> Report:
    """Live through a scenario once for each seed; the first violation does not stop the others.

    Args:
        scenario: What happens.
        seeds: Which worlds.
        told: Called with each outcome as it comes.
    """
    report = Report()
    with _collecting_seldom():
        for seed in seeds:
            outcome = scenario.run(seed)
            report.add(outcome)
            told(outcome)
            if report.seeds % _COLLECT_EVERY == 0:
                gc.collect()
    return report


def check(scenario: Scenario, seeds: Iterable[int]) -> Report:
    """Live through a scenario for all seeds, as a test does.

    Raises:
        Violation: Something that must hold did not; it tells how to run the first such seed alone.
    """
    report = simulate(scenario, seeds)
    if report.failed:
        raise Violation(describe(scenario, report.failed[0]))
    return report


def describe(scenario: Scenario, outcome: Outcome) -> str:
    """Return what did not hold, the end of the trace, and how to run the seed alone."""
    last = "\n".join(outcome.last)
    return (
        f"seed {outcome.seed} of {scenario.name!r}: {outcome.violation}\n{last}\n"
        f"Alone: python -m steward.testing.simulate --scenario {_spelt(scenario)} --seed {outcome.seed}"
    )


def named(name: str) -> Scenario:
    """Return a scenario by its name, or by ``module:attribute``.

    Raises:
        DeclarationError: There is none.

    Example:
        >>> named("small").name
        'small'
    """
    module, _, attribute = SCENARIOS.get(name, name).partition(":")
    if not attribute:
        raise DeclarationError(f"no scenario is named {name!r}", fix=nearest(name, SCENARIOS) + ", or module:attribute")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, Scenario):
        raise DeclarationError(f"{name} is a {type(found).__name__}, not a Scenario", field="scenario")
    return found


def _spelt(scenario: Scenario) -> str:
    return scenario.name if scenario.name in SCENARIOS else f"MODULE:{scenario.name.upper()}"


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Leave garbage between seeds: each makes little, and looking for it costs a fifth of the time."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()  # what is there already is no garbage, and need not be looked at
    gc.set_threshold(0)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
