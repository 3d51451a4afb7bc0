"""The server on a real socket: limits, keep-alive, pipelining, stopping, restarting."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.conftest import DECIDE, REFUND, greeting, refund

from steward.api import server as server_module
from steward.api.protocol import MAX_HEAD_BYTES
from steward.api.server import Server, run, serve
from steward.clock import VirtualClock
from steward.errors import EngineError
from steward.loop.run import Answer
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings


class Wire:
    """A client that sends exactly the bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        """Read one response with a content length."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return int(head[0].split()[1]), headers, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def ended(self) -> bool:
        """Wait until the server has closed the connection; tell whether nothing came before."""
        return await self.reader.read() == b""


def post(path: str, body: Any, *headers: str, version: str = "1.1") -> bytes:
    """Return the bytes of one POST."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = ["host: localhost", "content-type: application/json", f"content-length: {len(data)}", *headers]
    return f"POST {path} HTTP/{version}\r\n".encode() + "\r\n".join(lines).encode() + b"\r\n\r\n" + data


@pytest.fixture
async def server(runtime: Runtime) -> AsyncIterator[Server]:
    started = await Server.start(runtime, "127.0.0.1", 0)
    yield started
    await started.stop()


@pytest.fixture
async def wire(server: Server) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    yield Wire(reader, writer)
    writer.close()


