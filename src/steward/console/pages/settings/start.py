"""Where the settings begin: what can be set where, and how each stands, in one sentence."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from fastapi import APIRouter, Response

from steward.access.permissions import Permission
from steward.console.declared import listed
from steward.console.pages.settings.notifications import missing
from steward.console.view import Looking, View

router = APIRouter()
ENDS_SOON: Final = timedelta(days=14)
"""A key that ends within this is told as one that ends soon."""


@router.get("/settings")
async def settings(view: Looking) -> Response:
    """Show what can be set, and how it stands."""
    return await view.page("settings_start.html", office=view.may(Permission.ADMINISTER, ""), states=_states(view))


def ends_soon(expires_at: datetime, now: datetime) -> bool:
    """Tell whether a key ends so soon that it should be replaced."""
    return expires_at - now < ENDS_SOON


def _states(view: View) -> dict[str, str]:
    directory, now = view.runtime.guard.directory, view.now
    readable = [decision for name, decision in view.runtime.decisions.items() if view.may(Permission.READ, name)]
    gated = sum(decision.gate is not None for decision in readable)
    soon = sum(ends_soon(key.expires_at, now) for key in directory.keys.values())
    people = len(directory.identities)
    return {
        "people": f"{people} enrolled" if people else "Nobody is enrolled: everybody at this machine may do everything",
        "keys": f"{len(directory.keys)} good keys" + (f", {soon} of them end soon" if soon else ""),
        "gates": f"{gated} of {len(readable)} decisions ask a person in some cases",
        "notifications": _told(view),
        "rights": "Cedar policies decide" if view.runtime.settings.policies else "The built-in table of roles decides",
        "system": f"The ledger is kept by {listed([view.runtime.settings.ledger.partition(':')[0]])}",
    }


def _told(view: View) -> str:
    book = view.runtime.book
    if book is None:
        return "No address book: nobody is told what needs them"
    gaps = len(missing(view))
    return f"{len(book.groups)} groups can be told" + (f", {gaps} cannot" if gaps else "")
