"""Runs that wait cost nothing, and all go on after a restart.

* 100,000 runs of several steps wait for a signal: how much memory each holds, and how much the process computes while
  nothing happens.
* A ledger of 1,000,000 entries with 1,000 open runs is opened again: how long until it is ready, and whether all go on.

``python -m benchmarks.workflow [--json] [--quick]``
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec
from benchmarks.report import Figure, report

from steward import Action, Call, Choice, Decision, Event, Feature, Features, Prediction, Receipt, Risk, Signal, Steps
from steward.clock import SystemClock
from steward.entries import Stepped
from steward.insight.views import Views
from steward.ledger.port import Commit, Draft
from steward.ledger.sqlite import SqliteLedger
from steward.records import ActionFacts, PolicyFacts, Provenance, Record, Status
from steward.runtime.engines import views_path
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

NAME = "plant.switch"
IDLE_S = 10.0
QUICK = "--quick" in sys.argv
WAITING, ENTRIES, OPEN = (2_000, 20_000, 100) if QUICK else (100_000, 1_000_000, 1_000)
CLOCK = SystemClock()


class Switch(Event):
    """A part of the plant is to be switched."""

    part: str


def open_all(features: Features, prediction: Prediction[None]) -> Choice[str]:
    """Always open."""
    return Choice("open", reasons=("asked for",))


def open_breaker(choice: str, call: Call) -> Receipt:
    """Open it."""
    return Receipt(reference=call.key)


def close_breaker(choice: str, call: Call) -> Receipt:
    """Close it."""
    return Receipt(reference=call.key)


switch = Decision(
    name=NAME,
    owner="plant",
    purpose="Switch a part",
    risk=Risk.LOW,
    event=Switch,
    features=(Feature("part"),),
    policy=open_all,
    action=Steps(
        Action(do=open_breaker, undo=close_breaker),
        Signal(name="crew-clear", within=timedelta(days=30)),
        Action(do=close_breaker),
        name="switch",
    ),
)


def decided(run_id: UUID, status: Status = Status.DECIDED) -> Draft:
    """Return the first entry of a run."""
    record = Record(
        decision_id=run_id,
        decision=NAME,
        release=f"{NAME}@0",
        decided_at=CLOCK.now(),
        status=status,
        event={"part": "b7"},
        features={"part": "b7"},
        choice="open",
        reasons=("asked for",),
        propensity=1.0,
        policy=PolicyFacts("sha256:ab"),
        action=ActionFacts(name="switch", key=f"{NAME}/{run_id}", code=switch.action_code),
        provenance=Provenance(event_id=str(run_id), source="benchmark", contract="switch", contract_version=1),
    )
    return Draft("decided", run_id, msgspec.json.encode(record))


def stepped(run_id: UUID) -> Draft:
    """Return the entry that the first step of a run is done."""
    body = Stepped(
        decision_id=run_id,
        decision=NAME,
        at=CLOCK.now(),
        step="open_breaker",
        position=0,
        result=Receipt(reference="b7"),
    )
    return Draft("stepped", run_id, msgspec.json.encode(body), f"stepped:{run_id}:0:0")


def acted(run_id: UUID) -> Draft:
    """Return the entry that a run is done."""
    body = (
        f'{{"kind":"acted","decision_id":"{run_id}","decision":"{NAME}","at":"2026-01-01T00:00:00Z",'
        f'"action":{{"name":"switch","key":"{NAME}/{run_id}"}},"choice":"open","receipt":{{"reference":"b7"}},"attempt":1}}'
    )
    return Draft("acted", run_id, body.encode(), f"acted:{run_id}:0")


def resident_mb() -> float:
    """Return the memory that the process holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


