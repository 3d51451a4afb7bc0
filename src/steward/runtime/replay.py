"""Replay: past decisions through another release, with no effect on the world."""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UnsetType

from steward.clock import VirtualClock
from steward.decision.contract import Contract
from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.decision.stream import Stream
from steward.errors import StewardError
from steward.features.online import OnlineFeatures
from steward.ledger.port import Ledger, Message
from steward.ledger.run import Run, body_of
from steward.loop.act import typed_choice
from steward.loop.bind import bind
from steward.loop.prepare import Prepared, prepare
from steward.loop.receive import Incoming
from steward.loop.run import Work, begin, finish
from steward.models.registry import Registry
from steward.records import Money, Record
from steward.runtime.decider import event_time, message_id
from steward.runtime.pump import Topic, topics_of
from steward.runtime.relearning import Relearning
from steward.runtime.ticks import TIMER

_PAGE = 500


@dataclass(frozen=True)
class Difference:
    """One decision that the other release would have taken differently.

    Example:
        >>> Difference(UUID(int=1), before="hold", after="pay", value_change=Money.rounded(4, "EUR")).after
        'pay'
    """

    decision_id: UUID
    before: object
    after: object
    value_change: Money | None


@dataclass
class Replayed:
    """What a replay found.

    Attributes:
        release: The release that was tried.
        runs: How many past decisions it was asked.
        agreed: How many choices were the same.
        failed: How many it could not decide, with the first reasons.
        differences: The choices that differ, at most ``keep`` of them.
        valued: How many of the runs have an outcome; the two sums are over these only.
        value_before: What the choices in force earned, by the replayed release's own economics.
        value_after: What its choices would have earned, if the outcomes had been the same.

    Example:
        >>> Replayed("pay.release@ab", runs=10, agreed=9).agreed
        9
    """

    release: str
    keep: int = 100
    runs: int = 0
    agreed: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    valued: int = 0
    value_before: Money | None = None
    value_after: Money | None = None


async def replay(
    ledger: Ledger,
    registry: Registry,
    decision: Decision[Any, Any, Any],
    *,
    since: datetime | None = None,
    keep: int = 100,
    progress: Callable[[int], None] | None = None,
) -> Replayed:
    """Decide again every past event of ``decision.name``, with features computed from the bus as known then.

    Nothing is written and nothing acts: the loop's pure stages run on a virtual clock that follows the records.

    Args:
        ledger: Holds the past.
        registry: Holds the other release's models.
        decision: The other release.
        since: Leaves earlier decisions out; their events still count for features.
        keep: How many differences are listed.
        progress: Told the number of decisions done.
    """
    decision = bind(decision, registry)
    online = OnlineFeatures(decision.windows)
    relearning = Relearning(ledger, decision)
    prepared = prepare(decision, {m.name: registry.load(m) for m in decision.models}, online, relearning.find)
    events = _Events(ledger, online, topics_of([prepared]))
    await events.open()
    result = Replayed(prepared.release, keep=keep)
    async for index, record in _records(ledger, decision.name):
        await events.until(record.decided_at)
        if since is not None and record.decided_at < since:
            relearning.note(record.decision_id, record)
            continue
        await relearning.until(index, record)
        work = await events.decide(prepared, record)
        relearning.note(record.decision_id, work.record)
        await _compare(result, ledger, decision, record, work)
        if progress is not None:
            progress(result.runs)
    return result


async def _compare(
    result: Replayed, ledger: Ledger, decision: Decision[Any, Any, Any], record: Record, work: Work
) -> None:
    result.runs += 1
    if work.record is None:
        result.failed += 1
        if len(result.failures) < 10:
            result.failures.append(str(work.error))
        return
    after = msgspec.to_builtins(work.record.choice)
    run = Run.of(await ledger.of_run(record.decision_id), record.decision_id)
    change = _revalue(result, decision, run, work)
    if after == run.choice:
        result.agreed += 1
    elif len(result.differences) < result.keep:
        result.differences.append(Difference(record.decision_id, run.choice, after, change))


