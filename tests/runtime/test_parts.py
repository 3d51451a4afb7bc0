"""What runs behind the log: views follow when nobody waits, and in the end always."""

from __future__ import annotations

import asyncio

import pytest
from tests.runtime.shop import GREET

from steward.runtime import parts as parts_module
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings


async def test_views_let_requests_go_first_and_follow_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with await Runtime.open([GREET], settings=Settings(ledger="memory://")) as runtime:
        parts = runtime._parts
        (gather,) = parts.gathers.values()
        await runtime.decide(GREET.name, b'{"customer": "ana"}')
        behind = parts.journal.size - runtime.views.position
        assert behind > 0

        gather._draining = {asyncio.create_task(asyncio.sleep(0))}
        assert await parts._catch_up() == 1
        assert parts.journal.size - runtime.views.position == behind

        monkeypatch.setattr(parts_module, "_MOST_BEHIND", behind)
        assert await parts._catch_up() == behind
        assert runtime.views.position == parts.journal.size
        gather._draining = set()
        assert await parts._catch_up() == 0
