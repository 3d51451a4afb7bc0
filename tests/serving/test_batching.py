"""Micro-batching: who goes together, how many, and what is left when somebody goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from steward.errors import EngineError, HeldBack
from steward.records import ServingFacts
from steward.serving.batching import CRASHED, Batcher, Result
from steward.serving.port import Answered

FACTS = ServingFacts(endpoint="here")


class Other:
    """The side that answers; it waits for ``go`` where that is held."""

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.cancelled = 0

    async def run(self, questions: Sequence[float], left_s: float) -> list[Result]:
        self.batches.append(list(questions))
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return [Answered(2 * question, FACTS) for question in questions]


def values(results: Sequence[Result]) -> list[object]:
    return [result.value if isinstance(result, Answered) else result.code for result in results]


async def turn(times: int = 3) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_who_waits_for_a_worker_goes_together() -> None:
    other = Other()
    other.go.clear()
    batcher = Batcher("here", other.run, at_once=1, budget_s=1.0)
    first = asyncio.ensure_future(batcher.ask([1.0], 5))
    await turn()
    rest = [asyncio.ensure_future(batcher.ask([n], 5)) for n in (2.0, 3.0, 4.0)]
    await turn()
    assert batcher.load > 1
    other.go.set()
    assert [values(await each) for each in (first, *rest)] == [[2.0], [4.0], [6.0], [8.0]]
    assert other.batches == [[1.0], [2.0, 3.0, 4.0]]
    assert batcher.load == 0


async def test_many_questions_are_shared_among_workers() -> None:
    other = Other()
    other.go.clear()
    batcher = Batcher("here", other.run, at_once=2, budget_s=1.0)
    asked = asyncio.ensure_future(batcher.ask([float(n) for n in range(10)], 5))
    await turn()
    assert other.batches == [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]]
    other.go.set()
    assert values(await asked) == [2.0 * n for n in range(10)]


def test_the_limit_follows_the_budget() -> None:
    async def follow() -> tuple[list[float], list[float]]:
        batcher = Batcher("here", Other().run, at_once=1, budget_s=0.010, most=64)
        grown, shrunk = [], []
        for _ in range(30):
            batcher._learn(int(batcher.limit), 0.001 + 0.0001 * batcher.limit)
            grown.append(batcher.limit)
        for _ in range(10):
            batcher._learn(int(batcher.limit), 0.020)
            shrunk.append(batcher.limit)
        return grown, shrunk

    grown, shrunk = asyncio.run(follow())
    assert grown == sorted(grown)
    assert 55 <= grown[-1] <= 64, "a batch takes 1 ms and 0.1 ms a question: 60 are comfortable"
    assert shrunk == sorted(shrunk, reverse=True)
    assert shrunk[-1] < 16


async def test_small_batches_say_nothing_about_the_limit() -> None:
    other = Other()
    batcher = Batcher("here", other.run, at_once=1, budget_s=1.0)
    for _ in range(20):
        await batcher.ask([1.0], 5)
    assert batcher.limit == 4


async def test_what_was_not_begun_leaves_the_queue() -> None:
    other = Other()
    other.go.clear()
    batcher = Batcher("here", other.run, at_once=1, budget_s=1.0)
    first = asyncio.ensure_future(batcher.ask([1.0], 5))
    await turn()
    second = asyncio.ensure_future(batcher.ask([2.0], 5))
    await turn()
    second.cancel()
    await turn()
    other.go.set()
    await first
    await turn()
    assert other.batches == [[1.0]]
    assert batcher.load == 0


async def test_what_nobody_waits_for_is_called_off() -> None:
    other = Other()
    other.go.clear()
    batcher = Batcher("here", other.run, at_once=1, budget_s=1.0, cancellable=True)
    asked = [asyncio.ensure_future(batcher.ask([n], 5)) for n in (1.0, 2.0)]
    await turn()
    asked[0].cancel()
    await turn()
    assert other.cancelled == 0, "somebody still waits"
    asked[1].cancel()
    await turn()
    assert (other.cancelled, batcher.load) == (1, 0)


async def test_a_crash_is_tried_again_one_by_one() -> None:
    async def run(questions: Sequence[float], left_s: float) -> list[Result]:
        if 2.0 in questions:
            raise EngineError("died", retryable=True, code=CRASHED)
        return [Answered(question, FACTS) for question in questions]

    batcher = Batcher("here", run, at_once=1, budget_s=1.0)
    asked = await asyncio.gather(*(batcher.ask([n], 5) for n in (1.0, 2.0, 3.0)), return_exceptions=True)
    assert isinstance(asked[1], EngineError)
    assert [values(each) for each in asked if not isinstance(each, BaseException)] == [[1.0], [3.0]]


async def test_a_bug_is_a_typed_failure() -> None:
    async def run(questions: Sequence[float], left_s: float) -> list[Result]:
        raise ZeroDivisionError("oh")

    batcher = Batcher("here", run, at_once=1, budget_s=1.0)
    with pytest.raises(EngineError, match="ZeroDivisionError") as raised:
        await batcher.ask([1.0], 5)
    assert not raised.value.retryable
    assert batcher.load == 0


async def test_too_many_are_sent_away() -> None:
    other = Other()
    other.go.clear()
    batcher = Batcher("here", other.run, at_once=1, budget_s=1.0, most_waiting=2)
    asked = [asyncio.ensure_future(batcher.ask([n], 5)) for n in (1.0,)]
    await turn()
    asked += [asyncio.ensure_future(batcher.ask([n], 5)) for n in (2.0, 3.0)]
    await turn()
    with pytest.raises(HeldBack):
        await batcher.ask([4.0], 5)
    other.go.set()
    await asyncio.gather(*asked)


async def test_a_deadline_fails_its_own_question_only() -> None:
    other = Other()
    other.go.clear()
    batcher = Batcher("here", other.run, at_once=1, budget_s=1.0)
    patient = asyncio.ensure_future(batcher.ask([1.0], 5))
    with pytest.raises(EngineError) as raised:
        await batcher.ask([2.0], 0.01)
    assert raised.value.code == "deadline"
    other.go.set()
    assert values(await patient) == [2.0]
