"""What twice as many requests as a server can do cost those that are let in, and how many that is.

    python -m benchmarks.overload [--json] [--quick]

Server on one core, load on the other. In each round the capacity is measured (a closed loop), then 0.7 times and twice
that is sent in an open loop, with and without admission; so that a slow minute of the machine hits all. In the end
every decision that was acknowledged is looked up in the ledger.
"""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

import uvloop
from benchmarks.http_load import request, run_load
from benchmarks.open_load import Seen, run_open_load
from benchmarks.report import Figure, report
from benchmarks.workload import DECISION, events, model_text, register

from steward import Lane
from steward.clock import SystemClock
from steward.runtime.admission import Admission
from steward.runtime.reader import LedgerReader

REPOSITORY = Path(__file__).resolve().parent.parent
CONNECTIONS = 128


@dataclass(frozen=True)
class Round:
    """What one round saw."""

    capacity_rps: float
    usual: Seen
    over: Seen
    unlimited: Seen


@contextmanager
def serving(kind: str, folder: Path, core: int) -> Iterator[int]:
    """Start a server on one core and give its port; it has ended in order when this is left."""
    process = subprocess.Popen(
        ["taskset", "-c", str(core), sys.executable, "-m", "benchmarks.overload_servers", kind, str(folder)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"the {kind} server did not start")
        yield int(line)
    finally:
        process.terminate()
        process.wait(60)


def bench_folder(stack: ExitStack) -> tuple[Path, list[bytes]]:
    """Make a folder with the model beside the repository's own files, and return it with the requests to send."""
    # A temporary folder may lie in memory, where nothing is durable.
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=REPOSITORY, prefix=".bench-")))
    register(folder / "models", model_text())
    return folder, [request(f"/v1/decisions/{DECISION.name}", body) for body in events(1_000)]


def capacity_rps(port: int, requests: list[bytes], seconds: float, connections: int = CONNECTIONS) -> float:
    """Return how many decisions a second a server makes if it is asked again as soon as it has answered."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        load = runner.run(run_load(port, requests, connections=connections, seconds=seconds))
    if load.failures:
        raise SystemExit(f"{len(load.failures)} requests failed, first: {load.failures[0][:300]!r}")
    return load.rps


def lost(database: Path, acknowledged: list[bytes]) -> int:
    """Return how many of the decisions that were acknowledged are not in the ledger."""

    async def stored() -> set[bytes]:
        reader, found = LedgerReader(database), set[bytes]()
        start = 0
        while page := await reader.read(start, 50_000):
            found.update(str(entry.run_id).encode() for entry in page if entry.kind == "decided")
            start = page[-1].index + 1
        await reader.close()
        return found

    return len(set(acknowledged) - asyncio.run(stored())) + len(acknowledged) - len(set(acknowledged))


def rounds_of(folder: Path, requests: list[bytes], ports: dict[str, int], rounds: int, seconds: float) -> list[Round]:
    """Run the rounds."""
    for port in ports.values():
        run_open_load(port, requests, rate_rps=500, seconds=2.0)
    made = []
    for turn in range(rounds):
        capacity = capacity_rps(ports["unlimited"], requests, seconds)
        usual, over = (
            run_open_load(ports["limited"], requests, rate_rps=share * capacity, seconds=seconds, seed=turn)
            for share in (0.7, 2.0)
        )
        unlimited = run_open_load(ports["unlimited"], requests, rate_rps=2 * capacity, seconds=seconds, seed=turn)
        made.append(Round(capacity, usual, over, unlimited))
    return made


def admission_us(times: int = 50_000) -> float:
    """Return what it costs a request of an idle server to be let in; the least of several rounds."""
    admission, lane = Admission(SystemClock(), most=1_000, unnoticed=timedelta(milliseconds=20)), Lane.NORMAL
    least = math.inf
    for _ in range(9):
        start = time.process_time()
        for _ in range(times):
            admission.is_full(lane)
            admission.enter(lane, "till-7")
            admission.leave("till-7", 0.004)
        least = min(least, time.process_time() - start)
    return least / times * 1e6


def figures(rounds: list[Round], missing: int) -> list[Figure]:
    """Return the figures, each the median of the rounds."""

    def over_rounds(of: Callable[[Round], float]) -> float:
        return median(map(of, rounds))

    untold = sum(each.over.without_retry_after for each in rounds)

    return [
        Figure("capacity", over_rounds(lambda each: each.capacity_rps), "requests/s"),
        Figure("p99 at 0.7 x", over_rounds(lambda each: each.usual.quantile_ms(0.99)), "ms"),
        Figure("p99 at 2 x", over_rounds(lambda each: each.over.quantile_ms(0.99)), "ms"),
        Figure(
            "p99 at 2 x to that at 0.7 x",
            over_rounds(lambda each: each.over.quantile_ms(0.99) / each.usual.quantile_ms(0.99)),
            "x",
            3,
            below=True,
        ),
        Figure(
            "goodput at 2 x", over_rounds(lambda each: 100 * each.over.goodput_rps / each.capacity_rps), "%", goal=80
        ),
        Figure("refused at 0.7 x", over_rounds(lambda each: 100 * len(each.usual.refused_s) / each.usual.sent), "%"),
        Figure("acknowledged lost", missing, "decisions", 0, below=True),
        Figure("admission costs an idle request", admission_us(), "us", 1, below=True),
        Figure("refusals without Retry-After", untold, "refusals", 0, below=True),
        Figure("p99 at 2 x without admission", over_rounds(lambda each: each.unlimited.quantile_ms(0.99)), "ms"),
        Figure(
            "goodput at 2 x without admission",
            over_rounds(lambda each: 100 * each.unlimited.goodput_rps / each.capacity_rps),
            "%",
        ),
    ]


def measure(*, quick: bool) -> tuple[list[Figure], dict[str, object]]:
    """Run it and return the figures and details."""
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        folder, requests = bench_folder(stack)
        with ExitStack() as servers:
            ports = {kind: servers.enter_context(serving(kind, folder, cores[0])) for kind in ("limited", "unlimited")}
            os.sched_setaffinity(0, {cores[-1]})
            rounds = rounds_of(folder, requests, ports, 2 if quick else 5, 2.0 if quick else 4.0)
        os.sched_setaffinity(0, cores)
        missing = sum(
            lost(folder / f"{kind}.db", [id for each in rounds for seen in of(each) for id in seen.decided])
            for kind, of in (
                ("limited", lambda each: (each.usual, each.over)),
                ("unlimited", lambda each: (each.unlimited,)),
            )
        )
    details: dict[str, object] = {
        "rounds": [
            {
                "capacity": round(each.capacity_rps),
                "p99_ms": [round(seen.quantile_ms(0.99), 1) for seen in (each.usual, each.over, each.unlimited)],
                "goodput": [round(seen.goodput_rps) for seen in (each.usual, each.over, each.unlimited)],
                "sent_rps": [round(seen.sent / seen.seconds) for seen in (each.usual, each.over, each.unlimited)],
                "statuses": each.over.statuses,
                "broken": each.over.broken,
            }
            for each in rounds
        ]
    }
    return figures(rounds, missing), details


def main() -> None:
    """Measure and report."""
    report("overload", *measure(quick="--quick" in sys.argv))


if __name__ == "__main__":
    main()
