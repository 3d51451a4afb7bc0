"""URLs that name an engine and its place: ``scheme://user:password@host/path``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from steward.errors import DeclarationError

MASK: Final = "****"
_SECRET_PARAMETER = re.compile(r"(?i)\b([\w.-]*(?:password|passwd|secret|token|key)[\w.-]*)=[^&#\s]*")


def scheme_of(url: str) -> str:
    """Return the part before ``://``.

    Raises:
        DeclarationError: There is none.

    Example:
        >>> scheme_of("sqlite:///data/steward.db")
        'sqlite'
    """
    scheme, found, _ = url.partition("://")
    if not found or not scheme:
        raise DeclarationError(
            f"{masked(url)!r} does not name an engine", fix="write SCHEME://PLACE, for example sqlite:///steward.db"
        )
    return scheme.lower()


def path_of(url: str, root: Path) -> Path:
    """Return the file that a URL names: three slashes for one below ``root``, four for an absolute one.

    Example:
        >>> path_of("sqlite:///data/steward.db", Path("/srv")).as_posix()
        '/srv/data/steward.db'
        >>> path_of("sqlite:////var/lib/steward.db", Path("/srv")).as_posix()
        '/var/lib/steward.db'
    """
    place = url.partition("://")[2]
    if not place.startswith("/") or not place.strip("/"):
        raise DeclarationError(
            f"{masked(url)!r} does not name a file",
            fix=f"write {scheme_of(url)}:///relative/path or {scheme_of(url)}:////absolute/path",
        )
    return root / place[1:]


def masked(url: str) -> str:
    """Return ``url`` with its password and secret parameters hidden.

    Example:
        >>> masked("postgresql://steward:hunter2@db/ledger?sslkey=abc&x=1")
        'postgresql://steward:****@db/ledger?sslkey=****&x=1'
    """
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return f"{url.partition('://')[0]}://{MASK}"
    user, at, place = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    netloc = f"{name}{colon}{MASK if colon else ''}{at}{place}"
    query = _SECRET_PARAMETER.sub(rf"\1={MASK}", parts.query)
    # urlunsplit drops the empty netloc of sqlite:///x, so only URLs with something to hide are put together again.
    if netloc == parts.netloc and query == parts.query:
        return url
    return urlunsplit((parts.scheme, netloc, parts.path, query, parts.fragment))
