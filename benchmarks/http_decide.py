"""How many durable decisions a second one core answers over HTTP, against the servers a team writes by hand.

    python -m benchmarks.http_decide [--json] [--quick]

Server on core 0, load on core 1. Rounds of the servers take turns, so that a slow minute of the machine hits all. The
CPU time of a decision counts what is done after its answer, too; the rate does not.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol

import uvloop
from benchmarks.http_load import Load, request, run_load
from benchmarks.report import Figure, report
from benchmarks.workload import DECISION, events, model_text, register

KINDS = ("steward", "peer", "durable-peer", "async-peer")
REPOSITORY = Path(__file__).resolve().parent.parent


class Asked(Protocol):
    """Where a load goes, and what it asks."""

    @property
    def port(self) -> int:
        """The server's."""
        ...

    @property
    def requests(self) -> list[bytes]:
        """Whole requests, asked in turn."""
        ...


@dataclass(frozen=True)
class Served:
    """A server under test."""

    pid: int
    port: int
    requests: list[bytes]

    def cpu_s(self) -> float:
        """Return the CPU seconds it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(kind: str, folder: Path, bodies: list[bytes], core: int) -> Iterator[Served]:
    """Start a server on one core."""
    path = f"/v1/decisions/{DECISION.name}" if kind == "steward" else "/decide"
    process = subprocess.Popen(
        ["taskset", "-c", str(core), sys.executable, "-m", "benchmarks.http_servers", kind, str(folder)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"the {kind} server did not start")
        yield Served(process.pid, int(line), [request(path, body) for body in bodies])
    finally:
        process.terminate()
        process.wait(30)


def fsync_ms(folder: Path, times: int = 200) -> float:
    """Return the median time that the disk takes to keep 4 KiB."""
    took = []
    with open(folder / "fsync", "wb", buffering=0) as file:
        for _ in range(times):
            start = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            took.append(time.perf_counter() - start)
    return 1000 * median(took)


def measure(server: Asked, connections: int, seconds: float) -> Load:
    """Load a server; every answer must be a 200."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        load = runner.run(run_load(server.port, server.requests, connections=connections, seconds=seconds))
    if load.failures:
        raise SystemExit(f"{len(load.failures)} requests failed, first: {load.failures[0][:500]!r}")
    return load


def rest(server: Served, quiet_s: float = 0.3, at_most_s: float = 10.0) -> None:
    """Wait until a server has done what it put off: until it uses no CPU for a while."""
    used, end = server.cpu_s(), time.perf_counter() + at_most_s
    while time.perf_counter() < end:
        time.sleep(quiet_s)
        if (now := server.cpu_s()) - used < quiet_s / 20:
            return
        used = now


def main() -> None:
    """Measure and report."""
    quick = "--quick" in sys.argv
    rounds, seconds = (1, 1.0) if quick else (5, 3.0)
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        # Beside the repository's own files: a temporary folder may lie in memory, where nothing is durable.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=REPOSITORY, prefix=".bench-")))
        text = model_text()
        (folder / "model.txt").write_text(text)
        register(folder / "models", text)
        bodies = events(1_000)
        servers = {kind: stack.enter_context(served(kind, folder, bodies, cores[0])) for kind in KINDS}
        os.sched_setaffinity(0, {cores[-1]})
        for server in servers.values():
            measure(server, 64, 1.0)
        rps: dict[str, list[float]] = {kind: [] for kind in KINDS}
        quiet: list[Load] = []
        cpu_us: dict[str, list[float]] = {kind: [] for kind in KINDS}
        fsyncs: list[float] = []
        for _ in range(rounds):
            for kind, server in servers.items():
                before = server.cpu_s()
                load = measure(server, 64, seconds)
                # What a server put off while it was loaded is its own work: not to be done in the next one's round.
                rest(server)
                rps[kind].append(load.rps)
                cpu_us[kind].append(1e6 * (server.cpu_s() - before) / len(load.latencies_s))
            fsyncs.append(fsync_ms(folder))
            quiet.append(measure(servers["steward"], 16, seconds))
        alone = measure(servers["steward"], 1, seconds)
    fsync = median(fsyncs)
    steward, peer, durable, at_once = (median(rps[kind]) for kind in KINDS)
    report(
        "http_decide",
        [
            Figure("steward_rps", steward, "requests/s"),
            Figure("peer_rps", peer, "requests/s"),
            Figure("ratio", steward / peer, "x", goal=5),
            Figure("durable_peer_rps", durable, "requests/s"),
            Figure("durable_ratio", steward / durable, "x", goal=6),
            Figure("async_peer_rps", at_once, "requests/s"),
            Figure("async_ratio", steward / at_once, "x"),
            Figure("p50_ms", median(load.quantile_ms(0.5) for load in quiet), "ms"),
            Figure("p99_ms", median(load.quantile_ms(0.99) for load in quiet), "ms", goal=3 * fsync + 5, below=True),
            Figure("p50_alone_ms", alone.quantile_ms(0.5), "ms"),
            Figure("fsync_ms", fsync, "ms"),
            Figure("cpu_us_per_decision", median(cpu_us["steward"]), "us"),
            # On a busy machine these say more than the rates: others take time from a server, but no CPU time.
            Figure("peer_cpu_us", median(cpu_us["peer"]), "us"),
            Figure("durable_peer_cpu_us", median(cpu_us["durable-peer"]), "us"),
            Figure("async_peer_cpu_us", median(cpu_us["async-peer"]), "us"),
        ],
        {"connections": 64, "rounds": {kind: [round(value) for value in values] for kind, values in rps.items()}},
    )


if __name__ == "__main__":
    main()
