"""The stop switch: on every page, in two steps, by the API's own rules."""

from __future__ import annotations

import re

import httpx
import pytest
from tests.console.world import DISPATCH, REFUND, STAFF, Company

from steward.access.permissions import TABLE, Permission
from steward.console.view import ACTING_COOKIE
from steward.errors import EngineError

PAGES = ("/", "/glossary", "/preferences", "/stop", "/nowhere")


def acting(name: str) -> dict[str, str]:
    return {"cookie": f"{ACTING_COOKIE}={name}"}


def bars(page: httpx.Response) -> list[str]:
    """Return the text of each bar about a stop."""
    section = page.text.partition('<section id="stop-switch"')[2].partition("</section>")[0]
    found = section.split('<div class="stopped">')[1:]
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", each)).strip() for each in found]


async def test_while_nothing_is_stopped_there_is_a_button_and_no_bar(company: Company) -> None:
    async with company.client() as browser:
        for path in PAGES:
            page = await browser.get(path)
            assert bars(page) == []
            assert 'id="stop-button"' in page.text
            options = re.findall(r'<option value="([^"]*)"', page.text.partition('id="stop-button"')[2])
            assert options[:4] == ["", "*", DISPATCH, REFUND]


async def test_a_stop_stands_on_every_page_until_two_people_have_lifted_it(company: Company) -> None:
    await company.dispatch(price_eur=200.0)
    await company.refund(900.0)
    async with company.client() as browser:
        sent = {"decision": DISPATCH, "reason": "smoke in the hall", "back": "/glossary"}
        reply = await browser.post("/stop", data=sent, headers=acting("ana"))
        assert (reply.status_code, reply.headers["location"]) == (303, "/glossary")
        for path in PAGES:
            [bar] = bars(await browser.get(path))
            assert "Dispatch is stopped by ana since 14:00:00 CEST: “smoke in the hall”" in bar
            assert "1 waiting approval is frozen" in bar
            assert "It takes two people to let it go on" in bar
        wanted = {"decision": DISPATCH, "reason": "no fire", "back": "/stop"}
        assert (await browser.post("/resume", data=wanted, headers=acting("ana"))).status_code == 303
        [own] = bars(await browser.get("/", headers=acting("ana")))
        assert "ana wants it to go on: a second person must agree" in own
        assert "Somebody else must agree, too" in own
        [of_others] = bars(await browser.get("/", headers=acting("ben")))
        assert "Agree: let it go on" in of_others
        again = await browser.post("/resume", data=wanted, headers=acting("ana"))
        assert again.status_code == 409
        assert "somebody else must want it too" in again.text
        assert (await browser.post("/resume", data=wanted, headers=acting("ben"))).status_code == 303
        assert bars(await browser.get("/")) == []


async def test_a_stop_of_everything_freezes_all_that_waits(company: Company) -> None:
    for number in range(3):
        await company.refund(900.0, order_id=f"o-{number}")
    async with company.client() as browser:
        await browser.post("/stop", data={"decision": REFUND, "reason": "one"})
        await browser.post("/stop", data={"decision": "*", "reason": "all"})
        first, second = bars(await browser.get("/"))
    assert "Refund is stopped" in first
    assert "Every decision is stopped" in second
    assert "3 waiting approvals are frozen" in first
    assert "3 waiting approvals are frozen" in second


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"decision": "*", "reason": ""}, "A reason has 1 to 2,000 letters"),
        ({"decision": "*", "reason": "x" * 2_001}, "A reason has 1 to 2,000 letters"),
        ({"decision": "", "reason": "my own words"}, "Nothing was chosen"),
    ],
)
async def test_what_was_typed_is_kept_where_something_is_missing(
    company: Company, sent: dict[str, str], told: str
) -> None:
    async with company.client() as browser:
        reply = await browser.post("/stop", data={**sent, "back": "/glossary"})
    assert reply.status_code == 422
    assert told in reply.text
    main = reply.text.partition("<main")[2]
    assert f">{sent['reason']}</textarea>" in main
    assert 'name="back" value="/glossary"' in main
    if sent["decision"]:
        assert '<option value="*" selected>' in main
    assert not company.runtime.stops.standing()


