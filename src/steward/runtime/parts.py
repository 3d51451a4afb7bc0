"""The parts of a runtime, and how they are opened, wired and kept going."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from steward.access.guard import Guard
from steward.bus.consumer import Consumer
from steward.bus.port import Bus
from steward.clock import Clock
from steward.decision.decision import Decision
from steward.decision.model import Attribution
from steward.decision.stream import AT_REACH, WindowFeature
from steward.errors import EngineError, IntegrityError
from steward.features.online import AT_SLACK, OnlineFeatures
from steward.insight.views import Views
from steward.ledger.port import Commit, Ledger
from steward.loop.agenda import Agenda
from steward.loop.attribute import attribute
from steward.loop.prepare import Prepared
from steward.loop.receive import Incoming
from steward.loop.run import Answer
from steward.models.registry import Registry
from steward.records import Record
from steward.runtime.access import open_guard
from steward.runtime.acting import Acting, open_acting
from steward.runtime.admission import Admission
from steward.runtime.answers import Answers
from steward.runtime.calibrations import Calibrations
from steward.runtime.channels import open_notifier
from steward.runtime.decider import Decider
from steward.runtime.engines import ledger_path, open_bus, open_ledger, open_registry, views_path
from steward.runtime.follow import Follow
from steward.runtime.gather import Gather
from steward.runtime.journal import Journal
from steward.runtime.lineups import Lineups, by_name
from steward.runtime.notify import Notifier
from steward.runtime.outcomes import Outcomes
from steward.runtime.pump import Pump, topics_of
from steward.runtime.releasing import Releasing, is_governed, note_refusal, open_releasing, pins_of
from steward.runtime.serving import Serving
from steward.runtime.settings import Settings
from steward.runtime.snapshot import Snapshots, cursor_name
from steward.runtime.stops import Stops
from steward.runtime.ticks import Ticks

_ATTRIBUTIONS: Final = "attributions"
_REST: Final = timedelta(milliseconds=50)
"""How long work behind the log lets news gather: a round costs the same for one entry as for many."""
_LOOK: Final = timedelta(milliseconds=500)
"""How often a rollout that stands is looked at, at most."""
_MOST_BEHIND: Final = 50_000
"""How many entries the views may be behind while requests wait; half a second of work."""
_PAUSE: Final = timedelta(seconds=1)
"""The wait after an engine failed in a way that may pass."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a direct request came from.

    Attributes:
        event_id: The sender's own name for the event.
        source: Who sent it.
        by: The person or service that asks for the decision, if known; they cannot agree to it themselves.
        trace_id: W3C trace id.
        context: What the caller wants to see again in the record.

    Example:
        >>> Origin(source="checkout").incoming(b"{}", None).source
        'checkout'
    """

    event_id: str | None = None
    source: str = "direct"
    trace_id: str | None = None
    context: Mapping[str, str] | None = None
    by: str | None = None

    def incoming(self, event: object, key: str | None) -> Incoming:
        """Return what is handed to the loop."""
        return Incoming(
            event=event,
            source=self.source,
            event_id=self.event_id,
            trace_id=self.trace_id,
            context=self.context,
            key=key,
            by=self.by,
        )


DIRECTLY: Final = Origin()
"""The origin of a request that says nothing about it."""


@dataclass(kw_only=True)
class Parts:
    """Everything a runtime is made of; each part knows only what it was given."""

    settings: Settings
    clock: Clock
    ledger: Ledger
    bus: Bus
    registry: Registry
    views: Views
    lineups: Lineups
    releasing: Releasing
    journal: Journal
    guard: Guard
    decider: Decider
    outcomes: Outcomes
    pumps: Mapping[str, Pump]
    consumers: Sequence[Consumer]
    answers: Answers
    stops: Stops
    acting: Acting
    follow: Follow
    ticks: Ticks
    snapshots: Snapshots
    serving: Serving
    calibrations: Calibrations
    gathers: Mapping[str, Gather[Incoming, Answer]]
    admission: Admission
    notifier: Notifier | None = None

    async def step(self) -> int:
        """Do one round of work, in an order that never depends on chance; return how much was done."""
        for consumer in self.consumers:
            if moved := await consumer.step():
                return moved
        works = [
            self.ticks.step,
            self.follow.step,
            self.acting.outages.step,
            self.outcomes.step,
            self.calibrations.step,
            self.releasing.shadows.step,
            self.releasing.judging.step,
            self.attribute,
        ]
        if self.notifier is not None:
            works.append(self.notifier.step)
        for work in works:
            if done := await work():
                return done
        return 0

    async def attribute(self) -> int:
        """Compute deferred attributions; return how many entries were looked at."""
        if not any(p.explaining.when is Attribution.DEFERRED for p in self.lineups.values()):
            return 0
        start = await self.ledger.cursor(_ATTRIBUTIONS)
        entries = await self.ledger.read(start, 500)
        if not entries:
            return 0
        decided = [entry for entry in entries if entry.kind == "decided"]
        drafts = attribute(self._deferred, decided, self.clock.now())
        await self.journal.append(Commit(entries=drafts, cursors={_ATTRIBUTIONS: entries[-1].index + 1}))
        return len(entries)

    def _deferred(self, record: Record) -> Prepared | None:
        """Return what decided a record, if it is to be explained and is still here."""
        found = self.lineups.loaded(record.release) or self.lineups.get(record.decision)
        return found if found is not None and found.explaining.when is Attribution.DEFERRED else None

    def live_work(self) -> Sequence[Callable[[], Awaitable[Any]]]:
        """Return the endless jobs of a live process."""
        jobs: list[Callable[[], Awaitable[Any]]] = [consumer.run for consumer in self.consumers]
        declared = [prepared.decision for prepared in self.lineups.values()]
        if any(decision.schedule for decision in declared):
            jobs.append(lambda: self._repeat(self.ticks.step, self.ticks.next_due))
        if any(decision.gate or decision.action for decision in declared):
            jobs.append(lambda: self._repeat(self.follow.begin, self.journal.agenda.next_due))
            jobs.append(lambda: self._repeat(self.acting.outages.step))
        if any(decision.economics for decision in declared):
            jobs.append(lambda: self._repeat(self.outcomes.step, rest=_REST))
        others = [each for name in self.lineups for each in self.lineups.challengers(name)]
        if any(decision.calibration for decision in (*declared, *others)):
            jobs.append(lambda: self._repeat(self.calibrations.step, rest=_REST))
        if any(prepared.explaining.when is Attribution.DEFERRED for prepared in self.lineups.values()):
            jobs.append(lambda: self._repeat(self.attribute, rest=_REST))
        if (notifier := self.notifier) is not None:
            jobs.append(lambda: self._repeat(notifier.begin, notifier.next_due))
        jobs.append(lambda: self._repeat(self._catch_up, rest=_REST))
        jobs.append(lambda: self._repeat(self.releasing.judging.step, rest=_LOOK))
        jobs += [self._keep_snapshots, self.releasing.shadows.run]
        return jobs

    async def _repeat(
        self,
        step: Callable[[], Awaitable[int]],
        next_due: Callable[[], datetime | None] = lambda: None,
        *,
        rest: timedelta | None = None,
    ) -> None:
        """Step until idle, then wait for news or for the next due time; ``rest`` gathers news before each step."""
        while True:
            if rest is not None:
                await self.clock.sleep_until(self.clock.now() + rest)
            seen = self.journal.bell.rung
            try:
                if await step():
                    continue
            except EngineError as error:
                if not error.retryable:
                    raise
                await self.clock.sleep_until(self.clock.now() + _PAUSE)
                continue
            due = next_due()
            if due is None:
                await self.journal.bell.wait(seen)
                continue
            news, time = self.journal.bell.wait(seen), self.clock.sleep_until(due)
            waits = [asyncio.create_task(news), asyncio.create_task(time)]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    async def _catch_up(self) -> int:
        """Let the views follow, unless requests wait: whoever reads the views brings them up to date anyway."""
        behind = self.journal.size - self.views.position
        if 0 < behind < _MOST_BEHIND and any(gather.is_busy for gather in self.gathers.values()):
            return 1  # there is work, later
        return await self.views.catch_up(self.ledger)

    async def _keep_snapshots(self) -> None:
        while True:
            await self.clock.sleep_until(self.clock.now() + timedelta(seconds=self.settings.snapshot_every_s))
            with suppress(EngineError):  # a full disk is met by the ledger too, which says so
                await self.snapshots.save()
                await self.calibrations.save()


async def assemble(
    decisions: Sequence[Decision[Any, Any, Any]],
    settings: Settings,
    clock: Clock,
    registry: Registry | None,
    ledger: Ledger | None = None,
    *,
    former: Sequence[Decision[Any, Any, Any]] = (),
    challengers: Sequence[Decision[Any, Any, Any]] = (),
) -> Parts:
    """Open everything; what was opened is closed again if a later part fails."""
    registry = registry or open_registry(settings)
    online = _online([window for d in (*decisions, *challengers) for window in d.windows])
    calibrations = Calibrations(_beside(settings, ".calibrations"))
    declared, is_strict = by_name(decisions, challengers), is_governed(settings)
    ledger = ledger or await open_ledger(settings.ledger, settings, clock)
    try:
        pins = await pins_of(ledger, decisions, settings)
        serving = Serving.of(settings, registry, clock, ledger)
        lineups = Lineups(
            declared,
            registry,
            online,
            clock,
            find=calibrations.find,
            load=serving.load,
            development=not is_strict,
            pins=pins,
        )
        parts = await _wired(
            lineups,
            serving=serving,
            calibrations=calibrations,
            former=[*former, *challengers],
            online=online,
            ledger=ledger,
            settings=settings,
            clock=clock,
            registry=registry,
        )
        await _restore(parts)
        for name, error in lineups.withheld.items():
            if not parts.releasing.log.live(name).champion:  # else it is written there, with the release
                await note_refusal(ledger, error, clock, name)
    except IntegrityError as error:
        await note_refusal(ledger, error, clock)
        await ledger.close()
        raise
    except BaseException:
        await ledger.close()
        raise
    return parts


async def _wired(
    lineups: Lineups,
    *,
    serving: Serving,
    calibrations: Calibrations,
    former: Sequence[Decision[Any, Any, Any]],
    online: OnlineFeatures,
    ledger: Ledger,
    settings: Settings,
    clock: Clock,
    registry: Registry,
) -> Parts:
    """Make each part and hand it what it knows."""
    declared = {name: each.decision for name, each in lineups.items()}
    agenda = Agenda()
    journal = Journal(ledger, agenda)
    views = Views(views_path(settings))
    admission = _admission(settings, clock)
    bus = await open_bus(settings.bus, settings, ledger)
    journal.wake = bus.wake
    snapshots = Snapshots(online, ledger, _beside(settings, ".features"))
    outcomes = Outcomes(declared, journal, views, clock)
    stops = Stops(journal, declared, clock)
    answers = Answers(journal, declared, clock, stops.is_stopped)
    acting = open_acting(journal, list(declared.values()), former, clock, stops)
    decider = Decider(lineups, journal, online, clock, snapshots.restore)
    pumps = {
        name: Pump(topic, decider=decider, outcomes=outcomes, online=online, clock=clock)
        for name, topic in topics_of(lineups.values()).items()
    }
    snapshots.pumps, snapshots.observe_again = pumps, decider.observe_again
    snapshots.settled = lambda: decider.settled
    return Parts(
        settings=settings,
        clock=clock,
        ledger=ledger,
        bus=bus,
        registry=registry,
        views=views,
        lineups=lineups,
        releasing=open_releasing(journal, lineups, clock, settings, admission, registry=registry),
        journal=journal,
        guard=await open_guard(settings, ledger, journal, clock),
        decider=decider,
        outcomes=outcomes,
        pumps=pumps,
        consumers=[
            Consumer(bus, journal, cursor_name(name), name, pump.handle, clock=clock) for name, pump in pumps.items()
        ],
        answers=answers,
        stops=stops,
        acting=acting,
        follow=Follow(journal, declared, clock, workflow=acting.workflow, remind=answers.remind, holds=stops.holds),
        ticks=Ticks(lineups, ledger, clock, decider.tick, decider.refusal),
        snapshots=snapshots,
        calibrations=calibrations,
        serving=serving,
        gathers={name: _gather(decider, name, settings, serving.at_once(each)) for name, each in declared.items()},
        admission=admission,
    )


async def _restore(parts: Parts) -> None:
    """Bring everything that is kept in memory to where the ledger is."""
    await parts.releasing.publishing.open()
    await parts.snapshots.restore()
    await parts.calibrations.open(parts.ledger)
    await parts.views.catch_up(parts.ledger)
    await parts.outcomes.open()
    await parts.ticks.open()
    await parts.stops.open()
    parts.notifier = await open_notifier(parts.settings, parts.journal, _declared(parts), parts.clock)
    parts.acting.workflow.begins_at = await parts.ledger.size()
    parts.follow.inherit(parts.views.unfinished())


def _declared(parts: Parts) -> Mapping[str, Decision[Any, Any, Any]]:
    return {name: prepared.decision for name, prepared in parts.lineups.items()}


def _gather(decider: Decider, name: str, settings: Settings, at_once: int) -> Gather[Incoming, Answer]:
    def work(batch: Sequence[Incoming]) -> Awaitable[Sequence[Answer | Exception]]:
        return decider.batch(name, batch)

    return Gather(work, max_batch=settings.max_batch, max_waiting=settings.max_waiting, at_once=at_once)


def _admission(settings: Settings, clock: Clock) -> Admission:
    most = max(settings.max_waiting // 2, 1)  # so that a burst, which is as many again, finds room to wait
    return Admission(clock, most=most, unnoticed=timedelta(milliseconds=settings.unnoticed_ms))


def _online(windows: Sequence[WindowFeature]) -> OnlineFeatures:
    return OnlineFeatures(windows, at_slack=AT_REACH if any(window.at for window in windows) else AT_SLACK)


def _beside(settings: Settings, ending: str) -> Path | None:
    """Return the file beside the ledger's with this ending; ``None`` if it is in no file."""
    path = ledger_path(settings)
    return None if path is None else path.with_name(path.name + ending)
