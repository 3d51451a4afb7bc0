"""The stop switch: two steps to stop what is dispatched, and two people to let it go on."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Response
from msgspec import Struct

from steward.api.admission import Calling
from steward.api.answers import StopIn
from steward.api.problems import problem
from steward.api.service import Service
from steward.api.stopping import lift, press, stops_for
from steward.console.audience import Audience, Fragment
from steward.console.forms import sends
from steward.console.view import Looking, View, back_to
from steward.errors import Conflict, ContractError, EngineError, StewardError

router = APIRouter()
_MAX_REASON_LETTERS: Final = 2_000


class Pressed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to be stopped, or to go on.

    Attributes:
        decision: Which one; ``*`` is every decision.
        reason: Why.
        back: The page to go back to.
    """

    decision: str = ""
    reason: str = ""
    back: str = "/"


@router.get("/stop")
async def stop_page(view: Looking) -> Response:
    """Show what is stopped, and what can be."""
    return await _shown(view, Pressed())


@router.post("/stop")
async def stop(view: Looking, caller: Calling, sent: Annotated[Pressed, sends(Pressed)]) -> Response:
    """Dispatch nothing more for a decision, or for any."""
    try:
        await press(view.runtime, caller, _wanted(view, sent))
    except (ContractError, EngineError) as error:
        return await _shown(view, sent, error)
    return back_to(sent.back)


@router.post("/resume")
async def resume(view: Looking, caller: Calling, sent: Annotated[Pressed, sends(Pressed)]) -> Response:
    """Want a stop to be lifted; with the second person it is."""
    try:
        await lift(view.runtime, caller, _wanted(view, sent))
    except (ContractError, EngineError, Conflict) as error:
        return await _shown(view, sent, error, resuming=sent.decision)
    return back_to(sent.back)


def stops_told(service: Service, readable: Collection[str] | None) -> str:
    """Return a text that changes with what is stopped, and tells nothing of it: tabs then ask for themselves.

    What a bar says differs from one person to the next, so it is not sent to all who read the same.
    """
    return hashlib.sha256(msgspec.json.encode(stops_for(service, readable))).hexdigest()[:12]


async def _told(audience: Audience) -> str:
    return stops_told(audience.service, audience.readable)


FRAGMENTS: Final[Mapping[str, Fragment]] = {"stops-told": _told}
"""What each page waits for to show its bar of stops anew."""


def _wanted(view: View, sent: Pressed) -> StopIn:
    if not sent.decision:
        raise ContractError("nothing was chosen", fix="choose what is meant", field="decision")
    if not 0 < len(sent.reason) <= _MAX_REASON_LETTERS:
        raise ContractError(
            f"a reason has 1 to {_MAX_REASON_LETTERS:,} letters", fix="say why: it is kept for ever", field="reason"
        )
    return StopIn(decision=sent.decision, reason=sent.reason, by=view.acting)


async def _shown(view: View, typed: Pressed, error: StewardError | None = None, *, resuming: str = "") -> Response:
    told = None if error is None else problem(error)
    status = 200 if told is None else told.status
    return await view.page("stop.html", status=status, typed=typed, wrong=told, resuming=resuming)
