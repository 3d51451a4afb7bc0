"""Gathering requests into batches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from steward.decision.lane import Lane
from steward.errors import EngineError
from steward.runtime.gather import BESIDE, Gather


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


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_what_is_urgent_goes_first_and_batches_last() -> None:
    desk = Desk()
    gather: Gather[int, int] = Gather(desk.work, max_batch=3, max_waiting=100)
    asked = [asyncio.create_task(gather.ask(0))]
    await settle()
    asked += [asyncio.create_task(gather.ask(n, lane)) for n, lane in ((2, Lane.BATCH), (4, Lane.NORMAL))]
    asked += [asyncio.create_task(gather.ask(n, lane)) for n, lane in ((6, Lane.NORMAL), (8, Lane.EMERGENCY))]
    await settle()
    desk.open.set()
    assert await asyncio.gather(*asked) == [0, 2, 4, 6, 8]
    assert desk.batches == [[0], [8, 4, 6], [2]]


async def test_a_full_lane_refuses_its_own_only() -> None:
    desk = Desk()
    gather: Gather[int, int] = Gather(desk.work, max_batch=1, max_waiting=1)
    asked = [asyncio.create_task(gather.ask(0))]
    await settle()
    asked += [asyncio.create_task(gather.ask(n, Lane.BATCH)) for n in (2, 4)]
    asked.append(asyncio.create_task(gather.ask(6)))
    await settle()
    desk.open.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [getattr(answer, "code", answer) for answer in answers] == [0, 2, "overloaded", 6]


async def test_several_asked_together_are_one_batch_with_errors_in_their_places() -> None:
    desk = Desk()
    desk.open.set()
    gather: Gather[int, int] = Gather(desk.work, max_batch=10, max_waiting=3)
    answers = await gather.ask_all([2, 3, 4, 6])  # more than may wait, but nobody waits
    assert [answer if isinstance(answer, int) else type(answer) for answer in answers] == [2, ValueError, 4, 6]
    assert desk.batches == [[2, 3, 4, 6]]
    assert await gather.ask_all([]) == []


async def test_several_go_in_parts_where_somebody_more_urgent_waits() -> None:
    desk = Desk()
    gather: Gather[int, int] = Gather(desk.work, max_batch=1000, max_waiting=1000)
    first = asyncio.create_task(gather.ask(0))
    await settle()
    many = asyncio.create_task(gather.ask_all(range(0, 500, 2)))
    urgent = asyncio.create_task(gather.ask(2))
    await settle()
    desk.open.set()
    assert [await first, await urgent] == [0, 2]
    assert list(await many) == list(range(0, 500, 2))
    assert [len(batch) for batch in desk.batches] == [1, 1 + BESIDE, 250 - BESIDE]
    assert desk.batches[1][0] == 2


async def test_too_many_together_are_refused_where_others_wait() -> None:
    desk = Desk()
    gather: Gather[int, int] = Gather(desk.work, max_batch=1, max_waiting=3)
    asked = [asyncio.create_task(gather.ask(n, Lane.BATCH)) for n in (0, 2, 4)]
    await settle()
    with pytest.raises(EngineError) as raised:
        await gather.ask_all([6, 8, 10])
    assert raised.value.retryable
    desk.open.set()
    assert await asyncio.gather(*asked) == [0, 2, 4]


async def test_a_failed_batch_fails_all_who_asked_together_and_who_left_hinders_nobody() -> None:
    desk = Desk()

    async def work(batch: Sequence[int]) -> list[int | Exception]:
        await desk.work(batch)
        raise EngineError("the disk is full")

    gather: Gather[int, int] = Gather(work, max_batch=10, max_waiting=10)
    gone, stays = asyncio.create_task(gather.ask_all([2, 4])), asyncio.create_task(gather.ask_all([6, 8]))
    await settle()
    gone.cancel()
    desk.open.set()
    assert [str(answer) for answer in await stays] == ["the disk is full"] * 2
