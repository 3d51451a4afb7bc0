"""Audit and proofs: whether the ledger holds, when its heads were signed, and any entry's or bundle's proof."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Response
from msgspec import Struct

from steward.access.permissions import Permission
from steward.api.access import recent_refusals
from steward.api.accounts import Refusal
from steward.api.problems import problem
from steward.api.reading import shown_entry, shown_to
from steward.console.audience import Audience, Fragment
from steward.console.forms import sends
from steward.console.seal import seal_of
from steward.console.sheets import Column, Kind, Sheet
from steward.console.view import Looking, View, back_to
from steward.errors import ContractError, NotFound, StewardError
from steward.ledger.sqlite_calendar import SignedHour
from steward.ledger.verify import Proven
from steward.runtime.audit import Verified
from steward.runtime.bundles import Judged, judge, places_of

router = APIRouter()
_DAYS: Final = 14
_MOST_BREAKS: Final = 20
_MOST_OF_A_RUN: Final = 60
_MOST_REFUSALS: Final = 50


class SignedDay(Struct, frozen=True, kw_only=True):
    """The heads that were signed in a day, by the viewer's zone."""

    day: date
    heads: int
    first: int
    last: int
    breaks: int


class Cell(Struct, frozen=True, kw_only=True):
    """The heads that were signed in an hour, and what does not hold among its entries."""

    heads: int
    last: int
    breaks: int


class FoundEntry(Struct, frozen=True, kw_only=True):
    """An entry that was asked for, verified now.

    Attributes:
        proven: Its proof.
        at: When it was made, as it says; ``None`` if the viewer may not know.
        decision: Whose it is; empty if the viewer may not know.
        run_id: Its run; empty if the viewer may not know.
        body: What it says, laid out; empty if the viewer may not know.
        others: The entries of the same run.
    """

    proven: Proven
    at: datetime | None
    decision: str
    run_id: str
    body: str
    others: Sequence[int]

    @property
    def hashes(self) -> tuple[bytes, list[bytes], bytes]:
        """The entry's hash, the given hashes from the leaf up, and the root."""
        proven = self.proven
        return bytes.fromhex(proven.leaf), [bytes.fromhex(each) for each in proven.path], bytes.fromhex(proven.root)


