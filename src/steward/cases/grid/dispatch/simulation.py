"""A region's hours, one after the other, through the real runtime: readings in, decision, action, meter out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.dispatch.decision import make_decision
from steward.cases.grid.dispatch.feed import Feed
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.dispatch.skills import Plan, plan_battery
from steward.cases.grid.forecasting.forecast import PAST_DAYS
from steward.cases.grid.forecasting.training import Columns
from steward.cases.grid.streams import MeteredInterval
from steward.clock import VirtualClock
from steward.decision.contract import Contract
from steward.errors import Conflict
from steward.ledger.port import Message
from steward.runtime.engines import ledger_path
from steward.runtime.project import AnyDecision
from steward.runtime.runtime import Runtime
from steward.runtime.settings import FILE_NAME, Settings

_NOTE = "# Made by the grid case, so that other commands find its ledger: steward -C THIS-FOLDER show\n"
_WARM_UP = timedelta(days=PAST_DAYS + 3)


@dataclass(frozen=True)
class Answer:
    """What somebody says to everything that is asked.

    Example:
        >>> Answer(agrees=True, by="anna", reason="prices look right").by
        'anna'
    """

    agrees: bool
    by: str
    reason: str


class Simulation:
    """The world around a runtime, in virtual time.

    Each hour: :meth:`begin` moves the clock and publishes what became known, which the runtime takes in before it
    decides the hour's tick and acts; questions may be answered; :meth:`end` lets the hour pass in the plant.

    Args:
        runtime: Opened on the decision of ``plant``, with ``clock``.
        clock: The runtime's clock.
        plant: The simulated battery.
        feed: What becomes known when.
        market: True prices.

    Example:
        >>> async def live(simulation: Simulation, at: datetime) -> None:
        ...     await simulation.begin(at)
        ...     await simulation.answer_all(Answer(agrees=True, by="anna", reason="prices look right"))
        ...     simulation.end(at)
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        clock: VirtualClock,
        plant: SimulatedPlant,
        feed: Feed,
        market: Market,
    ) -> None:
        self.runtime, self.clock, self.plant, self.feed, self.market = runtime, clock, plant, feed, market
        self._known_until = clock.now()
        self._news: list[Message] = []

    async def warm_up(self) -> None:
        """Publish the weeks before the first hour, which features reach back to."""
        now = self.clock.now()
        await self._publish(self.feed.known(now - _WARM_UP, now))

    async def begin(self, at: datetime) -> None:
        """Enter the hour that starts at ``at``: take in what became known, decide, and act or ask."""
        self.clock.set(at)
        news, self._news = self._news, []
        after, self._known_until = self._known_until, at
        await self._publish([*news, *self.feed.known(after, at)])

    def tell(self, news: Sequence[Message]) -> None:
        """Let something else become known when the next hour begins."""
        self._news += news

    async def answer_all(self, answer: Answer) -> int:
        """Let somebody answer everything that is asked, at once; return how many questions there were."""
        waiting = self.runtime.views.waiting()
        for row in waiting:
            speak = self.runtime.approve if answer.agrees else self.runtime.reject
            await speak(row.decision_id, by=answer.by, reason=answer.reason, evidence=row.evidence)
            await self.runtime.advance()
        return len(waiting)

    def end(self, at: datetime) -> MeteredInterval:
        """Let the hour that began at ``at`` pass; its meter reading arrives with the next :meth:`begin`."""
        metered = self.plant.run_hour(at, price_eur_mwh=self.market.at(at))
        self._news.append(_meter_message(metered))
        return metered

    async def finish(self, at: datetime) -> None:
        """Deliver the last meter reading, without a decision for the hour at ``at``."""
        self.clock.set(at - timedelta(microseconds=1))
        news, self._news = self._news, []
        await self._publish(news)

    async def _publish(self, messages: Sequence[Message]) -> None:
        if messages:
            await self.runtime.publish(messages)
        await self.runtime.advance()


async def open_runtime(
    folder: Path,
    plant: SimulatedPlant,
    columns: Columns,
    clock: VirtualClock,
    *,
    approve_above_eur: float,
    plan: Plan = plan_battery,
    challenger: Plan | None = None,
    declare: Callable[[AnyDecision], AnyDecision] = lambda declared: declared,
    beside: Sequence[AnyDecision] = (),
) -> Runtime:
    """Open a runtime for the case in a folder that holds its trained models, and make the folder a project.

    Args:
        folder: Holds the models, and will hold the ledger.
        plant: Takes the set-points.
        columns: What is known.
        clock: The runtime's.
        approve_above_eur: An hour with more money at stake needs a person.
        plan: How the battery is planned once the price is forecast.
        challenger: Another way, which may be given a share of the days.
        declare: Changes the declarations, as for a plant at the far end of a wire.
        beside: Other decisions of the same project.

    Raises:
        Conflict: The folder already holds a ledger.
    """
    settings = settings_in(folder, plant.local.zone)
    if (path := ledger_path(settings)) is not None and path.exists():
        raise Conflict(
            f"{folder} already holds a ledger", why="its hours would be mixed with new ones", fix="choose a new folder"
        )
    if not (folder / FILE_NAME).exists():
        (folder / FILE_NAME).write_text(f'{_NOTE}zone = "{settings.zone}"\n', encoding="utf-8")
    declared = [
        declare(
            make_decision(
                plant,
                has_load=columns.load is not None,
                has_temperature=columns.temperature is not None and columns.load is not None,
                ahead=columns.ahead,
                plan=each,
                approve_above_eur=approve_above_eur,
            )
        )
        for each in (plan, challenger)
        if each is not None
    ]
    return await Runtime.open([*declared[:1], *beside], settings=settings, clock=clock, challengers=declared[1:])


def settings_in(folder: Path, zone: str = "UTC") -> Settings:
    """Return the settings of a case that keeps everything in one folder; times are shown in its region's zone."""
    # Virtual days pass in seconds: a head signed for each of them is enough.
    return Settings(root=folder, checkpoint_every_s=86_400.0, zone=zone)


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
