"""Gathering requests into batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from steward.errors import EngineError
from steward.runtime.gather import Gather


class Desk:
    """Answers batches when told to, and remembers them."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.batches: list[list[int]] = []

    async def work(self, batch: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(batch))
        await self.open.wait()
        return [ValueError("odd") if n % 2 else n for n in batch]


async def test_an_idle_gatherer_answers_at_once() -> None:
    desk = Desk()
    desk.open.set()
    assert await Gather(desk.work, max_batch=10, max_waiting=10).ask(2) == 2
    assert desk.batches == [[2]]


async def test_what_waits_shares_a_batch() -> None:
    desk = Desk()
    gather: Gather[int, int] = Gather(desk.work, max_batch=3, max_waiting=100)
    asked = [asyncio.create_task(gather.ask(2 * n)) for n in range(10)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    desk.open.set()
    assert await asyncio.gather(*asked) == [2 * n for n in range(10)]
    assert max(map(len, desk.batches)) == 3


async def test_an_error_goes_to_its_asker_only() -> None:
    desk = Desk()
    desk.open.set()
    gather: Gather[int, int] = Gather(desk.work, max_batch=10, max_waiting=10)
    answers = await asyncio.gather(*(gather.ask(n) for n in range(4)), return_exceptions=True)
    assert [answer if isinstance(answer, int) else type(answer) for answer in answers] == [0, ValueError, 2, ValueError]


async def test_a_failed_batch_fails_for_all_and_the_next_one_works() -> None:
    calls = 0

    async def work(batch: Sequence[int]) -> list[int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise EngineError("the disk is full")
        return list(batch)

    gather: Gather[int, int] = Gather(work, max_batch=10, max_waiting=10)
    with pytest.raises(EngineError, match="disk is full"):
        await gather.ask(1)
    assert await gather.ask(2) == 2


async def test_too_many_are_refused_and_may_try_again() -> None:
    desk = Desk()
    gather: Gather[int, int] = Gather(desk.work, max_batch=1, max_waiting=2)
    asked = [asyncio.create_task(gather.ask(2)) for _ in range(4)]
    for _ in range(3):
        await asyncio.sleep(0)
    asked += [asyncio.create_task(gather.ask(2)) for _ in range(3)]
    await asyncio.sleep(0)
    desk.open.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, EngineError)]
    assert refused
    assert all(error.retryable and error.code == "overloaded" for error in refused)
    assert await gather.ask(2) == 2


async def test_an_asker_who_leaves_stops_nobody() -> None:
    desk = Desk()
    gather: Gather[int, int] = Gather(desk.work, max_batch=10, max_waiting=10)
    gone, stays = asyncio.create_task(gather.ask(2)), asyncio.create_task(gather.ask(4))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gone.cancel()
    desk.open.set()
    assert await stays == 4


async def test_closing_answers_all_who_wait() -> None:
    desk = Desk()
    gather: Gather[int, int] = Gather(desk.work, max_batch=1, max_waiting=10)
    asked = [asyncio.create_task(gather.ask(2)) for _ in range(5)]
    await asyncio.sleep(0)
    desk.open.set()
    await gather.close()
    assert await asyncio.gather(*asked) == [2] * 5


async def test_an_asker_who_asks_again_at_once_is_answered() -> None:
    """Two batches that end together must not leave the next question without anybody who drains."""
    gate = asyncio.Event()

    async def work(batch: Sequence[int]) -> list[int]:
        await gate.wait()
        return list(batch)

    gather: Gather[int, int] = Gather(work, max_batch=1, max_waiting=10)

    async def twice() -> list[int]:
        return [await gather.ask(1), await gather.ask(2)]

    first, second = asyncio.create_task(twice()), asyncio.create_task(gather.ask(3))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    gate.set()
    answers, other = await asyncio.wait_for(asyncio.gather(first, second), 5)
    assert (answers, other) == ([1, 2], 3)
