"""Asks the table of doors before each of FastAPI's routes, and hands the routes who calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import msgspec
from fastapi import Depends, Request

from steward.api.doors import Door, Of
from steward.api.entrance import Caller, peer_of
from steward.api.exchange import Exchange, strictly
from steward.api.service import Service
from steward.errors import Denied, NotFound
from steward.ledger.run import Run

T = TypeVar("T")
CALLER: Final = "steward.caller"
"""Where a request's scope has who calls, once they were let in."""
_RUN: Final = "steward.run"


def service_of(request: Request) -> Service:
    """Return what the routes are given."""
    service: Service = request.app.state.service
    return service


Serving = Annotated[Service, Depends(service_of)]


async def admit(request: Request) -> None:
    """Let a request through to its route if its caller may; asked before every route.

    Raises:
        Denied: Nobody is recognised, they may not, or the table does not have the route.
        NotFound: What is asked for does not exist, or not for the caller.
    """
    scope = request.scope
    door: Door | None = request.app.state.doors.get((request.method, scope["route"].path))
    if door is None:
        raise Denied("this route is open to nobody", why="it names no permission", fix="add it to steward.api.doors")
    if door.of is Of.ANYBODY:
        return
    service = service_of(request)
    scope[CALLER] = caller = await service.entrance.admit(headers_of(request), request.method, peer_of(scope))
    if door.permission is None:
        return
    if door.of is Of.WHOLE:
        caller.require(door.permission)
    elif door.of is Of.DECISION:
        caller.require(door.permission, request.path_params["name"])
    elif door.of is Of.RUN:
        wanted = run_id(request.path_params["decision_id"])
        scope[_RUN] = run = await service.runtime.run(wanted)
        caller.require_run(door.permission, run, wanted)
    if door.by_person:
        caller.require_person()


def headers_of(request: Request) -> Mapping[bytes, bytes]:
    """Return the headers by lower-case name; refuses one that may stand once and stands twice."""
    return Exchange(request.scope["headers"], limit_bytes=0).headers


def reads(struct: type[T]) -> Any:
    """Return the dependency that reads a request's body, as strictly as an event."""
    decode = msgspec.json.Decoder(struct).decode

    async def read(request: Request) -> T:
        limit_bytes = service_of(request).runtime.settings.max_body_bytes
        exchange = Exchange(request.scope["headers"], limit_bytes=limit_bytes, receive=request.receive)
        return strictly(decode, await exchange.json())

    return Depends(read)


def run_id(text: str) -> UUID:
    """Return the id of a run; whatever is no id names no run."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"no decision has the id {text!r}", fix="list them: GET /v1/decisions") from None


def _caller(request: Request) -> Caller:
    caller: Caller = request.scope[CALLER]
    return caller


def _run(request: Request) -> Run:
    run: Run = request.scope[_RUN]
    return run


Calling = Annotated[Caller, Depends(_caller)]
"""Who calls."""
TheRun = Annotated[Run, Depends(_run)]
"""The run that the path names; it was read to see whose it is."""
