"""The routes for machines that watch: is it alive, may it be sent work, how does it do."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from steward.api import metrics
from steward.api.admission import Calling, Serving
from steward.api.answers import Health
from steward.api.described import JsonSchema, answer, reference, responses
from steward.api.service import Service
from steward.errors import StewardError
from steward.ledger.port import Commit
from steward.records import Status

MAX_LAG = 100_000
"""How many entries the views may be behind before the server says that it is not ready."""
router = APIRouter()


def _text(about: str) -> dict[int | str, JsonSchema]:
    return responses({"type": "string"}, about, media_type="text/plain")


@router.get(
    "/healthz",
    response_class=PlainTextResponse,
    responses=responses({"type": "string"}, "`ok`", media_type="text/plain"),
)
async def healthz() -> Response:
    """Tell that the process answers; it looks at nothing else."""
    return Response("ok", media_type="text/plain")


@router.get(
    "/readyz",
    responses=responses(reference("Health"), "Send work") | {503: answer("Send no work", reference("Health"))},
)
async def readyz(service: Serving) -> Response:
    """Tell whether work may be sent: the ledger takes writes, the views follow, the models are loaded."""
    checks = {
        "ledger": await _ledger(service),
        "views": await _views(service),
        "models": _models(service),
        "background": _background(service),
    }
    ready = all(state == "ok" or state.startswith("ok:") for state in checks.values())
    # Not among them: a ledger that was changed is an alarm, and to stop deciding would mend nothing.
    checks["verification"] = _verification(service)
    body = msgspec.json.encode(Health(ready=ready, checks=checks))
    return Response(body, 200 if ready else 503, media_type="application/json")


async def _ledger(service: Service) -> str:
    try:
        await service.runtime.ledger.append(Commit())
    except StewardError as error:
        return f"{error.code}: {error.what}"
    return "ok"


async def _views(service: Service) -> str:
    try:
        lag = await service.runtime.ledger.size() - service.runtime.views.position
    except StewardError as error:
        return f"{error.code}: {error.what}"
    return f"ok: {lag} entries behind" if lag <= MAX_LAG else f"{lag} entries behind"


def _models(service: Service) -> str:
    # All else that an open runtime runs has been loaded and verified.
    withheld = sorted(service.runtime.lineups.withheld)
    if withheld:  # the others decide, so it is ready
        return f"ok: withheld are {', '.join(withheld)}"
    names = {model.name for decision in service.runtime.decisions.values() for model in decision.models}
    return f"ok: {len(names)} loaded"


def _verification(service: Service) -> str:
    """Tell what the last verification of the whole ledger has found."""
    last = service.runtime.audit.last
    if last is None:
        return "ok: not verified yet"
    return f"alarm: {last.breaks[0]}" if last.breaks else f"ok: {last.entries} entries verified at {last.at:%FT%TZ}"


def _background(service: Service) -> str:
    """Tell whether consumers, ticks, deadlines and actions go on; what stopped them is in the log, not told here."""
    failure = service.runtime.failure()
    return "ok" if failure is None else f"stopped by {type(failure).__name__}"


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses=responses({"type": "string"}, "Prometheus text format", media_type="text/plain"),
)
async def show_metrics(service: Serving, caller: Calling) -> Response:
    """Tell the counters, in the Prometheus text format."""
    runtime = service.runtime
    await runtime.catch_up()
    size = await runtime.ledger.size()
    readable = caller.readable()
    shown = [total for total in runtime.views.totals() if readable is None or total.decision in readable]
    waiting = sum(total.by_status.get(Status.WAITING, 0) for total in shown)
    gauges = [
        ("steward_ledger_entries", "Entries in the ledger.", float(size)),
        ("steward_approvals_waiting", "Decisions that wait for a person.", float(waiting)),
        ("steward_stops_standing", "Stops that stand.", float(len(runtime.stops.standing()))),
        ("steward_views_lag_entries", "Entries the views have not seen.", float(size - runtime.views.position)),
    ]
    if (last := runtime.audit.last) is not None:
        gauges += [
            ("steward_ledger_breaks", "What the last verification found not to hold.", float(len(last.breaks))),
            ("steward_ledger_verified_entries", "Entries that it has verified.", float(last.entries)),
            ("steward_ledger_verified_timestamp_seconds", "When it ended.", last.at.timestamp()),
            ("steward_ledger_verification_duration_seconds", "How long it took.", last.took_s),
        ]
    answered = metrics.answer_lines(runtime.views.answer_counts(among=readable))
    own = runtime.lines.facts()
    seen = [line for line in own if readable is None or line.decision is None or line.decision in readable]
    admitted = metrics.admission_lines(runtime.admission.facts())
    more = "\n".join([*answered, *metrics.line_lines(seen), *admitted, ""])
    return Response(service.metrics.text(gauges, readable) + more, media_type=metrics.MEDIA_TYPE.decode())
