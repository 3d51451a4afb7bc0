"""The routes about effects: what did not come through, and what people and devices say about a run under way."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from msgspec import UNSET, UnsetType

from steward.access.identity import Kind
from steward.api.admission import Calling, Serving, reads, run_id
from steward.api.answers import EventsTaken, Reasoning, RedriveIn, SignalIn
from steward.api.described import RUN_DOCUMENT, JsonSchema, body, reference, responses
from steward.api.entrance import Caller
from steward.api.reading import Limit, json_response, run_response

router = APIRouter()
_PROBLEMS = [403, 404, 408, 409, 413, 415, 422, 431]
_RUN = responses(reference(RUN_DOCUMENT), "The decision as it stands now", _PROBLEMS)


def _takes(struct: type[object]) -> JsonSchema:
    return {"requestBody": body(reference(struct.__name__))}


def _speaker(caller: Caller, named: str | UnsetType) -> str:
    """Return who sends a signal: a person, or the device or service itself."""
    if caller.is_local or caller.identity.kind is Kind.PERSON or named not in (UNSET, caller.identity.id):
        return caller.person(named)
    return caller.identity.id


@router.post("/v1/decisions/{decision_id}/redrive", responses=_RUN, openapi_extra=_takes(RedriveIn))
async def redrive(
    service: Serving, caller: Calling, decision_id: str, sent: Annotated[RedriveIn, reads(RedriveIn)]
) -> Response:
    """Let a failed or halted run go on, its tries counted anew."""
    by, adopt = caller.person(sent.by), sent.adopt_current_code
    run = await service.runtime.redrive(run_id(decision_id), by=by, reason=sent.reason, adopt_current_code=adopt)
    return run_response(service, run)


@router.post("/v1/decisions/{decision_id}/abort", responses=_RUN, openapi_extra=_takes(Reasoning))
async def abort(
    service: Serving, caller: Calling, decision_id: str, sent: Annotated[Reasoning, reads(Reasoning)]
) -> Response:
    """End a run under way; what was done is taken back in reverse order."""
    return run_response(
        service, await service.runtime.abort(run_id(decision_id), by=caller.person(sent.by), reason=sent.reason)
    )


@router.post("/v1/decisions/{decision_id}/signals/{signal}", responses=_RUN, openapi_extra=_takes(SignalIn))
async def signal(
    service: Serving, caller: Calling, decision_id: str, signal: str, sent: Annotated[SignalIn, reads(SignalIn)]
) -> Response:
    """Tell a run what it waits for, or will wait for."""
    by = _speaker(caller, sent.by)
    return run_response(service, await service.runtime.signal(run_id(decision_id), signal, sent.payload, by=by))


@router.get("/v1/dead-letters", responses=responses(reference("DeadLettersNow"), "The newest first", [422]))
async def list_dead_letters(service: Serving, caller: Calling, limit: Limit = 100) -> Response:
    """List what did not come through: runs that failed, halt or are in doubt, and events that nobody could handle."""
    return json_response(await service.runtime.dead_letters.now(limit, among=caller.readable()))


@router.post(
    "/v1/dead-letters/{offset}/redrive",
    responses=responses(reference("EventsTaken"), "The event is on its topic again", _PROBLEMS),
    openapi_extra=_takes(Reasoning),
)
async def redrive_letter(
    service: Serving,
    caller: Calling,
    offset: Annotated[int, Path(ge=0, lt=2**48)],
    sent: Annotated[Reasoning, reads(Reasoning)],
) -> Response:
    """Publish a dead event once more, now that its contract or consumer is mended."""
    taken = await service.runtime.dead_letters.redrive(offset, by=caller.person(sent.by), reason=sent.reason)
    accepted = len(taken.offsets) - taken.duplicates
    return json_response(EventsTaken(accepted=accepted, duplicates=taken.duplicates, offsets=taken.offsets))
