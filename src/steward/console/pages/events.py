"""The stream that keeps pages up to date; see :mod:`steward.console.live`."""

from __future__ import annotations

from fastapi import APIRouter, Response

from steward.api.admission import Calling
from steward.console.live import EVENTS_PATH
from steward.console.view import Looking

router = APIRouter()


@router.get(EVENTS_PATH)
async def events(view: Looking, caller: Calling, show: str = "") -> Response:
    """Send what changes in the parts that ``show`` names, with commas between them."""
    return view.console.live.stream(view.service, caller, view.zone, show.split(","))
