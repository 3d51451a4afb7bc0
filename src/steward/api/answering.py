"""The routes on which people answer: approvals, and taking an action back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response

from steward.api import desk
from steward.api.admission import Calling, Serving, TheRun, reads, run_id
from steward.api.answers import PersonsAnswer
from steward.api.described import RUN_DOCUMENT, JsonSchema, array_of, body, reference, responses
from steward.api.reading import Limit, json_response, run_response
from steward.loop.asks import Approval

router = APIRouter()
_PROBLEMS = [403, 404, 408, 409, 413, 415, 422, 431]
_ANSWER = responses(reference(RUN_DOCUMENT), "The decision as it stands now", _PROBLEMS)


def _takes(struct: type[object]) -> JsonSchema:
    return {"requestBody": body(reference(struct.__name__))}


@router.get("/v1/approvals", responses=responses(array_of("Approval"), "The next deadline first", [422]))
async def list_approvals(service: Serving, caller: Calling, limit: Limit = 100) -> Response:
    """List the decisions that wait for people: what, why, the money at stake, until when, and who has agreed."""
    return json_response(await service.runtime.approvals(limit, among=caller.readable()))


@router.get(
    "/v1/approvals/{decision_id}",
    responses=responses(reference("Approval"), "What is asked, and how far it has come", [404, 409]),
)
async def show_approval(service: Serving, run: TheRun, decision_id: str) -> Response:
    """Show what people are or were asked in one decision."""
    return json_response(Approval.of(run, is_stopped=service.runtime.stops.is_stopped(run.record.decision)))


def _offer(name: str, way: desk.Way) -> None:
    read = reads(way.takes)

    async def answer(service: Serving, caller: Calling, decision_id: str, sent: Any = read) -> Response:
        return run_response(service, await desk.answer(service, caller, name, run_id(decision_id), sent))

    path, takes = f"/v1/approvals/{{decision_id}}/{name}", _takes(way.takes)
    router.post(path, name=name, description=way.about, responses=_ANSWER, openapi_extra=takes)(answer)


for _name, _way in desk.WAYS.items():
    _offer(_name, _way)


@router.post("/v1/decisions/{decision_id}/undo", responses=_ANSWER, openapi_extra=_takes(PersonsAnswer))
async def undo(
    service: Serving, caller: Calling, decision_id: str, sent: Annotated[PersonsAnswer, reads(PersonsAnswer)]
) -> Response:
    """Take back what a decision's action did."""
    by = caller.person(sent.by)
    return run_response(service, await service.runtime.undo(run_id(decision_id), by=by, reason=sent.reason))
