"""``steward case grid scenarios``: the declared batch, from a history to a distribution."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.generator import COLUMNS, synthetic_region
from steward.cases.grid.data.history import History, Source, read_history
from steward.cases.grid.dispatch.backtest import BATTERY
from steward.cases.grid.forecasting.training import LOAD, PRICE, Columns, Recipe, columns_of, train
from steward.cases.grid.scenarios import results
from steward.cases.grid.scenarios.engine import engine_of
from steward.cases.grid.scenarios.job import Folder, Job
from steward.cases.grid.scenarios.path import PathResult
from steward.clock import SystemClock
from steward.decision.lane import Lane
from steward.errors import ContractError, DeclarationError
from steward.models.registry import FolderRegistry

_DAY = timedelta(days=1)
_YEAR_DAYS = 365
_MADE_UP_DAYS = 3 * _YEAR_DAYS + 1
_MADE_UP_FROM = date(2016, 1, 1)
_DRAWN_YEARS = 2
"""From how many years days are drawn, where there are as many besides a year to train on."""


@dataclass(frozen=True, kw_only=True)
class Scenarios:
    """A declared batch: how many years-by-weather, of which seed, how urgent.

    Args:
        count: How many paths; a batch that is run again with more of them goes on.
        seed: The same seed and number make the same path, in however many processes.
        lane: How urgent it is; ``BATCH`` gives way to everything else.
        days: The length of a path.
        block_days: The mean length of a block of the bootstrap.

    Raises:
        DeclarationError: There is nothing to run.

    Example:
        >>> Scenarios(count=1_000).lane.name
        'BATCH'
    """

    count: int
    seed: int = 0
    lane: Lane = Lane.BATCH
    days: int = _YEAR_DAYS
    block_days: float = 7.0

    def __post_init__(self) -> None:
        """Refuse an empty batch."""
        if self.count < 1 or self.days < 1:
            raise DeclarationError("a batch has a path and a day at least", field="count")


@dataclass(frozen=True, kw_only=True)
class ScenarioOptions:
    """What ``steward case grid scenarios`` takes.

    Args:
        scenarios: The batch.
        source: The file and the meaning of its columns; a region that is made up by default.
        train_until: Models learn from what was before, days are drawn from here on; by default the last two years
            of the history are drawn from, or the last one where it is short.
        battery: Its limits.
        folder: Where the batch lives, to go on after it was killed; a temporary folder by default.
        engine: What runs the paths, as a URL: ``processes://2``, ``inline://``.
        export: A file for the table of all paths, ``.parquet`` or ``.csv``.
        recipes: How the models are trained; the load model is left out where there is no load.
        progress: Told how many paths are finished, and of how many.

    Example:
        >>> ScenarioOptions(scenarios=Scenarios(count=100)).engine
        'processes://2'
    """

    scenarios: Scenarios
    source: Source | None = None
    train_until: date | None = None
    battery: Battery = BATTERY
    folder: Path | None = None
    engine: str = "processes://2"
    export: Path | None = None
    recipes: tuple[Recipe, ...] = (LOAD, PRICE)
    progress: Callable[[int, int], object] = lambda done, of: None


def run(options: ScenarioOptions) -> dict[str, object]:
    """Run a batch, or what is left of it, and return its distribution as plain data, ready for JSON.

    Raises:
        ContractError: The history cannot be used.
        Conflict: Another batch lives in the folder.
        EngineError: A path cannot be run; what is finished is kept.
    """
    return asyncio.run(scenarios(options))


async def scenarios(options: ScenarioOptions) -> dict[str, object]:
    """Run a batch inside a running event loop; as :func:`run`."""
    batch, engine, clock = options.scenarios, engine_of(options.engine), SystemClock()
    began = clock.now()
    with ExitStack() as stack:
        path = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="steward-scenarios-")))
        path.mkdir(parents=True, exist_ok=True)
        folder, job = Folder(path), _begin(options, path)
        done = {one.number: one for one in _finished(folder) if one.number < batch.count}
        kept = len(done)
        left = [number for number in range(batch.count) if number not in done]
        options.progress(kept, batch.count)
        async with aclosing(engine.run(path, left, lane=batch.lane)) as finishing:
            async for result in finishing:
                folder.keep(result)
                done[result.number] = result
                options.progress(len(done), batch.count)
    found = list(done.values())
    if options.export is not None:
        results.export(found, options.export)
    wall_s = (clock.now() - began).total_seconds()
    return {
        **results.distribution(found, power_mw=options.battery.power_mw, days=batch.days),
        "kept_paths": kept,
        "wall_s": round(wall_s, 1),
        "decisions_per_s": round(sum(one.decisions for one in found if one.number in set(left)) / wall_s, 1),
        "protocol": _protocol(options, job),
    }


def _finished(folder: Folder) -> list[PathResult]:
    folder.mend()
    return list(folder.finished())


def _begin(options: ScenarioOptions, path: Path) -> Job:
    """Read or make the history, train the models if none are there, and keep what the paths need."""
    history, columns = _history(options.source)
    until = history.local.day_of(history.end)
    train_until = options.train_until or _train_until(history, until)
    days, folder = options.scenarios.days, Folder(path)
    first = until - days * _DAY
    job = Job(
        zone=history.local.zone,
        start=history.start,
        columns=columns,
        train_until=train_until,
        first=first,
        days=days,
        battery=options.battery,
        seed=options.scenarios.seed,
        block_days=options.scenarios.block_days,
    )
    if not folder.holds():
        registry = FolderRegistry(folder.models)
        for recipe in (each for each in options.recipes if columns.truth(each) is not None):
            train(recipe, history, columns, until=train_until, registry=registry, clock=SystemClock())
    folder.begin(job, history)
    return job


def _history(source: Source | None) -> tuple[History, Columns]:
    if source is None:
        made_up = synthetic_region("Europe/Madrid", _MADE_UP_FROM, _MADE_UP_DAYS)
        return made_up, replace(COLUMNS, load=None)
    return read_history(source).hourly(), columns_of(source)


def _train_until(history: History, until: date) -> date:
    first = history.local.day_of(history.start)
    for years in range(_DRAWN_YEARS, 0, -1):
        if first + _YEAR_DAYS * _DAY <= (since := until - years * _YEAR_DAYS * _DAY):
            return since
    raise ContractError(
        f"{(until - first).days} days are too few",
        why="a year is learnt from, and another one is drawn from",
        fix="give a longer history",
        field="source",
    )


def _protocol(options: ScenarioOptions, job: Job) -> dict[str, object]:
    return {
        "file": "made up" if options.source is None else options.source.path.name,
        "trained_before": job.train_until.isoformat(),
        "drawn_from": job.train_until.isoformat(),
        "calendar": [job.first.isoformat(), (job.first + job.days * _DAY).isoformat()],
        "block_days": job.block_days,
        "seed": job.seed,
        "engine": options.engine,
        "lane": options.scenarios.lane.name.lower(),
    }
