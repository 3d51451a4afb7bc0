"""The grid case's page in the console: a day of the battery, hour by hour, and what it was worth."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Response
from msgspec import Struct
from msgspec.structs import replace

from steward.access.permissions import Permission
from steward.api.admission import Calling
from steward.api.doors import Door, Of
from steward.cases.grid.data.local_days import DAY, HOUR
from steward.cases.grid.dispatch.decision import NAME
from steward.cases.grid.dispatch.yardsticks import Yardsticks
from steward.cases.grid.live.drill import NAME as DRILL
from steward.cases.grid.live.drill import SPIKE_EUR_MWH, DrillWanted, Kind
from steward.cases.grid.screen.daybook import UNIT, DayBook, Desk
from steward.cases.grid.screen.happened import DECISIONS, Chronicle
from steward.cases.grid.screen.picture import CHART, TABLE, decision_link, picture, table
from steward.cases.grid.screen.recorded import Hour, Recorded
from steward.console.audience import Audience
from steward.console.console import Case
from steward.console.forms import sends
from steward.console.period import Period
from steward.console.references import Reference
from steward.console.sheets import Sheet
from steward.console.view import Looking, View, back_to
from steward.console.zones import Zone
from steward.errors import Conflict, ContractError, Denied
from steward.insight.rows import ApprovalRow
from steward.records import Money
from steward.runtime.parts import Origin
from steward.runtime.runtime import Runtime

TITLE: Final = "Smart grid"
PATH: Final = "/grid"
DRILL_PATH: Final = f"{PATH}/drill"
_SHOWN_WAITING: Final = 3


def case(yardsticks: Yardsticks | None = None) -> Case:
    """Return the page for a console.

    Args:
        yardsticks: The rule and the limit of a simulation; without, the page shows what records alone can tell.

    Example:
        >>> case().path, sorted(case().sources)
        ('/grid', ['grid-day', 'grid-hours'])
    """
    page = _Page(yardsticks)
    router = APIRouter()
    router.add_api_route(PATH, page.show, methods=["GET"])
    router.add_api_route(DRILL_PATH, drill, methods=["POST"])
    return Case(
        title=TITLE,
        path=PATH,
        router=router,
        doors={
            ("GET", PATH): Door(Permission.READ, Of.EACH),
            ("POST", DRILL_PATH): Door(Permission.INVOKE, Of.EACH, by_person=True),
        },
        templates="steward.cases.grid",
        sources={CHART: page.chart_sheet, TABLE: page.hours_sheet},
        references=page.references,
        fragments={f"grid-{name}": page.fragment(f"grid_{name}.html") for name in _FRAGMENTS},
    )


_FRAGMENTS: Final = ("title", "days", "saved", "sources", "stretches", "waiting", "events", "chart")
"""The parts of the page that keep themselves up to date, each with a template of its name."""


class Wanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to see played.

    Example:
        >>> Wanted(kind=Kind.OUTAGE, hours=3).hours
        3
    """

    kind: Kind
    hours: int


async def drill(view: Looking, caller: Calling, sent: Annotated[Wanted, sends(Wanted)]) -> Response:
    """Play an outage or dear hours from the next hour on, in the name of whoever asks."""
    caller.require(Permission.INVOKE, DRILL)
    place = await Recorded(view.runtime).place()
    if place is None:
        raise Conflict("nothing is played yet", fix="wait for the first hour")
    now = view.runtime.clock.now()
    begins = now - (now - place.local.start(place.local.day_of(now))) % HOUR + HOUR
    wanted = DrillWanted(site=place.site, kind=sent.kind, at=begins, hours=sent.hours)
    await view.runtime.decide(DRILL, wanted, origin=Origin(source="console", by=view.person))
    return back_to(f"{PATH}#drill")


