"""The words of the trade, each in one sentence."""

from __future__ import annotations

from fastapi import APIRouter, Response

from steward.console.view import Looking

router = APIRouter()


@router.get("/glossary")
async def glossary(view: Looking) -> Response:
    """Show all words, in the alphabet's order."""
    return await view.page("glossary.html")
