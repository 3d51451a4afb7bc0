"""The hot routes that take what happened: events and outcomes. They answer once the log has it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from steward.access.permissions import Permission
from steward.api.answers import EventsTaken, OutcomeIn, OutcomeTaken
from steward.api.entrance import Caller
from steward.api.exchange import JSON, Exchange, Reply, strictly
from steward.api.service import Service
from steward.bus import cloudevents
from steward.decision.checks import nearest
from steward.decision.contract import Contract
from steward.errors import NotFound
from steward.runtime.runtime import Runtime

CLOUD_EVENT = cloudevents.STRUCTURED.encode()
CLOUD_EVENTS = cloudevents.BATCHED.encode()
_outcome = msgspec.json.Decoder(OutcomeIn).decode


async def take_events(service: Service, exchange: Exchange) -> Reply:
    """Put CloudEvents on the bus: structured, binary or batched, as the content type says."""
    runtime = service.runtime
    exchange.media_type(CLOUD_EVENT, CLOUD_EVENTS, JSON)
    body = await exchange.body()
    messages = cloudevents.decode(
        exchange.listed, body, known_at=runtime.clock.now(), versions=contract_versions(runtime)
    )
    for topic in {message.topic for message in messages}:
        _require_topic(service, exchange.caller, topic)
    committed = await runtime.publish(messages)
    service.metrics.batch_size.observe(("events",), len(messages))
    new = len(messages) - committed.duplicates
    taken = EventsTaken(accepted=new, duplicates=committed.duplicates, offsets=committed.offsets)
    return Reply(202, msgspec.json.encode(taken))


def _require_topic(service: Service, caller: Caller, topic: str) -> None:
    """Let a caller send to a topic who may ask for all decisions that it feeds, asks for or tells.

    Raises:
        NotFound: Nothing listens to it, or a decision that is not for the caller.
        Denied: The caller may not ask for one of them.
    """
    topics = service.runtime.topics
    fed = topics.get(topic, frozenset())
    if not fed or not all(map(caller.sees, fed)):
        seen = [name for name, decisions in topics.items() if all(map(caller.sees, decisions))]
        raise NotFound(f"nothing listens to {topic!r}", fix=nearest(topic, seen), field="type")
    for decision in sorted(fed):
        caller.require(Permission.INVOKE, decision)


def contract_versions(runtime: Runtime) -> Mapping[str, int]:
    """Return the present version of each topic's contract: what an event without ``dataschema`` is taken to be."""
    versions: dict[str, int] = {}
    for decision in runtime.decisions.values():
        versions[decision.contract.name] = decision.contract.version
        for window in decision.windows:
            versions[window.stream.name] = Contract.of(window.stream.contract).version
        if decision.economics is not None:
            outcome = Contract.of(decision.economics.outcome)
            versions[outcome.name] = outcome.version
    return versions


async def take_outcome(service: Service, exchange: Exchange) -> Reply:
    """Keep an outcome and join it to its decisions."""
    sent = strictly(_outcome, await exchange.json())
    exchange.caller.require(Permission.INVOKE, sent.decision)
    joined = await service.runtime.observe(
        sent.decision, bytes(sent.outcome), outcome_id=sent.outcome_id, decision_id=sent.decision_id
    )
    return Reply(200, msgspec.json.encode(OutcomeTaken(joined=joined)))
