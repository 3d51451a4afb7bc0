"""A real server that is asked for more than it can do: whom it lets in, what the others hear, and what still works."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.conftest import DECIDE, REFUND, greeting, refund
from tests.api.people import populate

from steward import Lane
from steward.access.identity import Assignment, Kind
from steward.access.permissions import Role
from steward.api.app import create_app
from steward.api.server import Server
from steward.clock import SystemClock, VirtualClock
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit, Committed
from steward.runtime.reader import LedgerReader
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

MOST = 10
BATCH = f"{DECIDE}/batch"
ALARM = "/v1/decisions/shop.alarm"
alarm = replace(greeting, name="shop.alarm", lane=Lane.EMERGENCY)
GREETING = {"customer": "ana"}


class SlowLedger(MemoryLedger):
    """Keeps what is decided about refunds waiting for the disk, until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting, self.goes_on = 0, asyncio.Event()

    async def append(self, commit: Commit) -> Committed:
        if any(draft.kind == "decided" and b"shop.refund" in draft.body for draft in commit.entries):
            self.waiting += 1
            await self.goes_on.wait()
        return await super().append(commit)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - nobody rings
            await asyncio.sleep(0)


@asynccontextmanager
async def crowded(clock: VirtualClock) -> AsyncIterator[tuple[httpx.AsyncClient, SlowLedger, list[asyncio.Task[Any]]]]:
    """Give a client of a server that is full, its ledger, and the requests that are under way."""
    ledger = SlowLedger()
    settings = Settings(ledger="memory://", max_waiting=2 * MOST, max_batch=50)
    async with await Runtime.open([refund, greeting, alarm], settings=settings, ledger=ledger, clock=clock) as runtime:
        server = await Server.start(runtime, "127.0.0.1", 0)
        limits = httpx.Limits(max_connections=None)
        url = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
            sent = [asyncio.create_task(client.post(DECIDE, json=REFUND)) for _ in range(2 * MOST)]
            try:
                await until(lambda: runtime.admission.facts().in_flight == 2 * MOST)
                yield client, ledger, sent
            finally:
                ledger.goes_on.set()
        await server.stop()


async def test_a_refusal_says_why_and_when_to_come_back(clock: VirtualClock) -> None:
    async with crowded(clock) as (client, ledger, sent):
        refused = [await client.post(DECIDE, json=REFUND) for _ in range(5)]
        # The same from the second time on a connection on, where nothing is even parsed.
        assert {answer.status_code for answer in refused} == {503}
        assert {answer.headers["content-type"] for answer in refused} == {"application/problem+json"}
        assert {answer.headers["retry-after"] for answer in refused} == {"1", "2", "3"}
        body = refused[0].json()
        assert (body["status"], body["code"], body["type"]) == (503, "overloaded", "urn:steward:problem:overloaded")
        assert "Retry-After" in body["next"]
        ledger.goes_on.set()
        assert {answer.status_code for answer in await asyncio.gather(*sent)} == {200}
        clock.advance(timedelta(seconds=10))
        assert (await client.post(DECIDE, json=REFUND)).status_code == 200


async def test_emergencies_get_through_and_batches_do_not(clock: VirtualClock) -> None:
    async with crowded(clock) as (client, ledger, sent):
        assert (await client.post(ALARM, json=GREETING)).status_code == 200
        assert (await client.post(f"{ALARM}/batch", json=[GREETING] * 3)).status_code == 200
        assert (await client.post("/v1/decisions/shop.greeting", json=GREETING)).status_code == 503
        assert (await client.post(BATCH, json=[REFUND])).status_code == 503
        assert (await client.post("/v1/outcomes", json={})).status_code == 503
        event = {"specversion": "1.0", "type": "shop.visits", "source": "s", "id": "1", "data": {}}
        answer = await client.post("/v1/events", json=event, headers={"content-type": "application/cloudevents+json"})
        assert answer.status_code == 503
        told = (await client.get("/metrics")).text
        assert f"steward_admission_limit {MOST}" in told
        assert f"steward_admission_in_flight {2 * MOST}" in told
        assert 'steward_admission_refused_total{lane="normal",reason="full"} 3' in told
        assert 'steward_admission_refused_total{lane="batch",reason="full"} 1' in told
        assert 'steward_http_requests_total{route="decide",status="503"} 1' in told
        ledger.goes_on.set()
        await asyncio.gather(*sent)


async def test_the_stop_switch_people_and_health_are_never_refused(clock: VirtualClock) -> None:
    async with crowded(clock) as (client, ledger, sent):
        stopped = await client.post("/v1/stops", json={"by": "ana", "reason": "smoke"})
        assert stopped.status_code == 200
        for path in ("/healthz", "/readyz", "/v1/approvals", "/v1/stops"):
            assert (await client.get(path)).status_code == 200, path
        for by in ("ana", "bo"):
            assert (await client.post("/v1/stops/resume", json={"by": by, "reason": "clear"})).status_code == 200
        ledger.goes_on.set()
        await asyncio.gather(*sent)


