"""What open event streams cost a server that decides: ``python -m benchmarks.console_streams [--json]``.

A process serves the console and decides 100 times a second, with a durable ledger. It is asked for its CPU time without
streams and with 200 of them, which show all parts of the overview; the difference is what they cost. Those who read
are people of two teams in two zones, so that each part is made four times a second.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from benchmarks.report import Figure, report

STREAMS: Final = 200
DECISIONS_A_SECOND: Final = 100
PEOPLE: Final = 20
SETTLES_S: Final = 3.0
MEASURED_S: Final = 15.0
PARTS: Final = (
    "overview-state",
    "overview-urgent",
    "overview-newest",
    "overview-concerns",
    "overview-tiles-today",
    "overview-chart-today",
    "page",
)
NAMES: Final = ("pay.refund", "pay.invoice")
_TEAM: Final = "payments-desk"
_GOAL: Final = 0.25


def figures() -> list[Figure]:
    """Measure, and return what there is to tell."""
    return asyncio.run(_figures())


async def _figures() -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="steward-streams-") as folder:
        server = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.console_streams",
            "--serve",
            folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            return await _measured(server)
        finally:
            if server.stdin is not None:
                server.stdin.close()
            await server.wait()


async def _measured(server: asyncio.subprocess.Process) -> list[Figure]:
    told = await _answer(server)
    await asyncio.sleep(SETTLES_S)
    alone = await _load(server)
    seen = [0, 0]
    async with AsyncExitStack() as stack:
        for number in range(STREAMS):
            key = told["keys"][number % PEOPLE]
            zone = "utc" if number // PEOPLE % 2 else "site"
            reading = asyncio.ensure_future(_read(told["port"], key, zone, seen))
            stack.callback(reading.cancel)
        await asyncio.sleep(SETTLES_S)
        seen[:] = [0, 0]
        watched = await _load(server)
        read = tuple(seen)
    return [
        Figure("streams open", watched["watching"], "streams", STREAMS),
        Figure("decisions, with them", watched["decisions"], "per s", 0.95 * DECISIONS_A_SECOND),
        Figure("server without streams", alone["core"], "cores"),
        Figure("server with 200 streams", watched["core"], "cores"),
        Figure("cost of 200 streams", watched["core"] - alone["core"], "cores", _GOAL, below=True),
        Figure("messages to each stream", read[0] / STREAMS / MEASURED_S, "per s", 1.05, below=True),
        Figure("sent to each stream", read[1] / STREAMS / MEASURED_S / 1024, "kB/s"),
    ]


async def _load(server: asyncio.subprocess.Process) -> dict[str, Any]:
    before = await _ask(server)
    await asyncio.sleep(MEASURED_S)
    after = await _ask(server)
    passed_s = after["at_s"] - before["at_s"]
    return {
        "core": (after["cpu_s"] - before["cpu_s"]) / passed_s,
        "decisions": (after["decided"] - before["decided"]) / passed_s,
        "watching": after["watching"],
    }


async def _ask(server: asyncio.subprocess.Process) -> dict[str, Any]:
    assert server.stdin is not None
    server.stdin.write(b"?\n")
    await server.stdin.drain()
    return await _answer(server)


async def _answer(server: asyncio.subprocess.Process) -> dict[str, Any]:
    assert server.stdout is not None
    found: dict[str, Any] = json.loads(await server.stdout.readline())
    return found


async def _read(port: int, key: str, zone: str, seen: list[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [
        f"GET /events?show={','.join(PARTS)} HTTP/1.1",
        f"Host: localhost:{port}",
        f"Authorization: Bearer {key}",
        f"Cookie: steward-zone={zone}",
        "",
        "",
    ]
    writer.write("\r\n".join(lines).encode())
    try:
        while data := await reader.read(1 << 16):
            seen[0] += data.count(b"data: {")
            seen[1] += len(data)
    finally:
        writer.close()


def _decisions() -> list[Any]:
    """Return two decisions that ask a person now and then."""
    from datetime import timedelta

    from steward import Choice, Decision, Economics, Event, Feature, Features, Gate, Prediction, Risk, impact_above

    class Payment(Event):
        amount_eur: float

    def pay(features: Features, prediction: Prediction[None]) -> Choice[str]:
        return Choice("pay", reasons=("small",))

    def stake(features: Features, prediction: Prediction[None], choice: str) -> float:
        return features.number("amount_eur")

    gate = Gate(needed=impact_above(990), impact=stake, approvers=_TEAM, within=timedelta(hours=10), otherwise="hold")
    economics: Economics[str, Payment] = Economics(
        outcome=Payment,
        key=("amount_eur",),
        within=timedelta(hours=1),
        value=lambda features, choice, outcome: outcome.amount_eur,
        baseline=lambda features, outcome: 0.0,
        unit="EUR",
    )
    return [
        Decision(
            name=name,
            owner="payments",
            purpose="Pay or hold",
            risk=Risk.LOW,
            event=Payment,
            features=(Feature("amount_eur"),),
            policy=pay,
            gate=gate,
            economics=economics,
        )
        for name in NAMES
    ]


async def _enrol(guard: Any) -> list[str]:
    """Enrol people of two teams, one of which alone sees the first decision; return their keys."""
    from steward.access.identity import Assignment, Identity, Kind
    from steward.access.permissions import Role

    once = await guard.bootstrap()
    secret = (await guard.exchange(once.reveal(), id="ada", display="Ada")).secret.reveal()
    ada = await guard.identify({b"authorization": f"Bearer {secret}".encode()})
    keys = []
    for number in range(PEOPLE):
        person = Identity(
            id=f"person-{number}",
            kind=Kind.PERSON,
            display="Somebody",
            teams=frozenset({_TEAM} if number % 2 else ()),
            roles=(Assignment(Role.APPROVER),),
        )
        await guard.administration.enrol(ada, person)
        keys.append((await guard.administration.issue_key(ada, person.id, label="benchmark")).secret.reveal())
    await guard.administration.limit(ada, NAMES[0], [_TEAM])
    return keys


async def _serve(folder: Path) -> None:
    from steward.api.server import Server
    from steward.console.console import Console
    from steward.runtime.runtime import Runtime
    from steward.runtime.settings import Settings

    settings = Settings(root=folder, ledger=f"sqlite:////{folder}/steward.db", port=0)
    async with await Runtime.open(_decisions(), settings=settings) as runtime:
        runtime.start()
        keys = await _enrol(runtime.guard)
        console = Console()
        server = await Server.start(runtime, "127.0.0.1", 0, rooms=[console])
        decided = [0]
        deciding = asyncio.ensure_future(_decide(runtime, decided))
        print(json.dumps({"port": server.port, "keys": keys}), flush=True)
        asked = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
        while await asked.readline():
            now = {"cpu_s": time.process_time(), "at_s": time.monotonic(), "decided": decided[0]}
            print(json.dumps({**now, "watching": console.live.watching}), flush=True)
        deciding.cancel()
        await server.stop()


async def _decide(runtime: Any, decided: list[int]) -> None:
    """Decide at an even rate, one event at a time, as they come in."""
    began = time.monotonic()
    under_way: set[asyncio.Future[Any]] = set()
    while True:
        name = NAMES[decided[0] % 2]
        one = asyncio.ensure_future(runtime.decide(name, {"amount_eur": float(decided[0] % 1_000)}))
        under_way.add(one)
        one.add_done_callback(under_way.discard)
        decided[0] += 1
        await asyncio.sleep(began + decided[0] / DECISIONS_A_SECOND - time.monotonic())


def main(arguments: Sequence[str]) -> None:
    """Measure, or be the server that is measured."""
    if "--serve" in arguments:
        from steward.api.server import run

        run(_serve(Path(arguments[arguments.index("--serve") + 1])))
        return
    report("console_streams", figures(), {"parts": PARTS, "measured_s": MEASURED_S})


if __name__ == "__main__":
    main(sys.argv[1:])
