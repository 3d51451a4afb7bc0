"""The pump: what arrives on one topic of the bus updates features, asks for decisions and brings outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from steward.bus.deadletters import dead_letter
from steward.clock import Clock
from steward.decision.contract import Contract
from steward.decision.decision import Decision
from steward.decision.stream import Stream
from steward.errors import ContractError, DeclarationError, EngineError, StewardError
from steward.features.online import OnlineFeatures
from steward.ledger.port import Commit, Draft, Message, StoredMessage
from steward.loop.prepare import Prepared
from steward.loop.receive import Incoming
from steward.loop.run import Work
from steward.runtime.decider import DIRECT, Decider, event_time, message_id
from steward.runtime.outcomes import Outcomes


@dataclass
class Topic:
    """What one topic of the bus is for.

    Attributes:
        name: The CloudEvents ``type``.
        contract: What its events must fit.
        stream: The stream whose features it feeds, if any.
        asks: The decisions that its events ask for.
        tells: The decisions whose outcomes its events are.
        shows: The names of the decisions whose features it feeds.
    """

    name: str
    contract: Contract[Any]
    stream: Stream | None = None
    asks: list[Prepared] = field(default_factory=list)
    tells: list[Decision[Any, Any, Any]] = field(default_factory=list)
    shows: set[str] = field(default_factory=set)

    @property
    def decisions(self) -> frozenset[str]:
        """The names of all decisions that its events have a part in: whoever sends some must be allowed for each."""
        return frozenset({*self.shows, *(p.decision.name for p in self.asks), *(d.name for d in self.tells)})


def topics_of(prepared: Iterable[Prepared]) -> Mapping[str, Topic]:
    """Return the topics that a set of decisions listens to.

    Raises:
        DeclarationError: Two declarations mean different things by one name.
    """
    topics: dict[str, Topic] = {}

    def topic(name: str, contract: Contract[Any]) -> Topic:
        known = topics.setdefault(name, Topic(name, contract))
        if known.contract != contract:
            raise DeclarationError(
                f"topic {name!r} carries both {known.contract.name!r} and {contract.name!r}",
                fix="give one of the streams or contracts another name",
            )
        return known

    for ready in prepared:
        for window in ready.decision.windows:
            feeds = topic(window.stream.name, Contract.of(window.stream.contract))
            if feeds.stream not in (None, window.stream):
                raise DeclarationError(f"stream {window.stream.name!r} is declared twice, and differently")
            feeds.stream = window.stream
            feeds.shows.add(ready.decision.name)
        for name in sorted(ready.topics):
            topic(name, ready.contract).asks.append(ready)
        if ready.decision.economics is not None:
            outcome: Contract[Any] = Contract.of(ready.decision.economics.outcome)
            topic(outcome.name, outcome).tells.append(ready.decision)
    return topics


class Pump:
    """Handles the messages of one topic, a batch at a time.

    Each message is shown to the feature state and featurized in its turn, so that no decision sees what came
    after it; models and ledger are then asked once for the batch.
    """

    def __init__(
        self,
        topic: Topic,
        *,
        decider: Decider,
        outcomes: Outcomes,
        online: OnlineFeatures,
        clock: Clock,
    ) -> None:
        self.topic = topic
        self._batch = list[StoredMessage]()
        self._decider, self._outcomes, self._online, self._clock = decider, outcomes, online, clock

    async def handle(self, batch: Sequence[StoredMessage]) -> Commit:
        """Return everything that a batch of messages causes; poisoned ones become dead letters."""
        self._refuse()
        if self._batch and batch[0].offset <= self._batch[-1].offset:
            # Its commit failed, so it is asked again; but the feature state has seen what came after.
            self._batch = []
            self._decider.doubt()
        basis = await self._decider.basis()
        self._batch = list(batch)
        begun: dict[str, tuple[Prepared, list[tuple[StoredMessage, Work]]]] = {}
        drafts: list[Draft] = []
        caused: list[Message] = []
        for stored in batch:
            message = stored.message
            try:
                self.observe(message)
                for prepared in self._asked_by(message):
                    work = self._decider.begin(prepared.decision.name, Incoming.of(message))
                    begun.setdefault(prepared.decision.name, (prepared, []))[1].append((stored, work))
                for decision in self.topic.tells:
                    commit, _ = await self._outcomes.entries(
                        decision,
                        message.data,
                        outcome_id=message_id(message.source, message.id),
                        version=message.version,
                        before=drafts,
                    )
                    drafts += commit.entries
                    caused += commit.messages
            except EngineError:
                raise
            except StewardError as error:
                caused.append(self._letter(stored, error))
        for prepared, works in begun.values():
            drafts += await self._decider.finish([work for _, work in works])
            caused += [self._letter(stored, work.error) for stored, work in works if work.error is not None]
            if prepared.own_stream is not None and prepared.own_stream.name != self.topic.name:
                caused += self._decider.own_messages(prepared, [work for _, work in works])
        return Commit(entries=drafts, messages=caused, basis=basis)

    def observe_again(self) -> None:
        """Show the feature state the batch whose commit is under way, after it was restored from the ledger."""
        for stored in self._batch:
            with suppress(ContractError):  # it becomes a dead letter
                self.observe(stored.message)

    def observe(self, message: Message) -> None:
        """Show a message to the feature state; raises ``ContractError`` if it does not fit."""
        stream = self.topic.stream
        if stream is None:
            return
        event = self.topic.contract.decode(message.data, version=message.version)
        self._online.observe(
            stream.name,
            event,
            id=message_id(message.source, message.id),
            event_time=event_time(stream, event, message.event_time),
            known_at=message.known_at,
        )

    def check(self, message: Message) -> None:
        """Refuse a message that does not fit, before it is put on the bus."""
        if message.source.startswith(DIRECT):
            raise ContractError(
                f"sources that begin with {DIRECT!r} are Steward's own", fix="name another source", field="source"
            )
        self.topic.contract.decode(message.data, version=message.version)

    def _refuse(self) -> None:
        """Let everything wait on the bus, where nothing is lost, while something may not be decided."""
        for prepared in self.topic.asks:
            if (refusal := self._decider.refusal(prepared.decision.name)) is not None:
                raise refusal

    def _letter(self, stored: StoredMessage, error: Exception) -> Message:
        return dead_letter(stored, error, consumer=self.topic.name, at=self._clock.now())

    def _asked_by(self, message: Message) -> Sequence[Prepared]:
        return () if message.source.startswith(DIRECT) else self.topic.asks
