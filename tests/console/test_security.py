"""What keeps strangers, other sites' pages and planted cookies out of the console."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Final

import httpx
import pytest
from tests.console.world import DISPATCH, Company

from steward.access.cookies import COOKIE
from steward.api.doors import DOORS as API
from steward.console.console import Console
from steward.console.view import HEADERS

UNSAFE: Final = sorted(route for route in Console().doors if route[0] != "GET")
FOREIGN: Final[Mapping[str, Mapping[str, str]]] = {
    "cross-site": {"sec-fetch-site": "cross-site"},
    "same-site": {"sec-fetch-site": "same-site"},
    "typed into the bar": {"sec-fetch-site": "none"},
    "wrong origin": {"origin": "https://evil.example"},
    "opaque origin": {"origin": "null"},
    "origin of another port": {"origin": "http://localhost:1"},
    "site against origin": {"sec-fetch-site": "cross-site", "origin": "http://localhost"},
}
NOTHING_TOLD: Final[Mapping[str, str]] = {}
WORN: Final = {"content-security-policy", "x-frame-options", "referrer-policy", "x-content-type-options"}


def a_path(route: str, name: object = "00000000-0000-7000-8000-000000000000") -> str:
    """Return a path that a route serves."""
    return re.sub(r"\{[^}]+\}", str(name), route.replace("{name}", DISPATCH))


def templates() -> dict[str, str]:
    """Return the text of every template, by its name within its folder."""
    folders = [Path(str(files(package))) / "templates" for package in ("steward.console", "steward.cases.grid")]
    return {str(each.relative_to(root)): each.read_text() for root in folders for each in root.rglob("*.html")}


def bare(company: Company, **headers: str) -> httpx.AsyncClient:
    """Return a browser that says nothing about which page sends its requests."""
    shown = {"accept": "text/html", **headers}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=company.app), base_url="http://localhost", headers=shown)


async def session_of(company: Company, name: str, previous: str = "") -> str:
    """Sign somebody in; return the cookie's value."""
    async with company.client(**({"cookie": f"{COOKIE}={previous}"} if previous else {})) as browser:
        reply = await browser.post("/sign-in", data={"key": company.secrets[name]})
    assert reply.status_code == 303, reply.text
    return reply.headers["set-cookie"].partition("=")[2].partition(";")[0]


async def written(company: Company) -> int:
    return await company.runtime.ledger.size()


@pytest.mark.parametrize("site", [*FOREIGN, "nothing told"])
async def test_no_form_is_taken_from_elsewhere_of_who_is_signed_in(staffed: Company, site: str) -> None:
    session = await session_of(staffed, "ada")
    before = len(staffed.runtime.guard.directory.sessions)
    async with bare(staffed, cookie=f"{COOKIE}={session}", **FOREIGN.get(site, NOTHING_TOLD)) as browser:
        for method, route in UNSAFE:
            reply = await browser.request(method, a_path(route), data={"reason": "x", "decision": "*"})
            assert reply.status_code == 403, (method, route)
            assert "cross-site" in reply.text, (method, route)
            assert "set-cookie" not in reply.headers, (method, route)
    assert not staffed.runtime.stops.standing()
    assert len(staffed.runtime.guard.directory.sessions) == before


@pytest.mark.parametrize("site", [*FOREIGN, "nothing told"])
async def test_no_form_is_taken_from_elsewhere_where_nobody_is_enrolled(company: Company, site: str) -> None:
    run = await company.dispatch(price_eur=200.0)
    async with bare(company, **FOREIGN.get(site, NOTHING_TOLD)) as browser:
        for method, route in UNSAFE:
            reply = await browser.request(method, a_path(route, run), data={"reason": "x", "decision": "*"})
            assert reply.status_code == 403, (method, route)
            assert "set-cookie" not in reply.headers, (method, route)
    assert (await company.runtime.run(run)).is_waiting
    assert not company.runtime.stops.standing()
    assert not company.runtime.guard.directory.claimed


async def test_a_key_is_no_excuse_for_a_form_from_elsewhere(staffed: Company) -> None:
    async with bare(staffed, authorization=f"Bearer {staffed.secrets['ada']}") as browser:
        reply = await browser.post("/stop", data={"reason": "x", "decision": "*"})
    assert reply.status_code == 403
    assert not staffed.runtime.stops.standing()


async def test_forms_of_our_own_pages_are_taken_by_either_header(company: Company) -> None:
    for number, told in enumerate(({"sec-fetch-site": "same-origin"}, {"origin": "http://localhost"})):
        async with bare(company, **told) as browser:
            reply = await browser.post("/stop", data={"reason": f"number {number}", "decision": "*"})
        assert reply.status_code == 303
        assert company.runtime.stops.standing()[0].reason == f"number {number}"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io"])
