"""The routes on which a stored decision is decided again with other features."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Response
from msgspec import UNSET

from steward.api.admission import Serving, TheRun, reads
from steward.api.answers import CounterfactualsIn, WhatIfIn
from steward.api.described import body, reference, responses
from steward.api.reading import json_response

router = APIRouter()


@router.post(
    "/v1/decisions/{decision_id}/what-if",
    responses=responses(
        reference("Redecided"), "What would have been decided", [403, 404, 408, 409, 413, 415, 422, 431]
    ),
    openapi_extra={"requestBody": body(reference(WhatIfIn.__name__))},
)
async def what_if(
    service: Serving, run: TheRun, decision_id: str, sent: Annotated[WhatIfIn, reads(WhatIfIn)]
) -> Response:
    """Decide a stored decision again with other features; nothing is written, and nothing is done."""
    whatif = service.runtime.whatif
    found = await whatif.decide(run.record, sent.changes)
    if sent.flips is not UNSET:
        flips = await whatif.flips(run.record, sent.flips, sent.changes)
        found = msgspec.structs.replace(found, flips=flips)
    return json_response(found)


@router.post(
    "/v1/decisions/{decision_id}/counterfactuals",
    responses=responses(
        reference("WouldHaveChanged"), "What would have changed the choice", [403, 404, 408, 409, 413, 415, 422, 431]
    ),
    openapi_extra={"requestBody": body(reference(CounterfactualsIn.__name__))},
)
async def counterfactuals(
    service: Serving, run: TheRun, decision_id: str, sent: Annotated[CounterfactualsIn, reads(CounterfactualsIn)]
) -> Response:
    """Look for the smallest changes that change a stored decision's choice; nothing is written, and nothing is done."""
    search = service.runtime.counterfactuals
    return json_response(await search.find(run.record, toward=sent.toward, features=sent.features, most=sent.most))
