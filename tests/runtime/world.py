"""What the tests of the loop and the runtime share: a runtime that can be closed, crashed and opened again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from steward import Call, Decision, Event, Receipt
from steward.clock import VirtualClock
from steward.entries import decode_body
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Entry, Ledger, Message
from steward.ledger.sqlite import SqliteLedger
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings
from steward.testing.faults import FaultyLedger

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


class World:
    """A place where a runtime lives: its store outlives it."""

    def __init__(self, kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *, seed: int = 7) -> None:
        self.kind, self.folder = kind, folder
        self.clock = VirtualClock(NOON, seed=seed)
        self.settings = Settings(
            ledger="memory://" if kind == "memory" else f"sqlite:////{folder}/steward.db",
            registry=str(folder / "models"),
        )
        self._memory = MemoryLedger()
        self.ledger = FaultyLedger(self._memory, keep_open=True)
        self.decisions: tuple[Decision[Any, Any, Any], ...] = ()
        self.opened: list[Runtime] = []
        monkeypatch.setattr("steward.runtime.parts.open_ledger", self._open_ledger)

    async def _open_ledger(self, *_: object) -> Ledger:
        if self.kind == "sqlite":
            self.ledger = FaultyLedger(
                await SqliteLedger.open(self.folder / "steward.db", clock=self.clock, origin="tests.local/world")
            )
        else:
            self.ledger = FaultyLedger(self._memory, keep_open=True)
        return self.ledger

    @property
    def runtime(self) -> Runtime:
        return self.opened[-1]

    async def open(self, *decisions: Decision[Any, Any, Any]) -> Runtime:
        self.decisions = decisions or self.decisions
        self.opened.append(await Runtime.open(self.decisions, settings=self.settings, clock=self.clock))
        return self.runtime

    async def restart(self, *decisions: Decision[Any, Any, Any]) -> Runtime:
        """Close in order and open again."""
        await self.runtime.close()
        return await self.open(*decisions)

    async def crash(self, *decisions: Decision[Any, Any, Any]) -> Runtime:
        """Open again after the process has died: nothing was saved on the way out."""
        await self.die()
        return await self.open(*decisions)

    async def die(self) -> None:
        runtime = self.runtime
        runtime._closed = True
        runtime.views.close()
        await self.ledger.close()

    async def close(self) -> None:
        self.ledger.fault = self.ledger.fault_after = lambda commit: None
        for runtime in self.opened:
            await runtime.close()

    async def later(self, by: timedelta = timedelta(0)) -> int:
        """Let time pass and do what is due."""
        self.clock.advance(by)
        return await self.runtime.advance()

    async def entries(self, kind: str | None = None) -> list[Entry]:
        return list(await self.runtime.ledger.read(0, 1_000_000, kind=kind))

    async def bodies(self, kind: str) -> list[Any]:
        return [decode_body(entry.body) for entry in await self.entries(kind)]

    async def kinds(self, run_id: UUID) -> list[str]:
        return [entry.kind for entry in await self.runtime.ledger.of_run(run_id)]

    async def counts(self) -> Counter[str]:
        return Counter(entry.kind for entry in await self.entries() if entry.kind != "published")

    def message(self, topic: str, event: Event | bytes, id: str, **changes: Any) -> Message:
        from steward.decision.contract import Contract

        data = event if isinstance(event, bytes) else Contract.of(type(event)).encode(event)
        version = 1 if isinstance(event, bytes) else event.contract_version
        now = self.clock.now()
        given: dict[str, Any] = {"key": "k", "source": "tests", "event_time": now, "known_at": now, **changes}
        return Message(topic=topic, id=id, data=data, version=version, **given)


@dataclass
class Till:
    """The world that actions act on; remembers every call."""

    calls: list[tuple[str, Any, Call]] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)
    effects: dict[str, Any] = field(default_factory=dict)
    lost_receipts: int = 0

    def pay(self, choice: str, call: Call) -> Receipt:
        self.calls.append(("do", choice, call))
        if self.lost_receipts:
            self.lost_receipts -= 1
            self.effects[call.key] = choice
            raise ConnectionError("the answer was lost")
        if self.fails:
            raise self.fails.pop(0)
        self.effects[call.key] = choice
        return Receipt(reference=f"paid-{len(self.calls)}")

    def look(self, choice: str, call: Call) -> Receipt | None:
        self.calls.append(("verify", choice, call))
        return Receipt(reference="seen") if call.key in self.effects else None

    def take_back(self, choice: str, call: Call) -> Receipt:
        self.calls.append(("undo", choice, call))
        if self.fails:
            raise self.fails.pop(0)
        assert call.undoes is not None
        del self.effects[call.undoes]
        return Receipt(reference="taken back")

    @property
    def verbs(self) -> list[str]:
        return [verb for verb, _, _ in self.calls]
