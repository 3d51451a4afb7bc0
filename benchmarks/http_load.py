"""A load generator too cheap to be what is measured: keep-alive connections that each ask again once answered."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from functools import partial
from typing import cast

_LENGTH = b"content-length: "


@dataclass
class Load:
    """What a run of the generator saw; latencies in seconds."""

    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    failures: list[bytes] = field(default_factory=list)

    @property
    def rps(self) -> float:
        """Answers a second."""
        return len(self.latencies_s) / self.seconds

    def quantile_ms(self, q: float) -> float:
        """Return a quantile of the latency in milliseconds."""
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class _Client(asyncio.Protocol):
    def __init__(self, requests: list[bytes], start: int, load: Load, closed: asyncio.Event) -> None:
        self._requests, self._next, self._load, self._closed = requests, start, load, closed
        self._buffer = b""
        self._sent = 0.0
        self._end = 0
        self.stopping = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but not by name
        self._ask()

    def _ask(self) -> None:
        self._next = (self._next + 1) % len(self._requests)
        self._sent = time.perf_counter()
        self._transport.write(self._requests[self._next])

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._end:
            head = self._buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            at = self._buffer.lower().index(_LENGTH) + len(_LENGTH)
            self._end = head + 4 + int(self._buffer[at : self._buffer.index(b"\r", at)])
        if len(self._buffer) < self._end:
            return
        self._load.latencies_s.append(time.perf_counter() - self._sent)
        if self._buffer[9:12] != b"200":
            self._load.failures.append(self._buffer)
        self._buffer, self._end = b"", 0
        if self.stopping:
            self._transport.close()
        else:
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.stopping:
            self._load.failures.append(b"the server closed the connection")
        self._closed.set()


def _itself(client: _Client) -> _Client:
    return client


async def run_load(port: int, requests: list[bytes], *, connections: int, seconds: float) -> Load:
    """Ask one server over ``connections`` connections for some seconds."""
    loop = asyncio.get_running_loop()
    load = Load()
    clients: list[tuple[_Client, asyncio.Event]] = []
    started = time.perf_counter()
    for number in range(connections):
        closed = asyncio.Event()
        start = number * len(requests) // connections
        client = _Client(requests, start, load, closed)
        await loop.create_connection(partial(_itself, client), "127.0.0.1", port)
        clients.append((client, closed))
    await asyncio.sleep(seconds)
    load.seconds = time.perf_counter() - started
    answered = len(load.latencies_s)
    for client, _ in clients:
        client.stopping = True
    async with asyncio.timeout(30):
        await asyncio.gather(*(closed.wait() for _, closed in clients))
    del load.latencies_s[answered:]
    return load


def request(path: str, body: bytes) -> bytes:
    """Return the bytes of one POST."""
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body
