"""How many decisions one process makes durable: all stages and the ledger, in batches of 1,000.

Usage: ``python -m benchmarks.loop [--json] [--quick]``
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from benchmarks.report import Figure, report
from benchmarks.workload import DECISION, INPUTS, events, model_text, register

from steward.loop.run import Answer
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

BATCH = 1_000


async def decide(folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Decide batches and return the wall and CPU seconds of each round of ten batches."""
    settings = Settings(ledger=f"sqlite:////{folder}/steward.db", registry=str(folder / "models"))
    batch = events(BATCH)
    wall: list[float] = []
    cpu: list[float] = []
    async with await Runtime.open([DECISION], settings=settings) as runtime:
        await runtime.decide_batch(DECISION.name, batch)
        for _ in range(rounds):
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            # Two batches under way, as behind the doors: one is computed while the other waits for the disk.
            for _ in range(5):
                pair = await asyncio.gather(*(runtime.decide_batch(DECISION.name, batch) for _ in range(2)))
                assert all(isinstance(answer, Answer) for answers in pair for answer in answers)
            wall.append((time.perf_counter() - wall_start) / 10)
            cpu.append((time.process_time() - cpu_start) / 10)
    return wall, cpu


def model_seconds(folder: Path) -> float:
    """Return the CPU seconds that the model alone takes for one batch."""
    from steward.models.registry import FolderRegistry

    model = FolderRegistry(folder / "models").load("fraud")
    rows = np.random.default_rng(11).normal(size=(BATCH, len(INPUTS))).tolist()
    times = []
    for _ in range(20):
        start = time.process_time()
        model.predict(rows)
        times.append(time.process_time() - start)
    return median(times)


def main() -> None:
    """Measure and report."""
    rounds = 3 if "--quick" in sys.argv else 20
    os.sched_setaffinity(0, {0})
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        register(folder / "models", model_text())
        wall, cpu = asyncio.run(decide(folder, rounds))
        model = model_seconds(folder)
    platform_us = (median(cpu) - model) / BATCH * 1e6
    figures = [
        Figure("decisions_per_s_per_core", BATCH / median(wall), "1/s", 20_000),
        Figure("platform_cpu_us", platform_us, "us/decision", 40, below=True),
        Figure("model_cpu_us", model / BATCH * 1e6, "us/decision"),
        Figure("cpu_us", median(cpu) / BATCH * 1e6, "us/decision"),
    ]
    report("loop", figures, {"batch": BATCH, "decisions": (rounds * 10 + 1) * BATCH})


if __name__ == "__main__":
    main()
