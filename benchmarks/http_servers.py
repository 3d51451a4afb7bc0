"""The servers that ``benchmarks.http_decide`` compares: ``python -m benchmarks.http_servers KIND DIR``, one a process.

``steward`` decides and keeps a durable record. ``peer`` is what a team writes by hand: FastAPI and
``Booster.predict`` in a plain ``def``, as FastAPI advises for calls that block; nothing is recorded. ``durable-peer``
is the same with one SQLite commit (FULL) a request. ``async-peer`` is the peer as ``async def``, which is faster as
long as a prediction is short. ``steward-explaining`` and ``explaining-peer`` tell, besides, what each input
contributed, exactly (TreeSHAP).
Each prints its port and serves until it is terminated.
"""

from __future__ import annotations

import socket
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

from pydantic import BaseModel


class Payment(BaseModel):
    """The peers' event."""

    x0: float
    x1: float
    x2: float
    x3: float
    x4: float
    x5: float
    x6: float
    x7: float
    x8: float
    x9: float


def steward_server(folder: Path, *, explaining: bool = False) -> None:
    """Serve the benchmark's decision as a user would."""
    from dataclasses import replace

    from benchmarks.workload import DECISION

    from steward import Attribution
    from steward.api.server import run, serve
    from steward.runtime.runtime import Runtime
    from steward.runtime.settings import Settings

    decision = replace(DECISION, attribution=Attribution.INLINE) if explaining else DECISION
    place = "explaining" if explaining else "steward"

    async def main() -> None:
        settings = Settings(ledger=f"sqlite:////{folder}/{place}.db", registry=str(folder / "models"), port=0)
        runtime = await Runtime.open([decision], settings=settings)
        runtime.start()
        await serve(runtime, ready=lambda port: print(port, flush=True))

    run(main())


def peer_server(folder: Path, kind: str) -> None:
    """Serve the same model from a hand-written FastAPI application."""
    import lightgbm
    import numpy as np
    import uvicorn
    from fastapi import FastAPI

    booster = lightgbm.Booster(model_file=str(folder / "model.txt"))
    app = FastAPI()
    one_writer = threading.Lock()
    database = sqlite3.connect(folder / "peer.db", isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE IF NOT EXISTS decisions (id INTEGER PRIMARY KEY, event TEXT, p REAL, choice TEXT)")

    def decide(payment: Payment) -> dict[str, Any]:
        row = np.array([list(payment.__dict__.values())])
        p_fraud = float(booster.predict(row, num_threads=1)[0])
        choice = "hold" if p_fraud > 0.8 else "release"
        return {"p_fraud": p_fraud, "choice": choice}

    def decide_and_keep(payment: Payment) -> dict[str, Any]:
        answer = decide(payment)
        with one_writer:
            database.execute(
                "INSERT INTO decisions (event, p, choice) VALUES (?, ?, ?)",
                (payment.model_dump_json(), answer["p_fraud"], answer["choice"]),
            )
        return answer

    async def decide_at_once(payment: Payment) -> dict[str, Any]:
        return decide(payment)

    def decide_and_explain(payment: Payment) -> dict[str, Any]:
        row = np.array([list(payment.__dict__.values())])
        contributions = booster.predict(row, num_threads=1, pred_contrib=True)[0].tolist()
        return {**decide(payment), "attribution": contributions}

    endpoints = {
        "peer": decide,
        "durable-peer": decide_and_keep,
        "async-peer": decide_at_once,
        "explaining-peer": decide_and_explain,
    }
    app.post("/decide")(endpoints[kind])

    config = uvicorn.Config(app, access_log=False, log_level="warning", loop="uvloop", http="httptools")
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listening.getsockname()[1], flush=True)  # it listens already; connections wait until it accepts
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    kind, directory = sys.argv[1], Path(sys.argv[2])
    if kind in {"steward", "steward-explaining"}:
        steward_server(directory, explaining=kind == "steward-explaining")
    else:
        peer_server(directory, kind)
