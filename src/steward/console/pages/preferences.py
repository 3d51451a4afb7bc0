"""How somebody reads the console, and locally under which name they act: kept in cookies, never in the ledger."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Response
from msgspec import Struct

from steward.access.identity import check_name
from steward.console.forms import sends
from steward.console.view import ACTING_COOKIE, KEYS_COOKIE, THEME_COOKIE, ZONE_COOKIE, Looking, View, back_to
from steward.console.zones import known_zone
from steward.errors import Conflict, ContractError

router = APIRouter()
_KEPT_S: Final = 365 * 24 * 3_600
_OF_THE_SERVER: Final = ("site", "utc")


class Preferences(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody chose, and where they were.

    Attributes:
        theme: ``light``, ``dark``, or ``system`` for whatever the browser's system has.
        zone: ``site``, ``utc``, or the name of one's own.
        keys: Whether single keys go somewhere: ``on`` or ``off``.
        back: The page to go back to.
    """

    theme: Literal["system", "light", "dark"] | None = None
    zone: str | None = None
    keys: Literal["on", "off"] | None = None
    back: str = "/"


class Acting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The name somebody wants to act under."""

    name: str = ""
    back: str = "/"


@router.get("/preferences")
async def preferences(view: Looking) -> Response:
    """Show what can be chosen."""
    return await view.page("preferences_page.html", wrong=None, typed="")


@router.post("/preferences")
async def prefer(view: Looking, sent: Annotated[Preferences, sends(Preferences)]) -> Response:
    """Keep what was chosen."""
    response = back_to(sent.back)
    if sent.theme is not None:
        keep(view, response, THEME_COOKIE, "" if sent.theme == "system" else sent.theme)
    if sent.keys is not None:
        keep(view, response, KEYS_COOKIE, "" if sent.keys == "on" else sent.keys)
    if sent.zone is not None:
        try:
            zone = sent.zone if sent.zone in _OF_THE_SERVER else known_zone(sent.zone)
        except ContractError as error:
            return await view.page("preferences_page.html", status=422, wrong=error, typed=sent.zone)
        keep(view, response, ZONE_COOKIE, "" if zone == "site" else zone)
    return response


@router.post("/acting-as")
async def act_as(view: Looking, sent: Annotated[Acting, sends(Acting)]) -> Response:
    """Act under a name from now on; where nobody is enrolled, as then nothing proves who somebody is."""
    if not view.is_local:
        raise Conflict("everybody acts as themselves here", fix="sign in as whoever you are", code="conflict.claimed")
    try:
        if sent.name:
            check_name(sent.name)
    except ContractError as error:
        return await view.page("acting_page.html", status=422, wrong=error, typed=sent.name, back=sent.back)
    response = back_to(sent.back)
    keep(view, response, ACTING_COOKIE, sent.name)
    return response


def keep(view: View, response: Response, cookie: str, value: str) -> None:
    """Keep a choice in the browser for a year; an empty one is forgotten. No script needs to read it."""
    response.set_cookie(
        cookie,
        value,
        max_age=_KEPT_S if value else 0,
        path="/",
        secure=view.request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
