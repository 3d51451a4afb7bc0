"""Who looks at a page, how they want to read it, and what every page shows around its own content."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Final, Protocol
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from msgspec import Struct

from steward.access.identity import check_name
from steward.access.local import LOCAL
from steward.access.permissions import Permission
from steward.api.admission import CALLER, headers_of, service_of
from steward.api.entrance import Caller, peer_of
from steward.api.service import Service
from steward.api.stopping import may_lift, may_stop, stops_for
from steward.console.audience import Audience
from steward.console.live import Live
from steward.console.references import Reference
from steward.console.seal import Seal, seal_of
from steward.console.sheets import Sheet
from steward.console.zones import Zone, zone_of
from steward.errors import ContractError, Denied, EngineError
from steward.runtime.runtime import Runtime
from steward.runtime.stops import EVERY, Stop

_OWN_PATH: Final = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]*")
CONSOLE: Final = "steward.console"
"""Where the console puts itself into a request's scope."""
ZONE_COOKIE: Final = "steward-zone"
THEME_COOKIE: Final = "steward-theme"
ACTING_COOKIE: Final = "steward-acting"
KEYS_COOKIE: Final = "steward-keys"
THEMES: Final = ("light", "dark")
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may load and do: only what is its own, and no script or style in its text."""
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "cache-control": "no-store",
}
"""What every response of the console carries, unless it says otherwise; the server's front adds them."""


class Around(Struct, frozen=True, kw_only=True):
    """What every page shows around its content.

    Attributes:
        waiting: How many decisions wait for a person.
        frozen: How many of them a stop keeps from being answered, by what is stopped.
        entries: How many entries the ledger has.
        verified: What is known of it.

    Example:
        >>> Around(waiting=0, frozen={}, entries=7, verified=Seal(text="", tone="pos")).entries
        7
    """

    waiting: int
    frozen: Mapping[str, int]
    entries: int
    verified: Seal


class Renders(Protocol):
    """What a view needs of the console."""

    live: Live

    def render(self, template: str, **content: Any) -> str:
        """Return a template's text."""
        ...

    async def sheet(self, view: View, name: str) -> Sheet[Any]:
        """Return the sheet behind a table or chart."""
        ...

    async def references(self, view: View) -> Sequence[Reference]:
        """Return what the cases compare their decisions with."""
        ...


