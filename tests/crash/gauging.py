"""A process that decides, and learns from outcomes, until it is killed: ``python -m tests.crash.gauging FOLDER ROUND``.

It prints ``told ID`` for each outcome that was acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from random import Random

from tests.runtime.gauge import GAUGE, Metered, Reading

from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings


def settings(folder: Path) -> Settings:
    """Return the settings of this folder; the state is kept often, to be caught in the middle of it."""
    return Settings(ledger=f"sqlite:////{folder}/steward.db", snapshot_every_s=0.01, root=folder)


async def measure(runtime: Runtime, name: str) -> None:
    """Decide and observe, each outcome twice, and some before their decision."""
    drawn, number = Random(name), 0
    while True:
        meter, number = f"{name}-{number}", number + 1
        reading = Reading(meter=meter, region=drawn.choice("NSEW"), told_mw=100.0)
        metered = Metered(meter=meter, load_mw=100 + drawn.gauss(0, 5))
        if drawn.random() < 0.8:
            await runtime.decide("grid.gauge", reading)
        for _ in range(2):
            await runtime.observe("grid.gauge", metered, outcome_id=f"o-{meter}")
        await runtime.decide("grid.gauge", reading)
        os.write(1, f"told {meter}\n".encode())


async def main(folder: Path, turn: str) -> None:
    """Run until killed."""
    async with await Runtime.open([GAUGE], settings=settings(folder)) as runtime:
        runtime.start()
        os.write(1, b"ready\n")
        await asyncio.gather(*(measure(runtime, f"{turn}.{n}") for n in range(4)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
