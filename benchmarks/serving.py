"""Decide and record, beside model servers that predict only: requests a second of a core at 64 connections.

    python -m benchmarks.serving [--json] [--quick] [NAME ...]

The same LightGBM model (100 trees of 31 leaves) behind each server, one process, on one core; the load comes from the
other. Rounds take turns. What counts is the CPU time of the whole process tree for each answer, with all that was put
off until after it: on a busy machine others take time from a server, but no CPU time. The peers are installed below
``build/peers`` the first time. MLServer runs with and without its adaptive batching; the faster counts.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.http_decide import measure
from benchmarks.http_load import request
from benchmarks.peers import REPOSITORY, environment
from benchmarks.report import Figure, report
from benchmarks.workload import DECISION, INPUTS, events, model_text, register

FOLDER = Path(__file__).parent / "peers"
CONNECTIONS = 64
READY_S = 90


@dataclass(frozen=True)
class Running:
    """A server under test; ``pid`` is the first of its processes."""

    pid: int
    port: int
    requests: list[bytes]

    def cpu_s(self) -> float:
        """Return the CPU seconds that all its processes have used."""
        used = tree(self.pid)
        return sum(used.values()) / os.sysconf("SC_CLK_TCK")


def tree(root: int) -> dict[int, int]:
    """Return a process and all that it started, each with the ticks of CPU time that it has used."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        pid = int(stat.parent.name)
        parents[pid], ticks[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
    found, more = {root}, True
    while more:
        children = {pid for pid, parent in parents.items() if parent in found} - found
        found, more = found | children, bool(children)
    return {pid: ticks[pid] for pid in found if pid in ticks}


@dataclass(frozen=True)
class Kind:
    """How a server is started and asked."""

    command: Callable[[Path, int], list[str]]
    path: str
    body: Callable[[list[float]], object]
    variables: Callable[[Path], Mapping[str, str]] = lambda _: {}
    goal: float | None = None


def tensor(row: list[float]) -> object:
    """Return a row as a request of the Open Inference Protocol, version 2."""
    return {"inputs": [{"name": "rows", "shape": [1, len(row)], "datatype": "FP64", "data": row}]}


def fields(row: list[float]) -> object:
    """Return a row as an event."""
    return dict(zip(INPUTS, row, strict=True))


def mlserver(batching: bool) -> Callable[[Path, int], list[str]]:
    """Return what starts MLServer: in one process, which is its faster way for one core."""

    def command(folder: Path, port: int) -> list[str]:
        place = folder / f"mlserver-{port}"
        place.mkdir()
        model: dict[str, Any] = {
            "name": "fraud",
            "implementation": "mlserver_model.Fraud",
            "parameters": {"uri": str(folder / "model.txt")},
        }
        if batching:
            model |= {"max_batch_size": 64, "max_batch_time": 0.001}
        (place / "model-settings.json").write_text(json.dumps(model))
        ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        quiet = {"parallel_workers": 0, "debug": False, "metrics_endpoint": None}
        (place / "settings.json").write_text(json.dumps({"host": "127.0.0.1", **ports, **quiet}))
        return [str(environment("mlserver").with_name("mlserver")), "start", str(place)]

    return command


def mlflow(folder: Path, port: int) -> list[str]:
    """Return what starts MLflow's scoring server on a model kept by MLflow."""
    python = environment("mlflow")
    kept = folder / "mlflow-model"
    subprocess.run([str(python), str(FOLDER / "mlflow_save.py"), str(folder / "model.txt"), str(kept)], check=True)
    serve = ["models", "serve", "-m", str(kept), "-p", str(port), "--env-manager", "local", "--workers", "1"]
    return [str(python.with_name("mlflow")), *serve]


def ours(kind: str) -> Callable[[Path, int], list[str]]:
    """Return what starts a server of ``benchmarks.http_servers``, which prints its port."""
    return lambda folder, _: [sys.executable, "-m", "benchmarks.http_servers", kind, str(folder)]


OWN = f"/v1/decisions/{DECISION.name}"
KINDS: Mapping[str, Kind] = {
    "steward": Kind(ours("steward"), OWN, fields),
    "steward-explaining": Kind(ours("steward-explaining"), OWN, fields),
    "explaining-peer": Kind(ours("explaining-peer"), "/decide", fields),
    "mlserver": Kind(mlserver(batching=False), "/v2/models/fraud/infer", tensor, lambda _: {"PYTHONPATH": str(FOLDER)}),
    "mlserver-batching": Kind(
        mlserver(batching=True), "/v2/models/fraud/infer", tensor, lambda _: {"PYTHONPATH": str(FOLDER)}
    ),
    "kserve": Kind(
        lambda folder, port: [
            str(environment("kserve")),
            str(FOLDER / "kserve_model.py"),
            str(folder / "model.txt"),
            str(port),
        ],
        "/v2/models/fraud/infer",
        tensor,
    ),
    "bentoml": Kind(
        lambda folder, port: [
            str(environment("bentoml").with_name("bentoml")),
            *(
                "serve",
                "bentoml_service:Fraud",
                "--working-dir",
                str(FOLDER),
                "--port",
                str(port),
                "--host",
                "127.0.0.1",
            ),
        ],
        "/predict",
        lambda row: {"rows": [row]},
        lambda folder: {"MODEL": str(folder / "model.txt"), "BENTOML_DO_NOT_TRACK": "true"},
    ),
    "mlflow": Kind(
        mlflow,
        "/invocations",
        lambda row: {"dataframe_split": {"columns": list(INPUTS), "data": [row]}},
        lambda _: {"PATH": f"{environment('mlflow').parent}:{os.environ['PATH']}"},
    ),
}


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def running(name: str, folder: Path, rows: list[list[float]], core: int) -> Iterator[Running]:
    """Start a server on one core, in a process group of its own, and wait until it answers."""
    kind, port = KINDS[name], free_port()
    command = kind.command(folder, port)
    told = command[0] == sys.executable and "benchmarks.http_servers" in command
    log = folder / f"{name}.log"
    environ = {**os.environ, "OMP_NUM_THREADS": "1", **kind.variables(folder)}
    with log.open("wb") as errors:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            cwd=REPOSITORY if told else folder,
            stdout=subprocess.PIPE if told else errors,
            stderr=errors,
            env=environ,
            start_new_session=True,
        )
    try:
        if told:
            assert process.stdout is not None
            port = int(process.stdout.readline() or 0)
        bodies = [json.dumps(kind.body(row)).encode() for row in rows]
        wait_until_ready(name, f"http://127.0.0.1:{port}{kind.path}", bodies[0], process, log)
        yield Running(process.pid, port, [request(kind.path, body) for body in bodies])
    finally:
        everyone = tree(process.pid)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in everyone:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def wait_until_ready(name: str, url: str, body: bytes, process: subprocess.Popen[bytes], log: Path) -> None:
    """Ask until the first good answer."""
    asked = urllib.request.Request(url, data=body, headers={"content-type": "application/json"})
    end, last = time.monotonic() + READY_S, ""
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(asked, timeout=5):
                return
        except urllib.error.HTTPError as error:
            last = f"{error} {error.read()[:500]!r}"
        except OSError as error:
            last = str(error)
        time.sleep(0.3)
    raise SystemExit(f"{name} does not answer: {last}\n{log.read_text(errors='replace')[-3000:]}")


