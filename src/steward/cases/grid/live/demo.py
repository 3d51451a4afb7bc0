"""``steward demo``: the case live at high speed, with a real server, on synthetic data or on a file."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steward.cases.grid.battery import Battery
from steward.cases.grid.data import generator, quality
from steward.cases.grid.data.history import History, Source, read_history
from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.dispatch.feed import Feed
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.dispatch.simulation import Answer, Simulation, open_runtime, settings_in
from steward.cases.grid.dispatch.yardsticks import Yardsticks
from steward.cases.grid.field.points import Layout
from steward.cases.grid.field.remote import over_the_field
from steward.cases.grid.field.world import FieldPlant, conditions_of
from steward.cases.grid.forecasting import training
from steward.cases.grid.forecasting.training import Columns, columns_of
from steward.cases.grid.live import view as demo_view
from steward.cases.grid.live.pace import Pace
from steward.cases.grid.live.state import DemoState, Follower, Question, Standing
from steward.cases.grid.live.wire import Wire, wired
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
_LOOKED_FOR = timedelta(minutes=2)
"""How long the simulated desk takes for an answer, by its own clock."""
_AT_ONCE = Answer(agrees=True, by="simulated-desk", reason="played by the demo before anybody could look")
_DAY = timedelta(days=1)
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
    folder: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8700
    seed: int = 7
    ready: Callable[[int], object] = lambda port: None
    view: demo_view.View | None = None


@dataclass(frozen=True)
class World:
    """What the demo plays: hourly history, and the days played of it.

    Attributes:
        history: Hourly.
        columns: What its columns mean.
        about: What people are told about the data.
        first: The first day played; the models learn from those before it.

    Example:
        >>> history = generator.synthetic_region("UTC", date(2024, 1, 1), 3)
        >>> World(history, generator.COLUMNS, "synthetic", date(2024, 1, 2)).until
        datetime.date(2024, 1, 4)
    """

    history: History
    columns: Columns
    about: str
    first: date

    @property
    def until(self) -> date:
        """The first day that it does not have whole."""
        return self.history.local.day_of(self.history.end)


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
    async with wired(plant, folder / "plant", plant.battery, SystemClock()) as wire:
        return await _play(options, view, world, folder, plant, wire)


async def _play(  # noqa: PLR0917 - the parts of one show
    options: DemoOptions, view: demo_view.View, world: World, folder: Path, plant: FieldPlant, wire: Wire
) -> dict[str, object]:
    local = world.history.local
    market = Market.of(world.history, world.columns.price)
    clock = VirtualClock(local.start(world.first) - HOUR, seed=options.seed)
    threshold_eur = approve_above_eur(market, world.first, plant.battery)
    runtime = await open_runtime(
        folder,
        plant,
        world.columns,
        clock,
        approve_above_eur=threshold_eur,
        declare=partial(over_the_field, plant=wire.remote),
    )
    async with runtime:
        feed = Feed("region", world.history, world.columns)
        simulation = Simulation(runtime, clock=clock, plant=plant, feed=feed, market=market)
        yardsticks = Yardsticks(market, plant.battery, world.first)
        begin = await _warm_up(simulation, wire, world, options.warm_days)
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
                plant=wire.address,
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
            show = _Show(world, simulation, wire, yardsticks, pace, state, view)
            with view:
                await show.play(begin, options.run_for)
        finally:
            await server.stop()
    return _farewell(state)


async def _warm_up(simulation: Simulation, wire: Wire, world: World, days: int) -> datetime:
    """Play the first days at once, so that there is something to see; return where to go on."""
    await simulation.warm_up()
    local = world.history.local
    days = min(days, (world.until - world.first).days)
    at, until = local.start(world.first), local.start(world.first + days * _DAY)
    if days:
        print(f"Playing the first {days} days, in which {_AT_ONCE.by} answers ...", flush=True)
    while at < until:
        await wire.say()
        await simulation.begin(at)
        if simulation.runtime.views.waiting_count():
            simulation.clock.advance(_LOOKED_FOR)
            await simulation.answer_all(_AT_ONCE)
        simulation.end(at)
        at += HOUR
    return at


class _Show:
    """Plays hours, paced by the wall clock, until it is told to stop."""

    def __init__(  # noqa: PLR0917 - the parts of one show
        self,
        world: World,
        simulation: Simulation,
        wire: Wire,
        yardsticks: Yardsticks,
        pace: Pace,
        state: DemoState,
        view: demo_view.View,
    ) -> None:
        self._world, self._simulation, self._wire, self._yardsticks = world, simulation, wire, yardsticks
        self._pace, self._state, self._view = pace, state, view
        self._follower = Follower(simulation.runtime, state)
        self._loop = asyncio.get_running_loop()

    async def play(self, at: datetime, run_for: timedelta | None) -> None:
        """Play hour after hour from ``at`` on; at the end of the data, stay while somebody looks."""
        if run_for is not None:
            self._loop.call_later(run_for.total_seconds(), self._pace.over.set)
        await self._follower.follow()
        with self._stopping_by_signal():
            end = self._world.history.local.start(self._world.until)
            while at < end and not self._pace.over.is_set():
                await self._hour(at)
                at += HOUR
            await self._simulation.finish(at)
            await self._sum_up(at)
            await self._show()
            async for _ in self._pace.while_watched():
                self._state.is_over = True
                await self._show()

    async def _hour(self, at: datetime) -> None:
        simulation, begun = self._simulation, self._loop.time()
        await self._wire.say()
        await simulation.begin(at)
        await self._sum_up(at)
        await self._show()
        for row in simulation.runtime.views.waiting():
            async for rate in self._pace.question(row):
                left = row.deadline - simulation.clock.now()
                self._state.question = Question(
                    row, left, left.total_seconds() / rate if rate else None, is_live=rate == 1
                )
                await self._show()
            self._state.question = None
            await self._show()
        async for is_stopped in self._pace.hour(begun):
            if is_stopped or self._state.is_stopped:
                self._state.is_stopped = is_stopped
                await self._show()
        simulation.end(at)
        self._state.soc_mwh = simulation.plant.state.soc_mwh

    async def _show(self) -> None:
        for text in await self._follower.follow():
            self._view.tell(text)
        self._state.now = self._simulation.clock.now()
        self._view.refresh(self._state)

    async def _sum_up(self, at: datetime) -> None:
        """Compare the whole days that are over, once their last hour is metered."""
        local, first = self._world.history.local, self._world.first
        last = local.day_of(at) - _DAY
        if local.start(last + _DAY) == at and last >= first:
            compared = await self._yardsticks.compared(first, last)
            self._state.standing = Standing(compared.days, self._state.saved_eur, compared.rule_eur, compared.limit_eur)

    @contextmanager
    def _stopping_by_signal(self) -> Iterator[None]:
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            self._loop.add_signal_handler(number, self._pace.over.set)
        try:
            yield
        finally:
            for number in signals:
                self._loop.remove_signal_handler(number)


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
        return World(history, generator.COLUMNS, about, _FIRST + _TRAINED_DAYS * _DAY)
    source = options.source
    raw = read_history(source)
    alerts = [found.message for found in quality.check(raw, source) if found.level == "alert"]
    history, first = raw.hourly(), _first_day(raw)
    about = f"Data of {source.path.name}" + "".join(f"\nAlert: {alert}" for alert in alerts)
    whole = (history.local.day_of(history.end) - first).days
    return World(history, columns_of(source), about, first + (2 * whole // 3) * _DAY)


def _plant(world: World) -> FieldPlant:
    local = world.history.local
    return FieldPlant(
        Layout("region"),
        local,
        Battery(),
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
