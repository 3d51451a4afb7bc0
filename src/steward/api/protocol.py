"""HTTP/1.1 for the server: uvicorn's httptools protocol with limits, and a short way for the hot routes.

The limits are on how large and how slow a request may be. The short way serves a hot route without an ASGI scope and
its messages: once the whole body is there, the reply is made, without a task where it waits only for its batch, and one
write sends it. A head that has been parsed before is known by its bytes and not parsed again. Whatever is unusual
(pipelining, ``Expect``, a query) goes uvicorn's own way to the same application.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from types import coroutine
from typing import Any, NamedTuple

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from steward.access.certificates import ClientCertificate
from steward.api.app import Front, Headers, Hot
from steward.api.entrance import PEER, UNKNOWN_PEER, Peer
from steward.api.exchange import Reply
from steward.api.problems import problem_reply
from steward.api.refusals import REFUSALS
from steward.errors import ContractError
from steward.runtime.admission import Reason

MAX_HEAD_BYTES = 64 * 1024
"""The longest request line and headers together."""
SPARE_CONNECTIONS = 100
"""How many more there may be for what is never refused: who wants to press the stop switch has to get through."""
STEADY_BYTES = 1 << 20
"""A long body may take longer than a request, as long as this much of it arrives within a request's time."""
MAX_KNOWN_HEADS = 1_024
"""How many heads are remembered; a client sends the same one again and again."""
MAX_KNOWN_HEAD_BYTES = 1_024


class _Head(NamedTuple):
    """What the bytes of a head mean: a hot route, its headers, and how long the body is."""

    hot: Hot
    headers: Headers
    body_bytes: int


class Shared(ServerState):
    """What all connections of a server share.

    Args:
        front: The application.

    Attributes:
        max_connections: How many there may be at a time.
        stamp: The headers that every reply has, as bytes.
        refusals: The replies to requests that there is no room for, as bytes, in turns.
        heads: The heads of hot requests that were parsed before, by their bytes.
        waited_for: What replies that are made without a task wait for.
    """

    def __init__(self, front: Front) -> None:
        super().__init__()
        self.front = front
        self.max_connections = front.service.runtime.settings.max_connections
        self.set_headers()
        self.heads: dict[bytes, _Head] = {}
        self.waited_for: set[asyncio.Future[Any]] = set()

    @property
    def under_way(self) -> set[asyncio.Future[Any]]:
        """What must end before all requests are answered; a reply may wait for something else after that."""
        return {*self.tasks, *self.waited_for}

    def set_headers(self, *headers: tuple[bytes, bytes]) -> None:
        """Say which headers every reply has."""
        self.default_headers = list(headers)
        self.stamp = b"".join(b"%b: %b\r\n" % header for header in headers)
        written = [encoded(reply, self.stamp, keep_alive=True) for reply in REFUSALS[Reason.FULL]]
        self.refusals = itertools.cycle(written)

    def learn(self, data: bytes, cycle: _HotCycle) -> None:
        """Remember the head of a request that ``data`` is, if it is only a head and a body of declared length."""
        end = data.find(b"\r\n\r\n") + 4
        told = dict(cycle.headers)
        body_bytes = len(cycle.body)
        if (
            cycle.keep_alive
            and len(data) - end == body_bytes
            and end <= MAX_KNOWN_HEAD_BYTES
            and told.get(b"content-length") == b"%d" % body_bytes
            and told.keys().isdisjoint((b"transfer-encoding", b"idempotency-key"))  # a key comes once
        ):
            if len(self.heads) >= MAX_KNOWN_HEADS:
                self.heads.clear()
            self.heads[data[:end]] = _Head(cycle.hot, cycle.headers, body_bytes)


class _HotCycle:
    """The part of uvicorn's request cycle that its connection looks at, for a request that goes the short way."""

    __slots__ = (
        "body", "disconnected", "headers", "hot", "keep_alive", "message_event", "response_complete",
        "response_started",
    )  # fmt: skip

    def __init__(self, hot: Hot, headers: Headers, body: bytes | bytearray, *, keep_alive: bool) -> None:
        self.hot, self.headers, self.body, self.keep_alive = hot, headers, body, keep_alive
        self.message_event = _NOBODY
        self.response_started = self.response_complete = self.disconnected = False


class _Nobody:
    """Stands for the event that uvicorn's cycle waits for; here nobody waits."""

    def set(self) -> None:
        """Wake nobody."""


_NOBODY = _Nobody()


