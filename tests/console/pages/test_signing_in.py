"""Signing in and out, and the first start, as a browser without JavaScript sees them."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from tests.console.world import Company

from steward.access.cookies import COOKIE
from steward.access.entries import Refused, decode_access
from steward.api.app import create_app
from steward.console.console import Console


@pytest.fixture
async def reachable(tmp_path: Path) -> Company:
    """Others reach the server, and nobody administers it yet; the secret ``once`` is the one-time key."""
    made = await Company.open(tmp_path, host_names=("steward.example", "192.168.1.20"))
    made.app = create_app(made.runtime, "0.0.0.0", rooms=[Console()])
    once = await made.runtime.guard.bootstrap()
    assert once is not None
    made.secrets["once"] = once.reveal()
    return made


def session_in(reply: httpx.Response) -> str:
    return reply.headers["set-cookie"].partition("=")[2].partition(";")[0]


async def refusals(company: Company) -> list[Refused]:
    await company.runtime.guard.sweep()
    found = [decode_access(entry.body) for entry in await company.runtime.ledger.read(0, 1_000, kind="refused")]
    return [each for each in found if isinstance(each, Refused)]


async def test_a_key_opens_a_session_and_leads_to_the_page_that_was_wanted(staffed: Company) -> None:
    async with staffed.client() as browser:
        page = await browser.get("/sign-in?next=/stop%3Fa=b")
        assert page.status_code == 200
        assert '<input name="key" type="password" required' in page.text
        assert 'name="next" value="/stop?a=b"' in page.text
        reply = await browser.post("/sign-in", data={"key": f" {staffed.secrets['ana']} ", "next": "/stop?a=b"})
        assert (reply.status_code, reply.headers["location"]) == (303, "/stop?a=b")
        shown = await browser.get("/stop", headers={"cookie": f"{COOKIE}={session_in(reply)}"})
    assert shown.status_code == 200
    assert "<b>Ana</b><small>Approver</small>" in shown.text
    assert 'action="/sign-out"' in shown.text
    assert "not proven" not in shown.text


@pytest.mark.parametrize(
    "wrong", ["unknown", "wrong secret", "other scheme", "of letters beyond Latin", "far too long"]
)
async def test_why_a_key_is_not_good_is_told_to_nobody(staffed: Company, wrong: str) -> None:
    key = {
        "unknown": "stw_000000000000_" + "x" * 43,
        "wrong secret": staffed.secrets["ana"][:-4] + "AAAA",
        "other scheme": "eyJhbGciOiJub25lIn0.e30.",
        "of letters beyond Latin": "ключ",
        "far too long": "stw_" + "x" * 20_000,
    }[wrong]
    async with staffed.client() as browser:
        reply = await browser.post("/sign-in", data={"key": key, "next": "/stop"})
    assert reply.status_code == 401
    assert "set-cookie" not in reply.headers
    assert "This key is not good." in reply.text
    told = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", reply.text))
    assert not re.search(r"unknown|secret|expired|issuer|Bearer|enrolled", told), told
    assert '<input name="key" type="password" required' in reply.text
    assert 'name="next" value="/stop"' in reply.text
    assert key not in reply.text
    assert [each.code for each in await refusals(staffed)] in (["unknown-key"], ["wrong-secret"], ["scheme"])


async def test_an_empty_field_is_no_attempt(staffed: Company) -> None:
    async with staffed.client() as browser:
        reply = await browser.post("/sign-in", data={"key": " "})
    assert reply.status_code == 422
    assert await refusals(staffed) == []


async def test_who_guesses_has_to_wait_and_is_told_how_long(staffed: Company) -> None:
    async with staffed.client() as browser:
        for _ in range(10):
            assert (await browser.post("/sign-in", data={"key": "stw_guess"})).status_code == 401
        reply = await browser.post("/sign-in", data={"key": "stw_guess"})
        assert reply.status_code == 429
        assert reply.headers["retry-after"] == "60"
        assert "Too many failed sign-ins." in reply.text
        assert "try again in 60 s" in reply.text
        # Whoever has a good key is not kept out by those who guess.
        assert (await browser.post("/sign-in", data={"key": staffed.secrets["ana"]})).status_code == 303
    assert sum(each.times for each in await refusals(staffed)) == 11


async def test_where_nobody_is_enrolled_nobody_needs_to_sign_in(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/sign-in")
        assert "Nobody needs to sign in" in page.text
        assert "steward access claim --id you" in page.text
        assert 'name="key"' not in page.text
        assert 'name="one_time_key"' not in page.text
        reply = await browser.post("/sign-in", data={"key": "stw_x"})
    assert reply.status_code == 409
    assert "set-cookie" not in reply.headers


async def test_at_the_machine_itself_the_first_needs_no_one_time_key(company: Company) -> None:
    async with company.client() as browser:
        reply = await browser.post("/claim", data={"id": "anna", "display": "Anna Ruiz", "next": "/stop"})
        assert reply.status_code == 200
        key = re.search(r'id="secret" readonly value="(stw_[^"]+)"', reply.text)
        assert key is not None
        assert 'href="/stop"' in reply.text
        inside = await browser.get("/", headers={"cookie": f"{COOKIE}={session_in(reply)}"})
        assert "<b>Anna Ruiz</b><small>Administrator</small>" in inside.text
        assert (await browser.get("/")).status_code == 303
        assert (await browser.post("/sign-in", data={"key": key[1]})).status_code == 303
        again = await browser.post("/claim", data={"id": "eve", "display": "Eve"})
        assert again.status_code == 401
        assert "stw_" not in again.text.replace("stw_…", "")
    assert list(company.runtime.guard.directory.identities) == ["anna"]


async def test_a_server_that_others_reach_asks_for_the_one_time_key(reachable: Company) -> None:
    async with reachable.runtime, reachable.client(host="steward.example") as browser:
        assert (await browser.get("/")).headers["location"].startswith("/sign-in")
        page = await browser.get("/sign-in")
        assert '<input name="one_time_key" type="password" required' in page.text
        sent = {"id": "anna", "display": "Anna Ruiz"}
        assert (await browser.post("/claim", data=sent)).status_code == 401
        wrong = await browser.post("/claim", data={**sent, "one_time_key": "stw_wrong"})
        assert wrong.status_code == 401
        assert (
            'name="id" required maxlength="128" autocomplete="username" placeholder="anna" value="anna"' in wrong.text
        )
        assert 'value="Anna Ruiz"' in wrong.text
        once = reachable.secrets["once"]
        assert once not in wrong.text
        unfit = await browser.post("/claim", data={"id": "an na", "display": "Anna", "one_time_key": once})
        assert unfit.status_code == 422
        assert "cannot name an identity" in unfit.text
        reply = await browser.post("/claim", data={**sent, "one_time_key": once})
        assert reply.status_code == 200
        assert reply.text.count('value="stw_') == 1
        inside = await browser.get("/", headers={"cookie": f"{COOKIE}={session_in(reply)}"})
        assert inside.status_code == 200
        assert (await browser.post("/claim", data={**sent, "one_time_key": once})).status_code == 401
        assert "one_time_key" not in (await browser.get("/sign-in")).text


@pytest.mark.parametrize(
    ("url", "headers", "warns"),
    [
        ("http://192.168.1.20", {}, True),
        ("http://steward.example", {}, True),
        ("https://steward.example", {}, False),
        ("http://steward.example", {"x-forwarded-proto": "https"}, False),
        ("http://localhost:8700", {}, False),
        ("http://127.0.0.1:8700", {}, False),
    ],
)
async def test_where_no_browser_would_keep_the_sign_in_it_says_so_before(
    reachable: Company, url: str, headers: dict[str, str], warns: bool
) -> None:
    async with reachable.runtime, reachable.client() as browser:
        page = await browser.get(f"{url}/sign-in", headers=headers)
    assert page.status_code == 200
    assert ("Signing in will not last here." in page.text) is warns


async def test_the_page_to_sign_in_never_leads_back_to_itself(staffed: Company) -> None:
    async with staffed.client() as browser:
        for next_page in ("/sign-in", "/sign-in?next=/sign-in", "/sign-out", "/claim"):
            reply = await browser.post("/sign-in", data={"key": staffed.secrets["ana"], "next": next_page})
            assert reply.headers["location"] == "/"


async def test_signing_out_without_a_session_is_no_error(staffed: Company) -> None:
    async with staffed.client() as browser:
        reply = await browser.post("/sign-out")
    assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in")
