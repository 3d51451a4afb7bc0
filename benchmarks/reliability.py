"""What Steward promises when things go wrong, each promise with the figure that shows it.

    python -m benchmarks.reliability [--json] [--quick] [--deep] [PART ...]

Overload, the stop switch, a hung neighbour and a restart are measured with the benchmarks of their own; crashes, losses
of power, failing disks, rough events, the simulator and access are the scenarios of the tests, counted here. ``--deep``
runs as many rounds of them as ``make test-deep``. ``PART`` runs some parts only; without it all are run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping

from benchmarks.disasters import crashes, disks, events, planted, simulated, whose
from benchmarks.report import Figure, report

QUICK, DEEP = "--quick" in sys.argv, "--deep" in sys.argv


def figures_of(benchmark: str, *names: str) -> list[Figure]:
    """Run a benchmark in a process of its own, and return the figures whose names begin with one of ``names``."""
    flags = ["--quick"] if QUICK else []
    command = [sys.executable, "-m", f"benchmarks.{benchmark}", "--json", *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(done.stdout)["figures"]
    figures = [Figure(**{name: value for name, value in each.items() if name != "met"}) for each in told]
    return [each for each in figures if not names or each.name.startswith(names)]


PARTS: Mapping[str, Callable[[], list[Figure]]] = {
    "overload": lambda: figures_of("overload"),
    "stop": lambda: figures_of("stop_switch"),
    "downstream": lambda: figures_of("downstream", "p99 of others", "breaker", "probes"),
    "recovery": lambda: figures_of("workflow", "ready", "of 1", "until all", "memory"),
    "events": lambda: events(rounds=20 if DEEP else 4, count=5_000 if DEEP else 1_000),
    "crashes": lambda: crashes(rounds=200 if DEEP else 10 if QUICK else 20),
    "disks": lambda: disks(deep=DEEP),
    "simulation": lambda: simulated(seeds=20_000 if DEEP else 200 if QUICK else 1_000),
    "planted": planted,
    "access": lambda: [*figures_of("access", "key_and_table", "table", "cedar"), *whose()],
}


def main() -> None:
    """Run the parts and report."""
    # What is measured must not share its core with the numeric libraries' own threads.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    asked = [each for each in sys.argv[1:] if not each.startswith("-")] or list(PARTS)
    figures: list[Figure] = []
    for name in asked:
        print(f"{name} ...", file=sys.stderr, flush=True)
        for figure in PARTS[name]():
            figures.append(Figure(f"{name}: {figure.name}", figure.value, figure.unit, figure.goal, figure.below))
    lost = sum(figure.value for figure in figures if "lost" in figure.name or "doubled" in figure.name)
    figures.append(Figure("acknowledged lost or effects doubled, in all", lost, "", 0, below=True))
    report("reliability", figures)


if __name__ == "__main__":
    main()
