"""An engine: fetches public keys over HTTPS; over plain HTTP only from this machine."""

from __future__ import annotations

import asyncio
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import SplitResult

from steward.access.addresses import check_url
from steward.access.jwks import MAX_JWKS_BYTES
from steward.errors import EngineError

TIMEOUT_S: Final = 5.0


class HttpsFetcher:
    """Gets a document: no redirects, no proxy, no cookies, at most 256 KiB and a few seconds.

    Args:
        context: The authorities that a server's certificate must come from; by default those of this machine.
        timeout_s: How long the whole fetch may take.

    Example:
        >>> asyncio.run(HttpsFetcher()("http://id.example/jwks"))
        Traceback (most recent call last):
        ...
        steward.errors.DeclarationError: keys are not fetched from http://id.example/jwks. Why: ...
    """

    def __init__(self, *, context: ssl.SSLContext | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._context, self._timeout_s = context, timeout_s

    async def __call__(self, url: str) -> bytes:
        """Return the document.

        Raises:
            DeclarationError: The URL is not one that keys may come from.
            EngineError: The server cannot be reached, or answers anything but 200 with a document.
        """
        place = check_url(url)
        connection = self._connection(place)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await asyncio.to_thread(_get, connection, place)
        except (OSError, HTTPException, TimeoutError) as error:
            raise EngineError(
                f"the keys at {url} cannot be fetched",
                why=str(error) or type(error).__name__,
                fix="check that the address is right and reachable from this server",
                retryable=True,
                code="engine.jwks",
            ) from error

    def _connection(self, place: SplitResult) -> HTTPConnection:
        host = place.hostname or ""
        if place.scheme == "http":
            return HTTPConnection(host, place.port, timeout=self._timeout_s)
        context = self._context or ssl.create_default_context()
        return HTTPSConnection(host, place.port, timeout=self._timeout_s, context=context)


def _get(connection: HTTPConnection, place: SplitResult) -> bytes:
    path = (place.path or "/") + (f"?{place.query}" if place.query else "")
    try:
        connection.request("GET", path, headers={"Accept": "application/json", "Connection": "close"})
        with connection.getresponse() as answer:
            if answer.status != 200:
                raise HTTPException(f"it answered {answer.status}")
            document = answer.read(MAX_JWKS_BYTES + 1)
    finally:
        connection.close()
    if len(document) > MAX_JWKS_BYTES:
        raise HTTPException(f"its document is longer than {MAX_JWKS_BYTES} bytes")
    return document
