"""The description of the whole API: FastAPI's own routes, and the hot routes from their table."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import steward
from steward.access.cookies import COOKIE
from steward.api import described
from steward.api.described import JsonSchema, answer, array_of, body, hoisted, problems, reference
from steward.api.doors import DOORS, Of
from steward.api.routes import DECIDE_BATCH, EVENTS, HOT, Route
from steward.api.service import Service
from steward.decision.contract import Contract

_ABOUT = (
    "Declared decisions, from event to value, in one provable ledger. "
    "Errors are problem details (RFC 9457); their `code` is stable."
)
_SIGN_IN: JsonSchema = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key (`stw_...`), or a token of an issuer."},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "The console's: POST /v1/session."},
    "certificate": {"type": "mutualTLS", "description": "Of an identity whose subject is enrolled."},
}
_EVENT: JsonSchema = {
    "type": "object",
    "description": "A CloudEvent 1.0 with JSON data.",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "type": {"type": "string", "minLength": 1, "description": "A stream's or an event contract's name."},
        "time": {"type": "string", "format": "date-time"},
        "data": {"type": "object", "description": "The event, as its contract says."},
    },
}


def description(app: FastAPI, service: Service, seen: Collection[str]) -> JsonSchema:
    """Return the OpenAPI 3.1 document of the application, with those decisions that are ``seen``."""
    document = get_openapi(
        title="Steward", version=steward.__version__, openapi_version="3.1.0", description=_ABOUT, routes=app.routes
    )
    schemas = described.components()
    paths: dict[str, JsonSchema] = {}
    for route in HOT:
        if not route.of_decision:
            paths[route.path] = {"post": _operation(route, _takes(route)) | needs("POST", route.path)}
    for name in sorted(seen):
        decision = service.runtime.decisions[name]
        event = _contract_schema(decision.contract, name, schemas)
        for route in HOT:
            if route.of_decision:
                takes = body({"type": "array", "items": event} if route is DECIDE_BATCH else event)
                paths[route.at(name)] = {"post": _operation(route, takes, name) | needs("POST", route.path)}
    cold = _without_validation_error(document["paths"])
    for path, operations in cold.items():
        for method, operation in operations.items():
            operation.update(needs(method.upper(), path))
    document["paths"] = {path: paths.get(path, {}) | cold.get(path, {}) for path in {**paths, **cold}}
    document["components"] = {"schemas": schemas, "securitySchemes": _SIGN_IN}
    document["security"] = [{name: []} for name in _SIGN_IN]
    return document


def needs(method: str, path: str) -> JsonSchema:
    """Return what the table of doors says of a route, as part of its operation.

    Example:
        >>> needs("POST", "/v1/events"), needs("GET", "/healthz")
        ({'x-permission': 'invoke'}, {'security': []})
    """
    door = DOORS[method, path]
    if door.of is Of.ANYBODY:
        return {"security": []}
    return {} if door.permission is None else {"x-permission": door.permission.value}


def _contract_schema(contract: Contract[Any], decision: str, schemas: dict[str, JsonSchema]) -> JsonSchema:
    return hoisted(contract.json_schema(), f"{decision}.{contract.name}", schemas)


def _operation(route: Route, takes: JsonSchema, decision: str = "") -> JsonSchema:
    answers: dict[str, Any] = {
        str(status): answer(
            route.summary, array_of("Record", "Problem") if struct is None else reference(struct.__name__)
        )
        for status, struct in route.answers.items()
    }
    failures = {str(status): told for status, told in problems(*sorted(route.problems)).items()}
    operation: JsonSchema = {
        "operationId": f"{route.name}:{decision}" if decision else route.name,
        "summary": f"{route.summary}: {decision}" if decision else route.summary,
        "tags": ["hot"],
        "requestBody": takes,
        "responses": answers | failures,
    }
    if route.parameters:
        operation["parameters"] = [dict(parameter) for parameter in route.parameters]
    return operation


def _takes(route: Route) -> JsonSchema:
    if route is EVENTS:
        content = {
            "application/cloudevents+json": {"schema": _EVENT},
            "application/cloudevents-batch+json": {"schema": {"type": "array", "items": _EVENT}},
            "application/json": {
                "schema": {"type": "object", "description": "Binary mode: attributes in `ce-` headers."}
            },
        }
        return {"required": True, "content": content}
    return body(reference(route.takes.__name__) if route.takes else {})


def _without_validation_error(paths: dict[str, Any]) -> dict[str, Any]:
    """Drop FastAPI's own 422, which is answered as a problem here, where a route did not describe it itself."""
    for operations in paths.values():
        for operation in operations.values():
            told = operation["responses"].get("422", {}).get("content", {})
            if "application/json" in told:
                del operation["responses"]["422"]
    return paths