class View:
    """One look at the console.

    Attributes:
        request: What was asked for.
        service: What the API's routes are given, too.
        caller: Who looks; ``None`` where nobody is signed in.
        zone: The zone in which they read times.
    """

    def __init__(self, request: Request, console: Renders, service: Service, caller: Caller | None) -> None:
        self.request, self.console, self.service, self.caller = request, console, service, caller
        self.zone: Zone = zone_of(request.cookies.get(ZONE_COOKIE, ""), service.runtime.settings.zone)

    @property
    def runtime(self) -> Runtime:
        """What is shown."""
        return self.service.runtime

    @property
    def audience(self) -> Audience:
        """All to whom parts of the page look the same."""
        return Audience(self.console, self.service, self.zone, self.readable)

    @property
    def now(self) -> datetime:
        """The time by the runtime's clock, which is virtual in a demo."""
        return self.runtime.clock.now()

    @property
    def theme(self) -> str:
        """The chosen theme; empty for whatever the browser's system has."""
        chosen = self.request.cookies.get(THEME_COOKIE, "")
        return chosen if chosen in THEMES else ""

    @property
    def has_keys(self) -> bool:
        """Whether single keys go somewhere; who dictates may not want that."""
        return self.request.cookies.get(KEYS_COOKIE) != "off"

    @property
    def is_local(self) -> bool:
        """Whether nobody is enrolled, so that whoever is at this machine acts under a name that nothing proves."""
        return self.service.entrance.is_local

    @property
    def acting(self) -> str:
        """The name under which the caller acts, for display: the caller's own id; locally, whatever they last said."""
        if self.caller is not None and not self.caller.is_local:
            return self.caller.identity.id
        chosen = self.request.cookies.get(ACTING_COOKIE, "")
        try:
            check_name(chosen)
        except ContractError:
            return LOCAL.id
        return chosen

    @property
    def person(self) -> str:
        """Who answers for what the caller does here: give it to services as ``by``.

        Raises:
            Denied: The caller is a service, or nobody is signed in.
        """
        if self.caller is None:
            raise Denied("nobody is signed in", fix="sign in", code="unauthenticated")
        return self.caller.person(self.acting)

    @property
    def here(self) -> str:
        """Where the viewer is: the page they look at, or the one whose form they sent."""
        return here(self.request)

    @property
    def stops(self) -> Sequence[Stop]:
        """The stops that stand, of those that the caller may know; from memory, whatever else does not answer."""
        if self.caller is None:
            return ()
        return stops_for(self.service, self.readable).stops

    @property
    def stoppable(self) -> tuple[str, ...]:
        """What the caller may stop: names of decisions, and ``*`` first if that is all of them."""
        if self.caller is None:
            return ()
        return tuple(name for name in (EVERY, *sorted(self.runtime.decisions)) if may_stop(self.caller, name))

    def may_lift(self, decision: str) -> bool:
        """Tell whether the caller may want a stop to be lifted."""
        return self.caller is not None and may_lift(self.runtime, self.caller, decision)

    @property
    def parameters(self) -> Mapping[str, str]:
        """The URL's parameters; of one that stands twice, the last."""
        return self.request.query_params

    @property
    def readable(self) -> frozenset[str] | None:
        """The decisions that the caller may read; ``None`` for all."""
        return frozenset() if self.caller is None else self.caller.readable()

    def may(self, permission: Permission, decision: str) -> bool:
        """Tell whether the caller may do something with a decision; pages leave out what they may not."""
        return self.caller is not None and self.caller.may(permission, decision)

    def may_anywhere(self, permission: Permission) -> bool:
        """Tell whether the caller may do something with at least one decision."""
        return any(self.may(permission, name) for name in self.runtime.decisions)

    async def page(self, template: str, *, status: int = 200, **content: Any) -> Response:
        """Return a page made from a template of its name, with what every page shows around it."""
        text = self.console.render(template, view=self, around=await self.around(), **content)
        return HTMLResponse(text, status)

    async def around(self) -> Around | None:
        """Return what every page shows around its content; ``None`` for nobody, and while the ledger cannot be read."""
        if self.caller is None:
            return None
        readable, views = self.readable, self.runtime.views
        try:
            await self.runtime.catch_up()
            return Around(
                waiting=views.waiting_count(among=readable),
                frozen={
                    each.decision: views.waiting_count(among=readable if each.decision == EVERY else (each.decision,))
                    for each in self.stops
                },
                entries=await self.runtime.ledger.size(),
                verified=seal_of(self.runtime.audit),
            )
        except EngineError:
            return None


def own_path(text: str, otherwise: str = "/") -> str:
    r"""Return a path of this console, with its parameters; whatever leads elsewhere is replaced.

    Browsers read a backslash as a slash, and leave out tabs and line ends: such a path is none of ours.

    Example:
        >>> own_path("/approvals?sort=-due"), own_path("//evil.example"), own_path("/\\evil.example")
        ('/approvals?sort=-due', '/', '/')
        >>> own_path("https://evil.example", "/decisions"), own_path("/\t/evil.example")
        ('/decisions', '/')
    """
    return text if _OWN_PATH.fullmatch(text) else otherwise


def back_to(path: str) -> RedirectResponse:
    """Send the browser to a page of ours after a form, so that reloading does not send the form again."""
    return RedirectResponse(own_path(path), 303)


def here(request: Request) -> str:
    """Return the page that a request is for, or, where it sends a form, the page on which that is."""
    if request.method == "GET":
        return own_path(quote(request.url.path) + (request.url.query and f"?{request.url.query}"))
    came_from = urlsplit(request.headers.get("referer", ""))
    return own_path(came_from.path + (came_from.query and f"?{came_from.query}"))


def look(request: Request) -> View:
    """Return the view of a request; its route's door has been passed."""
    return View(request, request.scope[CONSOLE], service_of(request), request.scope.get(CALLER))


Looking = Annotated[View, Depends(look)]
"""Who looks, how, and at what."""


async def known_caller(request: Request) -> Caller | None:
    """Return who looks, if anybody can tell; for pages at which no door asks, and for those that do not exist."""
    known: Caller | None = request.scope.get(CALLER)
    if known is None and request.method == "GET":
        with suppress(Denied, EngineError):
            return await service_of(request).entrance.admit(headers_of(request), "GET", peer_of(request.scope))
    return known
