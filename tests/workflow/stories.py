"""The stories behind the recorded histories: small plans, and what happened to their runs.

``python -m tests.workflow.stories`` records the stories that have no file yet; files that exist are never written
again, as they say what a version of the past has done.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from steward import Action, Call, Check, Signal, Steps, Wait
from steward.clock import Clock
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Entry, Ledger
from steward.ledger.run import Run
from steward.testing.conformance.site import MINUTE, START, Plant, Site
from steward.workflow.dispatch import Dispatcher
from steward.workflow.embedded import EmbeddedWorkflow
from steward.workflow.moves import Move, next_move
from steward.workflow.plan import Plan, Plans
from steward.workflow.port import Workflow

HISTORIES = Path(__file__).parent / "histories"


def at_one(choice: str, call: Call) -> datetime:
    return START + timedelta(hours=1)


def feeder_is_dead(choice: str, call: Call) -> str | None:
    return None


def switching(plant: Plant) -> Steps[str]:
    """Open a breaker, wait for the crew, and close it: every kind of step."""
    return Steps(
        plant.action("open_breaker", verify=True),
        Wait(MINUTE, name="settle"),
        Check(feeder_is_dead),
        plant.action("tell_crew", undo=False),
        Signal(name="crew-clear", within=30 * MINUTE),
        Wait(at_one, name="at-one"),
        plant.action("close_breaker", verify=True, within=10 * MINUTE),
        name="switch",
        within=timedelta(hours=2),
    )


def plain(plant: Plant) -> Action[str]:
    return plant.action("open_breaker", verify=True)


PLANS: dict[str, Callable[[Plant], Action[str] | Steps[str]]] = {"plain": plain, "switching": switching}
"""What the stories are told of; the first part of a story's name says which."""


async def make(ledger: Ledger, plans: Plans, clock: Clock) -> Workflow:
    return EmbeddedWorkflow(ledger, plans, clock, Dispatcher(clock), await ledger.size())


Story = Callable[[Site, Plant, UUID], Awaitable[None]]


async def _ends_well(site: Site, plant: Plant, run_id: UUID) -> None:
    await site.later(2 * MINUTE)
    await site.signal(run_id, "crew-clear", {"crew": 3})
    await site.later(timedelta(hours=1))


async def _ends_at_once(site: Site, plant: Plant, run_id: UUID) -> None:
    return


async def _nobody_says_clear(site: Site, plant: Plant, run_id: UUID) -> None:
    await site.later(timedelta(hours=1))
    await site.redrive(run_id)
    await site.later(2 * MINUTE)
    await site.signal(run_id, "crew-clear")
    await site.later(timedelta(hours=1))


async def _aborted(site: Site, plant: Plant, run_id: UUID) -> None:
    await site.signal(run_id, "crew-clear", "early")
    await site.later(2 * MINUTE)
    await site.abort(run_id)


async def _in_doubt(site: Site, plant: Plant, run_id: UUID) -> None:
    await site.later(MINUTE)
    await _ends_well(site, plant, run_id)


async def _undo_fails(site: Site, plant: Plant, run_id: UUID) -> None:
    plant.fails["undo open_breaker"] = [ConnectionError("down")] * 3
    await site.later(timedelta(hours=2))
    await site.redrive(run_id)


async def _code_gone(site: Site, plant: Plant, run_id: UUID) -> None:
    await site.later(2 * MINUTE)
    await site.open(switching(plant), code="newer")
    await site.later(MINUTE)
    await site.redrive(run_id, adopt=True)
    await _ends_well(site, plant, run_id)


async def _an_hour_later(site: Site, plant: Plant, run_id: UUID) -> None:
    await site.later(timedelta(hours=1))


async def _failed_and_redriven(site: Site, plant: Plant, run_id: UUID) -> None:
    await site.later(timedelta(hours=1))
    await site.redrive(run_id)


STORIES: dict[str, tuple[Story, dict[str, list[Exception]]]] = {
    "switching-ends-well": (_ends_well, {}),
    "switching-nobody-says-clear": (_nobody_says_clear, {}),
    "switching-aborted": (_aborted, {}),
    "switching-in-doubt": (_in_doubt, {"do open_breaker": [TimeoutError()]}),
    "switching-undo-fails": (_undo_fails, {}),
    "switching-code-gone": (_code_gone, {}),
    "plain-ends-well": (_ends_at_once, {}),
    "plain-failed-and-redriven": (_failed_and_redriven, {"do open_breaker": [ConnectionError("down")] * 3}),
    "plain-in-doubt": (_an_hour_later, {"do open_breaker": [TimeoutError()] * 3}),
}


def shown(move: Move) -> dict[str, Any]:
    """Return a move as plain data; steps by their names."""
    told: dict[str, Any] = {"move": type(move).__name__}
    for field in fields(move):
        value = getattr(move, field.name)
        told[field.name] = value.name if hasattr(value, "name") else msgspec.to_builtins(value)
    return told


def moves_along(name: str, entries: list[Entry]) -> list[dict[str, Any]]:
    """Return what comes next after each entry: at its own time, and at the time of the entry that followed."""
    action = PLANS[name.partition("-")[0]](Plant())
    today = {code: Plan.of(action, code=code) for code in ("new", "newer")}
    bodies = [json.loads(entry.body) for entry in entries]
    times = [datetime.fromisoformat(body.get("at") or body["decided_at"]) for body in bodies]
    found = []
    for place in range(len(entries)):
        run = Run.of(entries[: place + 1], entries[0].run_id)
        # The code "new" is gone once a run has halted for it, as it was when this was recorded.
        halted = any(body["kind"] == "halted" and body["code"] == "code-gone" for body in bodies[: place + 2])
        plan = None if halted and run.code == "new" else today[run.code or "new"]
        following = times[min(place + 1, len(times) - 1)]
        found.append(
            {"at_once": shown(next_move(plan, run, times[place])), "later": shown(next_move(plan, run, following))}
        )
    return found


async def tell(name: str) -> list[Entry]:
    """Let a story happen; return its entries."""
    story, fails = STORIES[name]
    plant = Plant(fails={step: list(errors) for step, errors in fails.items()})
    site = Site(MemoryLedger(), make)
    await site.open(PLANS[name.partition("-")[0]](plant))
    run_id = await site.begin()
    await story(site, plant, run_id)
    return list(await site.ledger.of_run(run_id))


def record() -> None:
    """Write down the stories that have not been yet."""
    HISTORIES.mkdir(exist_ok=True)
    for name in STORIES:
        path = HISTORIES / f"{name}.jsonl"
        if not path.exists():
            entries = asyncio.run(tell(name))
            lines = [
                json.dumps({"entry": json.loads(entry.body), "key": entry.key, "next": following})
                for entry, following in zip(entries, moves_along(name, entries), strict=True)
            ]
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record()