async def test_one_caller_leaves_room_for_the_others(clock: VirtualClock) -> None:
    ledger = SlowLedger()
    settings = Settings(ledger="memory://", max_waiting=2 * MOST)
    async with await Runtime.open([refund, greeting], settings=settings, ledger=ledger, clock=clock) as runtime:
        people = await populate(runtime)
        for name in ("till", "report"):
            await people.add(name, Assignment(Role.SERVICE), kind=Kind.SERVICE)
        async with people.client("till") as till, people.client("report") as report:
            first = asyncio.create_task(till.post(DECIDE, json=REFUND))
            await until(lambda: runtime.admission.facts().in_flight == 1)
            greedy = [asyncio.create_task(report.post(DECIDE, json=REFUND)) for _ in range(2 * MOST)]
            await until(lambda: sum(each.done() for each in greedy) == 2 * MOST - 7)
            refused = [each.result() for each in greedy if each.done()]
            assert {answer.status_code for answer in refused} == {429}
            assert refused[0].json()["code"] == "over-share"
            assert int(refused[0].headers["retry-after"]) in (1, 2, 3)
            second = asyncio.create_task(till.post(DECIDE, json=REFUND))
            await until(lambda: runtime.admission.facts().in_flight == 9)
            ledger.goes_on.set()
            assert [(await each).status_code for each in (first, second)] == [200, 200]
            assert Counter([(await each).status_code for each in greedy]) == {429: 2 * MOST - 7, 200: 7}


async def ask_again_and_again(port: int, times: int) -> list[tuple[int, dict[str, str], dict[str, Any]]]:
    """Ask over one connection, without waiting between answers; return status, headers and body of each."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps(REFUND).encode()
    head = f"POST {DECIDE} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    answers = []
    for _ in range(times):
        writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
        told = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.lower().split(": ", 1) for line in told[1:] if line)
        answer = await reader.readexactly(int(headers["content-length"]))
        answers.append((int(told[0].split()[1]), headers, json.loads(answer)))
    writer.close()
    return answers


async def test_all_that_is_let_in_is_durable_and_the_rest_knows(tmp_path: Path) -> None:
    database = tmp_path / "steward.db"
    settings = Settings(ledger=f"sqlite:////{database}", max_waiting=8)
    async with await Runtime.open([refund], settings=settings, clock=SystemClock()) as runtime:
        runtime.start()
        server = await Server.start(runtime, "127.0.0.1", 0)
        each = await asyncio.gather(*(ask_again_and_again(server.port, 12) for _ in range(64)))
        await server.stop()
    answers = [answer for many in each for answer in many]
    assert {status for status, _, _ in answers} == {200, 503}
    for status, headers, body in answers:
        if status == 503:
            assert headers["retry-after"] in ("1", "2", "3")
            assert body["code"] == "overloaded"
    decided = {body["decision_id"] for status, _, body in answers if status == 200}
    assert len(decided) == sum(status == 200 for status, _, _ in answers)
    reader = LedgerReader(database)
    kept = {str(entry.run_id) for entry in await reader.read(0, 100_000) if entry.kind == "decided"}
    await reader.close()
    assert kept == decided, "what is acknowledged is kept, and what is refused is not decided"


@pytest.mark.parametrize("lane", [Lane.NORMAL, Lane.EMERGENCY])
def test_a_lane_changes_no_fingerprint(lane: Lane) -> None:
    assert replace(refund, lane=lane).fingerprint == refund.fingerprint
    assert replace(refund, lane=lane).description["lane"] == lane.name.lower()


async def test_a_full_bus_says_when_to_come_back(clock: VirtualClock) -> None:
    settings = Settings(ledger="memory://", max_lag=2)
    async with await Runtime.open([greeting], settings=settings, clock=clock) as runtime:
        transport = httpx.ASGITransport(app=create_app(runtime))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:

            async def send(id: str) -> httpx.Response:
                event = {"specversion": "1.0", "type": "shop.visits", "source": "door", "id": id, "subject": "ana"}
                data = {"customer": "ana", "at": clock.now().isoformat()}
                headers = {"content-type": "application/cloudevents+json"}
                return await client.post("/v1/events", json={**event, "data": data}, headers=headers)

            taken = [(await send(f"e{number}")).status_code for number in range(2)]
            refused = await send("e2")
            assert (taken, refused.status_code, refused.json()["code"]) == ([202, 202], 503, "bus.full")
            assert int(refused.headers["retry-after"]) >= 1
            await runtime.advance()
            assert (await send("e2")).status_code == 202
