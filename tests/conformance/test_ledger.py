"""Every ledger engine keeps every promise of the port."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from steward.clock import SystemClock
from steward.errors import Conflict
from steward.ledger import Commit, Ledger, port
from steward.ledger.memory import MemoryLedger
from steward.ledger.sqlite import SqliteLedger
from steward.ledger.verify import verify_store
from steward.testing.conformance.ledger import (
    DurableLedgerConformance,
    LedgerConformance,
    Reopen,
    draft,
    message,
)


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
    assert len(tests) == 15


@pytest.mark.parametrize("engine", [MemoryLedger, SqliteLedger])
def test_engines_have_the_signatures_of_the_port(engine: type) -> None:
    names = [name for name in dir(Ledger) if not name.startswith("_")]
    assert len(names) == 14
    for name in names:
        if isinstance(getattr(Ledger, name), property):
            assert isinstance(getattr(engine, name), property), f"{engine.__name__}.{name} is no property"
            continue
        ours, theirs = inspect.signature(getattr(engine, name)), inspect.signature(getattr(Ledger, name))
        assert ours == theirs, f"{engine.__name__}.{name}{ours} is not {theirs}"


def test_engines_fit_the_port() -> None:
    engines: list[type[Ledger]] = [MemoryLedger, SqliteLedger]
    assert len(engines) == 2


class Twins(RuleBasedStateMachine):
    """SQLite against the reference, step by step, also over restarts and tiny index segments."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = TemporaryDirectory()
        self.reference = MemoryLedger()
        self.sqlite = self.opened()

    def opened(self) -> SqliteLedger:
        ledger = self.runner.run(SqliteLedger.open(Path(self.folder.name) / "a.db", clock=SystemClock()))
        store = ledger._writer._store
        store.keys._seal_at_rows = store.message_ids._seal_at_rows = 3
        return ledger

    def both(self, ask: Callable[[Ledger], Awaitable[object]]) -> None:
        answers = []
        for ledger in (self.reference, self.sqlite):
            try:
                answers.append(self.runner.run(outcome(ask(ledger))))
            except Conflict as conflict:
                answers.append(conflict.field)
        assert answers[0] == answers[1]

    @rule(
        keys=st.lists(st.none() | st.integers(0, 25), max_size=6),
        events=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 8)), max_size=4),
        cursor=st.none() | st.tuples(st.sampled_from("xy"), st.integers(0, 9)),
    )
    def append(self, keys: list[int | None], events: list[tuple[str, int]], cursor: tuple[str, int] | None) -> None:
        kinds = ["decided", "acted", "valued"]
        commit = Commit(
            entries=[
                draft(n, kind=kinds[n % 3], key=None if key is None else f"key-{key}") for n, key in enumerate(keys)
            ],
            messages=[message(topic, number) for topic, number in events],
            cursors=dict([cursor] if cursor else []),
        )
        self.both(lambda ledger: ledger.append(commit))

    @rule(start=st.integers(0, 40), limit=st.integers(0, 90), kind=st.sampled_from([None, "decided", "acted", "no"]))
    def read(self, start: int, limit: int, kind: str | None) -> None:
        self.both(lambda ledger: ledger.read(start, limit, kind=kind))
        self.both(lambda ledger: ledger.messages("a", start // 8, limit))

    @rule(key=st.integers(0, 25))
    def look_up(self, key: int) -> None:
        self.both(lambda ledger: ledger.by_key(f"key-{key}"))
        self.both(lambda ledger: ledger.of_run(UUID(int=key % 4)))
        self.both(lambda ledger: ledger.cursor("x"))

    @rule(share=st.floats(0, 1), other=st.floats(0, 1))
    def prove(self, share: float, other: float) -> None:
        size = self.runner.run(self.reference.size())
        first, second = sorted((int(share * size), int(other * size)))
        self.both(lambda ledger: ledger.consistency(first, second))
        if second > 0:
            self.both(lambda ledger: ledger.inclusion(min(first, second - 1), second))

    @rule()
    def restart(self) -> None:
        self.runner.run(self.sqlite.close())
        self.sqlite = self.opened()

    @invariant()
    def same_state(self) -> None:
        self.both(lambda ledger: ledger.size())
        self.both(lambda ledger: ledger.root())
        self.both(lambda ledger: ledger.topics())

    def teardown(self) -> None:
        self.runner.run(self.sqlite.close())
        report = verify_store(Path(self.folder.name) / "a.db")
        self.runner.close()
        self.folder.cleanup()
        assert report.breaks == []


async def outcome(answer: Awaitable[object]) -> object:
    found = await answer
    return list(found) if isinstance(found, list | tuple) else found


def test_sqlite_is_the_twin_of_memory() -> None:
    run_state_machine_as_test(Twins, settings=settings(max_examples=25, stateful_step_count=25, deadline=None))
