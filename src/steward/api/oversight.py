"""The routes for those who look after the whole: what is stopped, and how people answer."""

from __future__ import annotations

from fastapi import APIRouter, Response

from steward.access.permissions import Permission
from steward.api.admission import Calling, Serving
from steward.api.described import reference, responses
from steward.api.reading import json_response
from steward.api.stopping import stops_for

router = APIRouter()


@router.get("/v1/stops", responses=responses(reference("StopsNow"), "The stops that stand, the oldest first"))
async def list_stops(service: Serving, caller: Calling) -> Response:
    """List what is stopped: by whom, why, and who wants it to be lifted."""
    return json_response(stops_for(service, caller.readable()))


@router.get("/v1/people", responses=responses(reference("PeopleReport"), "Each person who answered, by name"))
async def show_people(service: Serving, caller: Calling) -> Response:
    """Tell how people answer: how often and how fast, how often they overrule, and what wrong asks they noticed."""
    await service.runtime.catch_up()
    return json_response(service.runtime.views.people(among=caller.readable(Permission.EXPORT)))
