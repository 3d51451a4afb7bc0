"""Other teams' decisions do not exist: every answer about one is the very answer about a name or id that is made up."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest
from tests.api.conftest import BIG, NOON, REFUND, greeting, refund
from tests.api.people import HIDDEN, SHOWN, People, populate

from steward.api.doors import DOORS
from steward.clock import VirtualClock
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

MADE_UP = "shop.refunq"
NO_RUN = str(UUID(int=7))


@pytest.fixture
async def people(runtime: Runtime) -> People:
    return await populate(runtime)


async def decided(people: People) -> str:
    async with people.client("operator.desk") as client:
        return str((await client.post(f"/v1/decisions/{HIDDEN}", json=BIG)).json()["decision_id"])


def same(answers: Sequence[httpx.Response], name: str, made_up: str) -> None:
    """Check that two answers differ in nothing but the name that was asked for."""
    one, other = answers
    assert one.status_code == other.status_code == 404
    assert one.content.replace(name.encode(), b"X") == other.content.replace(made_up.encode(), b"X")
    left, right = ({k: v for k, v in each.headers.items() if k != "content-length"} for each in (one, other))
    assert left == right


@pytest.mark.parametrize("who", ["operator.other", "approver.other", "administrator.other", "service.other"])
async def test_a_hidden_decision_answers_as_one_that_is_made_up(people: People, who: str) -> None:
    run = await decided(people)
    async with people.client(who) as client:
        for path, body in (("", REFUND), ("", b"no json"), ("/batch", [REFUND])):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers = {"content-type": "application/json"}
            answers = [
                await client.post(f"/v1/decisions/{name}{path}", content=content, headers=headers)
                for name in (HIDDEN, MADE_UP)
            ]
            same(answers, HIDDEN, MADE_UP)
        for method, path in itertools.product(("GET", "PUT", "PATCH", "DELETE"), ("", "/batch", "/proof")):
            one, other = [await client.request(method, f"/v1/decisions/{name}{path}") for name in (HIDDEN, MADE_UP)]
            assert one.status_code == other.status_code
            assert one.content.replace(HIDDEN.encode(), b"X") == other.content.replace(MADE_UP.encode(), b"X")
        outcome = {"outcome_id": "o", "outcome": {"order_id": "A-1", "kept_eur": 5.0}}
        answers = [await client.post("/v1/outcomes", json={"decision": name, **outcome}) for name in (HIDDEN, MADE_UP)]
        same(answers, HIDDEN, MADE_UP)
        for (method, path), _ in DOORS.items():
            if "{decision_id}" in path:
                ask: dict[str, Any] = {} if method == "GET" else {"json": {"reason": "x"}}
                answers = [
                    await client.request(method, path.replace("{decision_id}", each), **ask) for each in (run, NO_RUN)
                ]
                same(answers, run, NO_RUN)


async def test_hints_do_not_tell_hidden_names(people: People) -> None:
    async with people.client("operator.other") as client:
        for near in ("shop.refun", "shop.refnud"):
            assert HIDDEN not in (await client.post(f"/v1/decisions/{near}", json={})).text
        near_topic = await send(client, "Refun")
        assert near_topic.status_code == 404
        assert "Refund" not in near_topic.json().get("next", "")
    async with people.client("operator.desk") as client:
        assert HIDDEN in (await client.post("/v1/decisions/shop.refun", json={})).json()["next"]


async def send(client: httpx.AsyncClient, topic: str) -> httpx.Response:
    event = {"specversion": "1.0", "id": "1", "source": "t", "type": topic, "data": REFUND}
    headers = {"content-type": "application/cloudevents+json"}
    return await client.post("/v1/events", content=json.dumps(event), headers=headers)


async def test_a_hidden_topic_answers_as_one_that_is_made_up(people: People, runtime: Runtime) -> None:
    hidden = sorted(topic for topic, fed in runtime.topics.items() if HIDDEN in fed)
    assert len(hidden) >= 2
    async with people.client("operator.other") as client:
        for topic in hidden:
            same([await send(client, topic), await send(client, "made.up")], topic, "made.up")
    async with people.client("operator.desk") as client:
        assert (await send(client, hidden[0])).status_code != 404
    async with people.client("approver.desk") as client:
        assert (await send(client, hidden[0])).status_code == 403


async def test_a_mixed_batch_of_events_is_refused_as_a_whole(people: People, runtime: Runtime) -> None:
    visit = {"customer": "c1", "at": NOON.isoformat()}
    topics = ["shop.visits", sorted(topic for topic, fed in runtime.topics.items() if HIDDEN in fed)[0]]
    batch = [
        {"specversion": "1.0", "id": str(n), "source": "t", "type": topic, "partitionkey": "c1", "data": data}
        for n, (topic, data) in enumerate(zip(topics, (visit, REFUND), strict=True))
    ]
    headers = {"content-type": "application/cloudevents-batch+json"}
    async with people.client("operator.other") as client:
        assert (await client.post("/v1/events", content=json.dumps(batch), headers=headers)).status_code == 404
        assert (await client.post("/v1/events", content=json.dumps(batch[:1]), headers=headers)).status_code == 202
    assert [len(await runtime.ledger.messages(topic)) for topic in topics] == [1, 0]


@pytest.mark.parametrize("role", ["operator", "approver", "auditor", "product-leader", "administrator", "service"])
async def test_no_list_tells_of_what_is_hidden(people: People, runtime: Runtime, role: str) -> None:
    """Every route that reads, and that can be asked without naming anything, is asked by somebody of another team."""
    run = await decided(people)
    outcome = {"decision": HIDDEN, "outcome_id": "o", "outcome": {"order_id": "B-1", "kept_eur": 5.0}}
    async with people.client("operator.desk") as client:
        await client.post("/v1/outcomes", json=outcome)
        await client.post(f"/v1/decisions/{SHOWN}", json={"customer": "c"})
    await runtime.advance()
    lists = [path for method, path in DOORS if method == "GET" and "{" not in path]
    asked = 0
    async with people.client(f"{role}.other") as other, people.client(f"{role}.desk") as own:
        for path in lists:
            if path.startswith("/v1/access/"):  # who administers sees the limits themselves
                continue
            for query in ("", f"?decision={HIDDEN}", "?status=waiting"):
                told = await other.get(path + query)
                assert HIDDEN not in told.text, path
                assert run not in told.text, path
                assert "B-1" not in told.text, path
                asked += told.status_code == 200
        shown = [await own.get(path) for path in ("/v1/decisions", "/v1/approvals", "/metrics", "/v1/declarations")]
        assert all(HIDDEN in each.text for each in shown), "the search finds what is there"
        assert SHOWN in (await other.get("/v1/decisions")).text
    assert asked > 20


async def test_a_topic_that_also_feeds_a_hidden_decision_is_hidden_with_it(clock: VirtualClock) -> None:
    secret = replace(greeting, name="shop.secret-offer")
    chosen = Settings(ledger="memory://")
    async with await Runtime.open([refund, greeting, secret], settings=chosen, clock=clock) as runtime:
        people = await populate(runtime)
        await runtime.guard.administration.limit(people.ada, secret.name, ["desk"])
        assert runtime.topics["shop.visits"] == {greeting.name, secret.name}
        async with people.client("operator.other") as client:
            same([await send(client, "shop.visits"), await send(client, "made.up")], "shop.visits", "made.up")
        async with people.client("operator.desk") as client:
            assert (await send(client, "shop.visits")).status_code != 404


async def test_all_is_resumed_only_by_who_sees_all_that_would_go_on(people: People) -> None:
    everything = {"decision": "*", "reason": "smoke"}
    async with people.client("operator.other") as other, people.client("operator.desk") as desk:
        assert (await other.post("/v1/stops", json=everything)).status_code == 200
        refused = await other.post("/v1/stops/resume", json=everything)
        assert (refused.status_code, refused.json()["code"]) == (403, "denied")
        assert (await desk.post("/v1/stops/resume", json=everything)).status_code == 200
