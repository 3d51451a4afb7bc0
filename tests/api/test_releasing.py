"""Releases and rollouts over HTTP; and the way back, while others decide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from tests.runtime.rolling import NAME, NOON, House

from steward.api.app import create_app
from steward.api.server import Server
from steward.clock import SystemClock, VirtualClock
from steward.ledger.sqlite import SqliteLedger
from steward.models.signing.keys import PrivateKey
from steward.models.signing.trust import trust_key
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

DECIDE = f"/v1/decisions/{NAME}"
ANA, BO = {"by": "ana", "reason": "better"}, {"by": "bo", "reason": "so it is"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with House(tmp_path, VirtualClock(NOON)).opened() as runtime:
        transport = httpx.ASGITransport(app=create_app(runtime, "127.0.0.1"))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as made:
            yield made


async def sent(client: httpx.AsyncClient, path: str, body: Any, status: int = 200) -> Any:
    reply = await client.post(path, json=body)
    assert reply.status_code == status, reply.text
    return reply.json()


async def test_from_a_draft_to_the_way_back(client: httpx.AsyncClient) -> None:
    two = {"models": {"score": "2"}}
    draft = await sent(client, f"/v1/releases/{NAME}/draft", two)
    proposed = await sent(client, f"/v1/releases/{NAME}", {**two, **ANA})
    assert [each["release"] for each in proposed["releases"] if "published_at" not in each] == [draft["release"]]
    alone = await sent(client, f"/v1/releases/{NAME}/approve", {"release": draft["release"], **ANA}, 403)
    assert alone["code"] == "four-eyes"
    await sent(client, f"/v1/releases/{NAME}/approve", {"release": draft["release"], **BO})
    live = await sent(client, f"/v1/rollouts/{NAME}", {"release": draft["release"], "share": 0.25, **ANA})
    assert (live["rollout"]["canary"], live["rollout"]["share"]) == (draft["release"], 0.25)
    assert (await client.get("/v1/rollouts")).json()[0]["rollout"]["name"] == f"{NAME}/3"
    await sent(client, f"/v1/rollouts/{NAME}/share", {"share": 1.0, **ANA})
    record = await sent(client, DECIDE, {"who": "ana", "amount_eur": 60})
    assert (record["choice"], record["rollout"]["arm"], record["development"]) == ("hold", "canary", True)
    assert (await sent(client, f"/v1/rollouts/{NAME}/promote", BO))["champion"] == draft["release"]
    assert (await sent(client, f"/v1/rollouts/{NAME}/rollback", BO))["champion"] != draft["release"]
    assert (await client.get("/v1/rollouts")).json() == []
    changes = (await client.get(f"/v1/releases/{NAME}/history")).json()
    told = [each["kind"] for each in changes]
    assert told == ["published", "proposed", "published", "launched", "launched", "promoted", "rolled_back"]
    assert changes[2]["approved_by"] == "bo"


async def test_shadows_and_the_end(client: httpx.AsyncClient) -> None:
    live = await sent(client, f"/v1/rollouts/{NAME}", {"models": {"score": "2"}, "shadow": True, **ANA})
    assert len(live["rollout"]["shadows"]) == 1
    assert "rollout" not in await sent(client, f"/v1/rollouts/{NAME}/stop", ANA)


async def test_what_was_live_then(client: httpx.AsyncClient) -> None:
    now = (await client.get(f"/v1/releases/{NAME}")).json()
    assert (now["mode"], bool(now["champion"])) == ("development", True)
    then = (await client.get("/v1/releases", params={"at": "2025-01-01T00:00:00Z"})).json()
    assert [each["champion"] for each in then] == [""]
    assert (await client.get("/v1/releases/pay.nothing")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (f"/v1/rollouts/{NAME}", {"models": {"score": "2"}, "share": 1.5}, 422, "contract"),
        (f"/v1/rollouts/{NAME}", {"models": {"other": "2"}, "share": 0.5}, 422, "contract"),
        (f"/v1/rollouts/{NAME}", {"models": {"score": "9"}, "share": 0.5}, 404, "not-found"),
        (f"/v1/rollouts/{NAME}", {"release": "pay.else@ab", "share": 0.5}, 422, "contract"),
        (f"/v1/rollouts/{NAME}/promote", {}, 409, "no-rollout"),
        (f"/v1/rollouts/{NAME}/rollback", {}, 409, "no-release-before"),
    ],
)
async def test_what_does_not_fit_is_a_problem(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    assert (await sent(client, path, {**body, **ANA}, status))["code"] == code


async def test_unknown_releases_are_not_available_and_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "trust").mkdir()
    house = House(tmp_path, VirtualClock(NOON))
    key = PrivateKey.of_seed(bytes(32))
    trust_key(tmp_path / "trust", "anna", key.public)
    for number in ("1", "2", "3"):
        house.registry.sign("score", number, key=key, clock=house.clock)
    async with house.opened(mode="governed", trust=str(tmp_path / "trust")) as runtime:
        transport = httpx.ASGITransport(app=create_app(runtime, "127.0.0.1"))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            problem = await sent(client, DECIDE, {"who": "ana", "amount_eur": 60}, 503)
            assert (problem["code"], "steward release propose" in problem["next"]) == ("release-unknown", True)
            assert "steward release propose" in (await client.get("/v1/releases")).json()[0]["refused"]


async def test_the_way_back_takes_less_than_a_second_and_no_request_fails(tmp_path: Path) -> None:
    """Sixteen connections decide without a pause over TCP while a promotion is rolled back: every answer is a 200."""
    house, clock = House(tmp_path, SystemClock()), SystemClock()
    ledger = await SqliteLedger.open(tmp_path / "steward.db", clock=clock, origin="tests.local/rollback")
    settings = Settings(ledger="memory://", registry=str(tmp_path / "models"))
    async with await Runtime.open(house.decisions, settings=settings, clock=clock, ledger=ledger) as runtime:
        runtime.start()
        server = await Server.start(runtime, "127.0.0.1", 0)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
            await sent(client, f"/v1/rollouts/{NAME}", {"models": {"score": "2"}, "share": 0.5, **ANA})
            await sent(client, f"/v1/rollouts/{NAME}/promote", BO)
            answers: list[tuple[float, int, str]] = []
            done, counted = asyncio.Event(), asyncio.Semaphore(0)
            loop = asyncio.get_running_loop()

            async def decide_on(number: int) -> None:
                while not done.is_set():
                    reply = await client.post(DECIDE, json={"who": str(number), "amount_eur": 60})
                    answers.append((loop.time(), reply.status_code, reply.json().get("choice", "")))
                    counted.release()

            deciding = [asyncio.ensure_future(decide_on(number)) for number in range(16)]
            for _ in range(100):
                await counted.acquire()
            asked = loop.time()
            await sent(client, f"/v1/rollouts/{NAME}/rollback", BO)
            back, seen = loop.time(), len(answers)
            for _ in range(seen):
                await counted.acquire()
            done.set()
            await asyncio.gather(*deciding)
        await server.stop()
    assert {status for _, status, _ in answers} == {200}
    assert {choice for _, _, choice in answers[:50]} == {"hold"}
    assert {choice for _, _, choice in answers[-50:]} == {"pay"}
    assert back - asked < 1.0
    assert max(at for at, _, choice in answers if choice == "hold") - asked < 1.0


async def test_what_is_seen_of_a_rollout_is_told_and_described(tmp_path: Path) -> None:
    async with House(tmp_path, VirtualClock(NOON)).opened() as runtime:
        transport = httpx.ASGITransport(app=create_app(runtime, "127.0.0.1"))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            nothing = (await client.get(f"/v1/rollouts/{NAME}")).json()
            assert nothing["reason"] == "no rollout was seen by this process"
            await sent(client, f"/v1/rollouts/{NAME}", {"models": {"score": "2"}, "shadow": True, **ANA})
            await sent(client, f"/v1/rollouts/{NAME}", {"models": {"score": "3"}, "share": 0.5, **ANA})
            for number in range(40):
                await sent(client, DECIDE, {"who": f"p{number}", "amount_eur": 60})
            await runtime.advance()
            seen = (await client.get(f"/v1/rollouts/{NAME}")).json()
            described = (await client.get("/openapi.json")).json()
    assert seen["rollout"].startswith(f"{NAME}/")
    assert sum(seen["decided"].values()) == 40
    assert seen["findings"][0]["metric"] == "errors"
    [shadow] = seen["shadows"]
    assert (shadow["asked"], shadow["failed"]) == (40, 0)
    assert sum(pair["times"] for pair in shadow["agreement"]) == 40
    schema = {"$ref": "#/components/schemas/RolloutSeen", "components": described["components"]}
    for told in (nothing, seen):
        jsonschema_rs.Draft202012Validator(schema).validate(told)
