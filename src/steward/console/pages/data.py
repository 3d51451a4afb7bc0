"""The rows behind every table and chart, as files."""

from __future__ import annotations

from fastapi import APIRouter, Response

from steward.console.sheets import MEDIA_TYPES
from steward.console.view import Looking

router = APIRouter()


@router.get("/data/{name}.{ending}")
async def download(view: Looking, name: str, ending: str) -> Response:
    """Return a table as JSON, CSV or Parquet, searched and sorted as the page's URL says."""
    sheet = (await view.console.sheet(view, name)).arranged(view.parameters)
    headers = {"cache-control": "no-store"}
    body = sheet.written(ending)
    if ending != "json":
        headers["content-disposition"] = f'attachment; filename="{name}.{ending}"'
    return Response(body, media_type=MEDIA_TYPES[ending], headers=headers)