async def test_a_foreign_host_is_not_answered_for(company: Company, host: str) -> None:
    async with company.client(host=host) as browser:
        for path in ("/", "/sign-in", "/static/app.css", "/stop"):
            reply = await browser.get(path)
            assert reply.status_code == 421
            assert set(reply.headers) >= WORN


async def test_every_response_beside_the_api_keeps_frames_and_guessing_out(staffed: Company) -> None:
    session = await session_of(staffed, "ada")
    seen = set()
    for cookie in ("", f"{COOKIE}={session}"):
        async with staffed.client(**({"cookie": cookie} if cookie else {})) as browser:
            for path in (
                *(a_path(route) for method, route in Console().doors if method == "GET" and route != "/events"),
                "/nowhere",
                "/static/nothing.js",
                "/static/js/app.js",
                "/static/vendor/inter-5.3.0-latin.woff2",
                "/data/nothing.csv",
            ):
                for accept in ("text/html", "application/json"):
                    reply = await browser.get(path, headers={"accept": accept})
                    seen.add(reply.status_code)
                    for name, value in HEADERS.items():
                        assert name in reply.headers, (path, reply.status_code, name)
                        if name not in ("cache-control", "content-security-policy"):
                            assert reply.headers.get_list(name) == [value], (path, reply.status_code)
                    [policy] = reply.headers.get_list("content-security-policy")
                    # A report is a file of its own, with its style in it; it may run and load nothing at all.
                    is_report = "attachment" in reply.headers.get("content-disposition", "")
                    assert policy == HEADERS["content-security-policy"] or (is_report and "script" not in policy), path
                    assert policy.startswith("default-src 'none';")
                    assert "unsafe" not in policy
                    assert reply.headers["x-content-type-options"] == "nosniff"
            for method, route in UNSAFE:
                reply = await browser.request(method, a_path(route), content=b"", headers={"sec-fetch-site": "none"})
                assert set(reply.headers) >= WORN, (method, route)
            wrong = await browser.put("/stop")
            assert set(wrong.headers) >= WORN
            seen.add(wrong.status_code)
    assert {200, 303, 401, 404, 405} <= seen


async def test_the_api_keeps_its_own_headers(company: Company) -> None:
    async with company.client() as browser:
        docs, told = await browser.get("/docs"), await browser.get("/v1/decisions")
    assert docs.headers.get_list("content-security-policy") != [HEADERS["content-security-policy"]]
    assert "content-security-policy" not in told.headers
    assert ("GET", "/docs") in API


async def test_pages_are_never_kept(staffed: Company) -> None:
    async with staffed.client_of("ada") as browser:
        for path in ("/", "/stop", "/glossary", "/nowhere", "/sign-in"):
            assert (await browser.get(path)).headers["cache-control"] == "no-store", path


def test_no_template_holds_script_or_style_in_its_text() -> None:
    found = templates()
    assert len(found) > 10
    for name, whole in found.items():
        # A report is a file of its own: its style is in it, named in its policy by the hash.
        text = whole.replace("<style>{{ style }}</style>", "") if name.startswith("reports/") else whole
        assert not re.search(r"<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:|hx-on|\bjs:", text), name
        for script in re.findall(r"<script[^>]*>", text):
            assert " src=" in script, (name, script)
        assert not re.search(r"[\w\]]\s*\|\s*safe", text), f"{name}: only a text of its own is safe"
        assert "autoescape" not in text, name


async def test_the_cookie_of_a_session_is_out_of_reach(staffed: Company) -> None:
    async with staffed.client() as browser:
        reply = await browser.post("/sign-in", data={"key": staffed.secrets["ana"]})
        name, _, attributes = reply.headers["set-cookie"].partition(";")
        assert name.startswith("__Host-steward=")
        assert {each.strip() for each in attributes.split(";")} >= {"Path=/", "Secure", "HttpOnly", "SameSite=Strict"}
        assert "Domain" not in attributes
        out = await browser.post("/sign-out")
        assert out.headers["set-cookie"].startswith("__Host-steward=; Path=/; Max-Age=0; Secure; HttpOnly;")


async def test_the_cookies_of_preferences_are_out_of_scripts_reach(company: Company) -> None:
    async with company.client() as browser:
        for path, sent in (("/preferences", {"theme": "dark"}), ("/acting-as", {"name": "ana"})):
            kept = (await browser.post(path, data=sent)).headers["set-cookie"]
            assert "HttpOnly" in kept
            assert "SameSite=lax" in kept
            assert "Secure" not in kept
        over_tls = await browser.post("https://localhost/preferences", data={"theme": "dark"})
    assert "Secure" in over_tls.headers["set-cookie"]