class Brought(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A proof that somebody brings, and the key that they trust."""

    bundle: str = ""
    key: str = ""


@router.get("/audit")
async def audit_page(view: Looking) -> Response:
    """Show whether the ledger holds, and prove the entry that is asked for."""
    return await _shown(view)


@router.post("/audit/verify")
async def verify_all(view: Looking) -> Response:
    """Begin to verify the whole ledger, unless that is under way."""
    view.runtime.audit.begin()
    return back_to("/audit")


@router.post("/audit/bundle")
async def verify_bundle(view: Looking, sent: Annotated[Brought, sends(Brought)]) -> Response:
    """Judge a proof that somebody brings."""
    try:
        if not sent.bundle:
            raise ContractError("there is no proof yet", fix="paste one, or choose its file", field="bundle")
        judged = await judge(view.runtime.audit, sent.bundle.encode(), public_key=sent.key or None)
    except ContractError as error:
        return await _shown(view, sent=sent, wrong=error)
    return await _shown(view, sent=sent, judged=judged)


async def _shown(
    view: View, *, sent: Brought | None = None, judged: Judged | None = None, wrong: StewardError | None = None
) -> Response:
    runtime, asked = view.runtime, view.parameters.get("entry", "").strip()
    found: FoundEntry | None = None
    missing: StewardError | None = None
    if asked:
        try:
            found = await _found(view, asked)
        except NotFound as error:
            missing = error
    told = wrong or missing
    last = runtime.audit.last
    return await view.page(
        "audit.html",
        status=200 if told is None else problem(told).status,
        audit=runtime.audit,
        last=last,
        breaks=[] if last is None else last.breaks[:_MOST_BREAKS],
        calendar=_calendar(view, last),
        checkpoints=await checkpoints_sheet(view),
        head=await runtime.ledger.checkpoint(),
        asked=asked,
        found=found,
        missing=None if missing is None else problem(missing),
        sent=sent or Brought(),
        judged=judged,
        wrong=None if wrong is None else problem(wrong),
        refusals=await refusals_sheet(view) if view.may(Permission.ADMINISTER, "") else None,
    )


async def _found(view: View, asked: str) -> FoundEntry:
    """Return the entry that a text names; of a run, its first."""
    caller, runtime = view.caller, view.runtime
    if caller is None:
        raise NotFound(f"{asked!r} names no entry")
    ledger = runtime.ledger
    places = await places_of(ledger, asked)
    shown = shown_to(caller, Permission.READ)
    [entry] = await ledger.read(places[0], 1)
    is_shown = shown(shown_entry(entry))
    if not is_shown and len(asked) > 20:  # an id tells whose it is, a number does not
        raise NotFound(f"{asked[:200]!r} names no entry", fix="give its index, or the id of its decision")
    proven = await runtime.audit.prove(entry.index)
    others = [each.index for each in (await ledger.of_run(entry.run_id))[:_MOST_OF_A_RUN]] if is_shown else []
    body: Mapping[str, Any] = _plain(proven.body) if is_shown else {}
    return FoundEntry(
        proven=proven,
        at=_moment(body.get("decided_at", body.get("at"))),
        decision=str(body.get("decision", "")),
        run_id=str(entry.run_id) if is_shown else "",
        body=msgspec.json.format(proven.body, indent=2) if body else "",
        others=others,
    )


def _plain(body: str) -> Mapping[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _moment(text: object) -> datetime | None:
    try:
        found: datetime = msgspec.convert(text, Annotated[datetime, msgspec.Meta(tz=True)])
    except msgspec.ValidationError:
        return None
    return found


def _broken_in(last: Verified) -> dict[SignedHour, int]:
    """Return how many of an hour's entries do not hold."""
    broken = sorted({each.index for each in last.breaks if each.index is not None})
    found, before = {}, 0
    for hour in last.hours:
        found[hour] = bisect_left(broken, hour.last) - bisect_left(broken, before)
        before = hour.last
    return found


def _calendar(view: View, last: Verified | None) -> list[tuple[date, list[Cell | None]]]:
    """Return the hours of the last days, by the viewer's zone: one cell each, ``None`` where nothing was signed."""
    if last is None or not last.hours:
        return []
    days: dict[date, list[Cell | None]] = {}
    newest = view.zone.local(last.hours[-1].start).date()
    for hour, breaks in _broken_in(last).items():
        local = view.zone.local(hour.start)
        if newest - local.date() < timedelta(days=_DAYS):
            cells = days.setdefault(local.date(), [None] * 24)
            before = cells[local.hour]  # an hour that comes twice when clocks are set back
            cells[local.hour] = Cell(
                heads=hour.heads + (before.heads if before else 0),
                last=hour.last,
                breaks=breaks + (before.breaks if before else 0),
            )
    return sorted(days.items(), reverse=True)


def _column(key: str, label: str, value: Callable[[Any], Any], **more: Any) -> Column[Any]:
    """Return a column of a table that is one of several on the page, so that its URL sorts none of them."""
    return Column(key=key, label=label, value=value, can_sort=False, **more)


def _to_entry(row: Refusal) -> str:
    return f"/audit?entry={row.index}"


async def checkpoints_sheet(view: View) -> Sheet[SignedDay]:
    """Return when heads were signed, by day, the newest first."""
    if view.caller is not None:
        view.caller.require(Permission.VERIFY)
    last = view.runtime.audit.last
    days: dict[date, SignedDay] = {}
    for hour, breaks in ({} if last is None else _broken_in(last)).items():
        day = view.zone.local(hour.start).date()
        before = days.get(day)
        days[day] = SignedDay(
            day=day,
            heads=hour.heads + (before.heads if before else 0),
            first=before.first if before else hour.first,
            last=hour.last,
            breaks=breaks + (before.breaks if before else 0),
        )
    return Sheet(
        name="checkpoints",
        title="Signed heads by day",
        columns=(
            _column("day", "Day", lambda row: row.day.isoformat(), kind=Kind.CODE),
            _column("heads", "Signed heads", lambda row: row.heads, kind=Kind.NUMBER),
            _column("first", "First over entries", lambda row: row.first, kind=Kind.NUMBER),
            _column("last", "Last over entries", lambda row: row.last, kind=Kind.NUMBER),
            _column("breaks", "Do not hold", lambda row: row.breaks, kind=Kind.NUMBER),
        ),
        rows=sorted(days.values(), key=lambda row: row.day, reverse=True),
        empty="Here will be, by day, how often the ledger's head was signed, once it has been verified.",
    )


async def refusals_sheet(view: View) -> Sheet[Refusal]:
    """Return who was turned away last."""
    if view.caller is not None:
        view.caller.require(Permission.ADMINISTER)
    return Sheet(
        name="refusals",
        title="Turned away",
        columns=(
            _column("at", "Last at", lambda row: row.at, kind=Kind.TIME),
            _column("times", "Times", lambda row: row.times, kind=Kind.NUMBER),
            _column("code", "Why", lambda row: row.code, kind=Kind.CODE),
            _column("by", "Who", lambda row: row.by or None),
            _column("permission", "Wanted", lambda row: row.permission or None),
            _column("decision", "Of", lambda row: None if row.decision == "*" else row.decision),
            _column("address", "From", lambda row: row.address or None, kind=Kind.CODE),
            _column("credential", "Shown", lambda row: row.credential or None, kind=Kind.CODE),
            _column("index", "Entry", lambda row: row.index, kind=Kind.NUMBER, link=_to_entry),
        ),
        rows=await recent_refusals(view.service, _MOST_REFUSALS),
        empty="Whoever is turned away will be listed here: an unknown key, a right that is missing.",
    )


async def _sealed(audience: Audience) -> str:
    """Return the seal at the foot of every page, as it is now."""
    return audience.render("seal.html", seal=seal_of(audience.runtime.audit)).strip()


SOURCES = {"checkpoints": checkpoints_sheet, "refusals": refusals_sheet}
FRAGMENTS: Final[Mapping[str, Fragment]] = {"seal": _sealed}
