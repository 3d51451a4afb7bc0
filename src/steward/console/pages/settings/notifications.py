"""Who is told what needs them: groups, who is on duty, quiet hours and channels, from the address book."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Response

from steward.access.permissions import Permission
from steward.console.declared import AnyDecision
from steward.console.sheets import Column, Sheet
from steward.console.view import Looking, View
from steward.people.book import AddressBook, Group
from steward.people.rota import QuietHours, Rota
from steward.runtime.channels import unreached

router = APIRouter()
_CHANNELS = {"smtp": "e-mail", "webhook": "webhook", "apprise": "Apprise"}


class Route(NamedTuple):
    """One group as it can be told.

    Attributes:
        name: As gates and owners name it.
        people: Each person with how they are reached, never where.
        on_duty: Who is on call now, if there is a rota.
        until: Until when, by the rota's own calendar.
        then: Who is on call after that.
        quiet: The hours in which only who is on call is told.
        is_quiet: Whether that is so now.
        asks: The decisions that ask or tell it.

    Example:
        >>> Route("desk", [("ana", "e-mail")], "ana", "Mon 08:00", "ben", None, False, []).on_duty
        'ana'
    """

    name: str
    people: list[tuple[str, str]]
    on_duty: str | None
    until: str | None
    then: str | None
    quiet: str | None
    is_quiet: bool
    asks: list[str]


def _readable(view: View) -> list[AnyDecision]:
    decisions = view.runtime.decisions
    return [decision for name, decision in sorted(decisions.items()) if view.may(Permission.READ, name)]


def _groups_of(decision: AnyDecision) -> dict[str, None]:
    gate = decision.gate
    asked = () if gate is None else (gate.approvers, *gate.groups)
    return dict.fromkeys((*asked, decision.owner))


def missing(view: View) -> list[str]:
    """Return a sentence for each group that cannot be told, of the decisions that the viewer may read."""
    book = view.runtime.book
    return [] if book is None else unreached(book, _readable(view))


def routes(view: View) -> list[Route]:
    """Return the groups that the viewer may know of: all, unless decisions are hidden from them."""
    book = view.runtime.book
    if book is None:
        return []
    asks: dict[str, list[str]] = {}
    for decision in _readable(view):
        for name in _groups_of(decision):
            asks.setdefault(name, []).append(decision.name)
    everything = view.caller is not None and view.caller.sees_everything
    return [
        _route(book, name, group, asks.get(name, []), view.now)
        for name, group in sorted(book.groups.items())
        if everything or name in asks
    ]


def _route(book: AddressBook, name: str, group: Group, asks: list[str], now: datetime) -> Route:
    rota = group.rota
    on_call = () if rota is None else (*rota.people,)
    people = dict.fromkeys((*group.people, *on_call))
    return Route(
        name,
        [(person, ", ".join(_CHANNELS[each] for each in book.people[person].channels)) for person in people],
        None if rota is None else rota.on_call(now),
        None if rota is None else _local(rota, rota.turn_ends(now)),
        None if rota is None else rota.on_call(rota.turn_ends(now)),
        None if group.quiet is None else _hours(group.quiet),
        group.quiet is not None and group.quiet.end_after(now) is not None,
        asks,
    )


def _local(rota: Rota, at: datetime) -> str:
    local = at.astimezone(ZoneInfo(rota.zone))
    return f"{local:%a %d %b %Y %H:%M} {local.tzname()} ({rota.zone})"


def _hours(quiet: QuietHours) -> str:
    return f"{quiet.start:%H:%M} to {quiet.end:%H:%M} ({quiet.zone})"


async def routes_sheet(view: View) -> Sheet[Route]:
    """Return the groups with who is on duty."""
    return Sheet(
        name="routes",
        title="Groups that can be told",
        columns=(
            Column(key="group", label="Group", value=lambda route: route.name),
            Column(
                key="people",
                label="People and how they are reached",
                value=lambda route: ", ".join(f"{person} ({how})" for person, how in route.people),
            ),
            Column(key="on_duty", label="On duty now", value=lambda route: route.on_duty),
            Column(key="until", label="Until", value=lambda route: route.until),
            Column(key="then", label="Then", value=lambda route: route.then),
            Column(key="quiet", label="Quiet hours", value=lambda route: route.quiet),
            Column(key="asks", label="Asked or told by", value=lambda route: ", ".join(route.asks) or None),
        ),
        rows=routes(view),
        empty="No group is in the address book that you may see.",
        key=lambda route: route.name,
    )


SOURCES = {"routes": routes_sheet}


@router.get("/settings/notifications")
async def notifications(view: Looking) -> Response:
    """Show who is told, who is on duty, and who cannot be reached."""
    untold = [] if view.runtime.book is not None else [each for each in _readable(view) if each.gate is not None]
    return await view.page(
        "settings_notifications.html",
        sheet=(await routes_sheet(view)).arranged(view.parameters),
        routes=routes(view),
        missing=missing(view),
        untold=untold,
    )
