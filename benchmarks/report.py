"""What every benchmark prints: figures beside their goals, as a table or as one JSON object."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """A measured number; ``goal`` is to be reached, or undercut if ``below``."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    below: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; ``None`` without one."""
        if self.goal is None:
            return None
        return self.value <= self.goal if self.below else self.value >= self.goal


def machine() -> dict[str, object]:
    """Return what the figures were measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def report(benchmark: str, figures: list[Figure], details: Mapping[str, object] | None = None) -> None:
    """Print the figures: one JSON object if ``--json`` was given, a table otherwise."""
    if "--json" in sys.argv:
        rows = [asdict(figure) | {"met": figure.met} for figure in figures]
        print(json.dumps({"benchmark": benchmark, "machine": machine(), "figures": rows, **(details or {})}))
        return
    print(f"{benchmark} on {machine()}")
    for figure in figures:
        goal = "" if figure.goal is None else f"{'<=' if figure.below else '>='} {figure.goal:,g}"
        verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
        print(f"  {figure.name:<38} {figure.value:>14,.2f} {figure.unit:<12} {goal:<12} {verdict}")
    for name, detail in (details or {}).items():
        print(f"  {name}: {detail}")
