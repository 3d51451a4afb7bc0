"""The hot routes that decide: one event, or an array of them."""

from __future__ import annotations

import msgspec

from steward.api.answers import Accepted
from steward.api.exchange import Exchange, Reply
from steward.api.headers import idempotency_key, prefers_async, trace_id
from steward.api.problems import problem
from steward.api.service import Service
from steward.errors import ContractError, StewardError
from steward.loop.run import Answer
from steward.runtime.parts import Origin
from steward.wire import check_bounds, read

_REPLAYED = (b"idempotency-replayed", b"true")
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


async def decide(service: Service, exchange: Exchange, name: str) -> Reply:
    """Decide one event and answer with its durable record."""
    body = await exchange.json()
    headers = exchange.headers
    sent_key = headers.get(b"idempotency-key")
    key = None if sent_key is None else idempotency_key(sent_key)
    answer = await service.runtime.decide(name, body, origin=_origin(exchange), key=key)
    if answer.replayed:
        service.metrics.replayed.add((name,))
    else:
        service.metrics.decisions.add((name, answer.record.status))
    if b"prefer" in headers and prefers_async(headers[b"prefer"]):
        return _accepted(answer)
    return Reply(200, answer.json(), headers=(_REPLAYED,) if answer.replayed else ())


def _origin(exchange: Exchange) -> Origin:
    parent = exchange.headers.get(b"traceparent")
    return exchange.caller.origin(None if parent is None else trace_id(parent))


def _accepted(answer: Answer) -> Reply:
    record = answer.record
    location = f"/v1/decisions/{record.decision_id}"
    body = Accepted(decision_id=record.decision_id, status=record.status, location=location)
    headers = ((b"location", location.encode()), (b"preference-applied", b"respond-async"))
    return Reply(202, msgspec.json.encode(body), headers=(*headers, _REPLAYED) if answer.replayed else headers)


async def decide_batch(service: Service, exchange: Exchange, name: str) -> Reply:
    """Decide an array of events; each element of the answer is the record or the problem of its event."""
    body = await exchange.json()
    if b"idempotency-key" in exchange.headers:
        raise ContractError(
            "an idempotency key stands for one decision, not for a batch",
            fix="send the events one by one, each with its key, or as CloudEvents, which have an id each",
            code="idempotency-key-malformed",
            field="Idempotency-Key",
        )
    events = _elements(body, service.runtime.settings.max_batch)
    answers = await service.runtime.decide_batch(name, events, origin=_origin(exchange)) if events else []
    service.metrics.batch_size.observe(("decide-batch",), len(events))
    return Reply(200, b"[%b]" % b",".join([_element(service, name, answer) for answer in answers]))


def _elements(body: bytes, limit: int) -> list[bytes]:
    check_bounds(body, max_bytes=len(body))
    events = read(_split, body)
    if len(events) > limit:
        raise ContractError(
            f"{len(events):,} events are more than the {limit:,} of a batch",
            fix="send several batches, or raise the setting max_batch",
            code="http.too-large",
        )
    return [bytes(event) for event in events]


def _element(service: Service, name: str, answer: Answer | StewardError) -> bytes:
    if isinstance(answer, StewardError):
        told = problem(answer)
        service.metrics.errors.add((told.code,))
        return msgspec.json.encode(told)
    service.metrics.decisions.add((name, answer.record.status))
    return answer.json()
