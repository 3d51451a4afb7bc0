"""Signing in and out, and the first start: who takes the one-time key becomes the first administrator."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from msgspec import Struct

from steward.access.addresses import is_loopback
from steward.access.cookies import clear_cookie
from steward.api.access import claim_with, open_session
from steward.api.accounts import Claim
from steward.api.admission import headers_of
from steward.api.entrance import peer_of
from steward.api.problems import problem
from steward.console.forms import sends
from steward.console.view import Looking, View, back_to, known_caller, own_path
from steward.errors import Conflict, ContractError, Denied, EngineError, StewardError

router = APIRouter()
_NOT_GOOD = Denied(
    "this key is not good", fix="look for a typing error, or ask an administrator for a new one", code="unauthenticated"
)
_OF_SIGN_IN = ("/sign-in", "/sign-out", "/claim")
_MAX_NAME_LETTERS = 200


class SignIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key, and the page to go to."""

    key: str = ""
    next: str = "/"


class Claiming(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who wants to be the first administrator; at the machine itself without a one-time key."""

    id: str = ""
    display: str = ""
    one_time_key: str | None = None
    next: str = "/"


@router.get("/sign-in")
async def sign_in_page(view: Looking, request: Request) -> Response:
    """Ask for a key, unless it is known who looks; where nobody is enrolled, tell how to be the first."""
    wanted = view.parameters.get("next", "/")
    caller = await known_caller(request)
    return await _ask(view, wanted) if caller is None or caller.is_local else back_to(_place(wanted))


@router.post("/sign-in")
async def sign_in(view: Looking, request: Request, sent: Annotated[SignIn, sends(SignIn)]) -> Response:
    """Open a session, as ``POST /v1/session`` does, for whoever shows a key."""
    if not sent.key:
        return await _ask(view, sent.next, ContractError("no key was given", fix="paste your key"))
    try:
        opened = await open_session(view.service, request, _showing(request, sent.key))
    except Denied as error:
        # Why a key is not good is told to nobody: whoever guesses would learn from it.
        return await _ask(view, sent.next, _NOT_GOOD if error.code == "unauthenticated" else error)
    except (Conflict, EngineError) as error:
        return await _ask(view, sent.next, error)
    response = back_to(_place(sent.next))
    response.headers["set-cookie"] = opened.set_cookie()
    return response


@router.post("/sign-out")
async def sign_out(view: Looking, request: Request) -> Response:
    """End the session, here and in the browser."""
    headers = headers_of(request)
    address = view.service.entrance.address_of(peer_of(request.scope), headers)
    await view.runtime.guard.sign_out(headers, method=request.method, address=address)
    response = back_to("/sign-in")
    response.headers["set-cookie"] = clear_cookie()
    return response


@router.post("/claim")
async def claim(view: Looking, request: Request, sent: Annotated[Claiming, sends(Claiming)]) -> Response:
    """Make somebody the first administrator, show their key this once, and sign them in."""
    try:
        for field in ("id", "display"):
            if not 0 < len(getattr(sent, field)) <= _MAX_NAME_LETTERS:
                raise ContractError(f"a name has 1 to {_MAX_NAME_LETTERS} letters", fix="fill it in", field=field)
        wanted = Claim(id=sent.id, display=sent.display, one_time_key=sent.one_time_key)
        issued = await claim_with(view.service, request, wanted)
    except (ContractError, Conflict, Denied, EngineError) as error:
        return await _ask(view, sent.next, error, typed=sent)
    secret = issued.secret.reveal()
    opened = await open_session(view.service, request, _showing(request, secret))
    response = await view.page(
        "first_key.html", secret=secret, issued=issued, next=_place(sent.next), sticks=_keeps_cookie(view)
    )
    response.headers["set-cookie"] = opened.set_cookie()
    return response


def _showing(request: Request, key: str) -> dict[bytes, bytes]:
    """Return a request's headers as if it had shown the key there, so that it is checked in the very same way."""
    return {**headers_of(request), b"authorization": b"Bearer " + key.encode("latin-1", "replace")}


def _place(path: str) -> str:
    """Return where to go after signing in: never elsewhere, and not back to where one signs in."""
    own = own_path(path)
    return "/" if own.startswith(_OF_SIGN_IN) else own


async def _ask(view: View, next: str, error: StewardError | None = None, *, typed: Claiming | None = None) -> Response:
    told = None if error is None else problem(error)
    entrance, directory = view.service.entrance, view.runtime.guard.directory
    response = await view.page(
        "sign_in.html",
        status=200 if told is None else told.status,
        next=_place(next),
        wrong=told,
        typed=typed or Claiming(),
        asks_first=entrance.is_local or not directory.claimed,
        sticks=_keeps_cookie(view),
    )
    if error is not None and error.retry_after_s is not None:
        response.headers["retry-after"] = str(error.retry_after_s)
    return response


def _keeps_cookie(view: View) -> bool:
    """Tell whether a browser will keep the session's cookie, which it does over HTTPS and on its own machine only.

    What a proxy says is good enough here, as it only spares people a warning.
    """
    request = view.request
    host = request.url.hostname or ""
    is_near = is_loopback(host) or host.endswith(".localhost")
    by_proxy = request.headers.get("x-forwarded-proto") == "https"
    origin = f"https://{request.headers.get('host', '')}"
    return request.url.scheme == "https" or is_near or by_proxy or origin in view.runtime.settings.origins
