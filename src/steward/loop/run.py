"""Run: the one function that decides, for a batch of events. HTTP, bus, timer and replay are doors to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType

from steward.clock import Clock
from steward.decision.choice import Choice
from steward.decision.feature import Features
from steward.entries import Failed
from steward.errors import ContractError, StewardError
from steward.ledger.port import Draft
from steward.loop.act import facts
from steward.loop.choose import expected_value
from steward.loop.encode import draft, encode
from steward.loop.gate import ask
from steward.loop.predict import NOTHING, Predictions
from steward.loop.prepare import Prepared
from steward.loop.receive import Incoming, provenance
from steward.loop.seeded import seeded
from steward.records import GateFacts, Money, PolicyFacts, Prediction, Record, Status

Pick = Callable[[Any, str], Prepared]
"""Says which release decides an event, where several have a share; takes the event and its id."""
Observe = Callable[[Any, Incoming, str, datetime], None]
"""Shows an event of a decision's own stream to the feature state before it is featurized."""


_AFTERWARDS = frozenset({"predict", "choose", "gate"})


class Answer(Struct, frozen=True):
    """A durable answer.

    Attributes:
        record: The standard wrapper.
        index: Where its entry stands in the ledger.
        body: The entry's bytes.
        replayed: Whether it was stored before, for the same idempotency key.
    """

    record: Record
    index: int
    body: bytes
    replayed: bool = False

    def json(self) -> bytes:
        """Return the record as JSON with its ledger index; spliced, as the body is encoded already."""
        return b'%b,"ledger_index":%d}}' % (self.body[:-2], self.index)


class Work(Struct):
    """One event on its way through the stages, by one release; ``failed`` names the stage that stopped it."""

    prepared: Prepared
    incoming: Incoming
    run_id: UUID
    event_id: str
    event: Any = None
    features: Features | None = None
    error: StewardError | None = None
    failed: str = ""
    record: Record | None = None
    drafts: tuple[Draft, ...] = ()
    index: int = -1

    def stop(self, stage: str, error: Exception) -> None:
        """Remember why this run ends here."""
        self.failed = stage
        # A contract that is broken after the event was taken in is broken by the decision's own code.
        if isinstance(error, StewardError) and not (isinstance(error, ContractError) and stage in _AFTERWARDS):
            self.error = error
        else:
            self.error = StewardError(
                f"{stage} failed: {'' if isinstance(error, StewardError) else type(error).__name__ + ': '}{error}",
                fix="mend the decision's code; the event is kept in the ledger's failed entry",
                code=f"{stage}-failed",
            )
            self.error.__cause__ = error


def begin(
    prepared: Prepared, incoming: Incoming, clock: Clock, observe: Observe | None = None, pick: Pick | None = None
) -> Work:
    """Receive and featurize one event, at the moment it is known; ``pick`` may give it to another release."""
    run_id = clock.new_id()
    work = Work(prepared, incoming, run_id, incoming.event_id or str(run_id))
    stage = "receive"
    try:
        work.event = event = prepared.receive(incoming)
        if pick is not None:
            work.prepared = prepared = pick(event, work.event_id)
        stage = "featurize"
        at = incoming.event_time or clock.now()
        if observe is not None:
            observe(event, incoming, work.event_id, at)
        work.features = prepared.featurize(event, at)
    except Exception as error:
        work.stop(stage, error)
    return work


async def finish(works: Sequence[Work], clock: Clock) -> None:
    """Predict, choose and weigh a batch; each work gets its record or its error, and the entries that say so."""
    alive = [work for work in works if work.error is None]
    if alive:
        first = alive[0].prepared
        if all(work.prepared is first for work in alive):
            await _timed(first, alive, clock)
        else:
            await asyncio.gather(*(_timed(prepared, group, clock) for prepared, group in _by_release(alive)))
    for work in works:
        # What does not fit its contract never became an event: its sender is told, the ledger is not.
        if work.error is not None and not isinstance(work.error, ContractError):
            work.drafts = (_failed(work.prepared, work, clock.now()),)


def _by_release(works: Sequence[Work]) -> Iterable[tuple[Prepared, list[Work]]]:
    groups: dict[int, tuple[Prepared, list[Work]]] = {}
    for work in works:
        groups.setdefault(id(work.prepared), (work.prepared, []))[1].append(work)
    return groups.values()


async def _timed(prepared: Prepared, works: Sequence[Work], clock: Clock) -> None:
    """Decide, and tell how long that took if somebody compares releases."""
    if prepared.pace is None:
        await _decide(prepared, works, clock)
        return
    started = clock.now()
    await _decide(prepared, works, clock)
    prepared.pace(clock.now() - started, len(works))


