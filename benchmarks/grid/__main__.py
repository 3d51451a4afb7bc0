"""Every figure of the grid case beside its limit and its goal.

    python -m benchmarks.grid [--json] [--quick] [--only PART ...] [--list]

Each file beside this one is a part, with a function ``figures``; figures on real data are left out, with a word, where
that data is not there.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from benchmarks.report import Figure, report

Part = Callable[..., list[Figure]]


def parts() -> list[str]:
    """Return the names of all parts, in order."""
    here = sorted(Path(__file__).parent.glob("*.py"))
    return [file.stem for file in here if "\ndef figures(" in file.read_text(encoding="utf-8")]


def main() -> None:
    """Measure what was asked for, and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grid", description="Figures of the grid case.")
    parser.add_argument("--only", action="append", default=[], metavar="PART", help="only this; may be given again")
    parser.add_argument("--quick", action="store_true", help="less of each, to see that it works")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--list", action="store_true", help="name the parts")
    asked, known = parser.parse_args(), parts()
    if unknown := sorted(set(asked.only) - set(known)):
        parser.error(f"there is no part {unknown[0]!r}; choose from {', '.join(known)}")
    if asked.list:
        print("\n".join(known))
        return
    found: list[Figure] = []
    took_s: dict[str, float] = {}
    for name in asked.only or known:
        print(f"{name} ...", file=sys.stderr, flush=True)
        start = time.perf_counter()
        figures = cast("Part", import_module(f"benchmarks.grid.{name}").figures)
        found += figures(quick=asked.quick)
        took_s[name] = round(time.perf_counter() - start, 1)
        print(f"{name} took {took_s[name]:.0f} s", file=sys.stderr, flush=True)
    report("grid", found, {"took_s": took_s})


if __name__ == "__main__":
    main()
