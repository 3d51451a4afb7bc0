"""The FastAPI application behind the hot routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from steward.api import (
    access,
    acting,
    answering,
    asking_again,
    auditing,
    docs,
    health,
    inference,
    models,
    oversight,
    reading,
    releasing,
)
from steward.api.admission import Calling, admit, service_of
from steward.api.exchange import Reply
from steward.api.openapi import description
from steward.api.problems import Problem, problem_reply, unexpected
from steward.api.rooms import Room, doors_of
from steward.api.routes import HOT
from steward.api.service import Service
from steward.errors import ContractError, NotFound, StewardError


def cold_app(service: Service, rooms: Sequence[Room] = ()) -> FastAPI:
    """Return the application for all routes that are not hot; it describes the hot ones too.

    Args:
        service: What the routes are given.
        rooms: What stands beside the API.

    Raises:
        DeclarationError: Two of them have the same route.
    """
    app = FastAPI(
        title="Steward",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        dependencies=[Depends(admit)],
    )
    app.state.service, app.state.rooms, app.state.doors = service, tuple(rooms), doors_of(rooms)
    for part in (
        health,
        reading,
        auditing,
        asking_again,
        answering,
        acting,
        oversight,
        releasing,
        access,
        models,
        inference,
        docs,
    ):
        app.include_router(part.router)
    app.add_api_route("/openapi.json", _Description(app, service), methods=["GET"], include_in_schema=False)
    for route in HOT:
        app.add_api_route(route.path, _served_in_front, methods=["POST"], include_in_schema=False)
    for room in rooms:
        app.include_router(room.router)
    app.add_exception_handler(StewardError, _on_steward_error)
    app.add_exception_handler(RequestValidationError, _on_bad_parameter)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_unexpected)
    return app


_MOST_DESCRIPTIONS: Final = 16


class _Description:
    """Answers with the OpenAPI document of what the caller sees, made when it is first asked for."""

    def __init__(self, app: FastAPI, service: Service) -> None:
        self._app, self._service = app, service
        self._made: dict[frozenset[str], Response] = {}

    async def __call__(self, caller: Calling) -> Response:
        seen = frozenset(name for name in self._service.runtime.decisions if caller.sees(name))
        made = self._made.get(seen)
        if made is None:
            made = reading.json_response(description(self._app, self._service, seen))
            if len(self._made) < _MOST_DESCRIPTIONS:
                self._made[seen] = made
        return made


async def _served_in_front(caller: Calling, request: Request) -> Response:
    """Answer for a decision that is not declared; the declared ones are served in front."""
    raise caller.unknown(str(request.path_params.get("name", "")))


def _response(reply: Reply, headers: dict[str, str] | None = None) -> Response:
    sent = {name.decode(): value.decode() for name, value in reply.headers} | (headers or {})
    return Response(reply.body, reply.status, media_type=reply.media_type.decode(), headers=sent)


async def _shown(request: Request, error: StewardError, headers: dict[str, str] | None = None) -> Response:
    """Return an error as the room shows it to which the request belongs; the API has problem details."""
    return await _by_a_room(request, error) or _response(problem_reply(error), headers)


async def _by_a_room(request: Request, error: StewardError) -> Response | None:
    rooms: Sequence[Room] = () if request.url.path.startswith(("/v1/", "/v2")) else request.app.state.rooms
    for room in rooms:
        if (response := await room.show_error(request, error)) is not None:
            return response
    return None


async def _on_steward_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StewardError)
    return await _shown(request, error)


async def _on_bad_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where, name = first["loc"][0], ".".join(str(part) for part in first["loc"][1:])
    return await _shown(
        request,
        ContractError(f"the {where} parameter {name} does not fit", why=first["msg"], fix="see /docs", field=name),
    )


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.method
    if error.status_code == 404:
        return await _shown(request, NotFound(f"there is no page {path}", fix="see /docs", code="http.not-found"))
    if error.status_code == 405:
        wrong = ContractError(f"{method} does not exist for {path}", fix="see /docs", code="http.method")
        return await _shown(request, wrong, dict(error.headers or {}))
    return await _shown(request, ContractError(f"the request is malformed: {error.detail}", code="http.bad-request"))


async def _on_unexpected(request: Request, error: Exception) -> Response:
    reply = unexpected(error, service_of(request).runtime.clock)
    told = msgspec.json.decode(reply.body, type=Problem)
    shown = StewardError(told.detail, fix=told.next or "", code=told.code)
    return await _by_a_room(request, shown) or _response(reply)
