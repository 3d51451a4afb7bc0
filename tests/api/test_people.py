"""What people answer over HTTP, and the stop switch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tests.api.conftest import BIG, DECIDE, REFUND, impact_eur, later, refund

from steward import Checks, Features, Gate, impact_above, minutes
from steward.api.app import create_app
from steward.api.routes import HOT
from steward.clock import VirtualClock
from steward.errors import ContractError
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings


def only_known(features: Features, proposed: str, wanted: str) -> None:
    if wanted not in ("release", "hold", "part"):
        raise ContractError(f"{wanted!r} is no way to refund", field="choice")


def all_of_it(features: Features, choice: str) -> str:
    return "release twice"


GATE: Any = Gate(
    needed=impact_above(500),
    impact=impact_eur,
    approvers="desk",
    within=minutes(10),
    otherwise="hold",
    escalate_to=("lead", "boss"),
    approvals=2,
    limits=only_known,
)


@pytest.fixture
async def runtime(clock: VirtualClock) -> AsyncIterator[Runtime]:
    settings = Settings(ledger="memory://", max_body_bytes=64 * 1024, max_batch=20)
    async with await Runtime.open([replace(refund, gate=GATE)], settings=settings, clock=clock) as opened:
        yield opened


async def waiting(client: httpx.AsyncClient) -> tuple[str, dict[str, Any]]:
    run = (await client.post(DECIDE, json=BIG)).json()["decision_id"]
    return f"/v1/approvals/{run}", (await client.get(f"/v1/approvals/{run}")).json()


async def said(client: httpx.AsyncClient, path: str, status: int = 200, **body: Any) -> Any:
    response = await client.post(path, json=body)
    assert response.status_code == status, response.text
    return response.json()


async def test_an_ask_tells_all_that_an_answer_should_know(client: httpx.AsyncClient) -> None:
    _, ask = await waiting(client)
    (listed,) = (await client.get("/v1/approvals")).json()
    assert listed == ask
    assert (ask["choice"], ask["reasons"], ask["otherwise"]) == ("release", ["900.0 EUR asked"], "hold")
    assert (ask["impact"], ask["deadline"]) == ({"amount": "900.00", "unit": "EUR"}, "2026-01-01T12:10:00Z")
    assert (ask["approvers"], ask["asked"], [rung["to"] for rung in ask["ladder"]]) == (
        "desk",
        ["desk"],
        ["lead", "boss"],
    )
    assert (ask["needed"], ask["agreed"], ask["barred"], ask["four_eyes"]) == (2, [], {}, False)
    assert ask["event"] == {**BIG, "reason": None}
    assert ask["evidence"].startswith("sha256:")


async def test_a_decision_that_asks_nobody_is_no_ask(client: httpx.AsyncClient) -> None:
    run = (await client.post(DECIDE, json=REFUND)).json()["decision_id"]
    told = await client.get(f"/v1/approvals/{run}")
    assert (told.status_code, told.json()["code"]) == (409, "not-waiting")


async def test_two_agree_to_what_one_changed(client: httpx.AsyncClient) -> None:
    path, ask = await waiting(client)
    words = {"reason": "ok", "evidence": ask["evidence"]}
    first = await said(client, f"{path}/approve", by="ana", **words)
    assert (first["status"], first["approval"]["agreed"][0]["by"]) == ("waiting", "ana")
    assert (await said(client, f"{path}/change", 422, by="bo", choice="all", **words))["field"] == "choice"
    changed = await said(client, f"{path}/change", by="bo", choice="part", **words)
    ask = changed["approval"]
    assert (ask["choice"], ask["round"], ask["changed"]["proposed"]) == ("part", 1, "release")
    assert [each["by"] for each in ask["agreed"]] == ["bo"]
    assert (await said(client, f"{path}/approve", 409, by="ana", **words))["code"] == "evidence-changed"
    words = {"reason": "ok", "evidence": ask["evidence"]}
    done = await said(client, f"{path}/approve", by="ana", **words)
    assert (done["status"], done["choice"], "approval" in done) == ("approved", "part", False)
    late = await said(client, f"{path}/reject", 409, by="cy", **words)
    assert (late["code"], "by ana" in late["detail"]) == ("already-answered", True)


async def test_people_talk(client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock) -> None:
    path, _ = await waiting(client)
    asked = await said(client, f"{path}/question", by="ana", question="Is it a customer?")
    assert asked["approval"]["question"]["question"] == "Is it a customer?"
    assert "question" not in (await said(client, f"{path}/reply", by="bo", reply="yes"))["approval"]
    assert (await said(client, f"{path}/reply", 409, by="bo", reply="yes"))["code"] == "no-question"
    escalated = await said(client, f"{path}/escalate", by="ana", reason="too much", to="boss")
    assert escalated["approval"]["asked"] == ["desk", "boss"]
    snoozed = await said(client, f"{path}/snooze", by="ana", reason="busy", until="2026-01-01T12:05:00Z")
    assert snoozed["approval"]["snoozed"] == {"ana": "2026-01-01T12:05:00Z"}
    assert (await said(client, f"{path}/snooze", 422, by="ana", reason="busy", until="2026-01-01T12:10:00Z"))[
        "field"
    ] == "until"
    assert await said(client, f"{path}/snooze", 422, by="ana", reason="busy", until="2026-01-01T12:05:00")


async def test_people_and_metrics_tell_how_they_answer(
    client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock
) -> None:
    path, ask = await waiting(client)
    await later(runtime, clock, minutes(2))
    await said(client, f"{path}/reject", by="ana", reason="no", evidence=ask["evidence"])
    await waiting(client)
    await later(runtime, clock, minutes(10))
    report = (await client.get("/v1/people")).json()
    (ana,) = report["people"]
    assert (ana["person"], ana["answers"], ana["agreement"], ana["median_s"]) == ("ana", 1, 0.0, 120.0)
    assert report["expired"] == 1
    text = (await client.get("/metrics")).text
    assert 'steward_answers_total{decision="shop.refund",verdict="rejected"} 1' in text
    assert 'steward_answers_total{decision="shop.refund",verdict="expired"} 1' in text
    assert 'steward_answer_seconds_sum{decision="shop.refund",verdict="rejected"} 120' in text
    assert "steward_approvals_waiting 0" in text


async def test_a_check_looks_like_any_other_ask(clock: VirtualClock) -> None:
    checked = replace(GATE, approvals=1, checks=Checks(rate=1.0, wrong=all_of_it))
    async with await Runtime.open([replace(refund, gate=checked)], settings=Settings(ledger="memory://")) as runtime:
        transport = httpx.ASGITransport(app=create_app(runtime))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            await client.post(DECIDE, json=BIG)
            real, check = (await client.get("/v1/approvals")).json()
            assert {real["choice"], check["choice"]} == {"release", "release twice"}
            assert set(real) == set(check)
            for ask in (real, check):
                await said(client, f"/v1/approvals/{ask['decision_id']}/approve", by="ana", reason="ok")
            await runtime.advance()
            shown = (await client.get(f"/v1/decisions/{check['decision_id']}")).json()
            assert "seeded" not in str(shown)
            report = (await client.get("/v1/people")).json()
            assert (report["checks"], report["caught"], report["people"][0]["answers"]) == (1, 0, 1)


async def test_the_stop_switch(client: httpx.AsyncClient, runtime: Runtime) -> None:
    path, ask = await waiting(client)
    stopped = await said(client, "/v1/stops", by="ana", reason="smoke")
    assert [(each["decision"], each["by"], each["reason"]) for each in stopped["stops"]] == [("*", "ana", "smoke")]
    assert (await client.get("/v1/stops")).json() == stopped
    words = {"reason": "ok", "evidence": ask["evidence"]}
    assert (await said(client, f"{path}/approve", 409, by="bo", **words))["code"] == "stopped"
    [listed] = (await client.get("/v1/approvals")).json()
    shown = (await client.get(path)).json()
    assert listed == shown == {**ask, "stopped": True}
    assert (await client.get(f"/v1/decisions/{ask['decision_id']}")).json()["approval"] == shown
    assert "steward_stops_standing 1" in (await client.get("/metrics")).text
    run = (await client.post(DECIDE, json=REFUND)).json()["decision_id"]
    await runtime.advance()
    held = (await client.get(f"/v1/decisions/{run}")).json()
    assert (held["status"], held["next"]) == ("decided", {"waits_for": "operator", "name": "stopped"})
    assert (await said(client, "/v1/stops/resume", by="ana", reason="clear"))["stops"][0]["resuming_by"] == "ana"
    assert (await said(client, "/v1/stops/resume", 409, by="ana", reason="clear"))["code"] == "second-person"
    assert (await said(client, "/v1/stops/resume", by="bo", reason="clear"))["stops"] == []
    assert (await said(client, "/v1/stops/resume", 409, by="bo", reason="clear"))["code"] == "not-stopped"
    assert (await client.get(path)).json() == ask
    await runtime.advance()
    assert (await client.get(f"/v1/decisions/{run}")).json()["status"] == "acted"


async def test_only_what_there_is_can_be_stopped(client: httpx.AsyncClient) -> None:
    told = await said(client, "/v1/stops", 404, by="ana", reason="smoke", decision="shop.refnd")
    assert "shop.refund" in told["next"]
    assert (await said(client, "/v1/stops", 422, by="ana", reason=""))["field"] == "reason"


def test_only_the_stop_switch_is_never_refused() -> None:
    assert {route.name for route in HOT if route.lane is None} == {"stop", "resume"}
