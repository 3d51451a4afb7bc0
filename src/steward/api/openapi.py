"""The description of the whole API: FastAPI's own routes, and the hot routes from their table."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import steward
from steward.api import described
from steward.api.described import JsonSchema, answer, array_of, body, hoisted, problems, reference
from steward.api.routes import DECIDE_BATCH, EVENTS, HOT, Route
from steward.api.service import Service
from steward.decision.contract import Contract

_ABOUT = (
    "Declared decisions, from event to value, in one provable ledger. "
    "Errors are problem details (RFC 9457); their `code` is stable."
)
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
            paths[route.path] = {"post": _operation(route, _takes(route))}
    for name in sorted(seen):
        decision = service.runtime.decisions[name]
        event = _contract_schema(decision.contract, name, schemas)
        for route in HOT:
            if route.of_decision:
                takes = body({"type": "array", "items": event} if route is DECIDE_BATCH else event)
                paths[route.at(name)] = {"post": _operation(route, takes, name)}
    cold = _without_validation_error(document["paths"])
    document["paths"] = {path: paths.get(path, {}) | cold.get(path, {}) for path in {**paths, **cold}}
    document["components"] = {"schemas": schemas}
    return document


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
