"""A ledger can be verified while it grows: what is signed after the first look at it is no finding."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from steward.clock import SystemClock
from steward.ledger.port import Commit
from steward.ledger.sqlite import SqliteLedger
from steward.ledger.verify import verify_store
from steward.ledger.verify_store import StoreCheck
from steward.testing.conformance.ledger import draft


async def test_what_is_signed_meanwhile_is_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = await SqliteLedger.open(tmp_path / "a.db", clock=SystemClock(), checkpoint_every=timedelta(hours=1))
    await ledger.append(Commit(entries=[draft(n) for n in range(10)]))
    await ledger.checkpoint()
    loop, look = asyncio.get_running_loop(), StoreCheck._check_file

    async def grow() -> None:
        await ledger.append(Commit(entries=[draft(n) for n in range(10, 20)]))
        await ledger.checkpoint()

    def look_and_wait(check: StoreCheck) -> None:
        look(check)
        asyncio.run_coroutine_threadsafe(grow(), loop).result(10)

    monkeypatch.setattr(StoreCheck, "_check_file", look_and_wait)
    report = await asyncio.to_thread(verify_store, tmp_path / "a.db")
    await ledger.close()
    assert report.breaks == []
    assert report.entries == 10
