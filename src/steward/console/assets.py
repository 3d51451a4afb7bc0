"""The console's own files: styles, scripts and what is vendored, served under names that change with their content.

``static/vendor/MANIFEST.json`` says where the vendored files come from and the SHA-256 of each; a test compares them.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from fastapi import APIRouter, Request, Response

from steward.errors import NotFound

router = APIRouter(include_in_schema=False)
_ROOT: Final = files("steward.console").joinpath("static")
_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "woff2": "font/woff2",
    "svg": "image/svg+xml",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_VENDORED: Final = "vendor/"
_IMPORT: Final = re.compile(r'(^import\s+|\bfrom\s+)"\./([\w-]+\.js)"', re.MULTILINE)
_SQUEEZED: Final = frozenset({"css", "js"})
STYLES: Final = "app.css"
"""All style sheets in one: those of ``static/css`` in the order of their names."""


class Asset(NamedTuple):
    """One file as it is served.

    Example:
        >>> asset(STYLES).media_type
        'text/css; charset=utf-8'
    """

    body: bytes
    squeezed: bytes | None
    media_type: str
    digest: str


def _bytes(name: str) -> bytes | None:
    if name == STYLES:
        parts = sorted((each for each in _ROOT.joinpath("css").iterdir()), key=lambda each: each.name)
        return b"\n".join(part.read_bytes() for part in parts)
    found = _ROOT.joinpath(*name.split("/"))
    body = found.read_bytes() if found.is_file() else None
    if body is None or name.startswith(_VENDORED) or not name.endswith(".js"):
        return body
    # What a module imports is kept for ever, too: it is asked for by a name that changes with its content.
    folder = name.rpartition("/")[0]
    return _IMPORT.sub(lambda each: f'{each[1]}"{url(f"{folder}/{each[2]}")}"', body.decode()).encode()


@cache
def asset(name: str) -> Asset:
    """Return a file of the folder ``static``, by its path in it.

    Raises:
        NotFound: There is none.
    """
    ending = name.rpartition(".")[2]
    body = None if ending not in _TYPES or ".." in name else _bytes(name)
    if body is None:
        raise NotFound(f"the console has no file {name!r}", fix="reload the page", code="http.not-found")
    squeezed = gzip.compress(body, mtime=0) if ending in _SQUEEZED else None
    return Asset(body, squeezed, _TYPES[ending], hashlib.sha256(body).hexdigest()[:12])


def url(name: str) -> str:
    """Return where a file is, under a name that changes with its content; vendored files have their version in it.

    Example:
        >>> url("js/app.js").startswith("/static/js/app.js?v=")
        True
    """
    return f"/static/{name}" if name.startswith(_VENDORED) else f"/static/{name}?v={asset(name).digest}"


@router.get("/static/{name:path}")
async def static(request: Request, name: str) -> Response:
    """Serve one of the console's files; browsers keep what is asked for by its present name."""
    found = asset(name)
    is_fixed = name.startswith(_VENDORED) or request.query_params.get("v") == found.digest
    headers = {"cache-control": _FOR_EVER if is_fixed else "no-cache"}
    if found.squeezed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        headers |= {"content-encoding": "gzip", "vary": "accept-encoding"}
        return Response(found.squeezed, media_type=found.media_type, headers=headers)
    return Response(found.body, media_type=found.media_type, headers=headers)