async def test_a_planted_session_is_replaced(staffed: Company) -> None:
    planted = await session_of(staffed, "mo")
    own = await session_of(staffed, "ana", previous=planted)
    assert own != planted
    async with staffed.client(cookie=f"{COOKIE}={planted}") as browser:
        assert (await browser.get("/")).status_code == 303
    async with staffed.client(cookie=f"{COOKIE}={own}") as browser:
        assert (await browser.get("/")).status_code == 200


async def test_a_session_that_somebody_made_up_is_never_taken_over(staffed: Company) -> None:
    own = await session_of(staffed, "ana", previous="x" * 43)
    assert own != "x" * 43


async def test_two_cookies_of_a_session_are_none(staffed: Company) -> None:
    session = await session_of(staffed, "ana")
    async with staffed.client(cookie=f"{COOKIE}={session}; {COOKIE}={session}") as browser:
        assert (await browser.get("/")).status_code == 303


async def test_a_session_that_ran_out_leads_to_the_sign_in_and_back(staffed: Company) -> None:
    session = await session_of(staffed, "ana")
    async with staffed.client(cookie=f"{COOKIE}={session}") as browser:
        await staffed.later(timedelta(minutes=31))
        seen = await browser.get("/stop?a=b&c=d")
        assert (seen.status_code, seen.headers["location"]) == (303, "/sign-in?next=%2Fstop%3Fa%3Db%26c%3Dd")
        sent = await browser.post("/stop", data={"reason": "x"}, headers={"referer": "http://localhost/stop?x=1"})
        assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?next=%2Fstop%3Fx%3D1")
        part = await browser.get("/stop", headers={"hx-request": "true"})
        assert (part.status_code, part.headers["hx-redirect"]) == (204, "/sign-in?next=%2Fstop")
        back = await browser.post("/sign-in", data={"key": staffed.secrets["ana"], "next": "/stop?a=b&c=d"})
    assert (back.status_code, back.headers["location"]) == (303, "/stop?a=b&c=d")


async def test_signing_out_ends_the_session_on_the_server(staffed: Company) -> None:
    session = await session_of(staffed, "ana")
    async with staffed.client(cookie=f"{COOKIE}={session}") as browser:
        assert (await browser.get("/")).status_code == 200
        out = await browser.post("/sign-out")
        assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
        assert (await browser.get("/")).status_code == 303
    assert not staffed.runtime.guard.directory.sessions


async def test_a_link_from_another_site_is_followed_with_the_session_by_a_page_of_ours(staffed: Company) -> None:
    async with bare(staffed, **{"sec-fetch-site": "cross-site"}) as browser:
        arrived = await browser.get("/stop?a=%22%3E%3Cscript%3E")
    assert arrived.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/stop?a=%22%3E%3Cscript%3E">' in arrived.text
    assert "<script" not in arrived.text
    assert set(arrived.headers) >= WORN


@pytest.mark.parametrize(
    "next_page",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "\\\\evil",
        "x",
    ],
)
async def test_no_form_leads_to_another_site(staffed: Company, company: Company, next_page: str) -> None:
    async with staffed.client() as browser:
        page = await browser.get("/sign-in", params={"next": next_page})
        assert 'name="next" value="/"' in page.text
        reply = await browser.post("/sign-in", data={"key": staffed.secrets["ana"], "next": next_page})
        assert reply.headers["location"] == "/"
        reply = await browser.post("/preferences", data={"theme": "dark", "back": next_page})
        assert reply.headers["location"] == "/"
    async with company.client() as browser:
        for path, sent in (("/acting-as", {"name": "a"}), ("/stop", {"decision": "*", "reason": "x"})):
            assert (await browser.post(path, data={**sent, "back": next_page})).headers["location"] == "/"


async def test_what_people_type_is_never_taken_for_markup(company: Company) -> None:
    evil = "<script>alert(1)</script>\"'"
    async with company.client() as browser:
        await browser.post("/stop", data={"decision": "*", "reason": evil})
        pages = [
            await browser.get("/"),
            await browser.get("/stop", params={"q": evil, "next": evil}),
            await browser.get(f"/{evil}"),
            await browser.post("/acting-as", data={"name": evil}),
            await browser.post("/preferences", data={"zone": evil}),
            await browser.post("/stop", data={"decision": evil, "reason": evil}),
            await browser.post("/claim", data={"id": evil, "display": evil}),
            await browser.get("/sign-in", params={"next": f"/{evil}"}),
        ]
    for page in pages:
        assert "<script>alert" not in page.text, page.url
    assert "&lt;script&gt;alert(1)" in pages[0].text
