"""Every bus engine keeps every promise of the port, on every ledger."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steward.bus import port
from steward.bus.embedded import EmbeddedBus
from steward.bus.port import Bus
from steward.clock import SystemClock
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Ledger
from steward.ledger.sqlite import SqliteLedger
from steward.testing.conformance.bus import MAX_LAG, BusConformance, DurableBusConformance, ReopenBus


class OnEmbedded(BusConformance):
    @pytest.fixture
    async def bus(self, ledger: Ledger) -> AsyncIterator[Bus]:
        bus = EmbeddedBus(ledger, max_lag=MAX_LAG)
        yield bus
        await bus.close()


class TestEmbeddedInMemory(OnEmbedded):
    @pytest.fixture
    async def ledger(self) -> AsyncIterator[Ledger]:
        ledger = MemoryLedger()
        yield ledger
        await ledger.close()


class TestEmbeddedInSqlite(OnEmbedded, DurableBusConformance):
    @pytest.fixture
    async def ledger(self, tmp_path: Path) -> AsyncIterator[Ledger]:
        ledger = await SqliteLedger.open(tmp_path / "ledger.db", clock=SystemClock())
        yield ledger
        await ledger.close()

    @pytest.fixture
    async def reopen(self, ledger: Ledger, tmp_path: Path) -> AsyncIterator[ReopenBus]:
        opened: list[Ledger] = []

        async def again() -> Bus:
            await ledger.close()
            opened.append(await SqliteLedger.open(tmp_path / "ledger.db", clock=SystemClock()))
            return EmbeddedBus(opened[-1], max_lag=MAX_LAG)

        yield again
        for one in opened:
            await one.close()


def test_every_promise_has_a_test_and_every_test_a_promise() -> None:
    promises = set(re.findall(r"^\* ``(\w+)``", port.__doc__ or "", re.MULTILINE))
    suites = (BusConformance, DurableBusConformance)
    tests = {name.removeprefix("test_") for suite in suites for name in vars(suite) if name.startswith("test_")}
    assert tests == promises
    assert len(tests) == 13


def test_engine_has_the_signatures_of_the_port() -> None:
    for name, method in inspect.getmembers(Bus, inspect.isfunction):
        if not name.startswith("_"):
            own = getattr(EmbeddedBus, name)
            assert inspect.signature(own) == inspect.signature(method), name
            assert inspect.iscoroutinefunction(own) == inspect.iscoroutinefunction(method), name
