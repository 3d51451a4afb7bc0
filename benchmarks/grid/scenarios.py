"""Scenarios: paths and decisions a second by the number of processes, and what live decisions feel of a batch.

    python -m benchmarks.grid.scenarios [--json] [--quick]

Paths of some weeks of a region that is made up. The live decisions are asked for one after the other, every 5 ms, in
this process, while the batch has as many processes as the machine has cores; beside them stands the same batch without
its lane, as a peer. The real history takes ``--paths N`` of a whole year.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from contextlib import aclosing
from dataclasses import replace
from itertools import count
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

from benchmarks.grid_backtest import DATA
from benchmarks.report import Figure, report

from steward import Choice, Decision, Event, Feature, Features, Lane, Prediction, Risk
from steward.cases.grid.data.history import Source
from steward.cases.grid.forecasting.training import PRICE
from steward.cases.grid.scenarios.batch import ScenarioOptions, Scenarios, scenarios
from steward.cases.grid.scenarios.engine import engine_of
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

SLOWER_PCT = 25.0
EVERY_S = 0.005
LIVE = "grid.live"


class Asked(Event):
    """A question of live traffic."""

    amount: float


def hold(features: Features, prediction: Prediction[None]) -> Choice[str]:
    """Choose always the same."""
    return Choice("hold", reasons=("as always",))


LIVE_DECISION = Decision(
    name=LIVE, owner="bench", purpose="Be asked live", risk=Risk.LOW, event=Asked, features=(Feature("amount"),),
    policy=hold,
)  # fmt: skip


async def asked_live(runtime: Runtime, seconds: float) -> list[float]:
    """Return how many ms each live decision took."""
    taken, until = [], perf_counter() + seconds
    while perf_counter() < until:
        began = perf_counter()
        await runtime.decide(LIVE, Asked(amount=1.0))
        taken.append(1e3 * (perf_counter() - began))
        await asyncio.sleep(EVERY_S)
    return taken


async def beside(folder: Path, runtime: Runtime, seconds: float, lane: Lane) -> list[float]:
    """Return what live decisions take while every core runs paths."""
    cores = len(os.sched_getaffinity(0))

    async def keep_busy() -> None:
        numbers = range(1_000_000)
        async with aclosing(engine_of(f"processes://{cores}").run(folder, numbers, lane=lane)) as paths:
            async for _ in paths:
                began.set()

    began = asyncio.Event()
    batch = asyncio.create_task(keep_busy())
    await began.wait()
    taken = await asked_live(runtime, seconds)
    batch.cancel()
    await asyncio.gather(batch, return_exceptions=True)
    return taken


async def live_figures(folder: Path, *, seconds: float) -> list[Figure]:
    """Return what live decisions feel: alternately alone, beside the batch, and beside it without its lane."""
    found: dict[str, list[float]] = {"alone": [], "beside the batch": [], "beside it at normal priority": []}
    lanes = {"beside the batch": Lane.BATCH, "beside it at normal priority": Lane.NORMAL}
    with tempfile.TemporaryDirectory() as ledger:
        async with await Runtime.open([LIVE_DECISION], settings=Settings(root=Path(ledger))) as runtime:
            for _ in range(2):
                for how, taken in found.items():
                    lane = lanes.get(how)
                    taken.extend(
                        await asked_live(runtime, seconds)
                        if lane is None
                        else await beside(folder, runtime, seconds, lane)
                    )
    alone = quantiles(found["alone"], n=100)
    figures = []
    for how, taken in found.items():
        cut = quantiles(taken, n=100)
        goal = None if how != "beside the batch" else alone[49] * (1 + SLOWER_PCT / 100)
        figures += [
            Figure(f"live decision p50, {how}", cut[49], "ms", goal, below=True),
            Figure(f"live decision p99, {how}", cut[98], "ms"),
        ]
    return figures


async def speed_figures(folder: Path, *, paths: int, days: int) -> list[Figure]:
    """Return paths and decisions a second, by the number of processes, with equal results demanded."""
    figures, first = [], dict[int, Any]()
    numbers = count()
    for processes in (1, 2):
        batch = [next(numbers) for _ in range(paths)] if processes == 1 else sorted(first)
        async with aclosing(engine_of(f"processes://{processes}").run(folder, batch, lane=Lane.NORMAL)) as running:
            began, found = perf_counter(), {one.number: one async for one in running}
        took = perf_counter() - began
        rate = sum(one.decisions for one in found.values()) / took
        figures.append(Figure(f"decisions, {processes} process(es), starting included", rate, "1/s"))
        figures.append(Figure(f"a path of a year, {processes} process(es)", 365 / days * took / paths, "s"))
        first = first or found
        figures.append(Figure(f"equal results, {processes} process(es)", float(found == first), "1 = yes", 1.0))
    return figures


async def measure(*, quick: bool) -> list[Figure]:
    """Return the figures."""
    days, paths, seconds = (14, 4, 2.0) if quick else (60, 8, 6.0)
    with tempfile.TemporaryDirectory() as name:
        options = ScenarioOptions(
            scenarios=Scenarios(count=1, days=days), folder=Path(name), engine="inline://",
            recipes=(replace(PRICE, rounds=200),),
        )  # fmt: skip
        await scenarios(options)
        speed = await speed_figures(Path(name), paths=paths, days=days)
        return speed + await live_figures(Path(name), seconds=seconds)


def figures(*, quick: bool = False) -> list[Figure]:
    """Return the part's figures."""
    return asyncio.run(measure(quick=quick))


async def spain(paths: int) -> dict[str, object]:
    """Return the distribution of so many years drawn from 2017 and 2018, with models of the years before."""
    source = Source(
        path=DATA, time_column="time_utc", zone="Europe/Madrid", price_column="price_day_ahead_eur_mwh",
        load_column="load_mw", known_day_ahead=("load_forecast_tso_mw", "wind_forecast_mw", "solar_forecast_mw"),
    )  # fmt: skip
    batch = Scenarios(count=paths, lane=Lane.BATCH)
    return await scenarios(ScenarioOptions(scenarios=batch, source=source, progress=_told))


def _told(done: int, of: int) -> None:
    print(f"\r{done} of {of} paths  ", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if "--paths" in sys.argv:
        print(json.dumps(asyncio.run(spain(int(sys.argv[sys.argv.index("--paths") + 1]))), indent=1))
    else:
        report("grid.scenarios", figures(quick="--quick" in sys.argv))