class _Page:
    """Answers for the page; what it has read of the runtime is kept."""

    def __init__(self, yardsticks: Yardsticks | None) -> None:
        self._yardsticks = yardsticks
        self._known: tuple[Runtime, Desk] | None = None

    async def show(self, view: Looking) -> Response:
        """Show a day."""
        _check(view)
        book = await self._book(view.runtime, view.now, _day(view.parameters))
        if book is None:
            return await view.page("grid.html", book=None, title=TITLE)
        content = self._content(view, book)
        return await view.page(
            "grid.html",
            is_live=not view.parameters.get("day"),
            tells=any(name in view.runtime.decisions for name in DECISIONS),
            can_drill=DRILL in view.runtime.decisions and view.may(Permission.INVOKE, DRILL),
            spike_eur_mwh=SPIKE_EUR_MWH,
            figure=picture(_readable(view, book)),
            hours=table(book.hours).arranged(view.parameters),
            **content,
        )

    def fragment(self, template: str) -> Callable[[Audience], Awaitable[str]]:
        """Return what makes a part of the newest day's page."""

        async def make(audience: Audience) -> str:
            if audience.readable is not None and NAME not in audience.readable:
                return ""
            book = await self._book(audience.runtime, audience.now, None)
            if book is None:
                return ""
            figure = {"figure": picture(_readable(audience, book))} if template == "grid_chart.html" else {}
            return audience.render(template, **figure, **self._content(audience, book))

        return make

    async def chart_sheet(self, view: View) -> Sheet[Any]:
        """Return the values of the day's picture."""
        _check(view)
        book = await self._book(view.runtime, view.now, _day(view.parameters))
        return table(()) if book is None else picture(book).sheet()

    async def hours_sheet(self, view: View) -> Sheet[Hour]:
        """Return the day's decided hours."""
        _check(view)
        book = await self._book(view.runtime, view.now, _day(view.parameters))
        return table(() if book is None else book.hours)

    async def references(self, view: View) -> Sequence[Reference]:
        """Return the rule and the limit over the whole local days of a period, beside what was saved in them."""
        period = Period.of(view.parameters, view.now)
        if self._yardsticks is None or not view.may(Permission.READ, NAME):
            return []
        recorded = self._desk(view.runtime).recorded
        place, first = await recorded.place(), recorded.first()
        if place is None or first is None:
            return []
        local = place.local
        since = max(local.day_of(first), period.since or date.min)
        until = min(place.newest_day - DAY, period.until or date.max)
        saved = recorded.saved(local.start(since), local.start(until + DAY)) if since <= until else None
        if saved is None:
            return []
        hours = await recorded.hours(local, since)
        compared = await self._yardsticks.compared(since, until, hours[0].soc_mwh if hours else 0.0)
        days = f"over {compared.days} whole days of {local.zone}"
        told = {
            "naive-forecast": (compared.naive_eur, "a plan by the prices of the day or week before"),
            "rule": (compared.rule_eur, f"a plan by the clock, from the mean prices before {self._yardsticks.first}"),
            "limit": (compared.limit_eur, "the best plan that knew all prices beforehand"),
        }
        return [
            Reference(
                decision=NAME,
                name=name,
                amount=Money.rounded(amount, UNIT),
                steward=saved,
                about=f"{about}, {days}",
                since=since,
                until=until,
            )
            for name, (amount, about) in told.items()
        ]

    def _content(self, view: View | Audience, book: DayBook) -> Mapping[str, Any]:
        waiting = view.runtime.views.waiting(_SHOWN_WAITING + 1, among=(NAME,))
        return {
            "book": book,
            "before": book.day - DAY if book.day > book.first else None,
            "after": book.day + DAY if not book.is_newest else None,
            "happened": _readable(view, book).happened,
            "waiting": [(_asked(row), row) for row in waiting[:_SHOWN_WAITING]],
            "has_more": len(waiting) > _SHOWN_WAITING,
            "is_simulated": self._yardsticks is not None,
            "decision_link": decision_link,
            "clock": lambda at: _clock(view.zone, at),
            "day_in_words": day_in_words,
            "money_of": lambda eur: None if eur is None else Money.rounded(eur, UNIT),
            "path": PATH,
            "title": TITLE,
            "hour": timedelta(hours=1),
        }

    def _desk(self, runtime: Runtime) -> Desk:
        if self._known is None or self._known[0] is not runtime:
            self._known = runtime, Desk(Recorded(runtime), self._yardsticks, Chronicle(runtime))
        return self._known[1]

    async def _book(self, runtime: Runtime, now: datetime, day: date | None) -> DayBook | None:
        await runtime.catch_up()
        return await self._desk(runtime).book(now, await runtime.ledger.size(), day)


def _readable(view: View | Audience, book: DayBook) -> DayBook:
    """Return a day without what somebody may not read."""
    if view.readable is None:
        return book
    return replace(book, happened=tuple(each for each in book.happened if each.decision in view.readable))


def _check(view: View) -> None:
    if not view.may(Permission.READ, NAME):
        raise Denied(f"you may not read {NAME}", fix="ask an administrator for a role that may read it")


def _asked(row: ApprovalRow) -> str:
    choice = row.choice if isinstance(row.choice, dict) else {}
    power_mw = float(choice.get("power_mw", 0.0))
    verb = "Discharge" if power_mw > 0 else "Charge" if power_mw < 0 else "Hold"
    return f"{verb} {abs(power_mw):g} MW for an hour"


def day_in_words(day: date, *, short: bool = False) -> str:
    """Return a day as people say it.

    Example:
        >>> day_in_words(date(2026, 11, 23)), day_in_words(date(2026, 11, 3), short=True)
        ('Monday 23 November 2026', '3 Nov')
    """
    return f"{day.day} {day:%b}" if short else f"{day:%A} {day.day} {day:%B %Y}"


def _clock(zone: Zone, at: datetime) -> str:
    return f"{zone.local(at):%H:%M}"


def _day(parameters: Mapping[str, str]) -> date | None:
    text = parameters.get("day", "").strip()
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ContractError(f"{text!r} is no day", fix="write it as 2026-07-01", field="day") from None
