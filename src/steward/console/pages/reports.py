"""Reports to keep, print and hand on: of one decision with its proof, and of what decisions were worth in a time."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Collection, Sequence
from datetime import datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, NamedTuple, cast

from fastapi import APIRouter, Response
from markupsafe import Markup
from msgspec import UNSET

from steward.access.permissions import Permission
from steward.api.admission import TheRun
from steward.console import printing
from steward.console.choices import by, chosen, measured, named
from steward.console.pages.value import sentence, shown_period, shown_totals, together
from steward.console.period import Period
from steward.console.proving import prove
from steward.console.seal import seal_of
from steward.console.told import history
from steward.console.view import Looking, View
from steward.console.words import plain
from steward.entries import Approved, Changed, Endorsed, Expired, Rejected, Resumed, Stopped, decode_body
from steward.errors import ContractError
from steward.insight.value import summarised
from steward.ledger.bundle import SigningLedger, bundle
from steward.ledger.port import Ledger
from steward.ledger.run import Run
from steward.records import GateFacts
from steward.runtime.stops import EVERY

router = APIRouter()
_CSS: Final = files("steward.console").joinpath("templates", "reports", "print.css").read_text("utf-8")
_OWN: Final = b64encode(sha256(_CSS.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_OWN}'; base-uri 'none'; form-action 'none'"
"""A report loads nothing; its one style is known by its hash."""
_WIDEST_BAR: Final = 58
_MOST_STOPS: Final = 200
_PAGE: Final = 1_000


class Answered(NamedTuple):
    """What a person answered."""

    at: datetime
    by: str
    answer: str
    reason: str


class StopTold(NamedTuple):
    """That something was stopped, or let go on."""

    at: datetime
    what: str
    decision: str
    by: str
    reason: str


@router.get("/decisions/{decision_id}/report")
async def decision_report(view: Looking, run: TheRun, decision_id: str) -> Response:
    """Return the report of one decision, as a file."""
    record = run.record
    gate = record.gate if isinstance(record.gate, GateFacts) else None
    ledger = cast("SigningLedger", view.runtime.ledger)  # every engine signs; the port leaves the key's form open
    may_prove = view.may(Permission.VERIFY, record.decision)
    proof = await prove(ledger, run.index) if may_prove else None
    [entry] = await ledger.read(run.index, 1)
    return await _file(
        view,
        "reports/decision.html",
        f"decision-{record.decision_id}",
        run=run,
        record=record,
        title=chosen(run.choice, record.policy.rule if run.choice == record.choice else UNSET),
        declared=view.runtime.decisions.get(record.decision),
        gate=gate,
        drivers=_drivers(run),
        features=[(named(name)[0], name, measured(name, value)) for name, value in record.features.items()],
        event=plain(record.event),
        answers=_answers(run),
        told=history(run, view.zone, view.runtime.effects.next(run)),
        proof=proof,
        bundle=(await bundle(ledger, entry)).decode() if may_prove else "",
        public_key=ledger.public_key,
    )


@router.get("/value/report")
async def value_report(view: Looking) -> Response:
    """Return the report of what decisions were worth, as a file."""
    period = shown_period(view)
    totals = await shown_totals(view, period)
    found, units = summarised(totals), together(totals)
    return await _file(
        view,
        "reports/value.html",
        f"value-{period.since or 'first'}-{period.until or view.now.date()}",
        period=period,
        found=found,
        units=units,
        totals=totals,
        said=sentence(units, sum(each.runs for each in totals), period, view.parameters.get("decision", "")),
        stops=await _stops(view.runtime.ledger, period, view.readable),
        seal=seal_of(view.runtime.audit),
        entries=await view.runtime.ledger.size(),
    )


async def _file(view: View, template: str, name: str, **content: Any) -> Response:
    wanted = view.parameters.get("as", "html")
    if wanted not in ("html", "pdf"):
        raise ContractError(f"no report is made as {wanted!r}", fix="ask for html or pdf", field="as")
    style = Markup(_CSS)  # noqa: S704 - a file of ours
    html = view.console.render(template, view=view, style=style, policy=POLICY, made_at=view.now, **content)
    headers = {"content-disposition": f'attachment; filename="{name}.{wanted}"', "content-security-policy": POLICY}
    if wanted == "html":
        return Response(html, media_type="text/html; charset=utf-8", headers=headers)
    return Response(await printing.printed(html), media_type="application/pdf", headers=headers)


def _drivers(run: Run) -> list[tuple[str, str, float, float]]:
    """Return what moved the model's answer, the most first: label, value, by how much, and a bar's width."""
    features = run.record.features
    rows = sorted(run.attribution.items(), key=lambda each: -abs(each[1]))
    most = max((abs(moved) for _, moved in rows), default=0.0) or 1.0
    return [
        (named(name)[0], measured(name, features.get(name)), moved, round(_WIDEST_BAR * abs(moved) / most, 1))
        for name, moved in rows
    ]


def _answers(run: Run) -> list[Answered]:
    found: list[Answered] = []
    for placed in run.history:
        body = placed.body
        if isinstance(body, Approved) and found and found[-1].by == by(body.by) and found[-1].answer == "agreed":
            continue  # the last of several to agree, whose word stands there already
        if isinstance(body, Approved | Endorsed):
            found.append(Answered(body.at, by(body.by), "agreed", _reason(body)))
        elif isinstance(body, Rejected):
            found.append(Answered(body.at, by(body.by), "refused", _reason(body)))
        elif isinstance(body, Changed):
            found.append(Answered(body.at, by(body.by), f"changed it to: {chosen(body.choice)}", _reason(body)))
        elif isinstance(body, Expired):
            found.append(Answered(body.at, "nobody", f"did not answer in time: {chosen(body.choice)}", ""))
    return found


def _reason(body: object) -> str:
    reason = getattr(body, "reason", "")
    return reason if isinstance(reason, str) else ""


async def _stops(ledger: Ledger, period: Period, readable: Collection[str] | None) -> Sequence[StopTold]:
    found = []
    for kind in ("stopped", "resumed"):
        start = 0
        while page := await ledger.read(start, _PAGE, kind=kind):
            start = page[-1].index + 1
            for body in map(decode_body, (entry.body for entry in page)):
                if isinstance(body, Stopped | Resumed) and _is_shown(body, period, readable):
                    what = "Stopped" if isinstance(body, Stopped) else "Let go on"
                    found.append(StopTold(body.at, what, body.decision, by(body.by), body.reason))
    return sorted(found)[-_MOST_STOPS:]


def _is_shown(body: Stopped | Resumed, period: Period, readable: Collection[str] | None) -> bool:
    day = body.at.date()
    is_then = (period.since is None or period.since <= day) and (period.until is None or day <= period.until)
    return is_then and (readable is None or body.decision == EVERY or body.decision in readable)
