"""The routes that verify the running server's whole ledger."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response

from steward.api.admission import Serving
from steward.api.described import answer, problems, reference
from steward.api.reading import json_response
from steward.api.verification import Verification

router = APIRouter()
PATH: Final = "/v1/ledger/verification"


_FAILS = problems(400, 401, 403, 421, 429, 500, 503)
_KNOWN = answer("What is known", reference("Verification"))


@router.get(PATH, responses={200: _KNOWN, **_FAILS})
async def show_verification(service: Serving) -> Response:
    """Tell what the last verification of the whole ledger has found, and how far one under way is."""
    return json_response(Verification.of(service.runtime.audit), {"cache-control": "no-store"})


@router.post(PATH, status_code=202, responses={202: answer("It is under way", reference("Verification")), **_FAILS})
async def begin_verification(service: Serving) -> Response:
    """Begin to verify the whole ledger in the background, unless that is under way; look at it with GET."""
    service.runtime.audit.begin()
    response = json_response(Verification.of(service.runtime.audit), {"cache-control": "no-store", "location": PATH})
    response.status_code = 202
    return response
