"""The decider: runs batches through the loop and makes them durable, for every door."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from steward.clock import Clock
from steward.decision.stream import Stream
from steward.errors import Conflict, ContractError, DeclarationError, EngineError, StewardError
from steward.features.online import OnlineFeatures
from steward.ledger.port import Commit, Draft, Message
from steward.loop.prepare import Prepared
from steward.loop.receive import Incoming
from steward.loop.run import Answer, Observe, Work, begin, finish
from steward.runtime.journal import Journal
from steward.runtime.lineups import Lineups

DIRECT = "direct/"
"""Put before the sources of events that were decided already; on the bus they are history, not questions."""


def event_time(stream: Stream, event: Any, otherwise: datetime) -> datetime:
    """Return the time an event of a stream carries, or ``otherwise``."""
    return getattr(event, stream.time) if stream.time else otherwise


class Decider:
    """Decides batches of one decision and commits them.

    Args:
        lineups: Which releases decide, ready to run.
        journal: Where entries are written.
        online: The feature state; events of a decision's own stream are shown to it.
        clock: Time and ids.
        restore: Brings the feature state back after it saw an event that could not be made durable.

    Attributes:
        settled: How many commits have ended, one way or the other.
    """

    def __init__(
        self,
        lineups: Lineups,
        journal: Journal,
        online: OnlineFeatures,
        clock: Clock,
        restore: Callable[[], Awaitable[object]],
    ) -> None:
        self._lineups, self._journal, self._online, self._clock = lineups, journal, online, clock
        self._restore = restore
        self._observers = {name: self._observer(p) for name, p in lineups.items()}
        self._under_way: dict[UUID, Callable[[], object]] = {}
        self._doubts = self._trusted = 0
        self.settled = 0
        self._restoring = asyncio.Lock()

    def begin(self, name: str, incoming: Incoming) -> Work:
        """Receive and featurize one event now, by the release that has it."""
        lineup = self._lineups.of(name)
        return begin(lineup.champion, incoming, self._clock, self._observers[name], lineup.pick)

    def refusal(self, name: str) -> EngineError | None:
        """Return why a decision may not be taken by anything that is here; ``None`` if it may."""
        return self._lineups.of(name).refusal

    def doubt(self) -> None:
        """Let nothing begin before the feature state was brought back, as it saw what may not have been written."""
        self._doubts += 1

    async def basis(self) -> int:
        """Return what whatever begins now is made from, for its commit; see ``Commit.basis``.

        The feature state is brought back first if it saw events that were not made durable: no decision may count
        them, also not those that began before anybody could know.

        Raises:
            EngineError: It cannot be brought back now.
        """
        while self._trusted != self._doubts:
            async with self._restoring:
                doubts = self._doubts
                if self._trusted != doubts:
                    await self._restore()
                    self._trusted = doubts
        return self._journal.ledger.failures

    def observe_again(self) -> None:
        """Show the feature state the events whose commit is under way, after it was restored from the ledger."""
        for observe in self._under_way.values():
            observe()

    async def finish(self, works: Sequence[Work]) -> list[Draft]:
        """Decide what was begun and return the entries."""
        await finish(works, self._clock)
        return [draft for work in works for draft in work.drafts]

    async def batch(self, name: str, batch: Sequence[Incoming]) -> list[Answer | StewardError]:
        """Decide a batch and return each answer once it is durable, or what stopped it."""
        lineup = self._lineups.of(name)
        if lineup.refusal is not None:
            return [lineup.refusal] * len(batch)
        try:
            basis = await self.basis()
        except EngineError as error:
            return [error] * len(batch)
        works = [self._begin_alone(name, incoming) for incoming in batch]
        await finish(works, self._clock)
        loose = [work for work in works if work.incoming.key is None]
        if len(loose) == len(works):
            await self._commit(lineup.champion, loose, basis)
        else:
            # A taken key must fail its own run only; commits that wait together still share one sync.
            alone = [[work] for work in works if work.incoming.key is not None]
            await asyncio.gather(*(self._commit(lineup.champion, group, basis) for group in (loose, *alone)))
        return [self._answer(work) for work in works]

    async def tick(
        self, name: str, incoming: Incoming, cursors: Mapping[str, int], unmade: Exception | None = None
    ) -> None:
        """Decide one tick and move its schedule on in the same commit; ``unmade`` is why there is no event."""
        basis, lineup = await self.basis(), self._lineups.of(name)
        if unmade is None:
            work = self._begin_alone(name, incoming)
        else:
            work = Work(lineup.champion, incoming, self._clock.new_id(), incoming.event_id or "")
            work.stop("receive", unmade)
        if isinstance(work.error, ContractError):  # there is no sender to be told, but the decision's own code
            work.stop("receive", DeclarationError(str(work.error), fix="mend it", field="schedule.make"))
        await finish([work], self._clock)
        await self._commit(lineup.champion, [work], basis, cursors)
        if isinstance(work.error, Conflict):  # decided before a crash; only the position was lost
            await self._journal.append(Commit(cursors=cursors))
        elif isinstance(work.error, EngineError) and work.failed == "commit":
            raise work.error

    def _begin_alone(self, name: str, incoming: Incoming) -> Work:
        """Begin an event that no consumer's position stands for."""
        work = self.begin(name, incoming)
        observe = self._observers[name]
        if observe is not None and work.event is not None and work.failed != "featurize":
            at = incoming.event_time or self._clock.now()
            self._under_way[work.run_id] = lambda: observe(work.event, incoming, work.event_id, at)
        return work

    async def _commit(
        self, prepared: Prepared, works: Sequence[Work], basis: int, cursors: Mapping[str, int] | None = None
    ) -> None:
        drafts = [draft for work in works for draft in work.drafts]
        messages = self.own_messages(prepared, works)
        if not drafts and not messages and not cursors:
            return
        try:
            committed = await self._journal.append(
                Commit(entries=drafts, messages=messages, cursors=cursors or {}, basis=basis)
            )
        except StewardError as error:
            self._settle(works)
            for work in works:
                work.stop("commit", error)
            if messages:
                self.doubt()
                with suppress(EngineError):  # then whoever comes next restores it
                    await self.basis()
            return
        except BaseException:
            self._settle(works)
            raise
        self._settle(works)
        index = committed.first_index
        for work in works:
            work.index = index
            index += len(work.drafts)

    def _settle(self, works: Sequence[Work]) -> None:
        self.settled += 1
        if self._under_way:  # empty where no decision reads its own stream
            for work in works:
                self._under_way.pop(work.run_id, None)

    def own_messages(self, prepared: Prepared, works: Sequence[Work]) -> list[Message]:
        """Return what puts a decision's own events on the stream that its features read."""
        stream = prepared.own_stream
        if stream is None:
            return []
        now = self._clock.now()
        return [
            Message(
                topic=stream.name,
                key=str(getattr(work.event, stream.key)),
                source=DIRECT + work.incoming.source,
                id=work.event_id,
                data=prepared.contract.encode(work.event),
                version=prepared.contract.version,
                event_time=event_time(stream, work.event, work.incoming.event_time or now),
                known_at=now if work.record is None else work.record.decided_at,
            )
            for work in works
            if work.event is not None and work.failed != "featurize"
        ]

    def _observer(self, prepared: Prepared) -> Observe | None:
        stream = prepared.own_stream
        if stream is None:
            return None

        def observe(event: Any, incoming: Incoming, event_id: str, at: datetime) -> None:
            self._online.observe(
                stream.name,
                event,
                id=message_id(incoming.source, event_id),
                event_time=event_time(stream, event, at),
                known_at=self._clock.now(),
            )

        return observe

    def _answer(self, work: Work) -> Answer | StewardError:
        if work.error is not None:
            return work.error
        assert work.record is not None
        return Answer(work.record, work.index, work.drafts[0].body)


def message_id(source: str, event_id: str) -> str:
    """Return an event's identity over all senders, as the feature state keeps it."""
    return f"{source.removeprefix(DIRECT)}\n{event_id}"
