"""A server that does what a test tells it, also what no good server does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h11


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, object]:
        read: dict[str, object] = json.loads(self.body)
        return read


@dataclass
class Reply:
    """An answer; ``raw`` is sent as it is, in the place of a proper one."""

    status: int = 200
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=lambda: [("content-type", "application/json")])
    raw: bytes | None = None


def said(value: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode())


@dataclass
class Peer:
    """The running server."""

    port: int
    answer: Callable[[Asked], Reply]
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)
    left: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.writers.add(writer)
        connection = h11.Connection(h11.SERVER)
        try:
            while (asked := await _next_request(connection, reader)) is not None:
                self.asked.append(asked)
                reply = self.answer(asked)
                waits, gone = asyncio.ensure_future(self.go.wait()), asyncio.ensure_future(reader.read(1))
                await asyncio.wait([waits, gone], return_when=asyncio.FIRST_COMPLETED)
                waits.cancel()
                if gone.done():
                    self.left += 1
                    return
                gone.cancel()
                await asyncio.wait([gone])
                if reply.raw is not None:
                    writer.write(reply.raw)
                    await writer.drain()
                    return
                head = h11.Response(
                    status_code=reply.status, headers=[*reply.headers, ("content-length", str(len(reply.body)))]
                )
                for part in (head, h11.Data(data=reply.body), h11.EndOfMessage()):
                    writer.write(connection.send(part) or b"")
                await writer.drain()
                connection.start_next_cycle()
        except (OSError, h11.ProtocolError):
            pass
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)
            self.tasks.discard(task)
            self.writers.discard(writer)


async def _next_request(connection: h11.Connection, reader: asyncio.StreamReader) -> Asked | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            headers = {name.decode(): value.decode() for name, value in head.headers}
            return Asked(head.method.decode(), head.target.decode(), headers, bytes(body))
        else:
            return None


@asynccontextmanager
async def peering(answer: Callable[[Asked], Reply]) -> AsyncIterator[Peer]:
    """Run a server on a free port of this machine."""
    peer = Peer(0, answer)
    peer.go.set()
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        peer.go.set()
        server.close()
        for writer in list(peer.writers):
            writer.transport.abort()
        await asyncio.gather(*peer.tasks, return_exceptions=True)
