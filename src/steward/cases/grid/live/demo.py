"""``steward demo``: the case live at high speed, with a real server, on synthetic data or on a file."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steward.cases.grid.battery import Battery
from steward.cases.grid.data import generator, quality
from steward.cases.grid.data.history import History, Source, read_history
from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.dispatch.feed import Feed
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.dispatch.simulation import Simulation, open_runtime, settings_in
from steward.cases.grid.dispatch.skills import replan
from steward.cases.grid.dispatch.yardsticks import Yardsticks
from steward.cases.grid.field.points import Layout
from steward.cases.grid.field.world import FieldPlant, conditions_of
from steward.cases.grid.forecasting import training
from steward.cases.grid.forecasting.training import Columns, columns_of
from steward.cases.grid.live import view as demo_view
from steward.cases.grid.live.drill import Stage, make_drill
from steward.cases.grid.live.pace import Pace
from steward.cases.grid.live.show import Show, World, warm_up
from steward.cases.grid.live.state import DemoState
from steward.cases.grid.live.wire import Link, linked
from steward.clock import SystemClock, VirtualClock
from steward.errors import EngineError
from steward.models.registry import FolderRegistry
from steward.runtime.runtime import Runtime

if TYPE_CHECKING:
    from steward.api.server import Server
    from steward.console.console import Console

_ZONE, _FIRST, _DAYS = "Europe/Madrid", date(2024, 1, 1), 773
_TRAINED_DAYS = 408
_ROUNDS = 200
_FRAME_S = 0.1
_NOT_ASKED = 0.7
_DAY = timedelta(days=1)
_WEAR_EUR_MWH = 5.0
"""About what a battery loses that costs 100 EUR/kWh and lives for 10,000 full cycles, which pass the meter twice."""
_STEP = timedelta(minutes=1)
"""How finely the plant is computed: an hour passes in a moment."""


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What ``steward demo`` takes.

    Args:
        run_for: How long the live part lasts; until Ctrl-C or the end of the data by default.
        source: A file instead of synthetic data; its last third is played.
        hours_per_s: How many hours pass in a second.
        answer_s: How many real seconds people have to answer, while nobody looks at the console; then as many as
            the decision says.
        warm_days: How many days are played at once before the server listens, so that there is something to see.
        by_wire: Whether the plant is asked and told over OPC UA; by default if that is installed.
        folder: Where ledger and models are kept; a new temporary folder by default, which stays.
        host: Where the server listens.
        port: Its port; a free one if it is taken.
        seed: Of the synthetic region.
        ready: Called with the port once the server listens.
        view: How it looks; by default what fits standard output.

    Example:
        >>> DemoOptions(run_for=timedelta(seconds=20)).hours_per_s
        6.0
    """

    run_for: timedelta | None = None
    source: Source | None = None
    hours_per_s: float = 6.0
    answer_s: float = 20.0
    warm_days: int = 7
    by_wire: bool | None = None
    folder: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8700
    seed: int = 7
    ready: Callable[[int], object] = lambda port: None
    view: demo_view.View | None = None


def run(options: DemoOptions) -> dict[str, object]:
    """Play the demo until it is over, say where to look, and return the figures.

    Raises:
        ContractError: The file cannot be used.
        EngineError: An extra is not installed, or the server cannot listen.
    """
    return asyncio.run(play(options))


async def play(options: DemoOptions) -> dict[str, object]:
    """Play the demo inside a running event loop; as :func:`run`."""
    view = options.view or demo_view.view()
    world = _world(options)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="steward-demo-"))
    print(f"{world.about}\nLearning from {(world.first - _first_day(world.history)).days} days ...", flush=True)
    _train(world, folder)
    plant = _plant(world)
    async with linked(plant, folder / "plant", plant.battery, SystemClock(), by_wire=options.by_wire) as link:
        return await _play(options, view, world, folder, plant, link)


async def _play(  # noqa: PLR0917 - the parts of one show
    options: DemoOptions, view: demo_view.View, world: World, folder: Path, plant: FieldPlant, link: Link
) -> dict[str, object]:
    local = world.history.local
    market, feed = Market.of(world.history, world.columns.price), Feed("region", world.history, world.columns)
    stage = Stage(plant, feed, market)
    clock = VirtualClock(local.start(world.first) - HOUR, seed=options.seed)
    threshold_eur = approve_above_eur(market, world.first, plant.battery)
    runtime = await open_runtime(
        folder,
        plant,
        world.columns,
        clock,
        approve_above_eur=threshold_eur,
        plan=replan(),
        declare=link.declare,
        beside=[make_drill(stage)],
    )
    async with runtime:
        simulation = Simulation(runtime, clock=clock, plant=plant, feed=feed, market=market)
        yardsticks = Yardsticks(market, plant.battery, world.first)
        begin = await warm_up(simulation, link, world, options.warm_days)
        console, server = await _listen(runtime, yardsticks, options.host, options.port)
        try:
            options.ready(server.port)
            runtime.audit.start()
            state = DemoState(
                url=f"http://{options.host}:{server.port}",
                folder=str(folder),
                about=world.about,
                hours_per_s=options.hours_per_s,
                now=clock.now(),
                zone=local.zone,
                energy_mwh=plant.battery.energy_mwh,
                plant=link.address,
            )
            print(demo_view.welcome(state), flush=True)
            pace = Pace(
                runtime,
                clock,
                hours_per_s=options.hours_per_s,
                answer_s=options.answer_s,
                watching=lambda: console.live.watching,
                frame_s=_FRAME_S,
            )
            show = Show(world, simulation, stage, link, yardsticks, pace, state, view)
            with view:
                await show.play(begin, options.run_for)
        finally:
            await server.stop()
    return _farewell(state)


