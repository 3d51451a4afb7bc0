"""The console's cookie, and where a request that carries it may come from."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Final

from msgspec import Struct

from steward.access.authorizer import Verdict
from steward.access.tokens import Secret

COOKIE: Final = "__Host-steward"
"""The prefix ``__Host-`` makes browsers insist on Secure, on the path ``/``, and on this very host."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_COOKIE_BYTES = 8_192
_ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]+")


class OpenedSession(Struct, frozen=True, kw_only=True):
    """A session that is new: its secret id, to be sent as a cookie only.

    Example:
        >>> opened = OpenedSession(secret=Secret("x" * 43), lasts=timedelta(hours=12))
        >>> opened.set_cookie().partition("; ")[2]
        'Path=/; Max-Age=43200; Secure; HttpOnly; SameSite=Strict'
    """

    secret: Secret
    lasts: timedelta

    def set_cookie(self) -> str:
        """Return the value of the ``Set-Cookie`` header; it holds the secret."""
        return _cookie(self.secret.reveal(), int(self.lasts.total_seconds()))


def clear_cookie() -> str:
    """Return the ``Set-Cookie`` header that ends a session in the browser.

    Example:
        >>> clear_cookie()
        '__Host-steward=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict'
    """
    return _cookie("", 0)


def _cookie(value: str, max_age_s: int) -> str:
    return f"{COOKIE}={value}; Path=/; Max-Age={max_age_s}; Secure; HttpOnly; SameSite=Strict"


def session_id(cookie: bytes) -> str | None:
    """Return the session's id in a ``Cookie`` header, ``None`` if there is none; empty if there are several.

    Example:
        >>> session_id(b"theme=dark; __Host-steward=abc"), session_id(b"theme=dark")
        ('abc', None)
        >>> session_id(b"__Host-steward=abc; __Host-steward=def")
        ''
    """
    if len(cookie) > _MAX_COOKIE_BYTES:
        return ""
    found = [
        value
        for name, _, value in (part.strip().partition("=") for part in cookie.decode("latin-1").split(";"))
        if name == COOKIE
    ]
    if len(found) > 1:
        return ""
    return found[0] if found else None


def own_site(method: str, headers: Mapping[bytes, bytes], origins: Collection[str] = ()) -> Verdict:
    """Tell whether a request that a browser may have sent by itself was made by our own pages.

    Browsers say it in ``Sec-Fetch-Site``, which no page can set; old ones only in ``Origin``. A request that changes
    something and has neither is refused.

    Args:
        method: The HTTP method; safe ones pass.
        headers: By lower-case name.
        origins: Our own, for example ``https://steward.example``; by default whatever host the request names.

    Example:
        >>> own_site("POST", {b"sec-fetch-site": b"same-origin"}).allowed
        True
        >>> own_site("POST", {b"host": b"steward.example", b"origin": b"https://evil.example"})
        Verdict(allowed=False, why='it was sent from the pages of another site')
    """
    if method in SAFE_METHODS:
        return Verdict(True, "it changes nothing")
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return _SAME if site == b"same-origin" else _FOREIGN
    origin = headers.get(b"origin")
    if origin is None:
        return Verdict(False, "neither Sec-Fetch-Site nor Origin says which page sent it")
    text = origin.decode("latin-1").lower()
    if origins:
        return _SAME if text in origins else _FOREIGN
    host = headers.get(b"host", b"").decode("latin-1").lower()
    return _SAME if host and _ORIGIN.fullmatch(text) and text.partition("://")[2] == host else _FOREIGN


_SAME = Verdict(True, "our own page sent it")
_FOREIGN = Verdict(False, "it was sent from the pages of another site")
