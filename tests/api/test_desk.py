"""The desk: how fresh a sign-in must be for much money, whatever the face."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.api.conftest import DECIDE, refund
from tests.api.people import People, populate
from tests.api.test_people import GATE

from steward.access.entries import Refused, decode_access
from steward.access.identity import Assignment
from steward.access.permissions import Role
from steward.api import desk
from steward.api.entrance import Peer
from steward.clock import VirtualClock
from steward.errors import Denied
from steward.loop.asks import Approval
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

PAGE = {"sec-fetch-site": "same-origin"}


@pytest.fixture
async def people(clock: VirtualClock) -> AsyncIterator[People]:
    """Above 800 EUR the sign-in must be at most a minute old; one agrees, and may pay out a part of it."""
    settings = Settings(ledger="memory://", reauth_above=800.0, reauth_within_s=60.0)
    decision = replace(refund, gate=replace(GATE, approvals=1, limits=lambda features, proposed, wanted: None))
    async with await Runtime.open([decision], settings=settings, clock=clock) as runtime:
        populated = await populate(runtime)
        await populated.add("bea", Assignment(Role.APPROVER))
        yield populated


async def waiting(people: People, amount_eur: float) -> tuple[str, dict[str, Any]]:
    async with people.client("service.desk") as shop:
        run = (await shop.post(DECIDE, json={"order_id": "A-1", "amount_eur": amount_eur})).json()["decision_id"]
    async with people.client("approver.desk") as anna:
        return run, (await anna.get(f"/v1/approvals/{run}")).json()


async def signed_in(people: People) -> httpx.AsyncClient:
    """Return a browser in which Bea is signed in, and which shows no key any more."""
    async with people.client("bea", PAGE) as bea:
        opened = await bea.post("/v1/session")
    assert opened.status_code == 200
    return people.client(headers={**PAGE, "cookie": opened.headers["set-cookie"].partition(";")[0]})


async def test_an_old_session_agrees_to_little_money_only(people: People, clock: VirtualClock) -> None:
    (little, _), (much, _) = await waiting(people, 800.0), await waiting(people, 800.01)
    async with await signed_in(people) as browser:
        clock.advance(timedelta(seconds=60.5))
        refused = await browser.post(f"/v1/approvals/{much}/approve", json={"reason": "ok"})
        assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (403, "reauthenticate", "key")
        assert "800.01 EUR are at stake" in refused.json()["detail"]
        assert "sign in again" in refused.json()["next"]
        assert (await browser.get(f"/v1/approvals/{much}")).json()["status"] == "waiting"
        assert (await browser.post(f"/v1/approvals/{little}/approve", json={"reason": "ok"})).status_code == 200


async def test_the_safe_choice_and_talk_need_no_fresh_sign_in(people: People, clock: VirtualClock) -> None:
    much, _ = await waiting(people, 900.0)
    async with await signed_in(people) as browser:
        clock.advance(timedelta(minutes=5))
        for way, words in {
            "question": {"question": "Who is it?"},
            "reply": {"reply": "A regular."},
            "escalate": {"reason": "not alone"},
            "snooze": {"reason": "later", "until": "2026-01-01T12:06:00Z"},
            "reject": {"reason": "too dear"},
        }.items():
            answered = await browser.post(f"/v1/approvals/{much}/{way}", json=words)
            assert answered.status_code == 200, (way, answered.text)


async def test_a_fresh_session_and_a_key_are_enough(people: People, clock: VirtualClock) -> None:
    (one, _), (other, _) = await waiting(people, 900.0), await waiting(people, 901.0)
    async with await signed_in(people) as browser, people.client("bea") as program:
        clock.advance(timedelta(seconds=60))
        assert (await browser.post(f"/v1/approvals/{one}/approve", json={"reason": "ok"})).status_code == 200
        clock.advance(timedelta(minutes=5))
        assert (await program.post(f"/v1/approvals/{other}/approve", json={"reason": "ok"})).status_code == 200


async def test_a_change_is_weighed_by_what_would_be_done(people: People, clock: VirtualClock) -> None:
    much, _ = await waiting(people, 900.0)
    async with await signed_in(people) as browser:
        clock.advance(timedelta(minutes=5))
        refused = await browser.post(f"/v1/approvals/{much}/change", json={"reason": "half", "choice": "part"})
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthenticate")


async def test_without_the_setting_nobody_is_asked_to_sign_in_again(clock: VirtualClock) -> None:
    async with await Runtime.open([refund], settings=Settings(ledger="memory://"), clock=clock) as runtime:
        people = await populate(runtime)
        await people.add("bea", Assignment(Role.APPROVER))
        much, _ = await waiting(people, 90_000.0)
        async with await signed_in(people) as browser:
            clock.advance(timedelta(minutes=9))
            assert (await browser.post(f"/v1/approvals/{much}/approve", json={"reason": "ok"})).status_code == 200


async def test_whoever_shows_their_key_again_goes_on_in_a_new_session(people: People, clock: VirtualClock) -> None:
    entrance, service = people.front.service.entrance, people.front.service
    async with await signed_in(people) as browser:
        headers = {b"cookie": browser.headers["cookie"].encode(), b"sec-fetch-site": b"same-origin"}
    caller = await entrance.admit(headers, "GET", Peer("192.0.2.7"))
    clock.advance(timedelta(minutes=5))
    again, cookie = await desk.sign_in_anew(
        service, caller, headers, key=f" {people.secrets['bea']} ", address="192.0.2.7"
    )
    assert (again.identity.id, cookie.startswith("__Host-steward=")) == ("bea", True)
    assert not again.is_session_older(timedelta(seconds=1))
    assert caller.is_session_older(timedelta(0)), "the session before has ended"


@pytest.mark.parametrize("whose", ["approver.desk", "nobody's"])
async def test_no_other_key_renews_a_session(people: People, whose: str, clock: VirtualClock) -> None:
    entrance, service = people.front.service.entrance, people.front.service
    async with await signed_in(people) as browser:
        headers = {b"cookie": browser.headers["cookie"].encode(), b"sec-fetch-site": b"same-origin"}
    caller = await entrance.admit(headers, "GET", Peer("192.0.2.7"))
    key = people.secrets.get(whose, "stw_000000000000_wrong")
    with pytest.raises(Denied) as told:
        await desk.sign_in_anew(service, caller, headers, key=key, address="192.0.2.7")
    assert (told.value.code, told.value.field) == ("reauthenticate", "key")
    assert (await entrance.admit(headers, "GET", Peer("192.0.2.7"))).identity.id == "bea", "nobody is signed out by it"
    await people.runtime.guard.sweep()
    refusals = [decode_access(entry.body) for entry in await people.runtime.ledger.read(kind="refused")]
    assert {"another-person", "unknown-key"} & {each.code for each in refusals if isinstance(each, Refused)}


async def test_an_obstacle_is_told_before_anybody_answers(people: People, clock: VirtualClock) -> None:
    service, run_id = people.front.service, (await waiting(people, 900.0))[0]
    run = await people.runtime.run(UUID(run_id))
    entrance = service.entrance

    async def told(name: str) -> str | None:
        shown = {name.encode(): value.encode() for name, value in people.headers(name).items()}
        caller = await entrance.admit(shown, "GET", Peer())
        found = desk.obstacle(service, caller, run, caller.identity.id)
        return None if found is None else found.code

    assert await told("bea") is None
    assert await told("approver.desk") is None
    assert await told("auditor.desk") == "denied"
    assert await told("approver.greets") == "denied"
    assert await told("service.desk") == "denied"
    await people.runtime.stop(by="ada", reason="storm")
    assert await told("bea") == "stopped"
    assert Approval.of(run).agreed == ()
