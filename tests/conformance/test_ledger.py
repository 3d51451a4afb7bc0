"""Every ledger engine keeps every promise of the port."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steward.clock import SystemClock
from steward.ledger import Ledger, port
from steward.ledger.memory import MemoryLedger
from steward.ledger.sqlite import SqliteLedger
from steward.testing.conformance.ledger import DurableLedgerConformance, LedgerConformance, Reopen


class TestMemory(LedgerConformance):
    @pytest.fixture
    async def ledger(self) -> AsyncIterator[Ledger]:
        ledger = MemoryLedger()
        yield ledger
        await ledger.close()


class TestSqlite(LedgerConformance, DurableLedgerConformance):
    @pytest.fixture
    async def ledger(self, tmp_path: Path) -> AsyncIterator[Ledger]:
        ledger = await SqliteLedger.open(tmp_path / "ledger.db", clock=SystemClock())
        yield ledger
        await ledger.close()

    @pytest.fixture
    async def reopen(self, ledger: Ledger, tmp_path: Path) -> AsyncIterator[Reopen]:
        opened: list[Ledger] = []

        async def again() -> Ledger:
            await ledger.close()
            opened.append(await SqliteLedger.open(tmp_path / "ledger.db", clock=SystemClock()))
            return opened[-1]

        yield again
        for one in opened:
            await one.close()


def promises() -> set[str]:
    return set(re.findall(r"^\* ``(\w+)``", port.__doc__ or "", re.MULTILINE))


def test_every_promise_has_a_test_and_every_test_a_promise() -> None:
    suites = (LedgerConformance, DurableLedgerConformance)
    tests = {name.removeprefix("test_") for suite in suites for name in vars(suite) if name.startswith("test_")}
    assert tests == promises()
    assert len(tests) == 12


@pytest.mark.parametrize("engine", [MemoryLedger, SqliteLedger])
def test_engines_have_the_signatures_of_the_port(engine: type) -> None:
    methods = [name for name in vars(Ledger) if not name.startswith("_")]
    assert len(methods) == 13
    for name in methods:
        ours, theirs = inspect.signature(getattr(engine, name)), inspect.signature(getattr(Ledger, name))
        assert ours == theirs, f"{engine.__name__}.{name}{ours} is not {theirs}"


def test_engines_fit_the_port() -> None:
    engines: list[type[Ledger]] = [MemoryLedger, SqliteLedger]
    assert len(engines) == 2