async def test_one_connection_carries_many_requests_of_both_kinds(wire: Wire) -> None:
    for _ in range(3):
        wire.writer.write(post(DECIDE, REFUND))
        status, headers, body = await wire.response()
        assert (status, json.loads(body)["choice"]) == (200, "release")
        assert headers["server"] == "steward"
        assert headers["date"] == "thu, 01 jan 2026 12:00:00 gmt"
        wire.writer.write(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert (await wire.response())[::2] == (200, b"ok")


async def test_pipelined_requests_are_answered_in_order(wire: Wire) -> None:
    health = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n"
    asked = [post(DECIDE, {"order_id": str(n), "amount_eur": n}) for n in range(4)]
    wire.writer.write(asked[0] + asked[1] + health + asked[2] + post(DECIDE, b"{") + asked[3])
    answers = [await wire.response() for _ in range(6)]
    assert [status for status, _, _ in answers] == [200, 200, 200, 200, 400, 200]
    amounts = [json.loads(answers[n][2])["event"]["amount_eur"] for n in (0, 1, 3, 5)]
    assert amounts == [0, 1, 2, 3]


async def test_the_short_way_and_asgi_answer_alike(server: Server, client: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as direct:
        for body, headers in (
            (REFUND, {"Idempotency-Key": "k"}),
            ({**REFUND, "amount_eur": -1}, {}),
            (REFUND, {"Idempotency-Key": '"'}),
        ):
            ways = [await way.post(DECIDE, json=body, headers=headers) for way in (direct, client)]
            assert ways[0].status_code == ways[1].status_code
            assert ways[0].content == ways[1].content
            ours = [{k: v for k, v in way.headers.items() if k not in ("date", "server")} for way in ways]
            ours[1].pop("idempotency-replayed", None)  # the second to come with this key
            assert ours[0] == ours[1]


@pytest.mark.parametrize("size", [65 * 1024, 2 * 1024 * 1024])
@pytest.mark.parametrize("path", [DECIDE, f"{DECIDE}?query=1"])
async def test_a_large_body_is_refused_and_the_connection_lives(wire: Wire, size: int, path: str) -> None:
    wire.writer.write(post(path, b" " * size))
    status, _, body = await wire.response()
    assert (status, json.loads(body)["code"]) == (413, "http.too-large")
    wire.writer.write(post(DECIDE, REFUND))
    assert (await wire.response())[0] == 200


async def test_a_resting_connection_is_closed(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_SWEEP_S", 0.01)
    monkeypatch.setattr(server_module, "_KEEP_ALIVE_S", 0.03)
    server = await Server.start(runtime, "127.0.0.1", 0)
    wire = Wire(*await asyncio.open_connection("127.0.0.1", server.port))
    wire.writer.write(post(DECIDE, REFUND))
    assert (await wire.response())[0] == 200
    assert await wire.ended()
    wire.writer.close()
    await server.stop()


async def test_a_chunked_body_is_taken_and_a_long_one_refused(wire: Wire) -> None:
    head = post(DECIDE, b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    data = json.dumps(REFUND).encode()
    wire.writer.write(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
    assert (await wire.response())[0] == 200
    wire.writer.write(head + b"10000\r\n%b\r\n" % (b" " * 0x10000) * 3)
    assert (await wire.response())[0] == 413


async def test_a_body_may_arrive_slowly(wire: Wire) -> None:
    for letter in post(DECIDE, REFUND):
        wire.writer.write(bytes([letter]))
        await wire.writer.drain()
    assert (await wire.response())[0] == 200


async def test_expect_continue_is_answered(wire: Wire) -> None:
    request = post(DECIDE, REFUND, "expect: 100-continue")
    head, _, body = request.partition(b"\r\n\r\n")
    wire.writer.write(head + b"\r\n\r\n")
    assert (await wire.response())[0] == 100
    wire.writer.write(body)
    assert (await wire.response())[0] == 200


@pytest.mark.parametrize("headers", [("connection: close",), ()])
async def test_a_connection_is_closed_when_asked(wire: Wire, headers: tuple[str, ...]) -> None:
    wire.writer.write(post(DECIDE, REFUND, *headers, version="1.1" if headers else "1.0"))
    status, told, _ = await wire.response()
    assert (status, told["connection"]) == (200, "close")
    assert await wire.ended()


async def test_what_is_not_http_is_a_problem(wire: Wire) -> None:
    wire.writer.write(b"HELLO\r\n\r\n")
    status, headers, body = await wire.response()
    assert (status, headers["content-type"], json.loads(body)["code"]) == (
        400,
        "application/problem+json",
        "http.bad-request",
    )
    assert await wire.ended()


async def test_endless_headers_are_ended(wire: Wire) -> None:
    wire.writer.write(f"POST {DECIDE} HTTP/1.1\r\nx: ".encode())
    wire.writer.write(b"y" * (MAX_HEAD_BYTES + 1))
    status, _, body = await wire.response()
    assert (status, json.loads(body)["code"]) == (431, "http.headers-too-large")


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"POST ",
        post(DECIDE, REFUND)[:-3],
        post(f"{DECIDE}?query=1", REFUND)[:-3],
        b"GET /healthz HTTP/1.1\r\nhost",
    ],
)
async def test_a_slow_client_is_ended(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, part: bytes) -> None:
    monkeypatch.setattr(server_module, "_SWEEP_S", 0.01)
    settings = Settings(ledger="memory://", request_timeout_s=0.03)
    async with await Runtime.open([refund, greeting], settings=settings, clock=clock) as runtime:
        server = await Server.start(runtime, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(part)
        wire = Wire(reader, writer)
        status, _, body = await wire.response()
        assert (status, json.loads(body)["code"]) == (408, "http.timeout")
        assert await wire.ended()
        assert await runtime.ledger.read(kind="decided") == []
        writer.close()
        await server.stop()


async def test_a_request_that_waits_for_its_answer_is_not_slow(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_SWEEP_S", 0.001)
    settings = Settings(ledger="memory://", request_timeout_s=0.001)
    async with await Runtime.open([refund], settings=settings, clock=clock) as runtime:
        hold, sweeps, now = held(runtime, monkeypatch), 0, clock.now

        def counted() -> datetime:
            # Each sweep asks for the time, for the Date header; five of them are five times the limit.
            nonlocal sweeps
            sweeps += hold.asked.is_set()
            if sweeps == 5:
                hold.go.set()
            return now()

        server = await Server.start(runtime, "127.0.0.1", 0)
        wire = Wire(*await asyncio.open_connection("127.0.0.1", server.port))
        wire.writer.write(post(DECIDE, REFUND))
        await hold.asked.wait()
        monkeypatch.setattr(clock, "now", counted)
        assert (await wire.response())[0] == 200
        wire.writer.close()
        await server.stop()


class Held:
    """Holds every decision until it is let go."""

    def __init__(self) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()


def held(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Held:
    """Hold the runtime's decisions."""
    hold, decide = Held(), runtime.decide

    async def wait(*args: Any, **options: Any) -> Answer:
        hold.asked.set()
        await hold.go.wait()
        return await decide(*args, **options)

    monkeypatch.setattr(runtime, "decide", wait)
    return hold


async def test_stopping_answers_what_is_under_way(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = held(runtime, monkeypatch)
    server = await Server.start(runtime, "127.0.0.1", 0)
    busy, idle = [Wire(*await asyncio.open_connection("127.0.0.1", server.port)) for _ in range(2)]
    busy.writer.write(post(DECIDE, REFUND))
    await hold.asked.wait()
    stopping = asyncio.create_task(server.stop())
    assert await idle.ended()
    with pytest.raises(OSError, match=r"refused|failed"):
        await asyncio.open_connection("127.0.0.1", server.port)
    assert not stopping.done()
    hold.go.set()
    status, headers, _ = await busy.response()
    assert (status, headers["connection"]) == (200, "close")
    await stopping
    busy.writer.close()
    idle.writer.close()


async def test_a_client_that_goes_away_leaves_no_trace(
    wire: Wire, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, server: Server
) -> None:
    hold = held(runtime, monkeypatch)
    wire.writer.write(post(DECIDE, REFUND))
    await hold.asked.wait()
    wire.writer.transport.abort()
    hold.go.set()
    await server.stop()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert len(await runtime.ledger.read(kind="decided")) == 1


async def test_a_connection_lost_elsewhere_is_still_answered(
    wire: Wire, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> Answer:
        raise ConnectionResetError("of a database, not of the client")

    monkeypatch.setattr(runtime, "decide", fail)
    wire.writer.write(post(DECIDE, REFUND))
    assert (await wire.response())[0] == 500


async def test_a_port_in_use_is_told_clearly(server: Server, runtime: Runtime) -> None:
    with pytest.raises(EngineError, match="in use") as caught:
        await Server.start(runtime, "127.0.0.1", server.port)
    assert (caught.value.code, caught.value.field) == ("port-in-use", "port")
    with pytest.raises(EngineError) as caught:
        await Server.start(runtime, "203.0.113.7", 0, invite=lambda key: None)
    assert caught.value.code == "cannot-listen"


async def test_serve_ends_on_a_signal_and_closes_the_runtime(clock: VirtualClock) -> None:
    runtime = await Runtime.open([refund], settings=Settings(ledger="memory://", port=0), clock=clock)
    ports: list[int] = []

    def ready(port: int) -> None:
        ports.append(port)
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)

    await serve(runtime, ready=ready)
    assert ports[0] > 0
    with pytest.raises(EngineError):
        await runtime.ledger.size()


async def test_a_key_holds_across_a_restart(tmp_path: Path, clock: VirtualClock) -> None:
    settings = Settings(ledger=f"sqlite:///{tmp_path}/s.db", root=tmp_path)
    answers = []
    for _ in range(2):
        async with await Runtime.open([refund], settings=settings, clock=clock) as runtime:
            server = await Server.start(runtime, "127.0.0.1", 0)
            async with httpx.AsyncClient(base_url=f"http://localhost:{server.port}") as client:
                headers = {"Idempotency-Key": '"order-1"'}
                answers.append(await client.post(DECIDE, json=REFUND, headers=headers))
                other = await client.post(DECIDE, json={**REFUND, "amount_eur": 1}, headers=headers)
                assert other.status_code == 422
            await server.stop()
    assert answers[0].content == answers[1].content
    assert answers[1].headers["idempotency-replayed"] == "true"


def test_run_returns_what_the_coroutine_does() -> None:
    async def main() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert run(main()) == "uvloop"


async def test_serve_ends_with_the_error_that_stopped_the_background_work(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = await Runtime.open([refund], settings=Settings(ledger="memory://", port=0), clock=clock)

    async def fail() -> None:
        raise EngineError("the disk is gone")

    monkeypatch.setattr(runtime, "failed", fail)
    with pytest.raises(EngineError, match="the disk is gone"):
        await serve(runtime, port=0)
    with pytest.raises(EngineError):
        await runtime.ledger.size()
