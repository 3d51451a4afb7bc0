"""The writer: what was made from a commit that failed fails with it, whenever it was handed over."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from steward.clock import SystemClock
from steward.errors import Conflict, EngineError
from steward.ledger.port import Commit, Committed
from steward.ledger.sqlite import SqliteLedger
from steward.testing.conformance.ledger import draft


class Gate:
    """Stands before the store's ``write``: holds it back, and lets it fail."""

    def __init__(self, ledger: SqliteLedger) -> None:
        self._store = ledger._writer._store
        self._write = self._store.write
        self.open, self.reached, self.fails = threading.Event(), threading.Event(), False
        self.open.set()
        self._store.write = self.write  # type: ignore[method-assign] # a fault in the store itself

    def write(self, commits: Sequence[Commit]) -> list[Committed | Conflict]:
        self.reached.set()
        assert self.open.wait(10)
        if self.fails:
            self.fails = False
            raise sqlite3.OperationalError("disk I/O error")
        return self._write(commits)


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqliteLedger]:
    opened = await SqliteLedger.open(tmp_path / "a.db", clock=SystemClock(), checkpoint_every=timedelta(hours=1))
    yield opened
    await opened.close()


async def test_what_waits_behind_a_failure_fails_with_it_if_it_was_made_from_it(ledger: SqliteLedger) -> None:
    gate = Gate(ledger)
    gate.open.clear()
    gate.fails, basis = True, ledger.failures
    first = asyncio.ensure_future(ledger.append(Commit(entries=[draft(0)], basis=basis)))
    await asyncio.to_thread(gate.reached.wait, 10)
    behind = [asyncio.ensure_future(ledger.append(Commit(entries=[draft(1)], basis=basis))) for _ in range(3)]
    apart = asyncio.ensure_future(ledger.append(Commit(entries=[draft(2)])))
    await asyncio.sleep(0)
    gate.open.set()
    told = await asyncio.gather(first, *behind, apart, return_exceptions=True)
    codes = [error.code for error in told[:4] if isinstance(error, EngineError)]
    assert codes == ["engine", "engine.basis", "engine.basis", "engine.basis"]
    assert isinstance(told[4], Committed)
    assert await ledger.size() == 1


async def test_who_hears_of_a_failure_can_go_on_from_there(ledger: SqliteLedger) -> None:
    gate = Gate(ledger)
    before, gate.fails = ledger.failures, True
    with pytest.raises(EngineError):
        await ledger.append(Commit(entries=[draft(0)], basis=before))
    assert ledger.failures == before + 1
    with pytest.raises(EngineError, match="an earlier commit failed") as caught:
        await ledger.append(Commit(entries=[draft(0)], basis=before))
    assert caught.value.retryable
    await ledger.append(Commit(entries=[draft(0)], basis=ledger.failures))
    assert await ledger.size() == 1
