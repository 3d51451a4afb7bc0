"""Run every benchmark against its goals and write a dated table to ``benchmarks/results/``.

Usage: ``python -m benchmarks [--quick] [NAME ...]``
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
NOT_BENCHMARKS = {"__init__", "benchmarks", "peers", "__main__", "report", "series", "workload", "overload_servers"}
WITHIN_OTHERS = {"console_streams", "overload", "stop_switch"}
"""Benchmarks that ``reliability`` or ``console`` runs."""


def names() -> list[str]:
    """Return the benchmarks to run: those named, or all that have a ``main``."""
    asked = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    files = [*FOLDER.glob("*.py"), *FOLDER.glob("*/__main__.py")]
    named = {file.parent.name if file.stem == "__main__" else file.stem: file for file in files}
    found = sorted(name for name, file in named.items() if "\ndef main(" in file.read_text(encoding="utf-8"))
    return asked or [name for name in found if name not in NOT_BENCHMARKS | WITHIN_OTHERS]


def run(name: str) -> dict[str, Any] | None:
    """Run one benchmark in a process of its own; return its object, or ``None`` if it failed."""
    start = time.monotonic()
    print(f"{name} ...", file=sys.stderr, flush=True)
    flags = [argument for argument in sys.argv[1:] if argument.startswith("-")]
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(f"{name} took {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    if done.returncode != 0:
        return None
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed


def row(benchmark: str, figure: dict[str, Any]) -> str:
    """Return one line of the table."""
    goal = "" if figure["goal"] is None else f"{figure['goal']:,g}"
    met = {None: "", True: "met", False: "**missed**"}[figure["met"]]
    return f"| {benchmark} | {figure['name']} | {figure['value']:,.4g} | {figure['unit']} | {goal} | {met} |"


def main() -> int:
    """Run them all, write the table, and return 1 if a benchmark failed."""
    results = {name: run(name) for name in names()}
    done = {name: result for name, result in results.items() if result is not None}
    rows = [row(name, figure) for name, result in done.items() for figure in result["figures"]]
    machine: dict[str, Any] = next((result["machine"] for result in done.values()), {})
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    table = "\n".join(
        [
            f"# Benchmarks of {today}",
            "",
            f"{machine.get('cores')} cores, {machine.get('cpu')}, Python {machine.get('python')}. Shared machines are",
            "noisy: compare the ratios, not the absolute times.",
            "",
            "| benchmark | figure | value | unit | goal | |",
            "|---|---|---:|---|---:|---|",
            *rows,
            "",
        ]
    )
    folder = FOLDER / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{today}.md").write_text(table, encoding="utf-8")
    print(table)
    failed = [name for name, result in results.items() if result is None]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