async def _decide(prepared: Prepared, works: Sequence[Work], clock: Clock) -> None:
    now = clock.now()
    try:
        predictions: Predictions = await prepared.predict([work.features or Features() for work in works])
    except Exception as error:
        predictions = [error] * len(works)
    choose = prepared.choose
    for work, prediction in zip(works, predictions, strict=True):
        if isinstance(prediction, Exception):
            _rescue(prepared, work, prediction, now)
            continue
        features = work.features
        assert features is not None
        stage = "choose"
        try:
            choice = choose(features, prediction)
            stage = "gate"
            gate = prepared.weigh(features, prediction, choice.value, now) if prepared.weigh else UNSET
            worth = expected_value(prepared.decision, features, prediction, choice.value)
            record = _record(work, prediction, choice, gate=gate, worth=worth, now=now)
            work.drafts = _drafts(record, work.incoming.key, prepared.author)
            if record.status is Status.WAITING:
                work.drafts += seeded(prepared, record, features, prediction, clock)
            work.record = record
        except Exception as error:
            work.stop(stage, error)


def _rescue(prepared: Prepared, work: Work, error: Exception, now: datetime) -> None:
    """Do what is declared for where no model answers; without that, or if it fails too, the run ends here."""
    try:
        features = work.features or Features()
        rescued = None if prepared.rescue is None else prepared.rescue(features, error, now)
        if rescued is None:
            work.stop("predict", error)
            return
        work.record = _record(work, NOTHING, rescued.choice, gate=rescued.gate, worth=None, now=now)
        work.drafts = _drafts(work.record, work.incoming.key, prepared.author)
    except Exception as failed:
        work.stop("choose", failed)


def _drafts(record: Record, key: str | None, author: str) -> tuple[Draft, ...]:
    body = encode(record)
    decided = Draft("decided", record.decision_id, body, key)
    if record.status is not Status.WAITING:
        return (decided,)
    return (decided, *(draft(*keyed) for keyed in ask(record, body, author=author)))


def _record(
    work: Work,
    prediction: Prediction[Any],
    choice: Choice[Any],
    *,
    gate: GateFacts | UnsetType,
    worth: Money | None,
    now: datetime,
) -> Record:
    prepared, incoming, features = work.prepared, work.incoming, work.features
    decision = prepared.decision
    assert features is not None
    waiting = gate is not UNSET and gate.needed
    value = choice.value
    return Record(
        decision_id=work.run_id,
        decision=decision.name,
        release=prepared.release,
        decided_at=now,
        status=Status.WAITING if waiting else Status.DECIDED,
        event=work.event,
        features=features,
        choice=value,
        reasons=(*prediction.reasons, *choice.reasons) if prediction.reasons else choice.reasons,
        propensity=choice.propensity,
        policy=PolicyFacts(prepared.policy_hash, choice.rule or UNSET),
        prediction=UNSET if prediction.value is None else prediction.value,
        confidence=UNSET if prediction.confidence is None else prediction.confidence,
        interval=prediction.interval or UNSET,
        probabilities=UNSET if prediction.probabilities is None else dict(prediction.probabilities),
        labels=UNSET if prediction.labels is None else prediction.labels,
        calibration=prediction.calibration or UNSET,
        attribution=UNSET if prediction.attribution is None else dict(prediction.attribution),
        model_id=prediction.model_id or UNSET,
        model_version=prediction.model_version or UNSET,
        model_hash=prediction.model_hash or UNSET,
        serving=prediction.serving or UNSET,
        gate=gate,
        action=UNSET if decision.action is None else facts(decision, work.run_id),
        expected_value=worth or UNSET,
        cost=prediction.cost or UNSET,
        outcome_key=prepared.outcome_key(work.event) if prepared.outcome_key else UNSET,
        context=UNSET if incoming.context is None else dict(incoming.context),
        rollout=prepared.rollout,
        development=prepared.development,
        provenance=provenance(incoming, prepared.contract, work.event_id),
    )


def _failed(prepared: Prepared, work: Work, now: datetime) -> Draft:
    assert work.error is not None
    body = Failed(
        decision_id=work.run_id,
        decision=prepared.decision.name,
        at=now,
        stage=work.failed,
        code=work.error.code,
        reason=f"{work.error} (event {work.event_id} of {work.incoming.source})",
        release=prepared.release,
        rollout=prepared.rollout,
    )
    return Draft("failed", work.run_id, encode(body))
