"""The routes that read: decisions, declarations, value and the ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import cache, partial
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse
from msgspec import Struct
from pydantic import AwareDatetime

from steward.access.entries import ACCESS_KINDS
from steward.access.identity import EVERY
from steward.access.permissions import Permission
from steward.api.admission import Calling, Serving, TheRun
from steward.api.answers import LedgerEntry, LedgerPage, run_document
from steward.api.described import RUN_DOCUMENT, array_of, reference, responses
from steward.api.entrance import Caller
from steward.api.service import Service
from steward.insight.inventory import inventory
from steward.insight.listing import Filter
from steward.insight.value import summary
from steward.ledger.bundle import SigningLedger, bundle
from steward.ledger.port import Entry
from steward.ledger.run import Run
from steward.records import Status

PAGE_BYTES = 8 * 1024 * 1024
"""A page of entries ends where its bodies reach this size."""


Limit = Annotated[int, Query(ge=1, le=1_000)]
router = APIRouter()


def json_response(value: Any, headers: dict[str, str] | None = None) -> Response:
    """Return a value as JSON, encoded by msgspec like everything the API answers."""
    return Response(msgspec.json.encode(value), media_type="application/json", headers=headers)


def run_response(service: Service, run: Run) -> Response:
    """Return a run as it stands, with what it waits for."""
    following, is_stopped = service.runtime.effects.next(run), service.runtime.stops.is_stopped(run.record.decision)
    return Response(run_document(run, following, is_stopped=is_stopped), media_type="application/json")


@router.get("/v1/decisions", responses=responses(array_of("RunRow"), "The newest first", [422]))
async def list_decisions(
    service: Serving,
    caller: Calling,
    request: Request,
    *,
    decision: str | None = None,
    status: Status | None = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    q: Annotated[str, Query(max_length=200)] = "",
    before: UUID | None = None,
    limit: Limit = 50,
) -> Response:
    """List decisions, the newest first; `q` is found in choices and reasons; the header `Link` names the next page."""
    await service.runtime.catch_up()
    which = Filter(
        decision=decision,
        statuses=() if status is None else (status,),
        since=since,
        until=until,
        text=q.strip(),
        among=caller.readable(),
    )
    rows = service.runtime.views.listed(which, before=before, limit=limit)
    headers = {}
    if len(rows) == limit:
        following = request.url.include_query_params(before=str(rows[-1].decision_id))
        headers["link"] = f'<{following.path}?{following.query}>; rel="next"'
    return json_response(rows, headers)


@router.get(
    "/v1/decisions/{decision_id}",
    responses=responses(reference(RUN_DOCUMENT), "The record as it stands now, with its history", [404]),
)
async def show_decision(service: Serving, run: TheRun, decision_id: str) -> Response:
    """Show one decision: its record with the present status and choice, what it waits for, and its history."""
    return run_response(service, run)


@router.get(
    "/v1/decisions/{decision_id}/proof",
    responses=responses({"type": "object"}, "A bundle for `steward verify`", [404]),
)
async def prove_decision(service: Serving, run: TheRun, decision_id: str) -> Response:
    """Prove that a decision is in the ledger: its entry, the audit path and a signed checkpoint."""
    ledger = cast("SigningLedger", service.runtime.ledger)  # every engine signs; the port leaves the key's form open
    [entry] = await ledger.read(run.index, 1)
    return Response(await bundle(ledger, entry), media_type="application/json")


@router.get("/v1/declarations", responses=responses({"type": "array", "items": {"type": "object"}}, "In plain data"))
async def list_declarations(service: Serving, caller: Calling) -> Response:
    """List what is declared: every decision in plain data, with its fingerprint."""
    declared = service.runtime.decisions
    decisions = [decision for name, decision in declared.items() if caller.may(Permission.READ, name)]
    return json_response([{**decision.description, "fingerprint": decision.fingerprint} for decision in decisions])


@router.get("/v1/value", responses=responses(array_of("ValueSummary"), "Each decision and currency", [422]))
async def show_value(
    service: Serving,
    caller: Calling,
    *,
    decision: str | None = None,
    since: date | None = None,
    until: date | None = None,
) -> Response:
    """Tell what the decisions of some days were worth against their baseline, next to how many were counted."""
    await service.runtime.catch_up()
    among = caller.readable()
    found = summary(service.runtime.views, decision=decision, since=since, until=until, among=among)
    return json_response(found)


@router.get("/v1/inventory", responses=responses(array_of("InventoryRow"), "The most worth automating first"))
async def show_inventory(service: Serving, caller: Calling) -> Response:
    """Tell how often each declared decision is made, what it saves and can harm, and how often people are asked."""
    runtime = service.runtime
    await runtime.catch_up()
    among = [name for name in runtime.decisions if caller.may(Permission.READ, name)]
    return json_response(inventory(runtime.decisions.values(), runtime.views, runtime.clock.now(), among=among))


@router.get(
    "/v1/ledger/checkpoint",
    response_class=PlainTextResponse,
    responses=responses({"type": "string"}, "A signed note (C2SP tlog-checkpoint)", media_type="text/plain"),
)
async def show_checkpoint(service: Serving) -> Response:
    """Sign the ledger's present head; keep the note elsewhere, and a cut-off tail will be found."""
    return Response((await service.runtime.ledger.checkpoint()).note, media_type="text/plain")


@router.get("/v1/ledger/entries", responses=responses(reference("LedgerPage"), "Entries in order", [422]))
async def list_entries(
    service: Serving,
    caller: Calling,
    request: Request,
    start: Annotated[int, Query(ge=0, lt=2**63)] = 0,
    limit: Limit = 100,
) -> Response:
    """List the ledger's entries by index, without those of other teams; the header `Link` names the next page."""
    ledger = service.runtime.ledger
    size = await ledger.size()
    entries = _page(await ledger.read(start, limit)) if start < size else []
    headers = {}
    if entries and entries[-1].index + 1 < size:
        following = request.url.include_query_params(start=entries[-1].index + 1)
        headers["link"] = f'<{following.path}?{following.query}>; rel="next"'
    shown = shown_to(caller)
    return json_response(LedgerPage(size=size, entries=[entry for entry in entries if shown(entry)]), headers)


class _About(Struct, frozen=True):
    decision: str = EVERY


_decode_about = msgspec.json.Decoder(_About).decode


def shown_to(caller: Caller, permission: Permission = Permission.EXPORT) -> Callable[[LedgerEntry], bool]:
    """Return what tells whether an entry is for the caller, who needs a permission for its decision."""
    if caller.is_local:
        return lambda entry: True
    may = cache(partial(caller.may, permission))
    sees_everything = caller.sees_everything

    def shown(entry: LedgerEntry) -> bool:
        decision = _decode_about(entry.body).decision
        # Who may what names decisions of all teams.
        return may(decision) if decision != EVERY else sees_everything or entry.kind not in ACCESS_KINDS

    return shown


def _page(entries: Any) -> list[LedgerEntry]:
    page: list[LedgerEntry] = []
    left = PAGE_BYTES
    for entry in entries:
        left -= len(entry.body)
        if page and left < 0:
            break
        page.append(shown_entry(entry))
    return page


def shown_entry(entry: Entry) -> LedgerEntry:
    """Return an entry as it is answered."""
    return LedgerEntry(index=entry.index, kind=entry.kind, decision_id=entry.run_id, body=entry.body.decode())
