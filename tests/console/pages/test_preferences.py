"""How somebody reads the console, and locally under which name they act."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from tests.console.world import Company

from steward.console.view import ACTING_COOKIE, KEYS_COOKIE, THEME_COOKIE, ZONE_COOKIE


def kept(header: str, name: str) -> str | None:
    cookie = SimpleCookie(header).get(name)
    return None if cookie is None or cookie["max-age"] == "0" else cookie.value


@pytest.mark.parametrize(
    ("sent", "cookie", "value"),
    [
        ({"theme": "dark"}, THEME_COOKIE, "dark"),
        ({"theme": "light"}, THEME_COOKIE, "light"),
        ({"theme": "system"}, THEME_COOKIE, None),
        ({"zone": "utc"}, ZONE_COOKIE, "utc"),
        ({"zone": "site"}, ZONE_COOKIE, None),
        ({"zone": "America/Sao_Paulo"}, ZONE_COOKIE, "America/Sao_Paulo"),
        ({"keys": "off"}, KEYS_COOKIE, "off"),
        ({"keys": "on"}, KEYS_COOKIE, None),
    ],
)
async def test_a_choice_is_kept_and_one_comes_back(
    company: Company, sent: dict[str, str], cookie: str, value: str | None
) -> None:
    async with company.client() as browser:
        reply = await browser.post("/preferences", data={**sent, "back": "/stop?a=b"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/stop?a=b")
    assert kept(reply.headers["set-cookie"], cookie) == value


async def test_the_theme_is_there_with_the_first_byte(company: Company) -> None:
    async with company.client() as browser:
        system = await browser.get("/glossary")
        dark = await browser.get("/glossary", headers={"cookie": f"{THEME_COOKIE}=dark"})
        rubbish = await browser.get("/glossary", headers={"cookie": f'{THEME_COOKIE}="><script>'})
    assert "data-theme" not in system.text
    assert '<html lang="en" data-theme="dark"' in dark.text
    assert '<meta name="color-scheme" content="dark">' in dark.text
    assert "data-theme" not in rubbish.text


@pytest.mark.parametrize(("zone", "shown"), [("", "Europe/Madrid"), ("utc", "UTC"), ("Asia/Tokyo", "Asia/Tokyo")])
async def test_times_are_shown_in_the_zone_that_was_chosen(company: Company, zone: str, shown: str) -> None:
    async with company.client() as browser:
        page = await browser.get("/preferences", headers={"cookie": f"{ZONE_COOKIE}={zone}"})
    assert f"Times are shown in <b>{shown}</b>" in page.text


async def test_a_zone_that_is_none_is_told_and_kept_in_the_field(company: Company) -> None:
    async with company.client() as browser:
        reply = await browser.post("/preferences", data={"zone": "Europe/Atlantis"})
    assert reply.status_code == 422
    assert 'value="Europe/Atlantis"' in reply.text
    assert "there is no time zone" in reply.text
    assert "set-cookie" not in reply.headers


async def test_there_are_no_other_themes(company: Company) -> None:
    async with company.client() as browser:
        reply = await browser.post("/preferences", data={"theme": "purple"})
    assert reply.status_code == 422
    assert "set-cookie" not in reply.headers


async def test_single_keys_can_be_turned_off(company: Company) -> None:
    async with company.client() as browser:
        assert "data-keys" not in (await browser.get("/")).text
        assert 'data-keys="off"' in (await browser.get("/", headers={"cookie": f"{KEYS_COOKIE}=off"})).text


async def test_the_theme_can_be_chosen_before_one_signs_in(staffed: Company) -> None:
    async with staffed.client() as browser:
        assert 'action="/preferences"' in (await browser.get("/sign-in")).text
        reply = await browser.post("/preferences", data={"theme": "dark", "back": "/sign-in"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/sign-in")


async def test_where_nobody_is_enrolled_one_acts_under_the_name_one_gives(company: Company) -> None:
    async with company.client() as browser:
        before = await browser.get("/")
        assert "<b>local</b><small>not proven</small>" in before.text
        assert "names are not proven" in before.text
        assert 'href="/settings"' in before.text
        reply = await browser.post("/acting-as", data={"name": "ana.ruiz", "back": "/stop"})
        assert (reply.status_code, reply.headers["location"]) == (303, "/stop")
        assert kept(reply.headers["set-cookie"], ACTING_COOKIE) == "ana.ruiz"
        named = {"cookie": f"{ACTING_COOKIE}=ana.ruiz"}
        after = await browser.get("/", headers=named)
        assert '<span class="avatar" aria-hidden="true">AR</span>' in after.text
        assert "<b>ana.ruiz</b>" in after.text
        await browser.post("/stop", data={"decision": "*", "reason": "smoke"}, headers=named)
        assert company.runtime.stops.standing()[0].by == "ana.ruiz"
        assert kept((await browser.post("/acting-as", data={"name": ""})).headers["set-cookie"], ACTING_COOKIE) is None


@pytest.mark.parametrize("name", ["an na", "system", "-", "a" * 200, "<b>", "анна"])
async def test_a_name_that_could_be_mistaken_is_not_acted_under(company: Company, name: str) -> None:
    async with company.client() as browser:
        reply = await browser.post("/acting-as", data={"name": name, "back": "/stop"})
        assert reply.status_code == 422
        assert "set-cookie" not in reply.headers
        assert 'name="back" value="/stop"' in reply.text
        planted = await browser.get("/", headers={b"cookie": f"{ACTING_COOKIE}={name}".encode()})
    assert "<b>local</b>" in planted.text


async def test_whoever_is_enrolled_acts_as_themselves(staffed: Company) -> None:
    async with staffed.client_of("ana") as browser:
        reply = await browser.post("/acting-as", data={"name": "ben"})
        assert reply.status_code == 409
        assert "set-cookie" not in reply.headers
        named = {"cookie": f"{ACTING_COOKIE}=ben"}
        page = await browser.get("/", headers=named)
        assert "<b>Ana</b>" in page.text
        assert 'action="/acting-as"' not in page.text
        await browser.post("/stop", data={"decision": "*", "reason": "smoke"}, headers=named)
    assert staffed.runtime.stops.standing()[0].by == "ana"


async def test_the_glossary_explains_every_word(staffed: Company) -> None:
    async with staffed.client() as browser:
        assert (await browser.get("/glossary")).status_code == 303
    async with staffed.client_of("mo") as browser:
        page = await browser.get("/glossary")
    assert (
        page.text.index("<dt>Action</dt>") < page.text.index("<dt>Four eyes</dt>") < page.text.index("<dt>Saving</dt>")
    )
    assert 'id="four-eyes"' in page.text