class Connection(HttpToolsProtocol):
    """One connection.

    Time is counted in ticks of the server's sweep, so that it costs a fast request nothing.

    Args:
        config: uvicorn's settings.
        shared: What all connections share.
        loop: The event loop.
    """

    cycle: Any

    def __init__(self, config: Config, shared: Shared, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, shared, {}, loop)
        self._shared = shared
        self._short: _HotCycle | None = None
        self._ready: _HotCycle | None = None
        self._in_head = self._in_message = False
        self._head_bytes = self._body_bytes = 0
        self._ticks = 0
        self._peer = UNKNOWN_PEER
        self._is_spare = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's
        """Note who is at the other end; refuse it if there are too many already."""
        super().connection_made(transport)
        if len(self.connections) > self._shared.max_connections:
            self._is_spare = True
            if len(self.connections) > self._shared.max_connections + SPARE_CONNECTIONS:
                self._end_as_too_many()
                return
        try:
            certificate = ClientCertificate.of_connection(transport) if self.scheme == "https" else None
        except ContractError:
            transport.close()  # it fits the authorities, but nobody can read whose it is
            return
        self._peer = Peer(self.client[0] if self.client else "", certificate)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        begins = not self._in_message
        before = self.cycle
        if begins and before is not None and before.response_complete:
            end = data.find(b"\r\n\r\n") + 4
            head = self._shared.heads.get(data[:end])
            if head is not None and len(data) - end == head.body_bytes:
                if self._shared.front.has_no_room(head.hot) and not self.flow.write_paused:
                    self.transport.write(next(self._shared.refusals))
                    self.on_response_complete()
                    return
                self.cycle = cycle = _HotCycle(head.hot, head.headers, data[end:], keep_alive=True)
                self._start(cycle)
                return
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._end("http.headers-too-large", "the headers are too long", f"send at most {MAX_HEAD_BYTES} bytes")
        ready = self._ready
        if ready is not None:
            # Not within the parser's callback: what is pipelined behind it must find it under way.
            self._ready = None
            if begins and not self._in_message:
                self._shared.learn(data, ready)
            if self._shared.front.has_no_room(ready.hot):
                self._send(ready, next(self._shared.front.refusals[Reason.FULL]))
            else:
                self._start(ready)

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._in_head = self._in_message = True
        self._head_bytes = self._body_bytes = self._ticks = 0
        super().on_message_begin()
        scope: Any = self.scope
        scope[PEER] = self._peer

    def on_headers_complete(self) -> None:
        """Note that the head has arrived, and choose the way of the request."""
        self._in_head = False
        parser = self.parser
        hot = None
        if parser.get_method() == b"POST" and not self.expect_100_continue and not parser.should_upgrade():
            hot = self._shared.front.hot(self.url.decode("latin-1"))
        before = self.cycle
        if hot is None or (before is not None and not before.response_complete):
            self._short = None
            super().on_headers_complete()
            return
        keep_alive = parser.should_keep_alive() and parser.get_http_version() != "1.0"
        # Grown in place: a body of a million one-byte chunks would else be copied a million times.
        self.cycle = self._short = _HotCycle(hot, self.headers, bytearray(), keep_alive=keep_alive)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; one that is too long is answered before it has ended, and the rest is dropped."""
        short = self._short
        if short is None:
            self._body_bytes += len(body)
            if self._body_bytes >= STEADY_BYTES:
                self._body_bytes = self._ticks = 0
            super().on_body(body)
        elif not short.response_started:
            short.body += body
            if len(short.body) > self._shared.front.limit_bytes:
                short.response_started, self._ready = True, short

    def on_message_complete(self) -> None:
        """Note that the request has arrived."""
        self._in_message = False
        short = self._short
        if short is None:
            super().on_message_complete()
        elif not short.response_started:
            short.response_started, self._ready = True, short

    def _start(self, cycle: _HotCycle) -> None:
        """Begin to make a reply."""
        if self._is_spare and cycle.hot.lane is not None:
            cycle.response_started = False
            self._end_as_too_many()
            return
        cycle.response_started = True
        making = self._shared.front.answer(cycle.hot, cycle.headers, None, bytes(cycle.body), self._peer)
        if cycle.hot.waits_once:
            self._go_on(cycle, making, None)
        else:
            self._become_task(self._finish(cycle, making))

    def _go_on(self, cycle: _HotCycle, making: Coroutine[Any, Any, Reply], waited: asyncio.Future[Any] | None) -> None:
        """Run what makes a reply until it waits: for its batch, as it should, or else as a task."""
        if waited is not None:
            self._shared.waited_for.discard(waited)
        try:
            wait = making.send(None)
        except StopIteration as made:
            self._send(cycle, made.value)
        except asyncio.CancelledError:  # the server stops
            return
        else:
            if waited is None and asyncio.isfuture(wait):
                wait._asyncio_future_blocking = False  # what a task would do: it says that somebody waits
                wait.add_done_callback(partial(self._go_on, cycle, making))
                self._shared.waited_for.add(wait)
            else:
                self._become_task(self._finish(cycle, _resumed(making, wait)))

    def _become_task(self, replying: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(replying)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _finish(self, cycle: _HotCycle, making: Awaitable[Reply]) -> None:
        self._send(cycle, await making)

    def _send(self, cycle: _HotCycle, reply: Reply) -> None:
        if cycle.disconnected or self.transport.is_closing():
            return
        if self.flow.write_paused:
            self._become_task(self._send_later(cycle, reply))
            return
        self.transport.write(encoded(reply, self._shared.stamp, keep_alive=cycle.keep_alive))
        cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    async def _send_later(self, cycle: _HotCycle, reply: Reply) -> None:
        await self.flow.drain()
        self._send(cycle, reply)

    def on_response_complete(self) -> None:
        """Count a reply, and let the next request come; that none comes is found by the sweep, not by a timer each."""
        self._shared.total_requests += 1
        self._ticks = 0
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())

    def tick(self, limit: int, idle_limit: int) -> None:
        """Count one tick of the server's sweep.

        Args:
            limit: How many ticks a request may take to arrive; then it is ended.
            idle_limit: How many ticks may pass between an answer and the next request; then the connection is closed.
        """
        self._ticks += 1
        if self._in_message or self.cycle is None:
            if self._ticks > limit:
                self._end("http.timeout", "the request took too long to arrive", "send it faster, or in parts")
        elif self.cycle.response_complete and self._ticks > idle_limit:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP; named by uvicorn."""
        self._end("http.bad-request", "the request is not HTTP/1.1", "see RFC 9112")

    def _end_as_too_many(self) -> None:
        self._end("overloaded", "there are too many connections", "try again in a moment")

    def _end(self, code: str, what: str, fix: str) -> None:
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | _HotCycle | None = self.cycle
        if cycle is None or not cycle.response_started or cycle.response_complete:
            reply = problem_reply(ContractError(what, fix=fix, code=code))
            self.transport.write(encoded(reply, self._shared.stamp, keep_alive=False))
        self.transport.close()


