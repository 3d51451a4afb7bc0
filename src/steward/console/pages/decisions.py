"""The list of decisions: filtered, searched, sorted, and looked into without leaving it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from steward.console.charts.figures import Bars, Figure, Panel, Tone
from steward.console.choices import chosen
from steward.console.filtering import RANGES, Wanted, stretch_of, tidied, wanted_of
from steward.console.sheets import Column, Kind, Sheet
from steward.console.view import Looking, View
from steward.insight.listing import SORTED, Filter
from steward.insight.rows import Pulse, RunRow
from steward.records import Status

router = APIRouter()
ROWS: Final = 50
"""How many decisions a page has."""
_MOST_NEWS: Final = 1_000
_BUCKETS: Final = 20
_ROWS_AT_ONCE: Final = 500
_OUTCOMES: Final[Mapping[str, tuple[Tone, tuple[Status, ...]]]] = {
    "went its way": (Tone.FIRST, (Status.DECIDED, Status.ACTING, Status.ACTED, Status.APPROVED)),
    "waits for somebody": (Tone.CAUTION, (Status.WAITING, Status.IN_DOUBT, Status.HALTED)),
    "refused or expired": (Tone.QUIET, (Status.REJECTED, Status.EXPIRED)),
    "failed or taken back": (Tone.BAD, (Status.FAILED, Status.UNDONE)),
}


class Chip(NamedTuple):
    """A status that can be filtered by.

    Attributes:
        status: Which.
        runs: How many stand there, without the search.
        is_on: Whether it is filtered by.
        turned: The parameter ``status`` with it turned round.
    """

    status: Status
    runs: int
    is_on: bool
    turned: str | None


@dataclass(frozen=True, kw_only=True)
class Listed(Sheet[RunRow]):
    """Decisions that were filtered and sorted where they are kept."""

    def arranged(self, parameters: Mapping[str, str]) -> Sheet[RunRow]:
        """Return it as it is."""
        return self


@router.get("/decisions")
async def decisions(view: Looking) -> Response:
    """List decisions, the newest first."""
    sent = view.request.query_params.multi_items()
    tidy = tidied(sent)
    if tidy != urlencode(sent):
        # So that a form without JavaScript, too, leads to the address that a link has.
        return RedirectResponse(f"/decisions?{tidy}" if tidy else "/decisions", 303)
    await view.runtime.catch_up()
    wanted = _wanted(view)
    rows = _rows(view, wanted, ROWS + 1)
    shown, has_more = rows[:ROWS], len(rows) > ROWS
    pulse = _pulse(view, wanted)
    return await view.page(
        "decisions.html",
        wanted=wanted,
        which=wanted.which,
        rows=shown,
        sheet=_sheet(shown),
        names=_names(view),
        chips=_chips(view, wanted, pulse),
        ranges=RANGES,
        typed={name: view.parameters.get(name, "") for name in ("q", "since", "until", "decision")},
        histogram=_histogram(view, wanted, pulse),
        confidences=_confidences(view, wanted, shown),
        following=_following(wanted, shown) if has_more else None,
        newest=shown[0].decision_id if shown and wanted.is_first else None,
        news=0,
        sorted_rows=SORTED,
    )


@router.get("/decisions/news")
async def news(view: Looking) -> Response:
    """Tell how many decisions have come since the newest that a list shows (``before``)."""
    await view.runtime.catch_up()
    wanted = _wanted(view)
    newest = wanted.before or UUID(int=0)
    count = view.runtime.views.count_after(newest, wanted.which, most=_MOST_NEWS)
    text = view.console.render("decisions_news.html", view=view, newest=newest, news=count)
    return HTMLResponse(text)


def _wanted(view: View) -> Wanted:
    return wanted_of(view.parameters, view.now, view.zone, view.readable)


def _rows(view: View, wanted: Wanted, limit: int) -> Sequence[RunRow]:
    return view.runtime.views.listed(
        wanted.which, sort=wanted.sort, before=wanted.before, skip=wanted.skip, limit=limit
    )


def _following(wanted: Wanted, shown: Sequence[RunRow]) -> dict[str, object] | None:
    """Return what the next page's URL says otherwise; ``None`` where nothing more is sorted."""
    if wanted.is_by_time:
        return {"before": shown[-1].decision_id}
    skip = wanted.skip + ROWS
    return {"skip": skip} if skip < SORTED else None


def _names(view: View) -> list[str]:
    """Return the decisions to choose from: those that are declared, and those that have been."""
    known = {*view.runtime.decisions, *view.runtime.views.decisions()}
    return sorted(known if view.readable is None else known & view.readable)


def _pulse(view: View, wanted: Wanted) -> Sequence[Pulse]:
    stretch, which = stretch_of(wanted.which, view.now), wanted.which
    until = stretch.until if which.until else stretch.until + timedelta(microseconds=1)
    views = view.runtime.views
    return views.pulse(stretch.since, until, stretch.step, decision=which.decision, among=which.among)