def _revalue(result: Replayed, decision: Decision[Any, Any, Any], run: Run, work: Work) -> Money | None:
    economics = decision.economics
    if economics is None or not run.observed or work.record is None or work.features is None:
        return None
    contract: Contract[Any] = Contract.of(economics.outcome)
    outcome = contract.convert(run.observed[-1].outcome)
    features = Features(run.record.features)
    before = Money.rounded(economics.value(features, typed_choice(decision, run.choice), outcome), economics.unit)
    after = Money.rounded(economics.value(work.features, work.record.choice, outcome), economics.unit)
    zero = Money.of_minor(0, economics.unit)
    result.valued += 1
    result.value_before = Money((result.value_before or zero).amount + before.amount, economics.unit)
    result.value_after = Money((result.value_after or zero).amount + after.amount, economics.unit)
    return Money(after.amount - before.amount, economics.unit)


async def _records(ledger: Ledger, name: str) -> AsyncIterator[tuple[int, Record]]:
    start = 0
    while entries := await ledger.read(start, _PAGE, kind="decided"):
        for entry in entries:
            record = body_of(entry)
            if isinstance(record, Record) and record.decision == name:
                yield entry.index, record
        start = entries[-1].index + 1


class _Events:
    """Feeds a feature state with the bus's messages in the order in which they became known."""

    def __init__(self, ledger: Ledger, online: OnlineFeatures, topics: Any) -> None:
        self._ledger, self._online = ledger, online
        self._topics: Sequence[Topic] = [topic for topic in topics.values() if topic.stream is not None]
        self._next: list[tuple[datetime, int, int, Message]] = []
        self._pages: list[Sequence[Any]] = [[] for _ in self._topics]

    async def open(self) -> None:
        """Look at the first message of each topic."""
        for number in range(len(self._topics)):
            await self._advance(number, 0)

    async def until(self, when: datetime) -> None:
        """Show the state everything that was known at ``when``."""
        while self._next and self._next[0][0] <= when:
            _, number, offset, message = heapq.heappop(self._next)
            self._show(self._topics[number], message)
            await self._advance(number, offset + 1)

    async def decide(self, prepared: Prepared, record: Record) -> Work:
        """Decide a past event again; an event of the decision's own stream is shown first, as it was then."""
        clock, when = VirtualClock(record.decided_at), record.provenance.event_time
        incoming = Incoming(
            event=msgspec.json.encode(record.event),
            source=record.provenance.source,
            event_id=record.provenance.event_id,
            event_time=record.decided_at if isinstance(when, UnsetType) else when,
            version=record.provenance.contract_version,
        )
        stream = prepared.own_stream
        # What came over the bus is shown with its topic; what came directly is in no topic until it was decided.
        direct = isinstance(when, UnsetType) or record.provenance.source == TIMER

        def observe(event: Any, _: Incoming, event_id: str, at: datetime) -> None:
            assert stream is not None
            own_id = message_id(record.provenance.source, event_id)
            self._observe(stream, event, own_id, event_time(stream, event, at), record.decided_at)

        work = begin(prepared, incoming, clock, observe if stream and direct else None)
        await finish([work], clock)
        return work

    async def _advance(self, number: int, offset: int) -> None:
        page = self._pages[number]
        if not page or offset > page[-1].offset:
            page = self._pages[number] = await self._ledger.messages(self._topics[number].name, offset, _PAGE)
        if page:
            message = page[offset - page[0].offset].message
            heapq.heappush(self._next, (message.known_at, number, offset, message))

    def _show(self, topic: Topic, message: Message) -> None:
        assert topic.stream is not None
        try:
            event = topic.contract.decode(message.data, version=message.version)
        except StewardError:
            return  # it was poisoned then, too, and is among the dead letters
        at = event_time(topic.stream, event, message.event_time)
        self._observe(topic.stream, event, message_id(message.source, message.id), at, message.known_at)

    def _observe(self, stream: Stream, event: object, event_id: str, at: datetime, known_at: datetime) -> None:
        self._online.observe(stream.name, event, id=event_id, event_time=at, known_at=known_at)
