"""The routes on which people answer: approvals, and taking an action back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response

from steward.api.admission import Calling, Serving, TheRun, reads, run_id
from steward.api.answers import ChangeIn, EscalationIn, PersonsAnswer, QuestionIn, ReplyIn, SnoozeIn
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


@router.post("/v1/approvals/{decision_id}/approve", responses=_ANSWER, openapi_extra=_takes(PersonsAnswer))
async def approve(
    service: Serving, caller: Calling, decision_id: str, sent: Annotated[PersonsAnswer, reads(PersonsAnswer)]
) -> Response:
    """Agree to a decision that waits; with the last one needed, its action is due."""
    by, answers = caller.person(sent.by), service.runtime.answers
    run = await answers.approve(
        run_id(decision_id), by=by, reason=sent.reason, evidence=sent.evidence, groups=caller.teams
    )
    return run_response(service, run)


@router.post("/v1/approvals/{decision_id}/reject", responses=_ANSWER, openapi_extra=_takes(PersonsAnswer))
async def reject(
    service: Serving, caller: Calling, decision_id: str, sent: Annotated[PersonsAnswer, reads(PersonsAnswer)]
) -> Response:
    """Refuse a decision that waits; the gate's `otherwise` is done instead."""
    by, answers = caller.person(sent.by), service.runtime.answers
    run = await answers.reject(
        run_id(decision_id), by=by, reason=sent.reason, evidence=sent.evidence, groups=caller.teams
    )
    return run_response(service, run)


@router.post("/v1/approvals/{decision_id}/change", responses=_ANSWER, openapi_extra=_takes(ChangeIn))
async def change(
    service: Serving, caller: Calling, decision_id: str, sent: Annotated[ChangeIn, reads(ChangeIn)]
) -> Response:
    """Put a choice of your own in the place of what is asked, within the gate's limits; it is recorded as yours."""
    by, answers = caller.person(sent.by), service.runtime.answers
    run = await answers.change(
        run_id(decision_id), sent.choice, by=by, reason=sent.reason, evidence=sent.evidence, groups=caller.teams
    )
    return run_response(service, run)


@router.post("/v1/approvals/{decision_id}/question", responses=_ANSWER, openapi_extra=_takes(QuestionIn))
async def question(
    service: Serving, caller: Calling, decision_id: str, sent: Annotated[QuestionIn, reads(QuestionIn)]
) -> Response:
    """Ask back before you answer; the deadline stays."""
    by, answers = caller.person(sent.by), service.runtime.answers
    return run_response(
        service, await answers.question(run_id(decision_id), by=by, reason=sent.question, groups=caller.teams)
    )


@router.post("/v1/approvals/{decision_id}/reply", responses=_ANSWER, openapi_extra=_takes(ReplyIn))
async def reply(
    service: Serving, caller: Calling, decision_id: str, sent: Annotated[ReplyIn, reads(ReplyIn)]
) -> Response:
    """Reply to the open question of those who are asked."""
    by, answers = caller.person(sent.by), service.runtime.answers
    return run_response(service, await answers.reply(run_id(decision_id), by=by, reason=sent.reply))


@router.post("/v1/approvals/{decision_id}/escalate", responses=_ANSWER, openapi_extra=_takes(EscalationIn))
async def escalate(
    service: Serving, caller: Calling, decision_id: str, sent: Annotated[EscalationIn, reads(EscalationIn)]
) -> Response:
    """Have others asked too: the next of the gate's ladder, or one of it by name."""
    by, answers = caller.person(sent.by), service.runtime.answers
    run = await answers.escalate(run_id(decision_id), to=sent.to, by=by, reason=sent.reason, groups=caller.teams)
    return run_response(service, run)


@router.post("/v1/approvals/{decision_id}/snooze", responses=_ANSWER, openapi_extra=_takes(SnoozeIn))
async def snooze(
    service: Serving, caller: Calling, decision_id: str, sent: Annotated[SnoozeIn, reads(SnoozeIn)]
) -> Response:
    """Do not be reminded before some time; the deadline stays."""
    by, answers = caller.person(sent.by), service.runtime.answers
    run = await answers.snooze(run_id(decision_id), until=sent.until, by=by, reason=sent.reason, groups=caller.teams)
    return run_response(service, run)


@router.post("/v1/decisions/{decision_id}/undo", responses=_ANSWER, openapi_extra=_takes(PersonsAnswer))
async def undo(
    service: Serving, caller: Calling, decision_id: str, sent: Annotated[PersonsAnswer, reads(PersonsAnswer)]
) -> Response:
    """Take back what a decision's action did."""
    by = caller.person(sent.by)
    return run_response(service, await service.runtime.undo(run_id(decision_id), by=by, reason=sent.reason))
