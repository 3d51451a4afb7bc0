"""``steward demo``: the case live at high speed, with a real server, on synthetic data or on a file."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from steward.cases.grid import demo_state, demo_view, forecast, generator, quality, training
from steward.cases.grid.battery import Battery
from steward.cases.grid.demo_state import DemoState, Follower, Question
from steward.cases.grid.feed import Feed
from steward.cases.grid.history import History, Source, read_history
from steward.cases.grid.local_days import HOUR
from steward.cases.grid.plant import SimulatedPlant
from steward.cases.grid.references import Market
from steward.cases.grid.simulation import Simulation, open_runtime, settings_in
from steward.cases.grid.training import Columns, columns_of
from steward.cases.grid.yardsticks import Yardsticks
from steward.clock import SystemClock, VirtualClock
from steward.errors import EngineError
from steward.insight.rows import ApprovalRow
from steward.models.registry import FolderRegistry
from steward.runtime.runtime import Runtime

if TYPE_CHECKING:
    from steward.api.server import Server

_ZONE, _FIRST, _DAYS = "Europe/Madrid", date(2024, 1, 1), 540
_TRAINED_DAYS = 400
_ROUNDS = 200
_FRAME_S = 0.1
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """What ``steward demo`` takes.

    Args:
        run_for: How long the live part lasts; until Ctrl-C or the end of the data by default.
        source: A file instead of synthetic data; its last third is played.
        hours_per_s: How many hours pass in a second.
        answer_s: How many real seconds people have to answer.
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
    approve_above_eur = _prepare(world, folder)
    local = world.history.local
    clock = VirtualClock(local.start(world.first) - HOUR, seed=options.seed)
    plant = SimulatedPlant("region", local, Battery())
    runtime = await open_runtime(folder, plant, world.columns, clock, approve_above_eur=approve_above_eur)
    async with runtime:
        market = Market.of(world.history, world.columns.price)
        yardsticks = Yardsticks(market, plant.battery, world.first)
        server = await _listen(runtime, yardsticks, options.host, options.port)
        try:
            options.ready(server.port)
            state = DemoState(
                url=f"http://{options.host}:{server.port}",
                folder=str(folder),
                about=world.about,
                hours_per_s=options.hours_per_s,
                now=clock.now(),
                zone=local.zone,
                energy_mwh=plant.battery.energy_mwh,
            )
            feed = Feed("region", world.history, world.columns)
            simulation = Simulation(runtime, clock=clock, plant=plant, feed=feed, market=market)
            with view:
                await _Show(options, world, simulation, state, view).play()
        finally:
            await server.stop()
    return _farewell(state)


class _Show:
    """Plays hours, paced by the wall clock, until it is told to stop."""

    def __init__(
        self, options: DemoOptions, world: World, simulation: Simulation, state: DemoState, view: demo_view.View
    ) -> None:
        self._options, self._world, self._simulation, self._state, self._view = options, world, simulation, state, view
        self._follower = Follower(simulation.runtime, state)
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()

    async def play(self) -> None:
        """Play hour after hour."""
        local, world, simulation = self._world.history.local, self._world, self._simulation
        await simulation.warm_up()
        if self._options.run_for is not None:
            self._loop.call_later(self._options.run_for.total_seconds(), self._over.set)
        with self._stopping_by_signal():
            at, end = local.start(world.first), local.start(world.until)
            while at < end and not self._over.is_set():
                await self._hour(at)
                at += HOUR
                if local.start(local.day_of(at)) == at:
                    self._sum_up(local.day_of(at))
            await simulation.finish(at)
            await self._show()

    async def _hour(self, at: datetime) -> None:
        simulation = self._simulation
        due = self._loop.time() + 1 / self._options.hours_per_s
        await simulation.begin(at)
        await self._show()
        for row in simulation.runtime.views.waiting():
            await self._wait_for_answer(row)
        simulation.end(at)
        self._state.soc_mwh = simulation.plant.state.soc_mwh
        await self._pause(due - self._loop.time())

    async def _wait_for_answer(self, row: ApprovalRow) -> None:
        """Let the desk's clock run down while somebody may answer over HTTP."""
        runtime, clock, begun = self._simulation.runtime, self._simulation.clock, self._loop.time()
        while any(other.decision_id == row.decision_id for other in runtime.views.waiting()):
            gone = min((self._loop.time() - begun) / self._options.answer_s, 1.0)
            if self._over.is_set():
                gone = 1.0
            clock.set(row.asked_at + gone * (row.deadline - row.asked_at))
            left = (1 - gone) * (row.deadline - row.asked_at)
            self._state.question = Question(row, left, (1 - gone) * self._options.answer_s)
            await runtime.advance()
            await self._show()
            await asyncio.sleep(_FRAME_S)
        self._state.question = None
        await runtime.advance()
        await self._show()

    async def _show(self) -> None:
        for text in await self._follower.follow():
            self._view.tell(text)
        self._state.now = self._simulation.clock.now()
        self._view.refresh(self._state)

    def _sum_up(self, today: date) -> None:
        days = [self._world.first + n * _DAY for n in range((today - self._world.first).days)]
        market, battery = self._simulation.market, self._simulation.plant.battery
        saved = self._state.saved_eur
        self._state.standing = demo_state.standing(market, days, battery, self._world.first, saved)

    async def _pause(self, seconds: float) -> None:
        if seconds > 0 and not self._over.is_set():
            await asyncio.wait([waiting := asyncio.ensure_future(self._over.wait())], timeout=seconds)
            waiting.cancel()

    @contextmanager
    def _stopping_by_signal(self) -> Iterator[None]:
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            self._loop.add_signal_handler(number, self._over.set)
        try:
            yield
        finally:
            for number in signals:
                self._loop.remove_signal_handler(number)


async def _listen(runtime: Runtime, yardsticks: Yardsticks, host: str, port: int) -> Server:
    from steward.api.server import Server  # noqa: PLC0415 - FastAPI takes half a second
    from steward.cases.grid import page  # noqa: PLC0415
    from steward.console.console import Console  # noqa: PLC0415

    rooms = [Console(cases=[page.case(yardsticks)], about="demo data")]
    try:
        return await Server.start(runtime, host, port, rooms=rooms)
    except EngineError as error:
        if error.code != "port-in-use":
            raise
        return await Server.start(runtime, host, 0, rooms=rooms)


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


def _prepare(world: World, folder: Path) -> float:
    """Train the demo's models; return above which money at stake a person is asked.

    The amount is chosen so that one question comes up in the first two days: it lies between the two dearest hours
    of their forecasts.
    """
    settings = settings_in(folder)
    registry = FolderRegistry(settings.path(settings.registry))
    for recipe in (training.LOAD, training.PRICE) if world.columns.load else (training.PRICE,):
        quick = replace(recipe, rounds=_ROUNDS)
        training.train(quick, world.history, world.columns, until=world.first, registry=registry, clock=SystemClock())
    model = registry.load(training.PRICE_MODEL)
    known = [world.columns.known(world.history, world.first + n * _DAY) for n in range(2)]
    second, dearest = np.sort(np.concatenate([forecast.prices(each, model) for each in known]))[-2:]
    return round(Battery().power_mw * float(second + dearest) / 2, 2)


def _first_day(history: History) -> date:
    return history.local.day_of(history.start)


def _farewell(state: DemoState) -> dict[str, object]:
    money = f"Saved {state.saved_eur:,.2f} EUR against no battery in {state.decisions} decisions, the last day in part."
    print(f"\n{money}")
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
