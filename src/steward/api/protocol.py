"""HTTP/1.1 for the server: uvicorn's httptools protocol with limits on how much and how long a request may take."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from steward.api.problems import MEDIA_TYPE, problem
from steward.errors import ContractError

MAX_HEAD_BYTES = 64 * 1024
"""The longest request line and headers together."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection. A head that is too long and a request that arrives too slowly are ended with a problem.

    Time is counted in ticks of the server's sweep, so that it costs a fast request nothing.

    Args:
        config: uvicorn's settings.
        server_state: What all connections share.
        loop: The event loop.
    """

    def __init__(self, config: Config, server_state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, server_state, {}, loop)
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
        """Note that the head has arrived."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the request has arrived."""
        self._arriving = False
        super().on_message_complete()

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
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or not cycle.response_started or cycle.response_complete:
            self.transport.write(_problem_bytes(code, what, fix))
        self.transport.close()


def _problem_bytes(code: str, what: str, fix: str) -> bytes:
    told = problem(ContractError(what, fix=fix, code=code))
    body = msgspec.json.encode(told)
    head = b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (MEDIA_TYPE, len(body))
    return STATUS_LINE[told.status] + head + body


def server_config(app: Any) -> Config:
    """Return uvicorn's settings for an application; limits are ours, so its own are off."""
    config = Config(app, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False, loop="none")
    config.load()
    return config
