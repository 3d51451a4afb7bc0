"""The routes about who is there and who may what: sign in, enrol, issue keys, limit decisions to teams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from steward.access.administration import IssuedKey
from steward.access.cookies import OpenedSession, clear_cookie
from steward.access.entries import Refused, decode_access
from steward.api import accounts, office
from steward.api.admission import Calling, Serving, headers_of, reads
from steward.api.described import array_of, body, reference, responses
from steward.api.entrance import peer_of
from steward.api.reading import Limit, json_response
from steward.api.service import Service
from steward.errors import Conflict

router = APIRouter()
_NO_STORE = {"cache-control": "no-store"}
_NEAR_ENTRIES = 10_000
"""How far back the newest refusals are looked for at first."""
_MOST_REFUSALS = 1_000
_CHANGE = [404, 408, 409, 413, 415, 422, 431]


def _described(struct: type[Any], about: str) -> dict[int | str, dict[str, Any]]:
    return responses(reference(struct.__name__), about, _CHANGE)


def _takes(struct: type[Any]) -> dict[str, Any]:
    return {"requestBody": body(reference(struct.__name__))}


def _nothing(about: str, *problems: int) -> dict[int | str, dict[str, Any]]:
    told = responses({}, about, problems)
    del told[200]
    return {204: {"description": about}, **told}


@router.get("/v1/whoami", responses=responses(reference("Account"), "Who sends this request"))
async def whoami(caller: Calling) -> Response:
    """Tell who sends this request, by which credential, and with which roles."""
    return json_response(accounts.Account.of(caller.identity), _NO_STORE)


@router.post(
    "/v1/session",
    responses=responses(reference("Account"), "Who signed in; the session is the cookie", [409]),
)
async def sign_in(service: Serving, request: Request) -> Response:
    """Open a session of the console for whoever shows a key or token; from the console's own pages only."""
    opened = await open_session(service, request, headers_of(request))
    shown = {b"cookie": opened.set_cookie().partition(";")[0].encode()}
    identity = await service.runtime.guard.identify(shown)
    return json_response(accounts.Account.of(identity), {**_NO_STORE, "set-cookie": opened.set_cookie()})


async def open_session(service: Service, request: Request, headers: Mapping[bytes, bytes]) -> OpenedSession:
    """Open a session for whoever shows a key or token in a request's headers.

    Args:
        service: Who serves.
        request: What was sent.
        headers: Its headers; a form's key stands among them as if it had been sent there.

    Raises:
        Conflict: No identities are known yet.
        Denied: As in :meth:`steward.access.guard.Guard.sign_in`.
    """
    entrance = service.entrance
    address = entrance.address_of(peer_of(request.scope), headers)
    if entrance.is_local:
        raise Conflict("nobody can sign in, as no identities are known yet", fix="steward access claim --id you")
    return await service.runtime.guard.sign_in(headers, method=request.method, address=address)


@router.delete("/v1/session", status_code=204, responses=_nothing("The session has ended"))
async def sign_out(service: Serving, request: Request) -> Response:
    """End the session whose cookie the request carries."""
    headers = headers_of(request)
    address = service.entrance.address_of(peer_of(request.scope), headers)
    await service.runtime.guard.sign_out(headers, method=request.method, address=address)
    return Response(status_code=204, headers={"set-cookie": clear_cookie()})


@router.post(
    "/v1/access/claim",
    responses=_described(accounts.KeyIssued, "The first administrator's key"),
    openapi_extra=_takes(accounts.Claim),
)
async def claim(service: Serving, request: Request, sent: Annotated[accounts.Claim, reads(accounts.Claim)]) -> Response:
    """Become the first administrator with the one-time key, or without it at the machine itself."""
    return _issued(await claim_with(service, request, sent))


async def claim_with(service: Service, request: Request, sent: accounts.Claim) -> IssuedKey:
    """Make somebody the first administrator; return their key.

    Raises:
        Conflict: There is an administrator already, or somebody has this id.
        Denied: The one-time key is not good, or not needed at the machine itself only.
        ContractError: The id or the name does not fit.
    """
    entrance, guard = service.entrance, service.runtime.guard
    headers, peer = headers_of(request), peer_of(request.scope)
    once = sent.one_time_key
    if once is None:
        caller = await entrance.admit(headers, request.method, peer)
        made = await guard.bootstrap() if caller.is_local else None
        if made is None:
            raise Conflict("there is an administrator already", fix="ask them to enrol you", code="conflict.claimed")
        once = made.reveal()
    return await guard.exchange(once, id=sent.id, display=sent.display, address=entrance.address_of(peer, headers))


@router.get("/v1/access/identities", responses=responses(array_of("Account"), "By id"))
async def list_identities(service: Serving) -> Response:
    """List who is enrolled, with their roles and teams."""
    directory = service.runtime.guard.directory
    known = sorted(directory.identities.values(), key=lambda identity: identity.id)
    return json_response([accounts.Account.of(each, directory.subjects_of(each.id)) for each in known])


@router.post(
    "/v1/access/identities",
    responses=_described(accounts.Account, "Who is enrolled now"),
    openapi_extra=_takes(accounts.AccountIn),
)
async def enrol(
    service: Serving, caller: Calling, sent: Annotated[accounts.AccountIn, reads(accounts.AccountIn)]
) -> Response:
    """Make somebody known; they can sign in once they have a key, or with a name at another authority."""
    made = await office.enrol(service, caller, sent)
    return json_response(accounts.Account.of(made, sent.subjects))


