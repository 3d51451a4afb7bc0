"""The show: the region's hours one after the other, first at once, then paced by the wall clock."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import DAY, HOUR
from steward.cases.grid.dispatch.simulation import Answer, Simulation
from steward.cases.grid.dispatch.yardsticks import Yardsticks
from steward.cases.grid.forecasting.training import Columns
from steward.cases.grid.live.drill import Stage
from steward.cases.grid.live.pace import Pace
from steward.cases.grid.live.state import DemoState, Follower, Question, Standing
from steward.cases.grid.live.view import View
from steward.cases.grid.live.wire import Link

_LOOKED_FOR = timedelta(minutes=2)
"""How long the simulated desk takes for an answer, by its own clock."""
_AT_ONCE = Answer(agrees=True, by="simulated-desk", reason="played by the demo before anybody could look")


@dataclass(frozen=True)
class World:
    """What the demo plays: hourly history, and the days played of it.

    Attributes:
        history: Hourly.
        columns: What its columns mean.
        about: What people are told about the data.
        first: The first day played; the models learn from those before it.

    Example:
        >>> from steward.cases.grid.data import generator
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


async def warm_up(simulation: Simulation, link: Link, world: World, days: int) -> datetime:
    """Play the first days at once, so that there is something to see; return where to go on."""
    await simulation.warm_up()
    local = world.history.local
    days = min(days, (world.until - world.first).days)
    at, until = local.start(world.first), local.start(world.first + days * DAY)
    if days:
        print(f"Playing the first {days} days, in which {_AT_ONCE.by} answers ...", flush=True)
    while at < until:
        await link.say()
        await simulation.begin(at)
        if simulation.runtime.views.waiting_count():
            simulation.clock.advance(_LOOKED_FOR)
            await simulation.answer_all(_AT_ONCE)
        simulation.end(at)
        at += HOUR
    return at


class Show:
    """Plays hours, paced by the wall clock, until it is told to stop."""

    def __init__(  # noqa: PLR0917 - the parts of one show
        self,
        world: World,
        simulation: Simulation,
        stage: Stage,
        link: Link,
        yardsticks: Yardsticks,
        pace: Pace,
        state: DemoState,
        view: View,
    ) -> None:
        self._world, self._simulation, self._stage = world, simulation, stage
        self._link, self._yardsticks = link, yardsticks
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
        # A drill that somebody asked for in the hour before is played before this one is decided.
        await simulation.runtime.advance()
        simulation.tell(self._stage.news(at))
        await self._link.say()
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
        last = local.day_of(at) - DAY
        if local.start(last + DAY) == at and last >= first:
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