async def _listen(runtime: Runtime, yardsticks: Yardsticks, host: str, port: int) -> tuple[Console, Server]:
    from steward.api.server import Server  # noqa: PLC0415 - FastAPI takes half a second
    from steward.cases.grid.screen import page  # noqa: PLC0415
    from steward.console.console import Console  # noqa: PLC0415

    console = Console(cases=[page.case(yardsticks)], about="demo data")
    try:
        return console, await Server.start(runtime, host, port, rooms=[console])
    except EngineError as error:
        if error.code != "port-in-use":
            raise
        return console, await Server.start(runtime, host, 0, rooms=[console])


def _world(options: DemoOptions) -> World:
    if options.source is None:
        history = generator.synthetic_region(_ZONE, _FIRST, _DAYS, seed=options.seed)
        about = "Synthetic data: a region made up by formulas and seeded chance. No figure is real."
        return World(_own(history, generator.COLUMNS), generator.COLUMNS, about, _FIRST + _TRAINED_DAYS * _DAY)
    source = options.source
    raw = read_history(source)
    alerts = [found.message for found in quality.check(raw, source) if found.level == "alert"]
    history, first = raw.hourly(), _first_day(raw)
    about = f"Data of {source.path.name}" + "".join(f"\nAlert: {alert}" for alert in alerts)
    whole = (history.local.day_of(history.end) - first).days
    columns = columns_of(source)
    return World(_own(history, columns), columns, about, first + (2 * whole // 3) * _DAY)


def _own(history: History, columns: Columns) -> History:
    """Return a history whose prices a drill may change."""
    return replace(history, columns={**history.columns, columns.price: history.columns[columns.price].copy()})


def _plant(world: World) -> FieldPlant:
    local = world.history.local
    return FieldPlant(
        Layout("region"),
        local,
        Battery(wear_eur_mwh=_WEAR_EUR_MWH),
        conditions=conditions_of(world.history, world.columns),
        start=local.start(world.first),
        step=_STEP,
    )


def _train(world: World, folder: Path) -> None:
    settings = settings_in(folder, world.history.local.zone)
    registry = FolderRegistry(settings.path(settings.registry))
    for recipe in (training.LOAD, training.PRICE) if world.columns.load else (training.PRICE,):
        quick = replace(recipe, rounds=_ROUNDS)
        training.train(quick, world.history, world.columns, until=world.first, registry=registry, clock=SystemClock())


def approve_above_eur(market: Market, first: date, battery: Battery) -> float:
    """Return above which money at stake in an hour the demo asks a person.

    It is what the battery moves at full power at the price that the dearest hour of three days in ten exceeded, in
    the year before the first day: seldom enough to be worth a person, often enough that a visitor meets it.

    Example:
        >>> history = generator.synthetic_region("Europe/Madrid", date(2024, 1, 1), 100)
        >>> approve_above_eur(Market.of(history, "price_eur_mwh"), date(2024, 4, 1), Battery()) > 500
        True
    """
    known = (first - _first_day(market.history)).days
    dearest = [market.day(first - n * _DAY).max() for n in range(1, min(known, 365))]
    return round(battery.power_mw * float(np.quantile(dearest, _NOT_ASKED)), 2)


def _first_day(history: History) -> date:
    return history.local.day_of(history.start)


def _farewell(state: DemoState) -> dict[str, object]:
    money = f"Saved {state.saved_eur:,.2f} EUR against no battery in {state.decisions} decisions, the last day in part."
    print(f"\n{money}", flush=True)
    if state.standing is not None:
        words = demo_view.in_words(state.standing)
        print(f"Whole days only, {words}.")
    print(f"Look at it:\n  steward -C {state.folder} show\n  steward -C {state.folder} verify --all")
    return {
        "decisions": state.decisions,
        "asked": state.asked,
        "answers": dict(state.answers),
        "saved_eur": state.saved_eur,
        "folder": state.folder,
    }
