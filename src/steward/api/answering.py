"""The routes on which a person answers: approvals, and taking an action back."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from steward.api.admission import Calling, Serving, run_id, service_of
from steward.api.answers import PersonsAnswer, run_document
from steward.api.described import RUN_DOCUMENT, array_of, body, reference, responses
from steward.api.exchange import Exchange, strictly
from steward.api.reading import Limit, json_response
from steward.ledger.run import Run

router = APIRouter()
_decode = msgspec.json.Decoder(PersonsAnswer).decode
_PROBLEMS = [403, 404, 408, 409, 413, 415, 422, 431]
_ANSWER = responses(reference(RUN_DOCUMENT), "The decision as it stands now", _PROBLEMS)
_BODY = {"requestBody": body(reference("PersonsAnswer"))}


async def persons_answer(request: Request) -> PersonsAnswer:
    """Read who answers and why, as strictly as an event."""
    limit_bytes = service_of(request).runtime.settings.max_body_bytes
    exchange = Exchange(request.scope["headers"], limit_bytes=limit_bytes, receive=request.receive)
    return strictly(_decode, await exchange.json())


Answering = Annotated[PersonsAnswer, Depends(persons_answer)]


def _shown(run: Run) -> Response:
    return Response(run_document(run), media_type="application/json")


@router.get("/v1/approvals", responses=responses(array_of("ApprovalRow"), "The next deadline first", [422]))
async def list_approvals(service: Serving, caller: Calling, limit: Limit = 100) -> Response:
    """List the decisions that wait for a person: what, why, the money at stake, and until when."""
    await service.runtime.catch_up()
    return json_response(service.runtime.views.waiting(limit, among=caller.readable()))


@router.post("/v1/approvals/{decision_id}/approve", responses=_ANSWER, openapi_extra=_BODY)
async def approve(service: Serving, caller: Calling, decision_id: str, sent: Answering) -> Response:
    """Agree to a decision that waits; its action is then due."""
    by = caller.person(sent.by)
    run = await service.runtime.approve(run_id(decision_id), by=by, reason=sent.reason, evidence=sent.evidence)
    return _shown(run)


@router.post("/v1/approvals/{decision_id}/reject", responses=_ANSWER, openapi_extra=_BODY)
async def reject(service: Serving, caller: Calling, decision_id: str, sent: Answering) -> Response:
    """Refuse a decision that waits; the gate's `otherwise` is done instead."""
    by = caller.person(sent.by)
    run = await service.runtime.reject(run_id(decision_id), by=by, reason=sent.reason, evidence=sent.evidence)
    return _shown(run)


@router.post("/v1/decisions/{decision_id}/undo", responses=_ANSWER, openapi_extra=_BODY)
async def undo(service: Serving, caller: Calling, decision_id: str, sent: Answering) -> Response:
    """Take back what a decision's action did."""
    by = caller.person(sent.by)
    return _shown(await service.runtime.undo(run_id(decision_id), by=by, reason=sent.reason))
