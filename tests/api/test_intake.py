"""Events come in as CloudEvents, in each of the three modes, and are in the log when they are acknowledged."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.api.conftest import NOON, later

from steward.clock import VirtualClock
from steward.runtime.runtime import Runtime


def event(number: int, **changes: Any) -> dict[str, Any]:
    """Return a visit as a structured CloudEvent."""
    data = {"customer": "c1", "at": NOON.isoformat()}
    return {
        "specversion": "1.0",
        "id": str(number),
        "source": "door-1",
        "type": "shop.visits",
        "partitionkey": "c1",
        "data": data,
        **changes,
    }


async def send(client: httpx.AsyncClient, body: object, kind: str, **headers: str) -> httpx.Response:
    return await client.post("/v1/events", content=json.dumps(body), headers={"content-type": kind, **headers})


async def test_the_three_modes_are_taken_and_count_duplicates(
    client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock
) -> None:
    one = await send(client, event(1), "application/cloudevents+json")
    assert (one.status_code, one.json()) == (202, {"accepted": 1, "duplicates": 0, "offsets": [0]})
    many = await send(client, [event(1), event(2)], "application/cloudevents-batch+json; charset=utf-8")
    assert many.json() == {"accepted": 1, "duplicates": 1, "offsets": [0, 1]}
    headers = {f"ce-{name}": value for name, value in event(3).items() if name != "data"}
    binary = await send(client, event(3)["data"], "application/json", **headers)
    assert binary.json() == {"accepted": 1, "duplicates": 0, "offsets": [2]}
    stored = await runtime.ledger.messages("shop.visits")
    assert [message.message.id for message in stored] == ["1", "2", "3"]
    await later(runtime, clock)
    greeted = await client.post("/v1/decisions/shop.greeting", json={"customer": "c1"})
    assert greeted.json()["features"] == {"shop_visits_count_1h": 3}
    assert greeted.json()["choice"] is True


async def test_an_event_may_ask_for_a_decision(
    client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock
) -> None:
    asking = event(1, type="refund", data={"order_id": "A-9", "amount_eur": 5})
    assert (await send(client, asking, "application/cloudevents+json")).status_code == 202
    await later(runtime, clock)
    [row] = (await client.get("/v1/decisions", params={"decision": "shop.refund"})).json()
    record = (await client.get(f"/v1/decisions/{row['decision_id']}")).json()
    assert (record["provenance"]["event_id"], record["provenance"]["source"]) == ("1", "door-1")
    assert record["provenance"]["contract_version"] == 2


@pytest.mark.parametrize(
    ("body", "kind", "status", "field"),
    [
        (event(1, type="shop.vists"), "application/cloudevents+json", 404, "type"),
        (event(1, specversion="0.3"), "application/cloudevents+json", 422, "specversion"),
        (event(1, data={"customer": "c1"}), "application/cloudevents+json", 422, "at"),
        ([event(1), event(2, id=None)], "application/cloudevents-batch+json", 422, "[1].id"),
        (event(1), "text/plain", 415, None),
        ("{", "application/cloudevents+json", 422, None),
    ],
)
async def test_what_does_not_fit_is_refused_and_nothing_is_kept(
    client: httpx.AsyncClient, runtime: Runtime, body: object, kind: str, status: int, field: str | None
) -> None:
    response = await send(client, body, kind)
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, response.json().get("field")) == (status, field or response.json().get("field"))
    assert await runtime.ledger.messages("shop.visits") == []
