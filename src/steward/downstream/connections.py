"""Connections that are kept: many requests to one allowed address, without a new handshake each time.

For services that are asked again and again, as model servers are. The address is checked as
:class:`steward.downstream.transport.Transport` does it, each time that a connection is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import h11

from steward.downstream.addresses import Target
from steward.downstream.transport import MAX_HEAD_BYTES, HttpAnswer, Transport
from steward.errors import EngineError

_CHUNK_BYTES: Final = 64 * 1024
_Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Stale(Exception):
    """A kept connection was closed before anything of an answer came."""


class Connections:
    """Sends requests to one server.

    Args:
        transport: Makes the connections; says what may be called.
        target: Where the server is.
        most_idle: How many connections are kept.
        most_bytes: The longest answer that is read.

    Example:
        >>> from steward.downstream.addresses import Allowed
        >>> transport = Transport(allowed=Allowed.of(["127.0.0.1"]), ports=[9])
        >>> async def ask() -> str:
        ...     connections = Connections(transport, Target.of("http://127.0.0.1:9/"))
        ...     try:
        ...         await connections.send("GET", "/", [], b"", within_s=5)
        ...     except EngineError as error:
        ...         return error.code
        >>> asyncio.run(ask())
        'unreachable'
    """

    def __init__(
        self, transport: Transport, target: Target, *, most_idle: int = 32, most_bytes: int = 64 * 1024 * 1024
    ) -> None:
        self._transport, self._target, self._most_idle, self._most_bytes = transport, target, most_idle, most_bytes
        self._idle: list[_Pipe] = []
        self._is_closed = False

    async def send(
        self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes, *, within_s: float
    ) -> HttpAnswer:
        """Send a request, which may be sent twice: once more if a kept connection turns out to be closed.

        Raises:
            EngineError: As for :meth:`steward.downstream.transport.Transport.send`.
            TimeoutError: It took too long.
        """
        async with asyncio.timeout(within_s):
            while self._idle:
                try:
                    return await self._exchange(self._idle.pop(), method, path, headers, body, is_kept=True)
                except _Stale:
                    continue
            pipe = await self._transport.connect(self._target)
            return await self._exchange(pipe, method, path, headers, body, is_kept=False)

    async def close(self) -> None:
        """Close what is idle; what is under way ends with its request."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        for _, writer in idle:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _exchange(
        self,
        pipe: _Pipe,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        is_kept: bool,
    ) -> HttpAnswer:
        own = [
            ("Host", self._target.authority),
            ("User-Agent", "steward"),
            ("Accept-Encoding", "identity"),
            ("Content-Length", str(len(body))),
        ]
        request = h11.Request(method=method, target=path, headers=[*own, *headers])
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        parts = [connection.send(part) or b"" for part in (request, h11.Data(data=body), h11.EndOfMessage())]
        is_whole = False
        try:
            connection.receive_data(await _first(pipe, b"".join(parts), is_kept=is_kept))
            answer = await self._read(connection, pipe[0])
            is_whole = connection.their_state is h11.DONE and not connection.trailing_data[0]
            return answer
        except h11.RemoteProtocolError as error:
            raise _failed("answer-unreadable", self._target, error) from error
        except OSError as error:
            raise _failed("cut-off", self._target, error) from error
        finally:
            if is_whole and not self._is_closed and len(self._idle) < self._most_idle:
                self._idle.append(pipe)
            else:
                pipe[1].transport.abort()

    async def _read(self, connection: h11.Connection, reader: asyncio.StreamReader) -> HttpAnswer:
        status, headers, content = 0, dict[str, str](), bytearray()
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_CHUNK_BYTES))
            elif isinstance(event, h11.Response):
                status = event.status_code
                for name, value in event.headers:
                    headers.setdefault(name.decode("ascii"), value.decode("latin-1"))
            elif isinstance(event, h11.Data):
                content += event.data
                if len(content) > self._most_bytes:
                    raise h11.RemoteProtocolError(f"the answer is longer than {self._most_bytes} bytes")
        return HttpAnswer(status, headers, bytes(content))


async def _first(pipe: _Pipe, request: bytes, *, is_kept: bool) -> bytes:
    """Send a request and return the first bytes that come back."""
    reader, writer = pipe
    try:
        writer.write(request)
        await writer.drain()
        if first := await reader.read(_CHUNK_BYTES):
            return first
    except OSError:
        if not is_kept:
            raise
    if is_kept:
        raise _Stale
    raise ConnectionResetError("it was closed before there was an answer")


def _failed(code: str, target: Target, error: Exception) -> EngineError:
    what = {
        "cut-off": f"the connection to {target.host} broke before it answered",
        "answer-unreadable": f"what {target.host} answered cannot be read",
    }[code]
    return EngineError(what, why=str(error) or type(error).__name__, retryable=True, code=code)
