"""One path: a year of dispatch decisions in a drawn year, through the loop in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.dispatch.decision import NAME, make_decision
from steward.cases.grid.dispatch.feed import Feed
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.dispatch.references import Guess, Market
from steward.cases.grid.forecasting.forecast import PAST_DAYS
from steward.cases.grid.forecasting.training import Columns
from steward.cases.grid.scenarios.bootstrap import Bootstrap
from steward.cases.grid.streams import Setpoint
from steward.clock import VirtualClock
from steward.decision.decision import Decision
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

WARM_UP_DAYS = PAST_DAYS + 3
_DAY = timedelta(days=1)
_SITE = "path"


class PathResult(Struct, frozen=True, kw_only=True):
    """What one path came to; equal for equal numbers, however and wherever it was run.

    Attributes:
        number: Which path.
        decisions: How many hours were decided.
        value_eur: What the decisions earned.
        limit_eur: The most that could be earned with perfect foresight.
        clock_eur: What plans by the clock earned.
        naive_eur: What plans on yesterday's prices earned.
        mean_price_eur_mwh: Of the year's hours.
        cycles: Energy drawn from the store, in its sizes.

    Example:
        >>> PathResult(number=3, decisions=8760, value_eur=400_000.0, limit_eur=500_000.0, clock_eur=350_000.0,
        ...            naive_eur=360_000.0, mean_price_eur_mwh=57.0, cycles=330.0).capture_pct
        80.0
    """

    number: int
    decisions: int
    value_eur: float
    limit_eur: float
    clock_eur: float
    naive_eur: float
    mean_price_eur_mwh: float
    cycles: float

    @property
    def capture_pct(self) -> float:
        """The share of the most that could be earned."""
        return round(100 * self.value_eur / self.limit_eur, 2) if self.limit_eur > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Paths:
    """Runs paths by number: all of them draw from one history, and one set of models decides.

    Args:
        history: Hourly.
        columns: What its columns mean.
        train_until: The models have seen what was before; days are drawn from here on.
        calendar: The local days of each path: consecutive ones.
        battery: Its limits.
        seed: The same seed and number make the same path.
        models: The folder of the registry with the trained models.
        block_days: The mean length of a block of the bootstrap.

    Example:
        >>> from steward.cases.grid.data.generator import COLUMNS, synthetic_region
        >>> region = synthetic_region("Europe/Madrid", date(2016, 1, 1), 900)
        >>> paths = Paths(history=region, columns=COLUMNS, train_until=date(2017, 1, 1), battery=Battery(), seed=1,
        ...               calendar=[date(2018, 3, 1)], models=Path("models"))
        >>> paths.drawn(7).rows == (WARM_UP_DAYS + 1) * 24
        True
    """

    history: History
    columns: Columns
    train_until: date
    calendar: Sequence[date]
    battery: Battery
    seed: int
    models: Path
    block_days: float = 7.0

    def drawn(self, number: int) -> History:
        """Return the year of a path, with the weeks before it that forecasts reach back to."""
        until = self.history.local.day_of(self.history.end)
        source = Bootstrap(
            self.history,
            self.history.days(self.train_until, until),
            weather=self.columns.temperature,
            block_days=self.block_days,
        )
        before = [self.calendar[0] - n * _DAY for n in range(WARM_UP_DAYS, 0, -1)]
        return source.year([*before, *self.calendar], np.random.default_rng([self.seed, number]))

    async def run(self, number: int) -> PathResult:
        """Decide every hour of a path, and compare with what others would have earned in it."""
        history = self.drawn(number)
        market = Market.of(history, self.columns.price)
        battery = replace(self.battery, hurdle_eur_mwh=0.0)  # a part of our plans, not of the yardsticks
        powers = await self._dispatched(number, history, market)
        start = history.local.start(self.calendar[0])
        prices = market.filled[history.index(start) :]
        withdrawn = sum(max(power, 0.0) for power in powers) / battery.one_way
        return PathResult(
            number=number,
            decisions=len(powers),
            value_eur=round(float(np.dot(powers, prices)), 2),
            limit_eur=round(market.limit_eur(self.calendar, battery), 2),
            clock_eur=round(market.planned_eur(self.calendar, battery, self._clock), 2),
            naive_eur=round(market.planned_eur(self.calendar, battery, market.naive), 2),
            mean_price_eur_mwh=round(float(prices.mean()), 4),
            cycles=round(withdrawn / battery.energy_mwh, 2),
        )

    @property
    def _clock(self) -> Guess:
        return Market.of(self.history, self.columns.price).by_the_clock(self.train_until)

    async def _dispatched(self, number: int, history: History, market: Market) -> list[float]:
        """Return the power of each hour, as decided by the declared decision."""
        local = history.local
        clock = VirtualClock(local.start(self.calendar[0]), seed=number)
        plant = SimulatedPlant(_SITE, local, self.battery)
        settings = Settings(ledger="memory://", registry=str(self.models), verify_every_s=0.0)
        feed, known_until = Feed(_SITE, history, self.columns), history.start
        powers = list[float]()
        async with await Runtime.open([self._decision(plant)], settings=settings, clock=clock) as runtime:
            for day in self.calendar:
                midnight = local.start(day)
                clock.set(midnight)
                known = feed.known(known_until, midnight)
                await runtime.publish([message for message in known if message.topic in runtime.topics])
                await runtime.advance()
                known_until = midnight
                powers += [await _hour(runtime, clock, plant, at) for at in _hours(midnight, local.hours(day))]
        return powers

    def _decision(self, plant: SimulatedPlant) -> Decision[Any, Any, Any]:
        """Return the case's decision; a path needs neither people nor a schedule, and its plant obeys at once."""
        columns = self.columns
        declared = make_decision(
            plant,
            has_load=columns.load is not None,
            has_temperature=columns.temperature is not None and columns.load is not None,
            ahead=columns.ahead,
        )
        return replace(declared, gate=None, action=None, economics=None, schedule=None)


async def _hour(runtime: Runtime, clock: VirtualClock, plant: SimulatedPlant, at: datetime) -> float:
    """Decide an hour, let the plant follow, and return the power that the meter saw."""
    clock.set(at)
    answer = await runtime.decide(NAME, plant.due(at))
    choice, key = answer.record.choice, str(answer.record.decision_id)
    assert isinstance(choice, Setpoint)
    plant.take_control(at, key=key)
    plant.take(choice, at=at, key=key)
    return plant.run_hour(at, price_eur_mwh=0.0).energy_mwh


def _hours(midnight: datetime, hours: int) -> list[datetime]:
    return [midnight + number * HOUR for number in range(hours)]