@router.patch(
    "/v1/access/identities/{identity}",
    responses=_described(accounts.Account, "As they are now"),
    openapi_extra=_takes(accounts.AccountChange),
)
async def alter(
    service: Serving,
    caller: Calling,
    identity: str,
    sent: Annotated[accounts.AccountChange, reads(accounts.AccountChange)],
) -> Response:
    """Change somebody's roles, teams or names; it holds from their next request on."""
    made = await office.alter(service, caller, identity, sent)
    directory = service.runtime.guard.directory
    return json_response(accounts.Account.of(made, directory.subjects_of(made.id)))


@router.post(
    "/v1/access/identities/{identity}/revoke",
    status_code=204,
    responses=_nothing("They are out", *_CHANGE),
    openapi_extra=_takes(accounts.Reasoned),
)
async def revoke_identity(
    service: Serving, caller: Calling, identity: str, sent: Annotated[accounts.Reasoned, reads(accounts.Reasoned)]
) -> Response:
    """End somebody's access at once, with all their keys and sessions."""
    await office.revoke_identity(service, caller, identity, sent)
    return Response(status_code=204)


@router.get("/v1/access/keys", responses=responses(array_of("KeyShown"), "The oldest first"))
async def list_keys(service: Serving) -> Response:
    """List the keys that are good, without their secrets."""
    keys = sorted(service.runtime.guard.directory.keys.values(), key=lambda key: (key.issued_at, key.prefix))
    return json_response([accounts.KeyShown.of(key) for key in keys])


@router.post(
    "/v1/access/keys",
    responses=_described(accounts.KeyIssued, "The key; its secret is told this once"),
    openapi_extra=_takes(accounts.KeyIn),
)
async def issue_key(
    service: Serving, caller: Calling, sent: Annotated[accounts.KeyIn, reads(accounts.KeyIn)]
) -> Response:
    """Make a key for somebody who is enrolled."""
    return _issued(await office.issue_key(service, caller, sent))


@router.post(
    "/v1/access/keys/{prefix}/rotate",
    responses=_described(accounts.KeyIssued, "The new key"),
    openapi_extra=_takes(accounts.KeyRotation),
)
async def rotate_key(
    service: Serving, caller: Calling, prefix: str, sent: Annotated[accounts.KeyRotation, reads(accounts.KeyRotation)]
) -> Response:
    """Replace a key, one's own or any other; the old one stays good for a while."""
    return _issued(await office.rotate_key(service, caller, prefix, sent))


@router.post(
    "/v1/access/keys/{prefix}/revoke",
    status_code=204,
    responses=_nothing("The key is no good any more", *_CHANGE),
    openapi_extra=_takes(accounts.Reasoned),
)
async def revoke_key(
    service: Serving, caller: Calling, prefix: str, sent: Annotated[accounts.Reasoned, reads(accounts.Reasoned)]
) -> Response:
    """End a key at once, one's own or any other."""
    await office.revoke_key(service, caller, prefix, sent)
    return Response(status_code=204)


@router.get("/v1/access/limits", responses=responses(array_of("Limit"), "By decision"))
async def list_limits(service: Serving) -> Response:
    """List the decisions that exist for some teams only."""
    return json_response(accounts.Limit.all_of(service.runtime.guard.directory))


@router.put(
    "/v1/access/limits/{decision}",
    responses=responses(array_of("Limit"), "All limits as they are now", _CHANGE),
    openapi_extra=_takes(accounts.LimitIn),
)
async def limit_decision(
    service: Serving, caller: Calling, decision: str, sent: Annotated[accounts.LimitIn, reads(accounts.LimitIn)]
) -> Response:
    """Let a decision exist for some teams only; for all again if there are none."""
    await office.limit(service, caller, decision, sent)
    return json_response(accounts.Limit.all_of(service.runtime.guard.directory))


@router.get("/v1/access/refusals", responses=responses(array_of("Refusal"), "In the ledger's order", [422]))
async def list_refusals(
    service: Serving, request: Request, start: Annotated[int, Query(ge=0, lt=2**63)] = 0, limit: Limit = 100
) -> Response:
    """List who was turned away, from an entry on; the header `Link` names the next page."""
    await service.runtime.guard.sweep()
    shown = await refusals(service, start, limit)
    headers = {}
    if len(shown) == limit:
        following = request.url.include_query_params(start=shown[-1].index + 1)
        headers["link"] = f'<{following.path}?{following.query}>; rel="next"'
    return json_response(shown, headers)


async def refusals(service: Service, start: int, limit: int) -> list[accounts.Refusal]:
    """Return who was turned away, from an entry on, in the ledger's order."""
    entries = await service.runtime.ledger.read(start, limit, kind="refused")
    found = [(entry.index, decode_access(entry.body)) for entry in entries]
    return [accounts.Refusal.of(index, refused) for index, refused in found if isinstance(refused, Refused)]


async def recent_refusals(service: Service, limit: int) -> list[accounts.Refusal]:
    """Return who was turned away last, the newest first."""
    await service.runtime.guard.sweep()
    size = await service.runtime.ledger.size()
    behind = _NEAR_ENTRIES
    while True:
        found: list[accounts.Refusal] = []
        start = max(size - behind, 0)
        while page := await refusals(service, start, _MOST_REFUSALS):
            found, start = [*found[-limit:], *page], page[-1].index + 1
        if len(found) >= limit or behind >= size:
            return found[::-1][:limit]
        behind *= 8


def _issued(key: IssuedKey) -> Response:
    shown = accounts.KeyIssued(
        prefix=key.prefix, identity=key.identity, secret=key.secret.reveal(), expires_at=key.expires_at
    )
    return json_response(shown, _NO_STORE)
