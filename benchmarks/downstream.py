"""What a downstream system that hangs costs the others, how soon it is spared, and what sparing it costs itself.

In turns, for some seconds each, one runtime decides for two destinations: one that answers and, beside it, one that
answers too (A) or hangs (B). What counts is the latency of the first, from the event to its durable answer.

Usage: ``python -m benchmarks.downstream [--json] [--quick]``
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.report import Figure, report

from steward import Action, Call, Choice, Decision, Event, Feature, Features, Prediction, Receipt, Risk
from steward.access.tokens import Secret
from steward.clock import SystemClock
from steward.decision.action import Destination
from steward.downstream.limit import AdaptiveLimit
from steward.downstream.lines import Lines
from steward.downstream.webhook import Webhook
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

RATE_HZ = 100
TIMEOUT = timedelta(seconds=2)


class Order(Event):
    """What is decided about."""

    order_id: str


class World:
    """Two systems outside; the second can hang."""

    def __init__(self) -> None:
        self.hangs = False
        self.hung = self.most_at_once = 0
        self.first_hung_s: float | None = None

    async def answer(self, choice: str, call: Call) -> Receipt:
        """Answer after a moment."""
        await asyncio.sleep(0.005)
        return Receipt(reference=call.key)

    async def maybe_hang(self, choice: str, call: Call) -> Receipt:
        """Answer as the other one, or not at all."""
        if not self.hangs:
            return await self.answer(choice, call)
        if self.first_hung_s is None:
            self.first_hung_s = time.perf_counter()
        self.hung += 1
        self.most_at_once = max(self.most_at_once, self.hung)
        try:
            await asyncio.sleep(3600)
        finally:
            self.hung -= 1
        raise AssertionError


def choose(features: Features, prediction: Prediction[None]) -> Choice[str]:
    """Choose the same for all."""
    return Choice("go", reasons=("always",))


def decision(name: str, do: Any) -> Decision[Any, Any, Any]:
    """Declare a decision whose action is ``do``."""
    return Decision(
        name=name,
        owner="bench",
        purpose="Be measured",
        risk=Risk.LOW,
        event=Order,
        features=(Feature("order_id"),),
        policy=choose,
        action=Action(do=do, timeout=TIMEOUT, attempts=1_000_000, backoff=timedelta(seconds=1)),
    )


async def phase(runtime: Runtime, ids: Iterator[int], seconds: float) -> list[float]:
    """Decide for both at a fixed rate; return the latencies of the first, counted from when each was due."""
    took: list[float] = []
    asked: list[asyncio.Task[None]] = []

    async def ask(name: str, due_s: float) -> None:
        await runtime.decide(name, {"order_id": str(next(ids))})
        if name == "bench.other":
            took.append(time.perf_counter() - due_s)

    begin = time.perf_counter()
    for number in range(int(seconds * RATE_HZ)):
        due_s = begin + number / RATE_HZ
        await asyncio.sleep(max(due_s - time.perf_counter(), 0))
        asked += [asyncio.create_task(ask(name, due_s)) for name in ("bench.other", "bench.ill")]
    await asyncio.gather(*asked)
    return took


async def in_turns(
    folder: Path, rounds: int, seconds: float
) -> tuple[list[list[float]], list[list[float]], dict[str, float]]:
    """Return the latencies without and with a hung neighbour, and what became of the latter."""
    world, ids = World(), iter(range(10**9))
    decisions = [decision("bench.other", world.answer), decision("bench.ill", world.maybe_hang)]
    settings = Settings(ledger=f"sqlite:////{folder}/steward.db", registry=str(folder / "models"))
    well: list[list[float]] = []
    hung: list[list[float]] = []
    opened_s: list[float] = []
    async with await Runtime.open(decisions, settings=settings) as runtime:
        runtime.start()
        await phase(runtime, ids, 1.0)
        for _ in range(rounds):
            well.append(await phase(runtime, ids, seconds))
            world.hangs, world.first_hung_s = True, None
            before = len(await runtime.ledger.read(kind="tripped"))
            watch = asyncio.create_task(until_tripped(runtime, before))
            hung.append(await phase(runtime, ids, seconds))
            assert world.first_hung_s is not None
            opened_s.append(await watch - world.first_hung_s)
            world.hangs = False
            # What was held back is worked off.
            while runtime._parts.journal.agenda.next_due() is not None:  # noqa: ASYNC110 - nobody rings for it
                await asyncio.sleep(0.5)
        restored = len(await runtime.ledger.read(kind="restored"))
    return well, hung, {"opened_s": max(opened_s), "restored": restored, "most_at_once": world.most_at_once}


async def until_tripped(runtime: Runtime, before: int) -> float:
    """Return when the next breaker's opening was durable."""
    while len(await runtime.ledger.read(kind="tripped")) == before:  # noqa: ASYNC110 - nobody rings for it
        await asyncio.sleep(0.02)
    return time.perf_counter()


