"""A server of webhooks on loopback that answers what it is told to, and remembers what it was sent."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Asked:
    """One request, as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


def answer(status: int = 200, body: bytes = b"", **headers: str) -> bytes:
    """Return the bytes of an answer."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@dataclass
class Receiver:
    """Answers each request with what ``says`` returns for it; ``None`` hangs, ``b""`` hangs up."""

    says: Callable[[Asked], bytes | None] = lambda asked: answer(204)
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _end: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self, context: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        assert self._server is not None
        self._end.set()
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in head[1:-2])}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.asked.append(Asked(head[0], headers, body))
            said = self.says(self.asked[-1])
            if said is None:
                await self._end.wait()
            else:
                writer.write(said)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            return  # the client has gone, which is what some tests are about
        finally:
            writer.close()
