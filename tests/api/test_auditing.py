"""The routes of verification: begun once, looked at by whoever may verify, and an alarm that stops nothing."""

from __future__ import annotations

import httpx
import pytest
from msgspec.structs import replace
from tests.api.conftest import DECIDE, REFUND
from tests.api.people import populate

from steward.ledger.memory import MemoryLedger
from steward.runtime.runtime import Runtime

PATH = "/v1/ledger/verification"


async def test_it_is_begun_and_looked_at(runtime: Runtime, client: httpx.AsyncClient) -> None:
    await client.post(DECIDE, json=REFUND)
    before = (await client.get(PATH)).json()
    assert (before["trust"], before["last"], before["progress"], before["failure"]) == ("unknown", None, None, "")
    begun = await client.post(PATH)
    assert (begun.status_code, begun.headers["location"]) == (202, PATH)
    assert begun.json()["progress"] == {"entries": 0, "total": 0}
    assert (await client.post(PATH)).status_code == 202
    await runtime.audit.verify()
    after = (await client.get(PATH)).json()
    assert (after["trust"], after["progress"]) == ("holds", None)
    last = after["last"]
    assert (last["entries"], last["breaks"]) == (await runtime.ledger.size(), [])
    assert last["root"] == (await runtime.ledger.root(last["entries"])).hex()
    assert after["public_key"] == runtime.audit.public_key
    assert after["every_s"] == 0  # a ledger in memory is verified only when somebody asks


async def test_a_broken_ledger_is_an_alarm_and_decisions_go_on(runtime: Runtime, client: httpx.AsyncClient) -> None:
    await client.post(DECIDE, json=REFUND)
    assert (await client.get("/readyz")).json()["checks"]["verification"] == "ok: not verified yet"
    assert "steward_ledger_breaks" not in (await client.get("/metrics")).text
    await runtime.audit.verify()
    assert (await client.get("/readyz")).json()["checks"]["verification"].startswith("ok: ")
    assert "\nsteward_ledger_breaks 0" in (await client.get("/metrics")).text
    ledger = runtime.ledger
    assert isinstance(ledger, MemoryLedger)
    ledger._entries[1] = replace(ledger._entries[1], kind="failed")
    await runtime.audit.verify()
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert ready.json()["checks"]["verification"] == "alarm: entry 1: its columns do not repeat its body"
    metrics = (await client.get("/metrics")).text
    assert "\nsteward_ledger_breaks 1" in metrics
    assert "\nsteward_ledger_verified_entries " in metrics
    told = (await client.get(PATH)).json()
    assert (told["trust"], told["last"]["breaks"][0]["index"]) == ("broken", 1)
    assert (await client.post(DECIDE, json={**REFUND, "order_id": "A-2"})).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_who_may_verify_all(runtime: Runtime, method: str) -> None:
    people = await populate(runtime)
    wanted = {"auditor.desk": True, "operator.other": True, "service.desk": False, "auditor.greets": False}
    for name, may in wanted.items():
        async with people.client(name) as somebody:
            answer = await somebody.request(method, PATH)
        assert answer.is_success is may, name
    async with people.client() as nobody:
        assert (await nobody.request(method, PATH)).status_code == 401