async def test_what_was_typed_to_lift_a_stop_is_kept_too(company: Company) -> None:
    async with company.client() as browser:
        await browser.post("/stop", data={"decision": "*", "reason": "smoke"})
        await browser.post("/resume", data={"decision": "*", "reason": "no fire"}, headers=acting("ana"))
        reply = await browser.post("/resume", data={"decision": "*", "reason": ""}, headers=acting("ben"))
    assert reply.status_code == 422
    assert "A reason has 1 to" in reply.text


@pytest.mark.parametrize("name", ["ada", *STAFF])
async def test_who_may_stop_sees_the_button_and_nobody_else(staffed: Company, name: str) -> None:
    may = name == "ada" or Permission.STOP in TABLE[STAFF[name][0]]
    sees_refunds = name == "ada" or "payments-desk" in STAFF[name][1]
    async with staffed.client_of(name) as browser:
        page = await browser.get("/")
        assert ('id="stop-button"' in page.text) is may
        assert (f'value="{REFUND}"' in page.text) is (may and sees_refunds)
        reply = await browser.post("/stop", data={"decision": DISPATCH, "reason": "smoke"})
        assert reply.status_code == (303 if may else 403)
        hidden = await browser.post("/stop", data={"decision": REFUND, "reason": "smoke"})
        assert hidden.status_code == (404 if not sees_refunds else 303 if may else 403)
        assert len(bars(await browser.get("/"))) == len(
            [each for each in staffed.runtime.stops.standing() if each.decision == DISPATCH or sees_refunds]
        )


async def test_only_who_sees_every_decision_may_lift_a_stop_of_all(staffed: Company) -> None:
    async with staffed.client_of("olga") as olga, staffed.client_of("ana") as ana, staffed.client_of("ben") as ben:
        assert (await olga.post("/stop", data={"decision": "*", "reason": "smoke"})).status_code == 303
        [bar] = bars(await olga.get("/"))
        assert "You may not lift it" in bar
        refused = await olga.post("/resume", data={"decision": "*", "reason": "fine"})
        assert refused.status_code == 403
        for who in (ana, ben):
            assert (await who.post("/resume", data={"decision": "*", "reason": "fine"})).status_code == 303
    assert not staffed.runtime.stops.standing()


async def test_a_service_cannot_stop_for_a_person(staffed: Company) -> None:
    async with staffed.client_of("bot") as browser:
        assert (await browser.post("/stop", data={"decision": "*", "reason": "x"})).status_code == 403


async def test_a_stop_that_cannot_be_written_is_in_force_and_says_so(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise EngineError("the disk is full", fix="make room")

    ledger = type(company.runtime.ledger)
    for name in ("append", "size", "read"):
        monkeypatch.setattr(ledger, name, fail)
    async with company.client() as browser:
        reply = await browser.post("/stop", data={"decision": "*", "reason": "smoke"})
        assert reply.status_code == 500
        assert "The disk is full" in reply.text
        assert "Every decision is stopped" in bars(reply)[0]
        assert "Every decision is stopped" in bars(await browser.get("/stop"))[0]
    assert company.runtime.stops.is_stopped(DISPATCH)


async def test_a_stop_is_never_refused_for_want_of_room(company: Company) -> None:
    admission = company.runtime.admission
    lane = company.runtime.decisions[DISPATCH].lane
    full = 0
    while admission.enter(lane, "somebody") is None:
        full += 1
    async with company.client() as browser:
        page = await browser.get("/stop")
        reply = await browser.post("/stop", data={"decision": "*", "reason": "smoke"})
        assert (page.status_code, reply.status_code) == (200, 303)
        assert "Every decision is stopped" in bars(await browser.get("/"))[0]
    assert full > 0
