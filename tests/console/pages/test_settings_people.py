"""People in the settings: who may look, what each action does, and that nothing typed is lost."""

from __future__ import annotations

from typing import Any

import pytest
from tests.console.world import STAFF, Company

from steward.access.entries import ACCESS_RUN
from steward.access.permissions import Role

SCRIPT = "<script>alert(1)</script>"
PAGES = ("/settings/people", "/settings/people/ana", "/data/people.csv")


def person(**fields: Any) -> dict[str, Any]:
    """Return a form as the page sends it: one of the fields ``of`` for each role."""
    return {"of": ["*"] * len(Role), **fields}


async def entries_about_access(company: Company) -> int:
    return len(await company.runtime.ledger.of_run(ACCESS_RUN))


@pytest.mark.parametrize("name", ["ada", *STAFF])
@pytest.mark.parametrize("path", PAGES)
async def test_only_who_administers_sees_people(staffed: Company, name: str, path: str) -> None:
    async with staffed.client_of(name) as browser:
        page = await browser.get(path)
    assert page.status_code == (200 if name == "ada" else 403)
    if name != "ada":
        other = "Ben" if name == "olga" else "Olga"
        assert other not in page.text


@pytest.mark.parametrize("name", STAFF)
async def test_nobody_else_can_change_anything(staffed: Company, name: str) -> None:
    before = await entries_about_access(staffed)
    actions = {
        "/settings/people": person(id="eve", display="Eve"),
        f"/settings/people/{name}": person(display="Boss", role=["administrator"]),
        "/settings/people/ada/revoke": {"reason": "mine"},
        "/settings/keys": {"identity": name, "label": "more"},
        "/settings/gates/shop.refund/limit": {"teams": ""},
    }
    async with staffed.client_of(name) as browser:
        answers = [(await browser.post(path, data=sent)).status_code for path, sent in actions.items()]
    assert answers == [403] * len(actions)
    assert await entries_about_access(staffed) == before


async def test_whoever_is_not_signed_in_is_sent_to_the_sign_in(staffed: Company) -> None:
    async with staffed.client() as browser:
        pages = [await browser.get(path) for path in ("/settings", *PAGES[:2], "/settings/keys", "/settings/system")]
    assert [page.status_code for page in pages] == [303] * len(pages)