def _histogram(view: View, wanted: Wanted, pulse: Sequence[Pulse]) -> Figure:
    statuses = wanted.which.statuses or tuple(Status)
    step = stretch_of(wanted.which, view.now).step
    bars = [
        Bars(
            name=name,
            values=[sum(each.by_status.get(status, 0) for status in of if status in statuses) for each in pulse],
            tone=tone,
        )
        for name, (tone, of) in _OUTCOMES.items()
        if not set(of).isdisjoint(statuses)
    ]
    return Figure(
        name="decisions-over-time",
        title="Decisions over time, by what became of them",
        x=[each.at for each in pulse],
        panels=[Panel(label=f"decisions {_each(step)}", series=bars, height=96)],
        now=view.now,
    )


def _each(step: timedelta) -> str:
    minutes = int(step.total_seconds()) // 60
    for name, length in (("day", 1_440), ("hour", 60)):
        if minutes % length == 0:
            count = minutes // length
            return f"in {count} {name}s" if count > 1 else f"{'an' if name == 'hour' else 'a'} {name}"
    return f"in {minutes} minutes" if minutes > 1 else "a minute"


def _confidences(view: View, wanted: Wanted, shown: Sequence[RunRow]) -> Figure | None:
    """Return how sure the models were of the newest decisions; ``None`` where none tells.

    Of a search those are taken that it shows: to search twice would take twice the time.
    """
    searched = [row.confidence for row in shown if row.confidence is not None]
    found = searched if wanted.which.text else view.runtime.views.confidences(wanted.which)
    if not found:
        return None
    counts = [0] * _BUCKETS
    for confidence in found:
        counts[min(int(confidence * _BUCKETS), _BUCKETS - 1)] += 1
    width = 100 // _BUCKETS
    return Figure(
        name="decisions-confidence",
        title=f"Confidence of the newest {len(found):,} that have one"
        if not wanted.which.text
        else "Confidence of these",
        x=[f"{width * place} %" for place in range(_BUCKETS)],
        panels=[Panel(label="decisions", series=[Bars(name="decisions", values=counts)], height=96)],
    )


def _chips(view: View, wanted: Wanted, pulse: Sequence[Pulse]) -> list[Chip]:
    """Return the statuses that occur, or are filtered by, with how many stand there."""
    which = wanted.which
    counts = dict.fromkeys(Status, 0)
    if which.since is None and which.until is None:
        told = view.runtime.views.totals()
        told = [each for each in told if which.among is None or each.decision in which.among]
        sums = [each.by_status for each in told if which.decision in (None, each.decision)]
    else:
        sums = [each.by_status for each in pulse]
    for by_status in sums:
        for status, count in by_status.items():
            counts[status] += count
    return [
        Chip(status, count, status in which.statuses, _turned(which, status))
        for status, count in counts.items()
        if count or status in which.statuses
    ]


def _turned(which: Filter, status: Status) -> str | None:
    chosen_now = [each for each in which.statuses if each is not status]
    if len(chosen_now) == len(which.statuses):
        chosen_now.append(status)
    return ",".join(each.value for each in chosen_now) or None


def _sheet(rows: Sequence[RunRow]) -> Listed:
    return Listed(
        name="decisions",
        title="Decisions",
        columns=[
            Column(key="time", label="Time", value=lambda row: row.decided_at, kind=Kind.DATE),
            Column(key="decision", label="Decision", value=lambda row: row.decision),
            Column(key="choice", label="Choice", value=lambda row: chosen(row.choice)),
            Column(key="status", label="Status", value=lambda row: row.status, kind=Kind.STATUS),
            Column(key="confidence", label="Confidence", value=lambda row: row.confidence, kind=Kind.SHARE),
            Column(key="saving", label="Saved", value=lambda row: row.saving, kind=Kind.MONEY),
            Column(key="reasons", label="Reasons", value=lambda row: "; ".join(row.reasons)),
            Column(key="release", label="Release", value=lambda row: row.release, kind=Kind.CODE),
            Column(key="decision_id", label="Id", value=lambda row: str(row.decision_id), kind=Kind.CODE),
            Column(key="index", label="Ledger index", value=lambda row: row.index, kind=Kind.NUMBER),
        ],
        rows=rows,
        key=lambda row: str(row.decision_id),
    )


async def _file(view: View) -> Sheet[Any]:
    """Return the newest decisions that fit, as many as a file may hold; pages do not count."""
    await view.runtime.catch_up()
    wanted = _wanted(view)._replace(before=None, skip=0)
    if not wanted.is_by_time or wanted.which.text:
        return _sheet(_rows(view, wanted, SORTED))
    rows: list[RunRow] = []
    while part := _rows(view, wanted, min(_ROWS_AT_ONCE, SORTED - len(rows))):
        rows += part
        wanted = wanted._replace(before=part[-1].decision_id)
        await asyncio.sleep(0)  # a long file holds up nobody
    return _sheet(rows)


async def _over_time(view: View) -> Sheet[Any]:
    await view.runtime.catch_up()
    wanted = _wanted(view)
    return _histogram(view, wanted, _pulse(view, wanted)).sheet()


async def _how_sure(view: View) -> Sheet[Any]:
    await view.runtime.catch_up()
    wanted = _wanted(view)
    figure = _confidences(view, wanted, _rows(view, wanted, ROWS) if wanted.which.text else ())
    empty: Sheet[Any] = Sheet(name="decisions-confidence", title="Confidence", columns=[], rows=[])
    return empty if figure is None else figure.sheet()


SOURCES: Final = {"decisions": _file, "decisions-over-time": _over_time, "decisions-confidence": _how_sure}
