"""What people and devices say about effects over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import msgspec
import pytest
from tests.api.conftest import DECIDE, REFUND, later, pay, refund, take_back

from steward import Action, Call, Receipt, Signal, Steps, minutes
from steward.api.app import create_app
from steward.clock import VirtualClock
from steward.errors import EngineError
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings
from steward.workflow.next import Next

ANNA = {"by": "anna", "reason": "because"}


class Gateway:
    """Pays, unless it is down."""

    is_down = False

    def tell(self, choice: str, call: Call) -> Receipt:
        """Tell the customer."""
        if self.is_down:
            raise EngineError("the gateway is down", code="down")
        return Receipt(reference=call.key)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
async def runtime(clock: VirtualClock, gateway: Gateway) -> AsyncIterator[Runtime]:
    steps = Steps(
        Action(do=pay, undo=take_back), Signal(name="clear", within=minutes(5)), Action(do=gateway.tell), name="refund"
    )
    settings = Settings(ledger="memory://")
    async with await Runtime.open([replace(refund, action=steps)], settings=settings, clock=clock) as opened:
        yield opened


@pytest.fixture
async def client(runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(runtime))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
        yield opened


@pytest.fixture
async def path(client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock) -> str:
    record = (await client.post(DECIDE, json=REFUND)).json()
    await later(runtime, clock)
    return f"/v1/decisions/{record['decision_id']}"


async def test_a_signal_lets_a_run_go_on(
    client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock, path: str
) -> None:
    shown = (await client.get(path)).json()
    assert shown["status"] == "acting"
    [paid] = [entry["at"] for entry in shown["history"] if entry["kind"] == "stepped"]
    until = msgspec.convert(paid, datetime) + timedelta(minutes=5)
    assert msgspec.convert(shown["next"], Next) == Next(waits_for="signal", name="clear", until=until)
    unknown = await client.post(f"{path}/signals/cleer", json={"by": "crew"})
    assert (unknown.status_code, unknown.json()["next"]) == (422, "did you mean 'clear'?")
    sent = await client.post(f"{path}/signals/clear", json={"by": "crew", "payload": {"crew": 3}})
    assert sent.status_code == 200
    await later(runtime, clock)
    shown = (await client.get(path)).json()
    assert (shown["status"], shown.get("next")) == ("acted", None)
    assert [entry["facts"]["result"] for entry in shown["history"] if entry["kind"] == "stepped"][1] == {"crew": 3}
    assert (await client.post(f"{path}/abort", json=ANNA)).status_code == 409


async def test_an_abort_takes_back(client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock, path: str) -> None:
    assert (await client.post(f"{path}/abort", json={"by": "anna"})).status_code == 422
    assert (await client.post(f"{path}/abort", json=ANNA)).status_code == 200
    await later(runtime, clock)
    assert (await client.get(path)).json()["status"] == "undone"


async def test_a_failed_run_is_listed_and_redriven(
    client: httpx.AsyncClient, runtime: Runtime, clock: VirtualClock, path: str, gateway: Gateway
) -> None:
    gateway.is_down = True
    await client.post(f"{path}/signals/clear", json={"by": "crew"})
    await later(runtime, clock)
    [dead] = (await client.get("/v1/dead-letters")).json()["runs"]
    assert (dead["status"], dead["code"], path.endswith(dead["decision_id"])) == ("failed", "down", True)
    gateway.is_down = False
    assert (await client.post(f"{path}/redrive", json=ANNA)).status_code == 200
    again = await client.post(f"{path}/redrive", json=ANNA)
    assert (again.status_code, again.json()["code"]) == (409, "not-failed")
    await client.post(f"{path}/signals/clear", json={"by": "crew"})
    await later(runtime, clock)
    assert (await client.get(path)).json()["status"] == "acted"
    assert (await client.get("/v1/dead-letters")).json() == {"runs": [], "messages": []}


@pytest.mark.parametrize(("letter", "status"), [("0", 404), ("-1", 422), ("x", 422)])
async def test_a_letter_that_is_not_there(client: httpx.AsyncClient, letter: str, status: int) -> None:
    assert (await client.post(f"/v1/dead-letters/{letter}/redrive", json=ANNA)).status_code == status
