"""The overview: how it goes, in one sentence, and what needs somebody first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Response
from msgspec import Struct

from steward.console.attention import STUCK, concerns, stopped, stops_of
from steward.console.audience import Audience, Fragment
from steward.console.charts import drawing
from steward.console.choices import chosen as in_words
from steward.console.first_visit import first_example
from steward.console.pages import inventory
from steward.console.ranges import RANGES, Range, range_of
from steward.console.sheets import Column, Kind, Sheet
from steward.console.tiles import OVER_TIME, Tile, latency, over_time, tiles
from steward.console.view import Looking, View
from steward.console.words import number, title
from steward.insight.rows import ApprovalRow, DecisionTotals, Pulse, RunRow
from steward.runtime.stops import EVERY

router = APIRouter()
NEWEST: Final = "newest-decisions"
_NEWEST_ROWS: Final = 10
_LONGEST_CHOICE: Final = 60
_P95: Final = 0.95


class State(Struct, frozen=True, kw_only=True):
    """How it goes.

    Attributes:
        title: In one sentence.
        sentence: What else is to be known.
        is_first: Whether nothing was ever decided.

    Example:
        >>> State(title="Everything runs inside its limits", sentence="Nobody is asked anything.").is_first
        False
    """

    title: str
    sentence: str
    is_first: bool = False


@router.get("/")
async def overview(view: Looking) -> Response:
    """Show how it goes."""
    await view.runtime.catch_up()
    audience = view.audience
    chosen = range_of(view.parameters, audience.now, audience.zone)
    pulses = _pulses(audience, chosen)
    totals = _totals(audience)
    return await view.page(
        "overview.html",
        chosen=chosen,
        ranges=RANGES,
        state=_state(audience, totals),
        urgent=_urgent(audience),
        in_words=in_words,
        tiles=_tiles(audience, pulses, chosen),
        figure=over_time(pulses, chosen),
        newest=_newest(audience),
        concerns=await concerns(audience, totals),
        inventory=await inventory.rows(view),
        bubbles=inventory.bubbles,
        example=first_example(audience, str(view.request.base_url)) if not totals else None,
    )


def _state(audience: Audience, totals: Sequence[DecisionTotals]) -> State:
    waiting = audience.runtime.views.waiting_count(among=audience.readable)
    stops = stops_of(audience)
    asked = _waiting_words(waiting, "you" if audience.service.entrance.is_local else "a person")
    stuck = sum(each.by_status.get(status, 0) for each in totals for status in STUCK)
    needing = f"{number(stuck)} {'needs' if stuck == 1 else 'need'} a look." if stuck else ""
    if stops and stops[0].decision == EVERY:
        first = stops[0]
        return State(title=f"Everything is stopped: {first.reason}", sentence=f"Stopped by {first.by}. {asked}.")
    if not totals:
        return State(title="Nothing has been decided yet", sentence="What happens will be here at once.", is_first=True)
    held = f"{', '.join(map(stopped, stops))}. " if stops else ""
    if waiting:
        return State(title=asked, sentence=f"{held}{needing or 'Everything else runs inside its limits.'}")
    if stops or stuck:
        return State(title=f"{held}{needing}".rstrip(". "), sentence="Nobody is asked anything at present.")
    return State(title="Everything runs inside its limits", sentence="Nobody is asked anything at present.")


def _waiting_words(count: int, whom: str) -> str:
    if not count:
        return "No decision waits"
    return f"{number(count)} {'decision waits' if count == 1 else 'decisions wait'} for {whom}"


def _urgent(audience: Audience) -> ApprovalRow | None:
    """Return what runs out first."""
    return next(iter(audience.runtime.views.waiting(1, among=audience.readable)), None)


def _pulses(audience: Audience, chosen: Range) -> list[Pulse]:
    until = chosen.now + timedelta(microseconds=1)
    return audience.runtime.views.pulse(chosen.since, until, chosen.step, among=audience.readable)


def _tiles(audience: Audience, pulses: Sequence[Pulse], chosen: Range) -> list[Tile]:
    earlier = (chosen.since - chosen.before, chosen.now - chosen.before)
    before = audience.runtime.views.runs_between(*earlier, among=audience.readable)
    found = tiles(pulses, before, chosen)
    # How many requests others send is not for those who may not see what they are for.
    if audience.readable is None or audience.readable >= audience.runtime.decisions.keys():
        answered = latency(*audience.service.metrics.latency.quantile(("decide",), _P95))
        found += [answered] if answered is not None else []
    return found


def _totals(audience: Audience) -> list[DecisionTotals]:
    readable = audience.readable
    return [each for each in audience.runtime.views.totals() if readable is None or each.decision in readable]


def _newest(audience: Audience) -> Sheet[RunRow]:
    return Sheet(
        name=NEWEST,
        title="The newest decisions",
        columns=[
            _column("time", "Time", lambda row: row.decided_at, Kind.TIME),
            Column(
                key="decision",
                label="Decision",
                value=lambda row: title(row.decision),
                link=lambda row: f"/decisions/{row.decision_id}",
                can_sort=False,
            ),
            _column("choice", "Choice", _choice),
            _column("confidence", "Confidence", lambda row: row.confidence, Kind.SHARE),
            _column("saving", "Saved", lambda row: row.saving, Kind.MONEY),
            _column("status", "Status", lambda row: row.status, Kind.STATUS),
        ],
        rows=audience.runtime.views.runs(limit=_NEWEST_ROWS, among=audience.readable),
        key=lambda row: str(row.decision_id),
    )


def _column(key: str, label: str, value: Any, kind: Kind = Kind.TEXT) -> Column[RunRow]:
    return Column(key=key, label=label, value=value, kind=kind, can_sort=False)


def _choice(row: RunRow) -> str:
    text = in_words(row.choice)
    return text if len(text) <= _LONGEST_CHOICE else f"{text[: _LONGEST_CHOICE - 1]}…"


async def _over_time(view: View) -> Sheet[Any]:
    audience = view.audience
    chosen = range_of(view.parameters, audience.now, audience.zone)
    return over_time(_pulses(audience, chosen), chosen).sheet()


async def _rows(view: View) -> Sheet[Any]:
    return _newest(view.audience)


async def _live_state(audience: Audience) -> str:
    return audience.render("overview_state.html", state=_state(audience, _totals(audience)))


async def _live_urgent(audience: Audience) -> str:
    return audience.render("overview_urgent.html", urgent=_urgent(audience), in_words=in_words)


async def _live_rows(audience: Audience) -> str:
    return audience.render("overview_newest.html", newest=_newest(audience))


async def _live_concerns(audience: Audience) -> str:
    return audience.render("overview_concerns.html", concerns=await concerns(audience, _totals(audience)))


async def _live_tiles(audience: Audience, name: str) -> str:
    chosen = range_of({"range": name}, audience.now, audience.zone)
    return audience.render("overview_tiles.html", tiles=_tiles(audience, _pulses(audience, chosen), chosen))


async def _live_chart(audience: Audience, name: str) -> str:
    chosen = range_of({"range": name}, audience.now, audience.zone)
    return str(drawing.chart(over_time(_pulses(audience, chosen), chosen), audience.zone))


SOURCES: Final = {OVER_TIME: _over_time, NEWEST: _rows}
"""The sheets of the page's tables and charts."""
FRAGMENTS: Final[Mapping[str, Fragment]] = {
    "overview-state": _live_state,
    "overview-urgent": _live_urgent,
    "overview-newest": _live_rows,
    "overview-concerns": _live_concerns,
    **{f"overview-tiles-{name}": partial(_live_tiles, name=name) for name in RANGES},
    **{f"overview-chart-{name}": partial(_live_chart, name=name) for name in RANGES},
}
"""What keeps itself up to date, by the elements' ids."""