async def waiting(count: int) -> dict[str, float]:
    """Let many runs wait; return what they cost."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(ledger=f"sqlite:///{folder}/steward.db", registry=f"{folder}/models")
        await fill(
            Path(folder) / "steward.db", [[decided(i), stepped(i)] for i in (CLOCK.new_id() for _ in range(count))]
        )
        with_none = await opened_and_looked(Settings(ledger="memory://", registry=f"{folder}/models"))
        before = resident_mb()
        async with await Runtime.open([switch], settings=settings) as runtime:
            runtime.start()
            began = time.perf_counter()
            while any_due(runtime):  # noqa: ASYNC110 - nobody tells when all were looked at
                await asyncio.sleep(0.05)
            looked_s = time.perf_counter() - began
            await asyncio.sleep(1.0)
            grown = resident_mb() - before
            cpu = time.process_time()
            await asyncio.sleep(IDLE_S)
            idle = (time.process_time() - cpu) / IDLE_S
            waits = len(runtime._parts.journal.agenda)
    return {"grown_mb": grown, "idle": idle, "idle_none": with_none, "looked_s": looked_s, "waits": waits}


def any_due(runtime: Runtime) -> bool:
    """Tell whether any run is still to be looked at."""
    parts = runtime._parts
    due = parts.journal.agenda.next_due()
    return bool(parts.follow._looks) or (due is not None and due <= CLOCK.now())


async def opened_and_looked(settings: Settings) -> float:
    """Return how much a process without any run computes while idle."""
    async with await Runtime.open([switch], settings=settings) as runtime:
        runtime.start()
        await asyncio.sleep(1.0)
        cpu = time.process_time()
        await asyncio.sleep(IDLE_S)
        return (time.process_time() - cpu) / IDLE_S


async def fill(path: Path, runs: Sequence[Sequence[Draft]]) -> None:
    """Write runs in large commits."""
    ledger = await SqliteLedger.open(path, clock=CLOCK)
    for start in range(0, len(runs), 5_000):
        await ledger.append(Commit(entries=[draft for run in runs[start : start + 5_000] for draft in run]))
    await ledger.close()


async def recovery(entries: int, still_open: int) -> dict[str, float]:
    """Open a long ledger again; return how long that takes, and how many of the open runs went on."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(ledger=f"sqlite:///{folder}/steward.db", registry=f"{folder}/models")
        path = Path(folder) / "steward.db"
        ids = [CLOCK.new_id() for _ in range((entries - 2 * still_open) // 2)]
        await fill(path, [[decided(i), acted(i)] for i in ids])
        left = [CLOCK.new_id() for _ in range(still_open)]
        await fill(path, [[decided(i), stepped(i)] for i in left])
        ledger = await SqliteLedger.open(path, clock=CLOCK)
        views = Views(views_path(settings))
        await views.catch_up(ledger)  # they were kept up while the process lived
        views.close()
        await ledger.close()
        began = time.perf_counter()
        runtime = await Runtime.open([switch], settings=settings)
        ready_s = time.perf_counter() - began
        runtime.start()
        for run_id in left:
            await runtime.signal(run_id, "crew-clear", by="crew")
        went_on = 0
        while went_on < still_open and time.perf_counter() - began < 60:
            await asyncio.sleep(0.1)
            await runtime.catch_up()
            rows = runtime.views.runs(status=Status.ACTED, limit=still_open)
            went_on = len({row.decision_id for row in rows} & set(left))
        all_s = time.perf_counter() - began
        await runtime.close()
    return {"ready_s": ready_s, "went_on": went_on, "all_s": all_s}


def main() -> None:
    """Measure and print."""
    waits = asyncio.run(waiting(WAITING))
    restart = asyncio.run(recovery(ENTRIES, OPEN))
    report(
        "workflow",
        [
            Figure(f"memory of {WAITING:,} waiting runs", waits["grown_mb"], "MB", None if QUICK else 200, below=True),
            Figure("CPU while they wait", waits["idle"] * 100, "% of a core", 1.0, below=True),
            Figure("CPU of an idle process without runs", waits["idle_none"] * 100, "% of a core"),
            Figure("time until all were looked at", waits["looked_s"], "s"),
            Figure(f"ready with {ENTRIES:,} entries", restart["ready_s"], "s", None if QUICK else 2.0, below=True),
            Figure(f"of {OPEN:,} open runs went on", restart["went_on"], "runs", OPEN),
            Figure("until all of them had", restart["all_s"], "s"),
        ],
    )


if __name__ == "__main__":
    main()
