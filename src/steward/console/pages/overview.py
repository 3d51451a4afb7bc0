"""The overview: how it goes, in one sentence, and what needs somebody first."""

from __future__ import annotations

from fastapi import APIRouter, Response

from steward.console.view import Looking

router = APIRouter()


@router.get("/")
async def overview(view: Looking) -> Response:
    """Show how it goes."""
    return await view.page("overview.html")
