"""The other settings: gates and limits, who is told, rights, the system."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from typing import Any

import pytest
from tests.console.world import DISPATCH, REFUND, STAFF, Company

from steward.access.identity import Assignment, Identity, Kind
from steward.access.permissions import TABLE, Permission, Role

BOOK = """
page = "https://steward.example"
[groups.grid-desk]
people = ["ana", "ben"]
rota = { people = ["ana", "ben"], since = 2026-06-29T08:00:00, days = 7, zone = "Europe/Madrid" }
quiet = { start = 10:00:00, end = 16:00:00, zone = "Europe/Madrid" }
[groups.payments-desk]
people = ["ben"]
[people.ana]
smtp = "ana.secret-address@example.org"
[people.ben]
webhook = "https://hooks.example/T0P-SECRET"
smtp = "ben@example.org"
[smtp]
host = "mail.example.org"
sender = "steward@example.org"
[webhook]
secret_file = "hook.secret"
"""


async def with_book(root: Path) -> Company:
    (root / "people.toml").write_text(BOOK)
    (root / "hook.secret").write_text("hush-hush")
    (root / "hook.secret").chmod(0o600)
    return await Company.open(root, people="people.toml")


async def hide_refunds(company: Company) -> None:
    """Let refunds exist for payments only, and olga, who operates, not be one of them: so it is already."""
    assert company.runtime.guard.directory.limits() == {REFUND: frozenset({"payments-desk"})}


@pytest.mark.parametrize("name", ["ada", *STAFF])
async def test_each_role_gets_the_pages_it_may_see(staffed: Company, name: str) -> None:
    office = name == "ada"
    async with staffed.client_of(name) as browser:
        pages = {
            path: await browser.get(f"/settings{path}")
            for path in ("", "/gates", "/keys", "/rights", "/notifications", "/people", "/system")
        }
        data = {
            name: await browser.get(f"/data/{name}.csv") for name in ("people", "settings", "keys", "gates", "rights")
        }
    everybodys = ("", "/gates", "/keys", "/rights", "/notifications")
    assert [pages[path].status_code for path in everybodys] == [200] * 5
    for path in ("/people", "/system"):
        assert pages[path].status_code == (200 if office else 403)
        assert (f'href="/settings{path}"' in pages[""].text) == office
    assert [data[each].status_code for each in ("keys", "gates", "rights")] == [200] * 3
    assert [data[each].status_code for each in ("people", "settings")] == [200 if office else 403] * 2


async def test_every_gate_is_told_in_words(company: Company) -> None:
    async with company.client() as browser:
        page = unescape((await browser.get("/settings/gates")).text)
        rows = {row["decision"]: row for row in (await browser.get("/data/gates.json")).json()}
    for words in (
        "Above 2,500.00\xa0EUR at stake",
        "the group grid-desk",
        "10 minutes",
        "hold: done if they refuse, or if nobody answers in time",
        "asks duty after 5 minutes too",
        "2 different people",
        "whoever proposed, published or changed it cannot be the one who agrees",
        "4 hours",
        "pay no, amount_eur 0",
        "nobody may change the choice, only agree or refuse",
    ):
        assert words in page, words
    assert rows["Dispatch"]["above"] == 2500.0
    assert rows["Refund"]["approvals"] == "2, four eyes"


@pytest.mark.parametrize(
    "path",
    [
        "/settings/gates",
        "/data/gates.csv",
        "/settings/rights",
        "/data/rights.csv",
        "/settings/notifications",
        "/inventory",
        "/data/inventory.csv",
        "/value",
        "/data/value.csv",
    ],
)
async def test_decisions_of_other_teams_are_nowhere(staffed: Company, path: str) -> None:
    await hide_refunds(staffed)
    await staffed.refund(40.0)
    for name, sees in (("olga", False), ("ana", True)):
        async with staffed.client_of(name) as browser:
            page = await browser.get(path)
        assert page.status_code == 200
        assert ("shop.refund" in page.text or "Refund" in page.text) == sees


async def test_limit_a_decision_to_teams_and_lift_it(staffed: Company) -> None:
    directory = staffed.runtime.guard.directory
    async with staffed.client_of("ada") as browser:
        done = await browser.post(f"/settings/gates/{DISPATCH}/limit", data={"teams": "grid-desk, duty"})
        shown = await browser.get("/settings/gates")
        wrong = await browser.post(f"/settings/gates/{DISPATCH}/limit", data={"teams": "grid/desk <b>"})
        everybody = await browser.post(f"/settings/gates/{DISPATCH}/limit", data={"teams": "*"})
        assert directory.limits()[DISPATCH] == {"grid-desk", "duty"}
        lifted = await browser.post(f"/settings/gates/{DISPATCH}/limit", data={"teams": ""})
    assert (done.status_code, done.headers["location"], lifted.status_code) == (303, "/settings/gates", 303)
    assert "It exists for duty, grid-desk only." in shown.text
    assert (wrong.status_code, everybody.status_code) == (422, 422)
    assert 'value="grid/desk &lt;b&gt;"' in wrong.text
    assert DISPATCH not in directory.limits()


async def test_who_administers_can_lift_a_limit_that_hides_a_decision_from_them(staffed: Company) -> None:
    guard = staffed.runtime.guard
    ada = await guard.identify({b"authorization": f"Bearer {staffed.secrets['ada']}".encode()})
    roles = (Assignment(Role.ADMINISTRATOR),)
    await guard.administration.enrol(ada, Identity(id="adam", kind=Kind.PERSON, display="Adam", roles=roles))
    staffed.secrets["adam"] = (await guard.administration.issue_key(ada, "adam", label="test")).secret.reveal()
    async with staffed.client_of("adam") as browser:
        page = await browser.get("/settings/gates")
        assert "Limits of what is hidden from you" in page.text
        assert f'action="/settings/gates/{REFUND}/limit"' in page.text
        await browser.post(f"/settings/gates/{REFUND}/limit", data={"teams": ""})
        after = await browser.get("/settings/gates")
    assert guard.directory.limits() == {}
    assert "Limits of what is hidden from you" not in after.text


async def test_without_an_address_book_it_says_how_to_get_one(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/settings/notifications")
    assert "There is no address book, so nobody is told." in page.text
    assert DISPATCH in page.text


async def test_the_address_book_is_shown_without_any_address(tmp_path: Path) -> None:
    company = await with_book(tmp_path)
    async with company.runtime, company.client() as browser:
        page = await browser.get("/settings/notifications")
        sheet = await browser.get("/data/routes.json")
    text = unescape(page.text)
    assert page.status_code == 200
    assert "<b>ana</b> until Mon 06 Jul 2026 08:00 CEST (Europe/Madrid), then ben" in text
    assert "10:00 to 16:00 (Europe/Madrid)" in text
    assert "quiet now" in text
    assert "e-mail, webhook" in text
    for missing in ("'duty'", "'grid-operations'", "'payments'"):
        assert f"asks or tells {missing}, whom the address book does not know" in text
    assert "'grid-desk', whom" not in text
    for secret in ("secret-address", "T0P-SECRET", "hooks.example", "hush-hush", "mail.example"):
        assert secret not in page.text + sheet.text


async def test_groups_of_hidden_decisions_are_not_told(tmp_path: Path) -> None:
    company = await with_book(tmp_path)
    async with company.runtime:
        await company.enrol()
        async with company.client_of("olga") as browser:
            page = await browser.get("/settings/notifications")
    assert "grid-desk" in page.text
    assert "payments" not in page.text


def test_rights_explain_every_permission() -> None:
    from steward.console.pages.settings.rights import ABOUT

    assert set(ABOUT) == set(Permission)


@pytest.mark.parametrize("permission", list(Permission))
async def test_rights_are_those_of_the_authorizer(staffed: Company, permission: Permission) -> None:
    async with staffed.client_of("ada") as browser:
        rows = (await browser.get(f"/data/rights.json?permission={permission.value}")).json()
        page = await browser.get(f"/settings/rights?permission={permission.value}")
        own = None
    assert page.status_code == 200
    assert f"Who may {permission.value}" in page.text
    roles = {"ada": (Role.ADMINISTRATOR, ("*",)), **STAFF}
    for row in rows:
        role, teams = roles[row["id"]]
        allowed = permission in TABLE[role]
        hidden = "*" not in teams and "payments-desk" not in teams
        assert (row[DISPATCH] == "yes") == allowed
        assert (row[REFUND] == "yes") == (allowed and not hidden)
        assert (row["*"] == "yes") == allowed
    assert {row["id"] for row in rows} == set(roles)
    async with staffed.client_of("olga") as browser:
        own = (await browser.get(f"/data/rights.json?permission={permission.value}")).json()
    assert [row["id"] for row in own] == ["olga"]
    assert REFUND not in own[0]


async def test_an_unknown_permission_is_refused_with_those_there_are(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/settings/rights?permission=fly")
    assert page.status_code == 422
    assert "approve" in page.text


async def test_the_table_of_roles_is_the_built_in_one(company: Company) -> None:
    async with company.client() as browser:
        rows = (await browser.get("/data/roles.json")).json()
    seen = {
        row["role"].lower().replace(" ", "-"): {name for name, value in row.items() if value == "yes"} for row in rows
    }
    assert seen == {role.value: {each.value for each in allowed} for role, allowed in TABLE.items()}


async def test_settings_are_shown_with_their_source_and_without_secrets(tmp_path: Path) -> None:
    from dataclasses import replace

    company = await Company.open(tmp_path)
    settings = replace(
        company.runtime.settings, registry="https://ada:pa55word@models.example/x", sources={"zone": "STEWARD_ZONE"}
    )
    company.runtime.settings = settings
    async with company.runtime, company.client() as browser:
        page = await browser.get("/settings/system")
        rows = {row["name"]: row for row in (await browser.get("/data/settings.json")).json()}
    assert "pa55word" not in page.text
    assert "models.example" in page.text
    assert (rows["zone"]["value"], rows["zone"]["source"]) == ("Europe/Madrid", "STEWARD_ZONE")
    assert (rows["port"]["value"], rows["port"]["source"]) == ("8700", "default")
    assert "What the doctor finds" not in page.text


async def test_the_doctor_looks_when_asked(company: Company) -> None:
    async with company.client() as browser:
        page = await browser.get("/settings/system?look=now")
    assert "What the doctor finds" in page.text
    assert f"{DISPATCH}, {REFUND}" in page.text
    assert "want several people, but nobody is enrolled" in page.text


async def test_searches_and_sorting_that_make_no_sense_are_told(company: Company) -> None:
    answers: dict[str, Any] = {}
    async with company.client() as browser:
        for path in (
            "/settings/gates",
            "/settings/keys",
            "/settings/people",
            "/settings/system",
            "/inventory",
            "/value",
        ):
            await company.refund(10.0, order_id=path)
            answers[path] = (await browser.get(f"{path}?sort=nothing")).status_code
    # Where nobody is enrolled, the table of people is empty, but one cannot sort by what is no column, either.
    assert set(answers.values()) == {422}
