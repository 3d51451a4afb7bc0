"""A region's hours, one after the other, through the real runtime: readings in, decision, action, meter out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from steward.cases.grid.battery import Battery
from steward.cases.grid.decision import make_decision
from steward.cases.grid.feed import Feed
from steward.cases.grid.forecast import PAST_DAYS
from steward.cases.grid.history import History
from steward.cases.grid.local_days import HOUR
from steward.cases.grid.plant import SimulatedPlant
from steward.cases.grid.references import Market
from steward.cases.grid.streams import MeteredInterval
from steward.cases.grid.training import Columns
from steward.clock import VirtualClock
from steward.decision.contract import Contract
from steward.insight.rows import ApprovalRow
from steward.ledger.port import Message
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

_WARM_UP = timedelta(days=PAST_DAYS + 3)
Answerer = Callable[[ApprovalRow], tuple[bool, str] | None]
"""Says yes or no to what is asked, and why; ``None`` leaves it to the gate's deadline."""


class Simulation:
    """The world around a runtime, in virtual time.

    Each hour: the clock moves on; what became known is published; the runtime takes it in, decides the hour's tick
    and acts; questions are answered; the hour passes in the plant; its meter reading arrives with the next hour.

    Args:
        runtime: Opened on the decision of ``plant``, with ``clock``.
        clock: The runtime's clock.
        plant: The simulated battery.
        feed: What becomes known when.
        market: True prices.
        answer: Stands for the people at the grid desk.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        clock: VirtualClock,
        plant: SimulatedPlant,
        feed: Feed,
        market: Market,
        answer: Answerer,
    ) -> None:
        self.runtime, self.clock, self.plant, self.feed, self.market = runtime, clock, plant, feed, market
        self.asked = 0
        self._answer = answer
        self._known_until = clock.now()
        self._meter: list[Message] = []

    async def warm_up(self) -> None:
        """Publish the weeks before the first hour, which features reach back to."""
        now = self.clock.now()
        await self._publish(self.feed.known(now - _WARM_UP, now))

    async def hour(self, at: datetime) -> MeteredInterval:
        """Live through the hour that starts at ``at``; hours must follow each other."""
        self.clock.set(at)
        await self._publish([*self._meter, *self.feed.known(self._known_until, at)])
        self._known_until = at
        await self._answer_all()
        metered = self.plant.run_hour(at, price_eur_mwh=self.market.at(at))
        self._meter = [_meter_message(metered)]
        return metered

    async def finish(self, at: datetime) -> None:
        """Deliver the last meter reading, without a decision for the hour at ``at``."""
        self.clock.set(at - timedelta(microseconds=1))
        await self._publish(self._meter)
        self._meter = []

    async def _publish(self, messages: Sequence[Message]) -> None:
        if messages:
            await self.runtime.publish(messages)
        await self.runtime.advance()

    async def _answer_all(self) -> None:
        for row in self.runtime.views.waiting():
            self.asked += 1
            answer = self._answer(row)
            if answer is None:
                continue
            agreed, reason = answer
            speak = self.runtime.approve if agreed else self.runtime.reject
            await speak(row.decision_id, by="backtest", reason=reason, evidence=row.evidence)
            await self.runtime.advance()


async def open_runtime(
    folder: Path, plant: SimulatedPlant, columns: Columns, clock: VirtualClock, *, approve_above_eur: float
) -> Runtime:
    """Open a runtime for the case in a folder that holds its trained models."""
    decision = make_decision(
        plant,
        has_load=columns.load is not None,
        has_temperature=columns.temperature is not None and columns.load is not None,
        ahead=columns.ahead,
        approve_above_eur=approve_above_eur,
    )
    # Virtual days pass in seconds: a head signed for each of them is enough.
    return await Runtime.open([decision], settings=settings_in(folder), clock=clock)


def settings_in(folder: Path) -> Settings:
    """Return the settings of a case that keeps everything in one folder."""
    return Settings(root=folder, checkpoint_every_s=86_400.0)


def plant_of(history: History, site: str, battery: Battery) -> SimulatedPlant:
    """Return an empty battery in the history's zone."""
    return SimulatedPlant(site, history.local, battery)


def _meter_message(metered: MeteredInterval) -> Message:
    contract = Contract.of(MeteredInterval)
    known_at = metered.at + HOUR
    return Message(
        topic=contract.name,
        key=metered.site,
        source="grid-meter",
        id=metered.at.isoformat(),
        data=contract.encode(metered),
        version=contract.version,
        event_time=known_at,
        known_at=known_at,
    )
