"""The console as a room: what it answers to whom."""

from __future__ import annotations

import pytest
from tests.api.walk import routes_of
from tests.console.world import Company

from steward.api.cold import cold_app
from steward.api.doors import DOORS
from steward.api.entrance import Entrance
from steward.api.service import Service
from steward.console.console import Console


def test_every_route_names_its_permission_and_every_door_leads_somewhere(company: Company) -> None:
    console = Console()
    app = cold_app(Service(company.runtime, Entrance(company.runtime, "127.0.0.1")), [console])
    ours = {route for route in routes_of(app) if not route[1].startswith("/v1/")} - DOORS.keys()
    assert ours - console.doors.keys() == set(), "these routes name no permission: add them to steward.console.doors"
    assert console.doors.keys() - ours == set(), "these doors lead nowhere"


async def test_a_page_is_strict_about_what_it_may_load(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert " style=" not in page.text
    assert "onclick" not in page.text


async def test_an_unknown_page_is_told_to_people_as_a_page_and_to_programs_as_a_problem(company: Company) -> None:
    async with company.client() as browser:
        seen = await browser.get("/nowhere")
        asked = await browser.get("/nowhere", headers={"accept": "application/json"})
        api = await browser.get("/v1/nowhere")
    assert (seen.status_code, asked.status_code, api.status_code) == (404, 404, 404)
    assert "There is no such page" in seen.text
    assert seen.headers["content-type"].startswith("text/html")
    assert asked.json()["code"] == api.json()["code"] == "http.not-found"


async def test_whoever_is_not_signed_in_is_sent_to_the_sign_in_and_back(staffed: Company) -> None:
    async with staffed.client() as browser:
        page = await browser.get("/?range=1h")
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in?next=%2F%3Frange%3D1h")


@pytest.mark.parametrize("name", ["app.css", "js/app.js", "vendor/htmx-4.0.1.min.js"])
async def test_files_are_squeezed_and_kept(company: Company, name: str) -> None:
    async with company.client() as browser:
        page = await browser.get(f"/static/{name}")
    assert page.status_code == 200
    assert page.headers["content-encoding"] == "gzip"


async def test_an_error_that_nobody_foresaw_is_a_page_that_tells_only_where_to_look(
    company: Company, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr("steward.console.pages.stopping.Pressed", fail)
    async with company.client() as browser:
        page = await browser.get("/stop")
        asked = await browser.get("/stop", headers={"accept": "application/json"})
    assert (page.status_code, asked.status_code) == (500, 500)
    assert page.headers["content-type"].startswith("text/html")
    assert "Steward failed" in page.text
    assert "ask the operator to look up" in page.text
    assert 'id="stop-button"' in page.text
    assert "secret of the house" not in page.text + asked.text
    assert "secret of the house" in caplog.text
    assert asked.json()["code"] == "internal"
