"""One connection, fed bytes by hand: known heads, and replies without a task."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.api.conftest import DECIDE, REFUND

from steward.api.app import create_app
from steward.api.protocol import MAX_KNOWN_HEAD_BYTES, MAX_KNOWN_HEADS, Connection, Shared, connector
from steward.errors import EngineError
from steward.loop.run import Answer
from steward.runtime.runtime import Runtime


def post(path: str, body: Any, *headers: str, version: str = "1.1") -> bytes:
    """Return the bytes of one POST."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = ["host: localhost", "content-type: application/json", f"content-length: {len(data)}", *headers]
    return f"POST {path} HTTP/{version}\r\n".encode() + "\r\n".join(lines).encode() + b"\r\n\r\n" + data


class Sink(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        """Take note of nothing: what is fed is fed."""

    def resume_reading(self) -> None:
        """As above."""


class Wired:
    """A connection without a socket."""

    def __init__(self, runtime: Runtime) -> None:
        made, connect = connector(create_app(runtime), asyncio.get_running_loop())
        connection = connect()
        assert isinstance(connection, Connection)
        self.shared: Shared = made
        self.connection, self.sink = connection, Sink()
        connection.connection_made(self.sink)

    async def ask(self, *parts: bytes) -> list[Any]:
        """Feed some bytes; return the bodies of what is answered once nothing is under way any more."""
        self.sink.written = b""
        for part in parts:
            self.connection.data_received(part)
        for _ in range(3):  # a reply that has just been made may be what another waits for
            while under_way := self.shared.under_way:
                await asyncio.wait(under_way)
            await asyncio.sleep(0)
        return [json.loads(part.partition(b"\r\n\r\n")[2]) for part in self.sink.written.split(b"HTTP/1.1 ")[1:]]


@pytest.fixture
async def wired(runtime: Runtime) -> Wired:
    return Wired(runtime)


def event(number: int) -> dict[str, object]:
    """Return an event as it comes back."""
    return {"order_id": f"o{number}", "amount_eur": number + 0.5, "reason": None}


async def test_a_known_head_means_the_same_however_the_bytes_are_cut(runtime: Runtime) -> None:
    sent = [event(number) for number in range(3)]
    stream = b"".join(post(DECIDE, one) for one in sent)
    for cut in range(1, len(stream), 7):
        wired = Wired(runtime)
        assert [answer["event"] for answer in await wired.ask(post(DECIDE, sent[0]))] == sent[:1]
        assert len(wired.shared.heads) == 1
        answers = await wired.ask(stream[:cut], stream[cut:])
        assert [answer["event"] for answer in answers] == sent, cut


async def test_a_known_head_is_not_parsed_again(wired: Wired, monkeypatch: pytest.MonkeyPatch) -> None:
    await wired.ask(post(DECIDE, event(1)))
    monkeypatch.setattr(wired.connection, "parser", None)
    (answer,) = await wired.ask(post(DECIDE, event(2)))
    assert answer["event"] == event(2)
    assert (len(wired.shared.heads), wired.shared.total_requests) == (1, 2)


async def test_a_known_head_still_has_its_body_checked(wired: Wired) -> None:
    await wired.ask(post(DECIDE, event(1)))
    bad = post(DECIDE, event(1)).replace(b'"o1"', b'"o1,')
    assert [answer["code"] for answer in await wired.ask(bad)] == ["contract.not-json"]
    assert [answer["event"] for answer in await wired.ask(post(DECIDE, event(2)))] == [event(2)]


async def test_a_request_within_a_body_is_not_a_request(wired: Wired, runtime: Runtime) -> None:
    whole = post(DECIDE, event(1))
    await wired.ask(whole)
    head = post(DECIDE, b"").replace(b"length: 0", b"length: %d" % len(whole))
    assert [answer["code"] for answer in await wired.ask(head, whole)] == ["contract.not-json"]
    limit = wired.shared.front.limit_bytes
    head = post(DECIDE, b"").replace(b"length: 0", b"length: %d" % (limit + 1 + len(whole)))
    assert [answer["code"] for answer in await wired.ask(head + b" " * (limit + 1))] == ["http.too-large"]
    assert await wired.ask(whole) == []  # the rest of that body
    assert len(await runtime.ledger.read(kind="decided")) == 1


async def test_half_a_head_is_not_remembered(wired: Wired) -> None:
    line, _, rest = post(DECIDE, event(1)).partition(b"\r\n")
    assert await wired.ask(line + b"\r\n", rest)
    assert wired.shared.heads == {}


@pytest.mark.parametrize(
    "unusual",
    [
        post(DECIDE, REFUND, "idempotency-key: k"),
        post(DECIDE, REFUND, "connection: close"),
        post(DECIDE, REFUND, f"x-long: {'y' * MAX_KNOWN_HEAD_BYTES}"),
        post(DECIDE, REFUND, version="1.0"),
        post(f"{DECIDE}?query=1", REFUND),
        post(DECIDE, REFUND) + b"\r\n",
        post(DECIDE, REFUND) + post(DECIDE, REFUND),
        post(DECIDE, b"").replace(b"content-length: 0", b"transfer-encoding: chunked") + b"0\r\n\r\n",
    ],
)
async def test_an_unusual_head_is_not_remembered(wired: Wired, unusual: bytes) -> None:
    assert await wired.ask(unusual)
    assert wired.shared.heads == {}


async def test_only_so_many_heads_are_remembered(wired: Wired) -> None:
    for number in range(MAX_KNOWN_HEADS + 1):
        assert await wired.ask(post(DECIDE, b"{}", f"x: {number}"))
    assert len(wired.shared.heads) == 1


async def test_nothing_is_decided_behind_a_request_that_closes(wired: Wired, runtime: Runtime) -> None:
    answers = await wired.ask(post(DECIDE, b"{}", "connection: close") + post(DECIDE, event(1)))
    assert [answer["code"] for answer in answers] == ["contract"]
    assert wired.sink.closed
    assert await runtime.ledger.read(kind="decided") == []


async def test_a_reply_waits_for_a_client_that_reads_slowly(wired: Wired) -> None:
    wired.connection.pause_writing()
    wired.connection.data_received(post(DECIDE, event(1)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert wired.sink.written == b""
    wired.connection.resume_writing()
    assert len(await wired.ask()) == 1


async def test_a_body_in_many_small_chunks_is_not_copied_for_each(wired: Wired) -> None:
    connection = wired.connection
    head = post(DECIDE, b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    connection.data_received(head + b"1\r\n{\r\n")
    body = connection.cycle.body
    connection.data_received(b"1\r\n \r\n" * 100)
    assert (bytes(body), connection.cycle.body is body) == (b"{" + b" " * 100, True)


async def test_who_waits_more_than_once_gets_a_task(
    wired: Wired, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide, loop = runtime.decide, asyncio.get_running_loop()
    tasks: list[bool] = []

    async def wait(*args: Any, **options: Any) -> Answer:
        for _ in range(2):
            tasks.append(asyncio.current_task() is not None)
            future: asyncio.Future[None] = loop.create_future()
            loop.call_soon(future.set_exception, EngineError("seen"))
            with pytest.raises(EngineError, match="seen"):
                await future
        async with asyncio.timeout(10):  # which needs a task
            answer: Answer = await decide(*args, **options)
        return answer

    monkeypatch.setattr(runtime, "decide", wait)
    await wired.ask(post(DECIDE, event(0)))
    tasks.clear()
    (answer,) = await wired.ask(post(DECIDE, event(1)))
    assert answer["event"] == event(1)
    assert not tasks[1]  # the first is the one of this test


@pytest.mark.parametrize("waits", [1, 2, 3])
async def test_a_reply_that_is_cancelled_ends(
    wired: Wired, runtime: Runtime, monkeypatch: pytest.MonkeyPatch, waits: int
) -> None:
    ended = False

    async def wait(*args: Any, **options: Any) -> Answer:
        nonlocal ended
        try:
            for _ in range(1, waits):
                await asyncio.sleep(0)
            never: asyncio.Future[Answer] = asyncio.Future()
            return await never
        finally:
            ended = True

    monkeypatch.setattr(runtime, "decide", wait)
    wired.connection.data_received(post(DECIDE, event(1)))
    for _ in range(waits * 3):
        await asyncio.sleep(0)
    for waiting in wired.shared.under_way:
        waiting.cancel()
    assert await wired.ask() == []
    assert ended