def rest(server: Running, quiet_s: float = 0.3, at_most_s: float = 10.0) -> None:
    """Wait until a server has done what it put off: until it uses hardly any CPU for a while."""
    used, end = server.cpu_s(), time.perf_counter() + at_most_s
    while time.perf_counter() < end:
        time.sleep(quiet_s)
        if (now := server.cpu_s()) - used < quiet_s / 10:
            return
        used = now


def main() -> None:
    """Measure and report."""
    quick = "--quick" in sys.argv
    named = [argument for argument in sys.argv[1:] if not argument.startswith("-")] or list(KINDS)
    rounds, seconds = (1, 2.0) if quick else (3, 4.0)
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        # Beside the repository's own files: a temporary folder may lie in memory, where nothing is durable.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=REPOSITORY, prefix=".bench-")))
        text = model_text()
        (folder / "model.txt").write_text(text)
        register(folder / "models", text)
        rows = [list(json.loads(event).values()) for event in events(1_000)]
        servers = {name: stack.enter_context(running(name, folder, rows, cores[0])) for name in named}
        os.sched_setaffinity(0, {cores[-1]})
        per_core: dict[str, list[float]] = {name: [] for name in named}
        rates: dict[str, list[float]] = {name: [] for name in named}
        for number in range(rounds + 1):
            for name, server in servers.items():
                rest(server)
                before = server.cpu_s()
                load = measure(server, CONNECTIONS, 1.0 if number == 0 else seconds)
                rest(server)
                if number:  # the first round warms up
                    per_core[name].append(len(load.latencies_s) / (server.cpu_s() - before))
                    rates[name].append(load.rps)
    report("serving", figures(per_core, rates))


def figures(per_core: Mapping[str, list[float]], rates: Mapping[str, list[float]]) -> list[Figure]:
    """Return each server's rate a core, and ours against theirs."""
    cores = {name: median(measured) for name, measured in per_core.items()}
    shown = [Figure(f"{name}_rps_per_core", value, "requests/s") for name, value in cores.items()]
    shown += [Figure(f"{name}_rps", median(rates[name]), "requests/s") for name in rates]
    fastest = {
        "mlserver": max((cores[name] for name in ("mlserver", "mlserver-batching") if name in cores), default=None),
        **{name: cores.get(name) for name in ("kserve", "bentoml", "mlflow")},
    }
    goals = {"mlserver": 5.0, "kserve": 5.0, "bentoml": 8.0, "mlflow": 12.0}
    if "steward" in cores:
        for name, theirs in fastest.items():
            if theirs is not None:
                shown.append(Figure(f"to_{name}", cores["steward"] / theirs, "x", goal=goals[name]))
    if "steward-explaining" in cores and "explaining-peer" in cores:
        ratio = cores["steward-explaining"] / cores["explaining-peer"]
        shown.append(Figure("explaining_to_peer", ratio, "x", goal=8.0))
    return shown


if __name__ == "__main__":
    main()
