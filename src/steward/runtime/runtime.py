"""Everything put together: the application service that all faces (API, CLI, console, cases) call."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self, Unpack
from uuid import UUID

import msgspec

from steward.bus.port import Accepted
from steward.clock import Clock, SystemClock
from steward.decision.checks import nearest
from steward.decision.decision import Decision
from steward.errors import Conflict, ContractError, IntegrityError, NotFound, StewardError
from steward.ledger.port import Entry, Ledger, Message
from steward.ledger.run import Run, body_of
from steward.loop.asks import Approval
from steward.loop.prepare import Prepared
from steward.loop.receive import Incoming
from steward.loop.run import Answer
from steward.models.registry import Registry
from steward.records import Record
from steward.runtime.admission import batch_lane
from steward.runtime.answers import Words, approvals
from steward.runtime.audit import Audit
from steward.runtime.counterfactuals import Counterfactuals
from steward.runtime.deadletters import DeadLetters
from steward.runtime.parts import DIRECTLY, Origin, Parts, assemble
from steward.runtime.project import load_challengers
from steward.runtime.settings import Settings
from steward.runtime.stops import EVERY, Stop
from steward.runtime.whatif import WhatIf


class Runtime:
    """Runs a set of decisions on the engines that the settings name.

    Attributes:
        decisions: The declarations, by name.
        settings: The effective settings.
        clock: Where time comes from.
        ledger: The only source of truth.
        bus: Where events and outcomes arrive.
        registry: Where models come from.
        views: What can be listed and summed up; see :meth:`catch_up`.
        guard: Who may what; the faces ask it.
        audit: Verifies the ledger, and proves entries of it.
        answers: What people answer when they are asked.
        stops: What is stopped now.
        whatif: What stored decisions would be, had they known something else.
        counterfactuals: What would have changed their choices.
        admission: How many requests the faces let in at once, and whom.
        calibrations: What outcomes have taught of the answers of decisions that are calibrated.
        running: How each decision runs: the champion's release and the models that are loaded, by name.
        lineups: Which releases decide now, and what else is ready to.
        releases: What is live, and was when.
        publishing: Proposes and approves releases.
        rollouts: Gives releases their shares, and takes them back.
        shadows: Asks on the side what other releases would have chosen.
        judging: What is seen of each rollout, and what that says.
        book: Who is told what, and how; ``None`` without an address book.
        topics: The names of the decisions that each topic of the bus has a part in.

    Example:
        >>> from steward import Choice, Event, Features, Prediction, Risk
        >>> class Payment(Event):
        ...     amount_eur: float
        >>> def release_all(features: Features, prediction: Prediction[None]) -> Choice[str]:
        ...     return Choice("release", reasons=("nothing speaks against it",))
        >>> pay = Decision(name="pay.release", owner="payments", purpose="Release or hold", risk=Risk.LOW,
        ...                event=Payment, policy=release_all)
        >>> async def once() -> object:
        ...     async with await Runtime.open([pay], settings=Settings(ledger="memory://")) as runtime:
        ...         return (await runtime.decide("pay.release", Payment(amount_eur=5.0))).record.choice
        >>> asyncio.run(once())
        'release'
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.settings, self.clock = parts.settings, parts.clock
        self.ledger, self.bus, self.registry, self.views = parts.ledger, parts.bus, parts.registry, parts.views
        self.decisions: Mapping[str, Decision[Any, Any, Any]] = {
            name: prepared.decision for name, prepared in parts.lineups.items()
        }
        self.guard, self.answers, self.stops, self.effects = (
            parts.guard,
            parts.answers,
            parts.stops,
            parts.acting.effects,
        )
        self.lines = parts.acting.lines
        self.audit = Audit(parts.ledger, every_s=parts.settings.verify_every_s)
        self.lineups, self.releases = parts.lineups, parts.releasing.log
        self.publishing, self.rollouts = parts.releasing.publishing, parts.releasing.rollouts
        self.shadows, self.judging = parts.releasing.shadows, parts.releasing.judging
        self.running: Mapping[str, Prepared] = parts.lineups
        self.book = None if parts.notifier is None else parts.notifier.book
        self.whatif = WhatIf(parts.lineups)
        self.counterfactuals = Counterfactuals(self.whatif)
        self.admission = parts.admission
        self.calibrations = parts.calibrations
        self.topics = {name: pump.topic.decisions for name, pump in parts.pumps.items()}
        self.dead_letters = DeadLetters(
            parts.journal, parts.views, parts.clock, publish=self.publish, topics=self.topics
        )
        self._keys_under_way: set[str] = set()
        self._tasks: list[asyncio.Future[Any]] = []
        self._closed = False

    @classmethod
    async def open(
        cls,
        decisions: Sequence[Decision[Any, Any, Any]],
        *,
        settings: Settings | None = None,
        clock: Clock | None = None,
        registry: Registry | None = None,
        ledger: Ledger | None = None,
        former: Sequence[Decision[Any, Any, Any]] = (),
        challengers: Sequence[Decision[Any, Any, Any]] = (),
    ) -> Self:
        """Open the engines, verify and load the models, publish what changed, and restore all state.

        Args:
            decisions: What is run.
            settings: Which engines, where; the defaults keep everything below ``.steward`` in the current folder.
            clock: Where time comes from; the machine's by default.
            registry: Where models come from; the settings' folder by default.
            ledger: An opened ledger, which is closed with the runtime; the one that the settings name by default.
            former: Decisions of earlier releases, with whose actions the runs under way are finished.
            challengers: Other declarations of the same names, which a rollout may give a share, besides those that
                the settings name.

        Raises:
            DeclarationError: Two decisions have one name, or a decision does not fit its model.
            EngineError: An engine cannot be opened.
            IntegrityError: The ledger or a model is not what was written.
        """
        settings, clock = settings or Settings(), clock or SystemClock()
        challengers = [*challengers, *load_challengers(settings)]
        return cls(await assemble(decisions, settings, clock, registry, ledger, former=former, challengers=challengers))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop the background work, keep the feature state and close the engines; twice is fine."""
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.audit.close()
        await self._parts.follow.close()
        if self._parts.notifier is not None:
            await self._parts.notifier.close()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.ledger.close)
            stack.callback(self.views.close)
            stack.push_async_callback(self._parts.calibrations.save)
            stack.push_async_callback(self._parts.snapshots.save)
            stack.push_async_callback(self._parts.serving.close)
            for gathered in self._parts.gathers.values():
                await gathered.close()

    # Deciding

    async def decide(
        self, name: str, event: bytes | object, *, origin: Origin = DIRECTLY, key: str | None = None
    ) -> Answer:
        """Decide one event; calls that arrive together share one batch and one commit.

        Args:
            name: The decision.
            event: JSON bytes, plain data or the event itself.
            origin: Where it came from.
            key: An idempotency key: the same key and event get the stored answer.

        Raises:
            NotFound: No such decision.
            ContractError: The event does not fit, or the key was used for another event.
            Conflict: The first request with this key is still under way.
            EngineError: It could not be made durable, or too many wait.
        """
        self._prepared(name)
        if key is None:
            return await self._parts.gathers[name].ask(origin.incoming(event, None), self.decisions[name].lane)
        unique = f"once:{name}:{key}"
        if unique in self._keys_under_way:
            raise Conflict("a request with this idempotency key is under way", code="idempotency-in-flight")
        self._keys_under_way.add(unique)
        try:
            return await self._decide_once(name, event, origin, unique)
        finally:
            self._keys_under_way.discard(unique)

    async def decide_batch(
        self, name: str, events: Sequence[bytes | object], *, origin: Origin = DIRECTLY
    ) -> Sequence[Answer | StewardError]:
        """Decide many events together; each gets its answer or its error.

        It is one model call and one commit, unless more urgent events wait: those go first, and it goes in parts. Only
        where the decision is an emergency, its batches are one, too.

        Raises:
            NotFound: No such decision.
            EngineError: Too many wait.
        """
        prepared, gathered = self._prepared(name), self._parts.gathers[name]
        batch = [origin.incoming(event, None) for event in events]
        if not gathered.is_busy and len(batch) <= self.settings.max_batch:
            return await self._parts.decider.batch(name, batch)  # nobody waits whom it could hold up
        answers = await gathered.ask_all(batch, batch_lane(prepared.decision.lane))
        return [_told(answer) for answer in answers]

    async def publish(self, messages: Sequence[Message]) -> Accepted:
        """Put events on the bus; they are durable before this returns.

        Raises:
            NotFound: Nothing listens to a message's topic.
            ContractError: A message does not fit its contract.
            EngineError: The bus is full or cannot write.
        """
        for message in messages:
            pump = self._parts.pumps.get(message.topic)
            if pump is None:
                raise NotFound(
                    f"nothing listens to {message.topic!r}", fix=nearest(message.topic, self._parts.pumps), field="type"
                )
            pump.check(message)
        return await self.bus.publish(messages)

    async def observe(
        self, name: str, outcome: bytes | object, *, outcome_id: str, decision_id: UUID | None = None
    ) -> Sequence[UUID]:
        """Take an outcome of decision ``name``; return the runs it was joined to.

        An outcome without a run is kept, and joined when its decision comes.

        Raises:
            NotFound: No such decision or run.
            ContractError: The outcome does not fit.
        """
        decision = self._prepared(name).decision
        return await self._parts.outcomes.observe(decision, outcome, outcome_id=outcome_id, run_id=decision_id)

    # People

    async def approvals(self, limit: int = 100, *, among: Collection[str] | None = None) -> list[Approval]:
        """Return what people are asked now, the next deadline first, ``among`` some decisions only."""
        await self.catch_up()
        return await approvals(self.views, self.ledger, limit, is_stopped=self.stops.is_stopped, among=among)

    async def approve(self, decision_id: UUID, **words: Unpack[Words]) -> Run:
        """Agree with what is asked; all that people can answer is in :attr:`answers`."""
        return await self.answers.approve(decision_id, **words)

    async def reject(self, decision_id: UUID, **words: Unpack[Words]) -> Run:
        """Refuse what is asked."""
        return await self.answers.reject(decision_id, **words)

    async def stop(self, decision: str = EVERY, *, by: str, reason: str) -> Stop:
        """Dispatch nothing more for a decision, or for any; see :meth:`steward.runtime.stops.Stops.stop`."""
        return await self.stops.stop(decision, by=by, reason=reason)

    async def resume(self, decision: str = EVERY, *, by: str, reason: str) -> Stop | None:
        """Want a stop to be lifted; it takes two people. See :meth:`steward.runtime.stops.Stops.resume`."""
        return await self.stops.resume(decision, by=by, reason=reason)

    async def redrive(self, decision_id: UUID, *, by: str, reason: str, adopt_current_code: bool = False) -> Run:
        """Let a failed or halted run go on; see :meth:`steward.runtime.effects.Effects.redrive`."""
        return await self.effects.redrive(decision_id, by=by, reason=reason, adopt_current_code=adopt_current_code)

    async def abort(self, decision_id: UUID, *, by: str, reason: str) -> Run:
        """End a run under way and take back what was done."""
        return await self.effects.abort(decision_id, by=by, reason=reason)

    async def signal(self, decision_id: UUID, name: str, payload: object = None, *, by: str) -> Run:
        """Tell a run what it waits for."""
        return await self.effects.signal(decision_id, name, payload, by=by)

    async def undo(self, decision_id: UUID, *, by: str, reason: str) -> Run:
        """Take back what was done; see :meth:`steward.runtime.effects.Effects.undo`.

        It is tried once before this returns; what fails then is tried on, as every effect is.
        """
        await self.effects.undo(decision_id, by=by, reason=reason)
        await self._parts.follow.look(decision_id)
        return await self.run(decision_id)

    async def run(self, decision_id: UUID) -> Run:
        """Return all that is known of one run; ``NotFound`` if there is none."""
        return Run.of(await self.ledger.of_run(decision_id), decision_id)

    async def catch_up(self) -> None:
        """Bring the views up to the ledger's end."""
        await self.views.catch_up(self.ledger)

    # Work by itself

    async def advance(self) -> int:
        """Do all work that is due at ``clock.now()`` until nothing is left; return how much was done.

        This is how virtual time moves: set the clock, then advance.
        """
        total = 0
        while done := await self._parts.step():
            total += done
        await self.catch_up()
        return total

    def start(self) -> None:
        """Start the background work of a live process: consumers, ticks, deadlines, actions, views."""
        if not self._tasks:
            self._tasks = [asyncio.ensure_future(work()) for work in self._parts.live_work()]
            self.audit.start()

    def failure(self) -> BaseException | None:
        """Return what stopped the background work, if something did."""
        ended = (task for task in self._tasks if task.done() and not task.cancelled())
        return next((error for task in ended if (error := task.exception()) is not None), None)

    async def failed(self) -> None:
        """Raise what stops the background work, once something does; until then, wait."""
        if self._tasks:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        if (error := self.failure()) is not None:
            raise error
        await asyncio.Event().wait()

    # How

    def _prepared(self, name: str) -> Prepared:
        prepared = self._parts.lineups.get(name)
        if prepared is None:
            raise NotFound(f"no decision is named {name!r}", fix=nearest(name, self._parts.lineups), field="name")
        return prepared

    async def _decide_once(self, name: str, event: bytes | object, origin: Origin, unique: str) -> Answer:
        stored = await self.ledger.by_key(unique)
        if stored is None:
            try:
                return await self._parts.gathers[name].ask(origin.incoming(event, unique), self.decisions[name].lane)
            except Conflict:
                stored = await self.ledger.by_key(unique)
                if stored is None:
                    raise
        return self._replayed(name, stored, origin.incoming(event, unique))

    def _replayed(self, name: str, stored: Entry, incoming: Incoming) -> Answer:
        prepared, record = self._prepared(name), body_of(stored)
        if not isinstance(record, Record):
            raise IntegrityError(f"entry {stored.index} is not a decision", fix="run: steward verify --all")
        event = prepared.receive(incoming)
        if msgspec.json.decode(prepared.contract.encode(event)) != record.event:
            raise ContractError(
                "this idempotency key was used for another event",
                fix="use a new key for each new event",
                code="idempotency-key-reused",
                field="Idempotency-Key",
            )
        return Answer(record, stored.index, stored.body, replayed=True)


def _told(answer: Answer | Exception) -> Answer | StewardError:
    """Return what a sender is told; what nobody foresaw is raised."""
    if isinstance(answer, Answer | StewardError):
        return answer
    raise answer