async def _resumed(making: Coroutine[Any, Any, Reply], wait: asyncio.Future[Any] | None) -> Reply:
    """Go on, within a task, with a coroutine that has begun outside of one and waits."""
    try:
        if wait is None:  # it only gave others a turn
            await asyncio.sleep(0)
        else:
            wait._asyncio_future_blocking = False
            await asyncio.wait((wait,))
        return await _rest_of(making)
    finally:
        making.close()


@coroutine
def _rest_of(making: Coroutine[Any, Any, Reply]) -> Generator[Any, Any, Reply]:
    """Make what has begun awaitable: a coroutine that waits may be gone on with, but not awaited."""
    reply: Reply = yield from making
    return reply


def encoded(reply: Reply, stamp: bytes, *, keep_alive: bool) -> bytes:
    r"""Return a reply as bytes; ``stamp`` are the headers that every reply has.

    Example:
        >>> encoded(Reply(204, b""), b"server: steward\r\n", keep_alive=False).splitlines()[:2]
        [b'HTTP/1.1 204 No Content', b'server: steward']
    """
    status, body, media_type, headers = reply
    more = b"".join(b"%b: %b\r\n" % header for header in headers) if headers else b""
    if not keep_alive:
        more += b"connection: close\r\n"
    return b"%b%bcontent-type: %b\r\ncontent-length: %d\r\nx-content-type-options: nosniff\r\n%b\r\n%b" % (
        STATUS_LINE[status],
        stamp,
        media_type,
        len(body),
        more,
        body,
    )


def connector(front: Front, loop: asyncio.AbstractEventLoop) -> tuple[Shared, Callable[[], asyncio.Protocol]]:
    """Return what a server's connections share, and what makes one. Limits are ours, so uvicorn's own are off."""
    config = Config(
        front,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        loop="none",
        proxy_headers=False,
        date_header=False,
        server_header=False,
    )
    config.load()
    shared = Shared(front)
    return shared, lambda: Connection(config, shared, loop)