async def test_where_nobody_is_enrolled_it_says_so_and_offers_to_be_the_first(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/settings/people")
        refused = await browser.post("/settings/people", data=person(id="eve", display="Eve"))
        claimed = await browser.post("/claim", data={"id": "ada", "display": "Ada", "next": "/settings/people"})
        session = claimed.headers["set-cookie"].partition(";")[0]
        after = await browser.get("/settings/people", headers={"cookie": session})
    assert "everybody at this machine may do everything" in page.text
    assert 'action="/claim"' in page.text
    assert refused.status_code == 409
    assert claimed.status_code == 200
    assert "stw_" in claimed.text
    assert after.status_code == 200
    assert "1 person or service is known here" in after.text
    assert "stw_" not in after.text.replace('placeholder="stw_', "")


async def test_enrol_somebody_with_roles_of_some_decisions(staffed: Company) -> None:
    of = ["*"] * len(Role)
    of[list(Role).index(Role.APPROVER)] = "grid.*, shop.refund"
    sent = person(
        id="nina", display=f"Nina {SCRIPT}", kind="person", teams="grid-desk, duty", role=["approver", "auditor"], of=of
    )
    async with staffed.client_of("ada") as browser:
        made = await browser.post("/settings/people", data=sent)
        card = await browser.get("/settings/people/nina")
        listed = await browser.get("/settings/people")
        found = await browser.get("/settings/people?q=nina")
    assert (made.status_code, made.headers["location"]) == (303, "/settings/people/nina")
    known = staffed.runtime.guard.directory.identities["nina"]
    assert known.teams == {"grid-desk", "duty"}
    assert {(each.role, each.decisions) for each in known.roles} == {
        (Role.APPROVER, ("grid.*", "shop.refund")),
        (Role.AUDITOR, ("*",)),
    }
    assert "approver of grid.* and shop.refund, auditor" in card.text
    for page in (card, listed, found):
        assert SCRIPT not in page.text
        assert "Nina &lt;script&gt;" in page.text
    assert "Olga" not in found.text


@pytest.mark.parametrize(
    ("wrong", "status", "told"),
    [
        ({"id": "ana"}, 409, "enrolled already"),
        ({"id": "an na"}, 422, "cannot name an identity"),
        ({"id": ""}, 422, "Id is missing"),
        ({"display": ""}, 422, "Display is missing"),
        ({"role": ["king"]}, 422, "king"),
        ({"teams": "a/b"}, 422, "names no team"),
        ({"subjects": "anna"}, 422, "A subject says who knows it"),
        ({"of": ["Grid!"] * len(Role)}, 422, "covers no decision"),
    ],
)
async def test_what_is_wrong_is_said_and_what_was_typed_stays(
    staffed: Company, wrong: dict[str, Any], status: int, told: str
) -> None:
    before = await entries_about_access(staffed)
    sent = person(id="nina", display='Ni"na', teams="grid-desk", role=["auditor"], subjects="dns:nina")
    async with staffed.client_of("ada") as browser:
        page = await browser.post("/settings/people", data={**sent, **wrong})
    assert page.status_code == status
    assert 'role="alert"' in page.text
    assert told in page.text
    kept = {**sent, **wrong}
    for name in ("id", "teams", "subjects"):
        assert f'name="{name}" type="text" value="{kept[name]}"' in page.text
    assert "Ni&#34;na" in page.text or not kept["display"]
    assert ('value="auditor" checked' in page.text) == (kept["role"] == ["auditor"])
    assert await entries_about_access(staffed) == before


async def test_change_roles_and_teams_and_keep_the_names_elsewhere(staffed: Company) -> None:
    guard = staffed.runtime.guard
    async with staffed.client_of("ada") as browser:
        form = person(display="Olga O", teams="duty", role=["auditor"], subjects="dns:olga, email:olga@example.org")
        changed = await browser.post("/settings/people/olga", data=form)
        card = await browser.get("/settings/people/olga")
        unknown = await browser.get("/settings/people/nobody")
    assert (changed.status_code, changed.headers["location"]) == (303, "/settings/people/olga")
    known = guard.directory.identities["olga"]
    assert (known.display, known.teams, [each.role for each in known.roles]) == (
        "Olga O",
        frozenset({"duty"}),
        [Role.AUDITOR],
    )
    assert guard.directory.subjects_of("olga") == ("dns:olga", "email:olga@example.org")
    assert "dns:olga, email:olga@example.org" in card.text
    assert unknown.status_code == 404
    async with staffed.client_of("olga") as browser:
        assert (await browser.get("/settings")).status_code == 200


async def test_the_form_of_somebody_unchanged_changes_nothing(staffed: Company) -> None:
    before = staffed.runtime.guard.directory.identities["ben"]
    sent = person(display=before.display, teams=", ".join(before.teams), role=["approver"])
    async with staffed.client_of("ada") as browser:
        await browser.post("/settings/people/ben", data=sent)
    assert staffed.runtime.guard.directory.identities["ben"] == before


async def test_the_last_administrator_can_neither_step_down_nor_go(staffed: Company) -> None:
    async with staffed.client_of("ada") as browser:
        down = await browser.post("/settings/people/ada", data=person(display="Ada Office", role=["auditor"]))
        gone = await browser.post("/settings/people/ada/revoke", data={"reason": "leaving <b>"})
    for page in (down, gone):
        assert page.status_code == 409
        assert "ada is the last administrator" in page.text.lower()
    assert "leaving &lt;b&gt;" in gone.text
    assert "ada" in staffed.runtime.guard.directory.identities


async def test_revoke_needs_a_reason_and_ends_everything(staffed: Company) -> None:
    directory = staffed.runtime.guard.directory
    async with staffed.client_of("ada") as browser:
        page = await browser.post("/settings/people/ana/revoke", data={"reason": ""})
        assert (page.status_code, "ana" in directory.identities) == (422, True)
        assert "Reason is missing" in page.text
        done = await browser.post("/settings/people/ana/revoke", data={"reason": "has left"})
        listed = await browser.get("/settings/people")
    assert (done.status_code, done.headers["location"]) == (303, "/settings/people")
    assert "/settings/people/ana" not in listed.text
    assert all(key.identity != "ana" for key in directory.keys.values())
    async with staffed.client_of("ana") as browser:
        assert (await browser.get("/settings")).status_code == 303


async def test_when_somebody_was_last_seen_is_told(staffed: Company) -> None:
    async with staffed.client_of("ana") as browser:
        await browser.get("/settings")
    async with staffed.client_of("ada") as browser:
        seen = await browser.get("/settings/people/ana")
        never = await browser.get("/settings/people/bot")
        rows = (await browser.get("/data/people.json")).json()
    assert "not since this server started" not in seen.text
    assert "not since this server started" in never.text
    by_id = {row["id"]: row for row in rows}
    assert by_id["ana"]["seen_at"] == "2026-07-01T12:00:00+00:00"
    assert (by_id["bot"]["seen_at"], by_id["bot"]["kind"], by_id["ana"]["keys"]) == (None, "service", 1)
    assert "stw_" not in str(rows)
