"""HTTP/1.1 for the server: uvicorn's httptools protocol with limits, and a short way for the hot routes.

The limits are on how large and how slow a request may be. The short way serves a hot route without an ASGI scope and
its messages: once the whole body is there, one task makes the reply, and one write sends it. Whatever is unusual
(pipelining, ``Expect``, a query) goes uvicorn's own way to the same application.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from steward.api.app import Front, Headers, Hot
from steward.api.exchange import Reply
from steward.api.problems import MEDIA_TYPE, problem
from steward.errors import ContractError

MAX_HEAD_BYTES = 64 * 1024
"""The longest request line and headers together."""


class Shared(ServerState):
    """What all connections of a server share.

    Args:
        front: The application.

    Attributes:
        stamp: The headers that every reply has, as bytes.
    """

    def __init__(self, front: Front) -> None:
        super().__init__()
        self.front = front
        self.stamp = b""

    def set_headers(self, *headers: tuple[bytes, bytes]) -> None:
        """Say which headers every reply has."""
        self.default_headers = list(headers)
        self.stamp = b"".join(b"%b: %b\r\n" % header for header in headers)


class _HotCycle:
    """The part of uvicorn's request cycle that its connection looks at, for a request that goes the short way."""

    __slots__ = ("body", "disconnected", "hot", "keep_alive", "message_event", "response_complete", "response_started")

    def __init__(self, hot: Hot, keep_alive: bool, message_event: Any) -> None:
        self.hot, self.keep_alive, self.message_event = hot, keep_alive, message_event
        # Grown in place: a body of a million one-byte chunks would else be copied a million times.
        self.body = bytearray()
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
        self._in_head = False
        self._arriving = True
        self._head_bytes = 0
        self._ticks = 0

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._end("http.headers-too-large", "the headers are too long", f"send at most {MAX_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._in_head = self._arriving = True
        self._head_bytes = self._ticks = 0
        super().on_message_begin()

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
        self.cycle = self._short = _HotCycle(hot, keep_alive, _NOBODY)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; one that is too long is answered before it has ended, and the rest is dropped."""
        short = self._short
        if short is None:
            super().on_body(body)
        elif not short.response_started:
            short.body += body
            if len(short.body) > self._shared.front.limit_bytes:
                self._answer(short)

    def on_message_complete(self) -> None:
        """Note that the request has arrived."""
        self._arriving = False
        short = self._short
        if short is None:
            super().on_message_complete()
        elif not short.response_started:
            self._answer(short)

    def _answer(self, cycle: _HotCycle) -> None:
        cycle.response_started = True
        task = self.loop.create_task(self._reply(cycle, self.headers))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _reply(self, cycle: _HotCycle, headers: Headers) -> None:
        reply = await self._shared.front.answer(cycle.hot, "POST", headers, None, bytes(cycle.body))
        if cycle.disconnected or self.transport.is_closing():
            return
        if self.flow.write_paused:
            await self.flow.drain()
        self.transport.write(encoded(reply, self._shared.stamp, keep_alive=cycle.keep_alive))
        cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def tick(self, limit: int) -> None:
        """Count one tick; end a request that has been arriving for more than ``limit`` of them."""
        if self._arriving:
            self._ticks += 1
            if self._ticks > limit:
                self._end("http.timeout", "the request took too long to arrive", "send it faster, or in parts")

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP; named by uvicorn."""
        self._end("http.bad-request", "the request is not HTTP/1.1", "see RFC 9112")

    def _end(self, code: str, what: str, fix: str) -> None:
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | _HotCycle | None = self.cycle
        if cycle is None or not cycle.response_started or cycle.response_complete:
            told = problem(ContractError(what, fix=fix, code=code))
            reply = Reply(told.status, msgspec.json.encode(told), MEDIA_TYPE)
            self.transport.write(encoded(reply, self._shared.stamp, keep_alive=False))
        self.transport.close()


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
