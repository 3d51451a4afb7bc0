"""An open-loop load generator: requests are sent when they are due, whether or not the server has answered the last.

Closed loops hide an overload: a client that waits for its answer asks less often, the slower the server is. Here
requests come by chance (Poisson) at a rate of their own, over connections that are there already and as many more as
that takes, and latency counts from when each was due.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import Final, cast

import uvloop

_LENGTH: Final = b"content-length: "
_ID: Final = b'"decision_id":"'
_TICK_S: Final = 0.001
FIRST_CONNECTIONS: Final = 1_500
MOST_CONNECTIONS: Final = 3_000


@dataclass
class Seen:
    """What an open-loop run saw; times on the monotonic clock, latencies in seconds from when a request was due."""

    seconds: float = 0.0
    sent: int = 0
    latencies_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    decided: list[bytes] = field(default_factory=list)
    without_retry_after: int = 0
    broken: int = 0

    @property
    def goodput_rps(self) -> float:
        """Decisions a second."""
        return len(self.latencies_s) / self.seconds

    def quantile_ms(self, q: float) -> float:
        """Return a quantile of the latency of what was decided, in milliseconds."""
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("inf")


class _Connection(asyncio.Protocol):
    def __init__(self, seen: Seen, free: deque[_Connection]) -> None:
        self._seen, self._free = seen, free
        self._buffer, self._end, self._due_s = b"", 0, 0.0
        self.is_busy = self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one, but not by name
        self._free.append(self)

    def ask(self, request: bytes, due_s: float) -> None:
        self._due_s, self.is_busy = due_s, True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer = self._buffer + data if self._buffer else data
        if not self._end:
            head = buffer.find(b"\r\n\r\n")
            if head < 0:
                return
            at = buffer.lower().index(_LENGTH) + len(_LENGTH)
            self._end = head + 4 + int(buffer[at : buffer.index(b"\r", at)])
        if len(buffer) >= self._end:
            self._buffer, self._end = b"", 0
            self._answered(buffer, time.perf_counter() - self._due_s)

    def _answered(self, reply: bytes, took_s: float) -> None:
        seen, status = self._seen, int(reply[9:12])
        seen.statuses[status] = seen.statuses.get(status, 0) + 1
        if status == 200:
            seen.latencies_s.append(took_s)
            at = reply.find(_ID) + len(_ID)
            seen.decided.append(reply[at : at + 36])
        else:
            seen.refused_s.append(took_s)
            seen.without_retry_after += b"\r\nretry-after: " not in reply
        self.is_busy = False
        self._free.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True
        self._seen.broken += self.is_busy


@dataclass
class OpenLoad:
    """A generator; ``rate_rps`` may be changed while it runs.

    Attributes:
        port: The server's port on this machine.
        requests: What is sent, in turns.
        rate_rps: How many a second, on average.
        seed: Of the times they are due.
        seen: What came back.
    """

    port: int
    requests: list[bytes]
    rate_rps: float
    seed: int = 1
    seen: Seen = field(default_factory=Seen)

    async def run(self, seconds: float) -> Seen:
        """Send for some seconds, wait for what is under way, and return what was seen."""
        self._loop, self._free, self._made = asyncio.get_running_loop(), deque[_Connection](), list[_Connection]()
        await asyncio.gather(*(self._connect() for _ in range(FIRST_CONNECTIONS)))
        await asyncio.sleep(0.5)  # so that the server has let them in
        chance, waiting, opening = random.Random(self.seed), deque[float](), set[asyncio.Task[None]]()
        began_s = due_s = time.perf_counter()
        while (now_s := time.perf_counter()) < began_s + seconds:
            while due_s <= now_s:
                waiting.append(due_s)
                due_s += chance.expovariate(self.rate_rps)
            while waiting and self._free:
                self._send(waiting.popleft())
            for _ in range(min(len(waiting) - len(opening), MOST_CONNECTIONS - len(self._made) - len(opening))):
                task = self._loop.create_task(self._connect())
                opening.add(task)
                task.add_done_callback(opening.discard)
            await asyncio.sleep(_TICK_S)
        self.seen.seconds = time.perf_counter() - began_s
        await asyncio.gather(*opening)
        async with asyncio.timeout(60):
            while any(each.is_busy and not each.is_lost for each in self._made):  # noqa: ASYNC110 - nobody rings
                await asyncio.sleep(0.01)
        for each in self._made:
            each.transport.close()
        return self.seen

    def _send(self, due_s: float) -> None:
        connection = self._free.pop()
        if not connection.is_lost:
            connection.ask(self.requests[self.seen.sent % len(self.requests)], due_s)
            self.seen.sent += 1

    async def _connect(self) -> None:
        made = _Connection(self.seen, self._free)
        await self._loop.create_connection(partial(_itself, made), "127.0.0.1", self.port)
        self._made.append(made)


def _itself(connection: _Connection) -> _Connection:
    return connection


def run_open_load(port: int, requests: list[bytes], *, rate_rps: float, seconds: float, seed: int = 1) -> Seen:
    """Load a server and return what was seen."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(OpenLoad(port, requests, rate_rps, seed).run(seconds))
