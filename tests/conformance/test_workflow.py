"""Every workflow engine keeps every promise of the port, on every ledger."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from steward.clock import Clock, SystemClock
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Ledger
from steward.ledger.sqlite import SqliteLedger
from steward.testing.conformance.workflow import WorkflowConformance
from steward.workflow import port
from steward.workflow.dispatch import Dispatcher
from steward.workflow.embedded import EmbeddedWorkflow
from steward.workflow.plan import Plans
from steward.workflow.port import Workflow


class OnEmbedded(WorkflowConformance):
    async def make(self, ledger: Ledger, plans: Plans, clock: Clock) -> Workflow:
        return EmbeddedWorkflow(ledger, plans, clock, Dispatcher(clock), await ledger.size())


class TestEmbeddedInMemory(OnEmbedded):
    @pytest.fixture
    async def ledger(self) -> AsyncIterator[Ledger]:
        ledger = MemoryLedger()
        yield ledger
        await ledger.close()


class TestEmbeddedInSqlite(OnEmbedded):
    @pytest.fixture
    async def ledger(self, tmp_path: Path) -> AsyncIterator[Ledger]:
        ledger = await SqliteLedger.open(tmp_path / "ledger.db", clock=SystemClock())
        yield ledger
        await ledger.close()


def test_every_promise_has_a_test_and_every_test_a_promise() -> None:
    promises = set(re.findall(r"^\* ``(\w+)``", port.__doc__ or "", re.MULTILINE))
    tests = {name.removeprefix("test_") for name in vars(WorkflowConformance) if name.startswith("test_")}
    assert tests == promises
    assert len(tests) == 15


def test_engine_has_the_signatures_of_the_port() -> None:
    for name, method in inspect.getmembers(Workflow, inspect.isfunction):
        if not name.startswith("_"):
            own = getattr(EmbeddedWorkflow, name)
            assert inspect.signature(own) == inspect.signature(method), name
            assert inspect.iscoroutinefunction(own) == inspect.iscoroutinefunction(method), name