async def probes(callers: int = 50) -> int:
    """Return how many of many callers get through when the breaker's time is over."""
    lines, through, go = Lines(SystemClock()), 0, asyncio.Event()
    ill = Destination(name="ill", at_once=callers, failures=1, open_for=timedelta(milliseconds=20))

    async def fail() -> None:
        raise ConnectionRefusedError

    async def probe() -> None:
        nonlocal through
        through += 1
        await go.wait()

    await asyncio.gather(lines.call(ill, fail), return_exceptions=True)
    await asyncio.sleep(0.03)
    calls = [asyncio.create_task(lines.call(ill, probe)) for _ in range(callers)]
    await asyncio.sleep(0.02)
    go.set()
    await asyncio.gather(*calls, return_exceptions=True)
    return through


async def microseconds_of_a_line(calls: int) -> float:
    """Return what a line adds to a call, the median of rounds in turns with the bare call."""
    lines, plant = Lines(SystemClock()), Destination(name="plant")

    async def well() -> None:
        return None

    async def bare() -> None:
        async with asyncio.timeout(2):
            await well()

    added = []
    for _ in range(7):
        start = time.process_time()
        for _ in range(calls):
            await bare()
        middle = time.process_time()
        for _ in range(calls):
            await lines.call(plant, well, timeout=TIMEOUT)
        added.append((time.process_time() - middle - (middle - start)) / calls * 1e6)
    return median(added)


def microseconds_of_the_limit(times: int) -> float:
    """Return what the adaptive limit costs a request."""
    limit = AdaptiveLimit(SystemClock().now)
    start = time.process_time()
    for _ in range(times):
        limit.try_acquire()
        limit.release(0.003)
    return (time.process_time() - start) / times * 1e6


async def milliseconds_of_a_webhook(times: int) -> float:
    """Return the median time of a signed webhook to a server on loopback that answers at once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    secret = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    hook = Webhook(f"http://127.0.0.1:{port}/", secret=secret, allow=("127.0.0.1",), ports=(port,))
    clock, took = SystemClock(), []
    for _ in range(times):
        made = clock.new_id()
        call = Call(
            decision_id=made, decision="bench", key=f"bench/{made}", features=Features(), decided_at=datetime.now(UTC)
        )
        start = time.perf_counter()
        await hook("go", call)
        took.append(time.perf_counter() - start)
    server.close()
    return median(took) * 1e3


def percentile(values: list[float], share: float) -> float:
    """Return a percentile in milliseconds."""
    return sorted(values)[int(len(values) * share)] * 1e3


def main() -> None:
    """Measure and report."""
    quick = "--quick" in sys.argv
    with tempfile.TemporaryDirectory() as folder:
        well, hung, became = asyncio.run(in_turns(Path(folder), 1 if quick else 5, 4.0 if quick else 6.0))
    ratios = [round(percentile(b, 0.99) / percentile(a, 0.99), 2) for a, b in zip(well, hung, strict=True)]
    all_well, all_hung = [list(chain.from_iterable(rounds)) for rounds in (well, hung)]
    more = (percentile(all_hung, 0.99) / percentile(all_well, 0.99) - 1) * 100
    figures = [
        Figure("p99 of others, neighbour hung: more", more, "%", 10, below=True),
        Figure("p99 of others, neighbour well", percentile(all_well, 0.99), "ms"),
        Figure("p99 of others, neighbour hung", percentile(all_hung, 0.99), "ms"),
        Figure("p50 of others, neighbour well", percentile(all_well, 0.5), "ms"),
        Figure("p50 of others, neighbour hung", percentile(all_hung, 0.5), "ms"),
        Figure("breaker open and written after", became["opened_s"], "s", 5, below=True),
        Figure("probes of 50 who come together", asyncio.run(probes()), "calls", 1, below=True),
        Figure("a line adds to a call", asyncio.run(microseconds_of_a_line(2_000)), "us"),
        Figure("the adaptive limit costs a request", microseconds_of_the_limit(50_000), "us"),
        Figure("a signed webhook on loopback", asyncio.run(milliseconds_of_a_webhook(300)), "ms"),
    ]
    report(
        "downstream",
        figures,
        {"hung destination": became, "rate": f"2 x {RATE_HZ}/s", "p99 hung/well of each round": ratios},
    )


if __name__ == "__main__":
    main()
