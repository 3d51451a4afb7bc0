"""The console as a room beside the API: its pages, who may see which, and how its errors are shown."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from steward.access.permissions import Permission, Role
from steward.api.admission import headers_of, service_of
from steward.api.doors import Door
from steward.api.problems import problem
from steward.console import assets, choices, words, zones
from steward.console.audience import Fragment
from steward.console.charts import drawing
from steward.console.doors import DOORS
from steward.console.glossary import GLOSSARY
from steward.console.live import PAGE, Live, position
from steward.console.pages import PAGES
from steward.console.references import Reference
from steward.console.sheets import ENDINGS, Kind, Sheet
from steward.console.view import CONSOLE, HEADERS, View, here, known_caller
from steward.errors import DeclarationError, NotFound, StewardError

V = TypeVar("V")
Source = Callable[[View], Awaitable[Sheet[Any]]]
"""Gives the sheet behind a table or chart, as the URL's parameters say."""
References = Callable[[View], Awaitable[Sequence[Reference]]]
"""Tells what other ways of deciding would have saved over the days of the URL (:class:`.period.Period`)."""


class Case(NamedTuple):
    """A case's own page in the console.

    Attributes:
        title: Its name in the menu.
        path: Where it is.
        router: Its routes.
        doors: What each of them needs.
        templates: The package in whose folder ``templates`` its templates are.
        sources: The sheets of its tables and charts, by name.
        fragments: The parts of its page that keep themselves up to date, by the ids of their elements.
        references: What its decisions are compared with on the page of value; nothing by default.

    Example:
        >>> Case("Smart grid", "/grid", APIRouter(), {}, "steward.cases.grid", {}).path
        '/grid'
    """

    title: str
    path: str
    router: APIRouter
    doors: Mapping[tuple[str, str], Door]
    templates: str
    sources: Mapping[str, Source]
    references: References | None = None
    fragments: Mapping[str, Fragment] = MappingProxyType({})


class Console:
    """A :class:`steward.api.rooms.Room`; give it to the server.

    Args:
        cases: The cases with pages of their own.
        about: What data this is, if it is not real: shown on every page.

    Example:
        >>> console = Console(about="demo data")
        >>> console.doors["GET", "/"].of.value
        'each'
    """

    headers: Mapping[str, str] = HEADERS

    def __init__(self, *, cases: Sequence[Case] = (), about: str = "") -> None:
        self.cases, self.about = tuple(cases), about
        self.router = APIRouter(include_in_schema=False, dependencies=[Depends(self._enter)])
        self.sources: dict[str, Source] = {}
        fragments: dict[str, Fragment] = {PAGE: position}
        for page in PAGES:
            self.router.include_router(page.router)
            _add(self.sources, getattr(page, "SOURCES", {}), "table")
            _add(fragments, getattr(page, "FRAGMENTS", {}), "live part")
        self.router.include_router(assets.router)
        doors = dict(DOORS)
        for case in cases:
            self.router.include_router(case.router)
            doors.update(case.doors)
            _add(self.sources, case.sources, "table")
            _add(fragments, case.fragments, "live part")
        self.live = Live(self, fragments)
        self.doors: Mapping[tuple[str, str], Door] = doors
        self._templates = _environment(tuple(case.templates for case in cases))

    def _enter(self, request: Request) -> None:
        """Hand the console to its routes; what changes something is taken from its own pages only, whoever sends it."""
        request.scope[CONSOLE] = self
        service_of(request).entrance.guard.check_site(request.method, headers_of(request))

    def render(self, template: str, **content: Any) -> str:
        """Return a template's text."""
        return self._templates.get_template(template).render(console=self, **content)

    async def show_error(self, request: Request, error: StewardError) -> Response | None:
        """Show an error to a browser as a page; whoever is not signed in is asked to."""
        if "text/html" not in request.headers.get("accept", ""):
            return None
        told = problem(error)
        if told.status == 401:
            return self._ask_to_sign_in(request)
        view = View(request, self, service_of(request), await known_caller(request))
        text = self.render("error.html", view=view, around=await view.around(), problem=told)
        headers = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
        return HTMLResponse(text, told.status, headers=headers)

    def _ask_to_sign_in(self, request: Request) -> Response:
        target = f"/sign-in?next={quote(here(request), safe='')}"
        if "hx-request" in request.headers:
            return Response(status_code=204, headers={"hx-redirect": target})
        if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "GET":
            # A browser keeps the session's cookie back when a link elsewhere, in a mail, has led here. From a page of
            # ours it shows it.
            return HTMLResponse(self.render("arriving.html", here=here(request)))
        return RedirectResponse(target, 303)

    async def sheet(self, view: View, name: str) -> Sheet[Any]:
        """Return the sheet behind a table or chart.

        Raises:
            NotFound: There is none of this name.
        """
        source = self.sources.get(name)
        if source is None:
            raise NotFound(f"no table is named {name!r}", fix=f"ask for one of {', '.join(sorted(self.sources))}")
        return await source(view)

    async def references(self, view: View) -> list[Reference]:
        """Return what the cases compare their decisions with, of those that the viewer may read."""
        found = [row for case in self.cases if case.references is not None for row in await case.references(view)]
        return [row for row in found if view.readable is None or row.decision in view.readable]


def _add(known: dict[str, V], more: Mapping[str, V], what: str) -> None:
    """Take in what a page has by name; of two of one name, one would show the other's."""
    if twice := known.keys() & more.keys():
        raise DeclarationError(f"two pages have a {what} named {min(twice)!r}", fix="choose another name")
    known.update(more)


def link(view: View, path: str = "", **changes: object) -> str:
    """Return a URL with the parameters of the one that is shown, but for some; ``None`` takes one out."""
    parameters = {**view.parameters, **changes}
    query = urlencode({name: value for name, value in parameters.items() if value not in (None, "")})
    return f"{path or view.request.url.path}?{query}" if query else path or view.request.url.path


_FILTERS: Final = {
    "chosen": choices.chosen,
    "measured": choices.measured,
    "money": words.money,
    "exactly": words.exactly,
    "share": words.share,
    "number": words.number,
    "plain": words.plain,
    "title_of": words.title,
    "short": words.short,
    "initials": words.initials,
    "span": zones.span,
}


@cache
def _environment(packages: tuple[str, ...]) -> Environment:
    """Return what renders, once for all consoles with the same cases: compiling all templates takes half a second."""
    loaders = [PackageLoader(package) for package in ("steward.console", *packages)]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(_FILTERS)
    environment.globals.update(
        asset=assets.url,
        ago=zones.ago,
        draw=drawing,
        endings=ENDINGS,
        glossary=GLOSSARY,
        kinds=Kind,
        link=link,
        Permission=Permission,
        Role=Role,
        roles=words.roles,
        tones=words.TONES,
    )
    return environment
