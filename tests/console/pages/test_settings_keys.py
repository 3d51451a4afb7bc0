"""Keys in the settings: shown once and nowhere else, one's own for everybody, all of them for administrators."""

from __future__ import annotations

from datetime import timedelta
from html import unescape

import httpx
import pytest
from tests.console.world import STAFF, Company

from steward.access.permissions import Permission


def secret_in(page: httpx.Response) -> str:
    """Return the one secret that a page shows."""
    [found] = {
        word for word in unescape(page.text).replace('"', " ").split() if word.startswith("stw_") and len(word) > 40
    }
    return found


def prefix_of(company: Company, name: str) -> str:
    return company.secrets[name].split("_")[1]


async def sign_in(company: Company, browser: httpx.AsyncClient, name: str) -> None:
    """Open a session, as people do in a browser; the key is not sent again."""
    signed = await browser.post("/sign-in", data={"key": company.secrets[name]})
    assert signed.status_code == 303
    browser.cookies.clear()
    browser.headers["cookie"] = signed.headers["set-cookie"].partition(";")[0]


async def everything_written(company: Company) -> str:
    size = await company.runtime.ledger.size()
    return b"".join(entry.body for entry in await company.runtime.ledger.read(0, size)).decode()


async def test_a_new_key_is_shown_once_and_is_nowhere_kept(staffed: Company, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with staffed.client_of("ada") as browser:
        issued = await browser.post("/settings/keys", data={"identity": "bot", "label": "nightly <b>", "days": "10"})
        secret = secret_in(issued)
        pages = [
            await browser.get(path)
            for path in ("/settings/keys", f"/settings/keys/{secret.split('_')[1]}", "/settings/people/bot",
                         "/data/keys.csv", "/data/keys.json", "/data/people.json", "/")
        ]  # fmt: skip
    assert issued.status_code == 200
    assert issued.headers["cache-control"] == "no-store"
    assert secret not in str(issued.url)
    assert issued.text.count(secret) == 1
    assert f'value="{secret}"' in issued.text
    assert "location" not in issued.headers
    for page in pages:
        assert page.status_code == 200
        assert secret not in page.text
        assert secret[17:] not in page.text
    assert "nightly &lt;b&gt;" in pages[0].text
    assert secret[17:] not in await everything_written(staffed)
    assert secret[17:] not in caplog.text
    staffed.secrets["bot"] = secret
    async with staffed.client_of("bot") as browser:
        assert (await browser.get("/settings")).status_code == 200


async def test_a_key_may_be_good_for_less(staffed: Company) -> None:
    sent = {"identity": "ana", "label": "watch", "days": "1", "permission": ["read", "verify"], "decisions": "grid.*"}
    async with staffed.client_of("ada") as browser:
        secret = secret_in(await browser.post("/settings/keys", data=sent))
        listed = await browser.get("/settings/keys")
    key = staffed.runtime.guard.directory.keys[secret.split("_")[1]]
    assert key.scope is not None
    assert key.scope.permissions == {Permission.READ, Permission.VERIFY}
    assert key.scope.decisions == ("grid.*",)
    assert "read and verify of grid.*" in listed.text
    assert "1 key ends within two weeks" in listed.text
    assert "ends soon" in listed.text


@pytest.mark.parametrize(
    ("wrong", "status", "told"),
    [
        ({"label": ""}, 422, "Label is missing"),
        ({"days": "400"}, 422, "days"),
        ({"days": "many"}, 422, "days"),
        ({"identity": "nobody"}, 404, "No identity is named"),
        ({"permission": ["fly"]}, 422, "fly"),
        ({"permission": ["read"], "decisions": "Grid!"}, 422, "covers no decision"),
    ],
)
async def test_a_wrong_form_issues_nothing_and_keeps_what_was_typed(
    staffed: Company, wrong: dict[str, object], status: int, told: str
) -> None:
    before = set(staffed.runtime.guard.directory.keys)
    sent = {"identity": "bot", "label": 'night"ly', "days": "10", **wrong}
    async with staffed.client_of("ada") as browser:
        page = await browser.post("/settings/keys", data=sent)
    assert page.status_code == status
    assert told in unescape(page.text)
    assert f'name="days" type="number" value="{sent["days"]}"' in page.text
    assert "night&#34;ly" in page.text or not sent["label"]
    assert set(staffed.runtime.guard.directory.keys) == before


@pytest.mark.parametrize("name", STAFF)
async def test_everybody_sees_their_own_keys_and_nobody_elses(staffed: Company, name: str) -> None:
    own = prefix_of(staffed, name)
    others = {prefix_of(staffed, other) for other in staffed.secrets if other != name}
    async with staffed.client_of(name) as browser:
        listed = await browser.get("/settings/keys")
        rows = (await browser.get("/data/keys.json")).json()
        card = await browser.get(f"/settings/keys/{own}")
        foreign = await browser.get(f"/settings/keys/{prefix_of(staffed, 'ada')}")
        taken = await browser.post(f"/settings/keys/{prefix_of(staffed, 'ada')}/revoke", data={"reason": "mine"})
        turned = await browser.post(f"/settings/keys/{prefix_of(staffed, 'ada')}/rotate", data={"days": "9"})
    assert (listed.status_code, card.status_code) == (200, 200)
    assert [row["prefix"] for row in rows] == [own]
    assert own in listed.text
    assert not any(other in listed.text for other in others)
    assert (foreign.status_code, taken.status_code, turned.status_code) == (404, 404, 404)
    assert prefix_of(staffed, "ada") in staffed.runtime.guard.directory.keys


async def test_an_administrator_replaces_a_key_with_an_overlap(staffed: Company) -> None:
    old, directory = prefix_of(staffed, "bot"), staffed.runtime.guard.directory
    async with staffed.client_of("ada") as browser:
        page = await browser.post(f"/settings/keys/{old}/rotate", data={"overlap_h": "2", "days": "30"})
        wrong = await browser.post(f"/settings/keys/{old}/rotate", data={"overlap_h": "1000", "days": "30"})
    new = secret_in(page).split("_")[1]
    assert page.status_code == 200
    assert "stays good for 2 hours" in page.text
    assert directory.keys[new].identity == "bot"
    assert directory.keys[old].expires_at == staffed.clock.now() + timedelta(hours=2)
    assert wrong.status_code == 422
    assert 'name="overlap_h" type="text" value="1000"' in wrong.text


async def test_whoever_is_signed_in_must_show_the_key_itself_to_replace_or_end_it(staffed: Company) -> None:
    own, directory = prefix_of(staffed, "ana"), staffed.runtime.guard.directory
    path = f"/settings/keys/{own}"
    async with staffed.client() as browser:
        await sign_in(staffed, browser, "ana")
        card = await browser.get(path)
        without = await browser.post(f"{path}/rotate", data={"overlap_h": "1", "days": "9"})
        with_other = await browser.post(f"{path}/rotate", data={"overlap_h": "1", "key": staffed.secrets["ben"]})
        with_rubbish = await browser.post(f"{path}/revoke", data={"reason": "old", "key": "stw_rubbish"})
        assert 'name="key"' in card.text
        for page in (without, with_other, with_rubbish):
            assert page.status_code == 422
            assert staffed.secrets["ben"] not in page.text
            assert "stw_rubbish" not in page.text
        assert 'value="9"' in without.text
        assert 'value="old"' in with_rubbish.text
        assert own in directory.keys
        page = await browser.post(f"{path}/rotate", data={"overlap_h": "0", "key": staffed.secrets["ana"]})
        assert page.status_code == 200
    new = secret_in(page)
    assert directory.keys[new.split("_")[1]].identity == "ana"
    assert directory.keys[own].expires_at <= staffed.clock.now()
    assert new[17:] not in await everything_written(staffed)


async def test_end_a_key_with_a_reason(staffed: Company) -> None:
    own, bots, directory = prefix_of(staffed, "ben"), prefix_of(staffed, "bot"), staffed.runtime.guard.directory
    async with staffed.client_of("ada") as browser:
        page = await browser.post(f"/settings/keys/{bots}/revoke", data={"reason": ""})
        assert (page.status_code, bots in directory.keys) == (422, True)
        ended = await browser.post(f"/settings/keys/{bots}/revoke", data={"reason": "leaked"})
        again = await browser.post(f"/settings/keys/{bots}/revoke", data={"reason": "leaked"})
    async with staffed.client_of("ben") as browser:
        ended_own = await browser.post(f"/settings/keys/{own}/revoke", data={"reason": "new one"})
        after = await browser.get("/settings/keys")
    assert (ended.status_code, ended.headers["location"], again.status_code) == (303, "/settings/keys", 404)
    assert ended_own.status_code == 303
    assert after.headers["location"].startswith("/sign-in")
    assert directory.keys.keys().isdisjoint({own, bots})


async def test_where_nobody_is_enrolled_there_are_no_keys(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/settings/keys")
        refused = await browser.post("/settings/keys", data={"identity": "x", "label": "x", "days": "1"})
    assert page.status_code == 200
    assert "Become the first administrator" in page.text
    assert refused.status_code == 409
