"""The servers of the reliability benchmarks: ``python -m benchmarks.overload_servers KIND DIR``, one a process.

``limited`` is a server as it is started. ``unlimited`` never takes anything for an overload, as most servers do not;
it is also what the capacity is measured on. ``acting`` decides and dispatches: its action writes when it was called, on
the monotonic clock, to the file ``calls`` of the folder.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.workload import DECISION

from steward import Action, Call, Decision, Receipt
from steward.api.server import run, serve
from steward.decision.lane import Lane
from steward.runtime.admission import Admission, Reason
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

CALLS = struct.Struct("<d")


def acting(folder: Path) -> Decision[Any, Any, Any]:
    """Return the benchmark's decision with an action."""
    calls = os.open(folder / "calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def call_out(choice: str, call: Call) -> Receipt:
        os.write(calls, CALLS.pack(time.perf_counter()))
        return Receipt(reference=call.key)

    return replace(DECISION, action=Action(do=call_out))


class Unlimited(Admission):
    """Lets everybody in."""

    def is_full(self, lane: Lane) -> bool:
        """Never."""
        return False

    def enter(self, lane: Lane, caller: str) -> Reason | None:
        """Let everybody in."""
        return None

    def leave(self, caller: str, took_s: float | None) -> None:
        """Count nothing."""


def main(kind: str, folder: Path) -> None:
    """Serve until terminated; print the port."""

    async def until_told() -> None:
        decision = acting(folder) if kind == "acting" else DECISION
        settings = Settings(ledger=f"sqlite:////{folder}/{kind}.db", registry=str(folder / "models"), port=0)
        runtime = await Runtime.open([decision], settings=settings)
        if kind == "unlimited":
            runtime.admission = Unlimited(runtime.clock, most=1, unnoticed=timedelta(0))
        runtime.start()
        await serve(runtime, ready=lambda port: print(port, flush=True))

    run(until_told())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
