"""Every component on one page, with made-up data: what somebody who builds a page chooses from."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from steward.console import made_up
from steward.console.sheets import Sheet
from steward.console.view import THEMES, Looking, View
from steward.records import Status

router = APIRouter()


@router.get("/dev/components")
async def components(view: Looking) -> Response:
    """Show every component, in the theme that the URL names."""
    theme = view.parameters.get("theme", "")
    return await view.page(
        "components.html",
        theme=theme if theme in THEMES else "",
        statuses=tuple(Status),
        made=made_up,
        sheet=made_up.table().arranged(view.parameters),
        nothing=made_up.table("made-up-nothing", "No decisions", ()),
        proofs=[made_up.proof(5, 8), made_up.proof(1_709, 5_000), made_up.proof(0, 1)],
    )


async def _table(view: View) -> Sheet[Any]:
    return made_up.table()


async def _day(view: View) -> Sheet[Any]:
    return made_up.day().sheet()


SOURCES = {"made-up": _table, "made-up-day": _day}
