"""How answers are described in OpenAPI: JSON Schema made from the very structs that are encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from steward.api import accounts, answers
from steward.api.models_shown import ModelDocument, ModelShown, VersionShown
from steward.api.problems import MEDIA_TYPE, Problem
from steward.api.release_answers import DESCRIBED
from steward.api.verification import Verification
from steward.insight.answers import PeopleReport
from steward.insight.inventory import InventoryRow
from steward.insight.rows import RunRow
from steward.insight.value import ValueSummary
from steward.loop.asks import Approval
from steward.records import Record
from steward.runtime.counterfactuals import WouldHaveChanged
from steward.runtime.deadletters import DeadLettersNow
from steward.runtime.whatif import Redecided
from steward.serving import v2 as inference_v2
from steward.workflow.next import Next

JsonSchema = dict[str, Any]
_TEMPLATE = "#/components/schemas/{name}"
RUN_DOCUMENT = "RunDocument"
_DESCRIBED: tuple[type[Any], ...] = (
    *DESCRIBED,
    Record,
    Problem,
    RunRow,
    ValueSummary,
    InventoryRow,
    answers.Accepted,
    answers.EventsTaken,
    answers.Health,
    answers.History,
    answers.LedgerPage,
    answers.OutcomeIn,
    answers.OutcomeTaken,
    answers.ChangeIn,
    answers.CounterfactualsIn,
    answers.EscalationIn,
    answers.PersonsAnswer,
    answers.QuestionIn,
    answers.Reasoning,
    answers.RedriveIn,
    answers.ReplyIn,
    answers.SignalIn,
    answers.SnoozeIn,
    answers.StopIn,
    answers.StopsNow,
    answers.WhatIfIn,
    Approval,
    DeadLettersNow,
    ModelDocument,
    ModelShown,
    VersionShown,
    Next,
    PeopleReport,
    Redecided,
    WouldHaveChanged,
    Verification,
    inference_v2.InferenceFailure,
    inference_v2.InferenceRequest,
    inference_v2.InferenceResponse,
    inference_v2.ModelFacts,
    inference_v2.ServerFacts,
    accounts.Account,
    accounts.AccountChange,
    accounts.AccountIn,
    accounts.Claim,
    accounts.KeyIn,
    accounts.KeyIssued,
    accounts.KeyRotation,
    accounts.KeyShown,
    accounts.Limit,
    accounts.LimitIn,
    accounts.Reasoned,
    accounts.Refusal,
)
_TITLES = {
    400: "The request is malformed",
    404: "There is no such thing",
    405: "The method does not exist here",
    409: "Somebody was there first, or the deadline has passed",
    401: "Nobody is signed in",
    403: "Not allowed",
    408: "The request took too long to arrive",
    413: "The body is too large",
    415: "The media type is not taken here",
    421: "This server does not answer for that host",
    422: "The data does not fit",
    429: "Too many failed sign-ins, or requests",
    431: "The headers are too large",
    500: "Steward or one of its engines failed",
    503: "Busy, or an engine is away for a moment: try again",
}


def components() -> dict[str, JsonSchema]:
    """Return the schema of every struct that the API takes or answers, by name."""
    _, schemas = msgspec.json.schema_components(_DESCRIBED, ref_template=_TEMPLATE, schema_hook=_anything)
    record = schemas["Record"]
    history = {"type": "array", "items": reference("History"), "description": "Every entry of the run, in order."}
    schemas[RUN_DOCUMENT] = {
        **record,
        "title": RUN_DOCUMENT,
        "description": "The record with its present status and choice, and the history of the run.",
        "properties": {
            **record["properties"],
            "history": history,
            "approval": reference("Approval"),
            "next": reference("Next"),
        },
        "required": [*record["required"], "history"],
    }
    return schemas


def _anything(declared: type[Any]) -> JsonSchema:
    """Describe what a decision declares for itself (a choice, an event): any JSON value."""
    if declared is object or declared is msgspec.Raw:
        return {"description": "Any JSON value, as the decision declares it."}
    raise NotImplementedError(declared)


def reference(name: str) -> JsonSchema:
    """Return a reference to a component."""
    return {"$ref": _TEMPLATE.format(name=name)}


def array_of(*names: str) -> JsonSchema:
    """Return the schema of an array whose elements are one of these components."""
    items = reference(names[0]) if len(names) == 1 else {"anyOf": [reference(name) for name in names]}
    return {"type": "array", "items": items}


def answer(about: str, schema: JsonSchema, media_type: str = "application/json") -> JsonSchema:
    """Return the description of one answer."""
    return {"description": about, "content": {media_type: {"schema": schema}}}


def problems(*statuses: int) -> dict[int | str, JsonSchema]:
    """Return the descriptions of the problems a route may answer with."""
    return {status: answer(_TITLES[status], reference("Problem"), MEDIA_TYPE.decode()) for status in statuses}


def responses(
    schema: JsonSchema, about: str, fails: Sequence[int] = (), *, media_type: str = "application/json"
) -> dict[int | str, dict[str, Any]]:
    """Return what FastAPI is told of a route's answers: 200, and the problems every route has."""
    return {200: answer(about, schema, media_type), **problems(*sorted({400, 401, 403, 421, 429, 500, 503, *fails}))}


def body(schema: JsonSchema, media_type: str = "application/json") -> JsonSchema:
    """Return the description of a request's body, which must be there."""
    return {"required": True, "content": {media_type: {"schema": schema}}}


def hoisted(schema: Mapping[str, Any], prefix: str, into: dict[str, JsonSchema]) -> JsonSchema:
    """Move a schema's own definitions into the document's components, under names that begin with ``prefix``.

    Example:
        >>> schemas: dict[str, JsonSchema] = {}
        >>> hoisted({"$ref": "#/$defs/Due", "$defs": {"Due": {"type": "object"}}}, "grid", schemas)
        {'$ref': '#/components/schemas/grid.Due'}
        >>> schemas
        {'grid.Due': {'type': 'object'}}
    """
    for name, definition in schema.get("$defs", {}).items():
        into[f"{prefix}.{name}"] = _renamed(definition, prefix)
    moved: JsonSchema = _renamed({k: v for k, v in schema.items() if k not in ("$defs", "$schema")}, prefix)
    return moved


def _renamed(value: Any, prefix: str) -> Any:
    if isinstance(value, dict):
        return {
            key: f"#/components/schemas/{prefix}.{item.removeprefix('#/$defs/')}"
            if key == "$ref" and isinstance(item, str)
            else _renamed(item, prefix)
            for key, item in value.items()
        }
    return [_renamed(item, prefix) for item in value] if isinstance(value, list) else value
