"""The declared decision ``grid.drill``: an outage or a dear hour that somebody wants to see, played and recorded."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from steward.cases.grid.data.local_days import HOUR
from steward.cases.grid.dispatch.feed import Feed
from steward.cases.grid.dispatch.references import Market
from steward.cases.grid.field.world import FieldPlant
from steward.cases.grid.streams import Site
from steward.decision.action import Action, Call
from steward.decision.choice import Choice
from steward.decision.contract import Event
from steward.decision.decision import Decision
from steward.decision.feature import Feature, Features
from steward.decision.risk import Risk
from steward.ledger.port import Message
from steward.records import Prediction, Receipt

NAME: Final = "grid.drill"
SPIKE_EUR_MWH: Final = 300.0
"""By how much a drilled hour is dearer than it was told to be."""


class Kind(StrEnum):
    """What can be drilled.

    Example:
        >>> Kind.OUTAGE.value
        'outage'
    """

    OUTAGE = "outage"
    PRICE_SPIKE = "price-spike"


class DrillWanted(Event, contract="grid.drill-wanted"):
    """Asks for a drill of the coming hours.

    Attributes:
        site: Where.
        kind: What is to happen.
        at: The first hour.
        hours: How many.

    Example:
        >>> DrillWanted.contract_name
        'grid.drill-wanted'
    """

    site: Site
    kind: Kind
    at: datetime
    hours: Annotated[int, Meta(ge=1, le=12)]


class Drill(Struct, frozen=True):
    """What is played, from when until when.

    Example:
        >>> noon = datetime.fromisoformat("2026-07-01T12:00:00Z")
        >>> Drill(Kind.OUTAGE, noon, noon + 3 * HOUR).kind.value
        'outage'
    """

    kind: Kind
    at: datetime
    until: datetime


class Stage:
    """The played world, as far as a drill changes it; each drill is played once, and can be ended early.

    Args:
        plant: Has the outages.
        feed: Tells the prices.
        market: Settles at them. Its prices are changed in place: give it a history of its own.

    Example:
        >>> def played(stage: Stage, drill: Drill, at: datetime) -> list[Message]:
        ...     stage.play(drill, "run-1")
        ...     return stage.news(at)
    """

    def __init__(self, plant: FieldPlant, feed: Feed, market: Market) -> None:
        self._plant, self._feed, self._market = plant, feed, market
        self._spikes: dict[str, Drill] = {}
        self._changed: list[tuple[datetime, datetime, str]] = []

    def play(self, drill: Drill, key: str) -> None:
        """Let it happen; under a key that is known nothing more does."""
        if drill.kind is Kind.OUTAGE:
            self._plant.outages.setdefault(key, (drill.at, drill.until))
        elif key not in self._spikes:
            self._spikes[key] = drill
            self._add(SPIKE_EUR_MWH, drill.at, drill.until, key)

    def end(self, key: str) -> None:
        """Spare the hours after the present one."""
        later = self._plant.hour + HOUR
        if key in self._plant.outages:
            begins, ends = self._plant.outages[key]
            self._plant.outages[key] = begins, min(ends, max(later, begins))
        spike = self._spikes.get(key)
        if spike is not None and spike.until > later:
            begins = max(spike.at, later)
            self._spikes[key] = Drill(spike.kind, spike.at, begins)
            self._add(-SPIKE_EUR_MWH, begins, spike.until, f"{key}/ended")

    def news(self, now: datetime) -> list[Message]:
        """Return the published prices that have changed since this was asked last, as they become known now."""
        changed, self._changed = self._changed, []
        return [
            message
            for since, until, revision in changed
            for message in self._feed.corrected(since, until, now, revision=revision)
        ]

    def _add(self, eur_mwh: float, since: datetime, until: datetime, revision: str) -> None:
        history = self._market.history
        rows = slice(max(history.index(since), 0), max(history.index(until), 0))
        columns = (history.columns[self._market.price], self._market.filled)
        for values in {id(each): each for each in columns}.values():
            values[rows] += eur_mwh
        self._changed.append((since, until, revision))


def begins_at(event: DrillWanted) -> str:
    """The first hour."""
    return event.at.isoformat()


def as_wanted(features: Features, prediction: Prediction[None]) -> Choice[Drill]:
    """Play what is wanted: it is a simulation."""
    begins, hours = datetime.fromisoformat(features.text("begins_at")), int(features.number("hours"))
    drill = Drill(Kind(features.text("kind")), begins, begins + hours * HOUR)
    span = "1 hour" if hours == 1 else f"{hours} hours"
    reason = {
        Kind.OUTAGE: f"for {span} the plant takes no set-point, and the battery rests",
        Kind.PRICE_SPIKE: f"for {span} energy is {SPIKE_EUR_MWH:g} EUR/MWh dearer than was told the day before",
    }[drill.kind]
    return Choice(drill, reasons=(reason,), rule=drill.kind.value)


def make_drill(stage: Stage) -> Decision[DrillWanted, None, Drill]:
    """Declare the decision for a stage."""

    def play(choice: Drill, call: Call) -> Receipt:
        stage.play(choice, call.key)
        return Receipt(reference=f"{choice.kind.value}/{choice.at.isoformat()}")

    def end(choice: Drill, call: Call) -> Receipt:
        stage.end(call.undoes or call.key)
        return Receipt(reference=f"{choice.kind.value}/{choice.at.isoformat()}/ended")

    return Decision(
        name=NAME,
        owner="grid-operations",
        purpose="Play an outage or dear hours in the demo, to see what is done about them",
        risk=Risk.LOW,
        event=DrillWanted,
        features=(Feature("site"), Feature("kind"), Feature("hours"), Feature(begins_at)),
        policy=as_wanted,
        action=Action(do=play, undo=end),
    )
