"""The docs page: Swagger UI, kept in the package, so that it works offline and under a strict policy.

``swagger/MANIFEST.json`` names where its files come from and the SHA-256 of each; a test compares them.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response

from steward.errors import NotFound

router = APIRouter(include_in_schema=False)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {
    "index.html": "text/html",
    "start.js": "text/javascript",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_HEADERS = {"content-security-policy": POLICY, "referrer-policy": "no-referrer", "cache-control": "no-cache"}


@cache
def _read(name: str) -> bytes:
    return files("steward.api").joinpath("swagger", name).read_bytes()


@router.get("/docs")
async def docs_page() -> Response:
    """Show the docs page."""
    return await docs_file("index.html")


@router.get("/docs/{name}")
async def docs_file(name: str) -> Response:
    """Serve one of its files."""
    if name not in _TYPES:
        raise NotFound(f"the docs page has no file {name!r}", fix="open /docs", code="http.not-found")
    return Response(_read(name), media_type=_TYPES[name], headers=_HEADERS)
