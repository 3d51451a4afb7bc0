"""Outages: what breakers tell is written down in order, once, and not forgotten while the ledger cannot be written."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from steward.entries import Restored, Tripped, decode_body
from steward.errors import EngineError
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit, Committed
from steward.loop.agenda import Agenda
from steward.runtime.journal import Journal
from steward.runtime.outages import Outages

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Flaky(MemoryLedger):
    """Fails so often, before or after it has written."""

    def __init__(self, *fails: str) -> None:
        super().__init__()
        self.fails = list(fails)

    async def append(self, commit: Commit) -> Committed:
        fail = self.fails.pop(0) if self.fails else ""
        if fail == "before":
            raise EngineError("full", retryable=True)
        committed = await super().append(commit)
        if fail == "after":
            raise EngineError("cut off", retryable=True)
        return committed


def tripped(number: int) -> Tripped:
    return Tripped(decision_id=UUID(int=number), decision="*", at=AT, destination="plant", failures=5, reason="hung")


def restored(number: int) -> Restored:
    return Restored(decision_id=UUID(int=number), decision="*", at=AT, destination="plant")


@pytest.mark.parametrize("fails", [(), ("before",), ("before", "before"), ("after",), ("after", "before")])
async def test_news_are_written_in_order_and_once(fails: tuple[str, ...]) -> None:
    ledger = Flaky(*fails)
    journal = Journal(ledger, Agenda())
    outages, seen = Outages(journal), journal.bell.rung
    news: list[Tripped | Restored] = [tripped(1), restored(2), tripped(3)]
    for body in news:
        outages.hear(body)
    assert journal.bell.rung == seen + 3
    for _ in fails:
        with pytest.raises(EngineError):
            await outages.step()
    while await outages.step():
        pass
    assert [decode_body(entry.body) for entry in await ledger.read()] == news
