"""How soon nothing more is dispatched after the stop switch was pressed, while twice as much comes as can be done.

    python -m benchmarks.stop_switch [--json] [--quick]

The action of the server's decision writes down when it was called; the time of the stop's answer is known here, on the
same monotonic clock. The stop is asked for over a connection of its own, as a person would.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import uvloop
from benchmarks.open_load import OpenLoad, Seen
from benchmarks.overload import bench_folder, capacity_rps, lost, serving
from benchmarks.overload_servers import CALLS
from benchmarks.report import Figure, report


async def post(port: int, path: str, body: object) -> tuple[int, float]:
    """Send a request over a new connection; return the status and when it was answered."""
    data = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n"
    writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(data) + data)
    answer = await reader.read()
    writer.close()
    return int(answer[9:12]), time.perf_counter()


@dataclass(frozen=True)
class Pressed:
    """One stop: when it was pressed, answered and lifted, and what the load saw meanwhile."""

    pressed_s: float
    answered_s: float
    lifted_s: float
    seen: Seen


async def stopped_in_between(port: int, requests: list[bytes], rate_rps: float, seconds: float) -> Pressed:
    """Load a server, stop it in the middle, and lift the stop in the end."""
    running = asyncio.create_task(OpenLoad(port, requests, rate_rps).run(2 * seconds))
    await asyncio.sleep(seconds)
    pressed_s = time.perf_counter()
    status, answered_s = await post(port, "/v1/stops", {"by": "ana", "reason": "measured"})
    if status != 200:
        raise SystemExit(f"the stop was answered with {status}")
    seen = await running
    lifted_s = time.perf_counter()
    for by in ("ana", "bo"):
        await post(port, "/v1/stops/resume", {"by": by, "reason": "measured"})
    return Pressed(pressed_s, answered_s, lifted_s, seen)


def calls_of(folder: Path) -> list[float]:
    """Return when the action was called."""
    return [at for (at,) in CALLS.iter_unpack((folder / "calls").read_bytes())]


def measure(*, quick: bool) -> list[Figure]:
    """Run it and return the figures."""
    rounds, seconds = (1, 2.0) if quick else (3, 3.0)
    cores = sorted(os.sched_getaffinity(0))
    stops: list[Pressed] = []
    with ExitStack() as stack:
        folder, requests = bench_folder(stack)
        with serving("acting", folder, cores[0]) as port:
            os.sched_setaffinity(0, {cores[-1]})
            # So few that none is refused: a closed loop that is sent away would ask again at once.
            capacity = capacity_rps(port, requests, 2.0, connections=32)
            for _ in range(rounds):
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    stops.append(runner.run(stopped_in_between(port, requests, 2 * capacity, seconds)))
        os.sched_setaffinity(0, cores)
        calls = calls_of(folder)
        missing = lost(folder / "acting.db", [id for each in stops for id in each.seen.decided])
    after = [at - each.answered_s for at, each in zip_calls(calls, stops)]
    late = sum(each > 1 for each in after)
    return [
        Figure("dispatched later than 1 s after a stop", late, "calls", 0, below=True),
        Figure("last dispatch after a stop's answer", 1e3 * max(0.0, *after), "ms"),
        Figure("a stop's answer took", 1e3 * median(each.answered_s - each.pressed_s for each in stops), "ms"),
        Figure("dispatched before the stops", sum(each <= 0 for each in after), "calls", goal=1),
        Figure("acknowledged lost", missing, "decisions", 0, below=True),
    ]


def zip_calls(calls: list[float], stops: list[Pressed]) -> Iterator[tuple[float, Pressed]]:
    """Return each call with the stop that was pressed last before it, or else with the next."""
    for at in calls:
        before = [each for each in stops if each.answered_s <= at]
        if not before or at < before[-1].lifted_s:
            yield at, before[-1] if before else stops[0]


def main() -> None:
    """Measure and report."""
    report("stop_switch", measure(quick="--quick" in sys.argv))


if __name__ == "__main__":
    main()
