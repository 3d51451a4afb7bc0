"""Errors as RFC 9457 problem details: the one place that knows which status an error has."""

from __future__ import annotations

import logging

import msgspec
from msgspec import UNSET, Struct, UnsetType

from steward.api.exchange import Reply
from steward.clock import Clock
from steward.errors import (
    Conflict,
    ContractError,
    DeclarationError,
    Denied,
    EngineError,
    GateExpired,
    NotFound,
    StewardError,
)

MEDIA_TYPE = b"application/problem+json"
RETRY_AFTER_S = 1
_log = logging.getLogger("steward.api")


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, for programs (``code``) and people (``title``, ``detail``, ``next``).

    Attributes:
        type: ``urn:steward:problem:<code>``.
        title: The kind of error, the same every time.
        status: The HTTP status code.
        detail: What happened this time, and why.
        code: A stable identifier that programs may compare.
        field: The field or argument concerned, as a dotted path.
        next: What the one who must act can do.
        instance: Names this very occurrence in the server's log.

    Example:
        >>> problem(NotFound("no decision is named 'gird'", fix="list them: GET /v1/declarations")).status
        404
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    field: str | UnsetType = UNSET
    next: str | UnsetType = UNSET
    instance: str | UnsetType = UNSET


_BY_CLASS: dict[type[StewardError], tuple[int, str]] = {
    ContractError: (422, "The data does not fit its contract"),
    NotFound: (404, "There is no such thing"),
    Conflict: (409, "Somebody was there first"),
    Denied: (403, "Not allowed"),
    GateExpired: (409, "The approval has expired"),
    EngineError: (500, "An engine failed"),
    DeclarationError: (500, "A decision is declared wrongly"),
    StewardError: (500, "Steward failed"),
}
_BY_CODE: dict[str, tuple[int, str]] = {
    "http.bad-request": (400, "The request is malformed"),
    "http.header-repeated": (400, "The request is malformed"),
    "http.host-missing": (400, "The request is malformed"),
    "http.host-unknown": (421, "This server does not answer for that host"),
    "http.method": (405, "The method does not exist here"),
    "http.not-found": (404, "There is no such page"),
    "http.media-type": (415, "The media type is not taken here"),
    "http.too-large": (413, "The body is too large"),
    "http.timeout": (408, "The request took too long to arrive"),
    "http.headers-too-large": (431, "The headers are too large"),
    "idempotency-key-malformed": (400, "The idempotency key is malformed"),
    "contract.not-json": (400, "The body is not JSON"),
    "contract.too-large": (413, "The body is too large"),
    "model-too-large": (413, "The body is too large"),
    "release-unknown": (503, "No release may decide this"),
    "overloaded": (503, "The server is busy"),
    "bus.full": (503, "The server is busy"),
    "unauthenticated": (401, "Nobody is signed in"),
    "too-many-attempts": (429, "Too many failed sign-ins"),
    "over-share": (429, "Too many requests at once"),
    "reauthenticate": (403, "The sign-in is not fresh enough"),
    "no-outcome": (422, "The data does not fit its contract"),
}

_NO_FAILURE = frozenset({"overloaded", "bus.full"})
"""Codes of 5xx that are no failure of an engine: there is only too much at once, which the metrics tell."""


def problem(error: StewardError) -> Problem:
    """Return an error as problem details; its status is told by its code, else by its class.

    Example:
        >>> problem(EngineError("the database is locked", retryable=True)).status
        503
    """
    code = problem_code(error)
    status, title = _status(error, code)
    return Problem(
        type=f"urn:steward:problem:{code}",
        title=title,
        status=status,
        detail=_detail(error),
        code=code,
        field=error.field or UNSET,
        next=error.fix or UNSET,
    )


def _detail(error: StewardError) -> str:
    """Return what happened and why; of a failure in a decision's own code only where, as the rest is its business."""
    if type(error) is StewardError and error.__cause__ is not None:
        return error.what.partition(":")[0]
    return f"{error.what.rstrip('.')}: {error.why}" if error.why else error.what


def problem_code(error: StewardError) -> str:
    """Return an error's code; a text that is no JSON at all gets one of its own, as its status differs.

    Example:
        >>> problem_code(NotFound("no such decision"))
        'not-found'
    """
    return "contract.not-json" if error.code == "contract" and _is_no_json(error) else error.code


def _is_no_json(error: BaseException) -> bool:
    cause = error.__cause__
    if isinstance(cause, ContractError):
        return _is_no_json(cause)
    unreadable = isinstance(cause, (msgspec.DecodeError, UnicodeDecodeError))
    return unreadable and not isinstance(cause, msgspec.ValidationError)


def _status(error: StewardError, code: str) -> tuple[int, str]:
    known = _BY_CODE.get(code)
    if known is not None:
        return known
    status, title = next(_BY_CLASS[cls] for cls in type(error).__mro__ if cls in _BY_CLASS)
    return (503 if isinstance(error, EngineError) and error.retryable else status), title


def problem_reply(error: StewardError, *, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Reply:
    """Return an error as a reply; a failing engine (5xx) is also logged, as its operator must act."""
    body = problem(error)
    if body.status >= 500 and body.code not in _NO_FAILURE:
        _log.error("%s: %s", body.code, error, exc_info=error)
    if body.status in (429, 503):
        headers = (*headers, (b"retry-after", b"%d" % (error.retry_after_s or RETRY_AFTER_S)))
    elif body.status == 401:
        headers = (*headers, (b"www-authenticate", b"Bearer"))
    return Reply(body.status, msgspec.json.encode(body), MEDIA_TYPE, headers)


def unexpected(error: BaseException, clock: Clock) -> Reply:
    """Return the reply to an error nobody foresaw: it is logged under an id, and only the id is told."""
    occurrence = str(clock.new_id())
    _log.error("unexpected error %s", occurrence, exc_info=error)
    body = Problem(
        type="urn:steward:problem:internal",
        title="Steward failed",
        status=500,
        detail="an error that nobody foresaw",
        code="internal",
        next=f"ask the operator to look up {occurrence} in the log",
        instance=f"urn:uuid:{occurrence}",
    )
    return Reply(500, msgspec.json.encode(body), MEDIA_TYPE)
