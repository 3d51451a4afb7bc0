"""Runs a scenario for many seeds: ``python -m steward.testing.simulate --scenario small --seeds 300``.

A seed that shows a violation is printed with the end of its trace and the command that runs it alone.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from steward.clock import SystemClock
from steward.testing.seeds import SCENARIOS, Report, describe, named, simulate
from steward.testing.simulation.scenario import Outcome, Scenario

_TOLD_EVERY: Final = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; return 1 if something did not hold."""
    parser = argparse.ArgumentParser(prog="python -m steward.testing.simulate", description=__doc__)
    parser.add_argument("--scenario", default="small", help=f"{', '.join(SCENARIOS)}, or module:attribute")
    parser.add_argument("--seeds", type=int, default=300, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first")
    parser.add_argument("--seed", type=int, help="only this one, with the end of its trace")
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # what is logged about faults is of no interest here
    scenario, clock = named(given.scenario), SystemClock()
    seeds = range(given.start, given.start + given.seeds) if given.seed is None else (given.seed,)
    scenario.run(seeds[0])  # what is made once for all seeds does not count
    began = clock.now()

    def told(outcome: Outcome) -> None:
        if given.json:
            return
        if outcome.violation is not None:
            print(describe(scenario, outcome), flush=True)
        elif given.seed is not None:
            print("\n".join((*outcome.last, f"digest {outcome.digest}")))
        elif (outcome.seed - given.start + 1) % _TOLD_EVERY == 0:
            print(f"{outcome.seed - given.start + 1} seeds", file=sys.stderr, flush=True)

    report = simulate(scenario, seeds, told=told)
    took_s = (clock.now() - began).total_seconds()
    if given.json:
        print(json.dumps(_plain(scenario, report, took_s)))
    else:
        print(
            f"{report.seeds} seeds of {scenario.name!r}: {len(report.failed)} violations, "
            f"{report.seeds / took_s:.0f} seeds/s, {report.lasted.days} virtual days"
        )
    return 1 if report.failed else 0


def _plain(scenario: Scenario, report: Report, took_s: float) -> dict[str, object]:
    return {
        "scenario": scenario.name,
        "seeds": report.seeds,
        "seeds_per_s": round(report.seeds / took_s, 1),
        "virtual_h": round(report.lasted / timedelta(hours=1), 1),
        "steps": report.steps,
        "happened": dict(sorted(report.happened.items())),
        "failed": [{"seed": outcome.seed, "violation": str(outcome.violation)} for outcome in report.failed],
    }


if __name__ == "__main__":
    sys.exit(main())
