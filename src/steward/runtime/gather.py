"""Gather: requests that arrive together share one batch, one model call and one commit."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar, cast

from steward.decision.lane import Lane
from steward.errors import EngineError

Q = TypeVar("Q")
A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)

BESIDE: Final = 100
"""How many questions of the batch lane are taken at a time where more urgent ones wait, too: some 10 ms of work."""


class _Asker(Protocol[A_contra]):
    """Who waits for an answer: a future, or a place in a group."""

    def done(self) -> bool: ...
    def set_result(self, result: A_contra, /) -> None: ...
    def set_exception(self, exception: Exception, /) -> None: ...


class Gather(Generic[Q, A]):
    """Collects what waits into batches, what is urgent first. An idle gatherer answers at once; no timer is waited for.

    Args:
        work: Answers a batch, question by question; an exception in an answer's place goes to its asker.
        max_batch: Most questions in one batch.
        max_waiting: Most questions that may wait in a lane; more are refused, as a queue that only grows helps nobody.
        at_once: How many batches may be under way: more than one only where a batch waits for somebody else.

    Example:
        >>> async def double(batch: Sequence[int]) -> list[int]:
        ...     return [2 * n for n in batch]
        >>> async def ask() -> list[int]:
        ...     gather = Gather(double, max_batch=10, max_waiting=100)
        ...     return await asyncio.gather(*(gather.ask(n) for n in range(3)))
        >>> asyncio.run(ask())
        [0, 2, 4]
    """

    def __init__(
        self,
        work: Callable[[Sequence[Q]], Awaitable[Sequence[A | Exception]]],
        *,
        max_batch: int,
        max_waiting: int,
        at_once: int = 1,
    ) -> None:
        self._work, self._max_batch, self._max_waiting, self._at_once = work, max_batch, max_waiting, at_once
        self._lanes: tuple[deque[tuple[Q, _Asker[A]]], ...] = tuple(deque() for _ in Lane)
        self._draining: set[asyncio.Task[None]] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a batch is under way."""
        return bool(self._draining)

    async def ask(self, question: Q, lane: Lane = Lane.NORMAL) -> A:
        """Return the answer.

        Raises:
            EngineError: Too many wait already; retryable.
        """
        waiting = self._lanes[lane]
        if len(waiting) >= self._max_waiting:
            raise _overloaded(len(waiting))
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        waiting.append((question, answer))
        self._drain_soon()
        return await answer

    async def ask_all(self, questions: Sequence[Q], lane: Lane = Lane.BATCH) -> Sequence[A | Exception]:
        """Return the answers to several questions, each an answer or what stopped it.

        They are answered in one batch if they fit into one and nothing more urgent waits.

        Raises:
            EngineError: Too many wait already; retryable.
        """
        waiting = self._lanes[lane]
        if waiting and len(waiting) + len(questions) > self._max_waiting:
            raise _overloaded(len(waiting))
        if not questions:
            return []
        group: _Group[A] = _Group(len(questions))
        waiting.extend((question, _Place(group, number)) for number, question in enumerate(questions))
        self._drain_soon()
        return await group.answered

    def _drain_soon(self) -> None:
        if len(self._draining) < self._at_once:
            self._draining.add(asyncio.get_running_loop().create_task(self._drain()))

    async def _drain(self) -> None:
        try:
            while any(self._lanes):
                await self._answer_batch()
        finally:
            # At once, not by a callback: whoever asks next must see that nobody drains any more.
            self._draining.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _answer_batch(self) -> None:
        """Answer what waits. Where nobody else is waited for, a batch grows while the one before it waits for the disk.

        Two at once make smaller batches (measured with 64 connections: 7,700 against 9,200 requests a second).
        """
        batch = self._take()
        try:
            answers: Sequence[A | Exception] = await self._work([question for question, _ in batch])
        except Exception as error:
            answers = [error] * len(batch)
        for (_, asker), answer in zip(batch, answers, strict=True):
            if asker.done():  # the asker has gone
                continue
            if isinstance(answer, Exception):
                asker.set_exception(answer)
            else:
                asker.set_result(answer)

    def _take(self) -> list[tuple[Q, _Asker[A]]]:
        batch: list[tuple[Q, _Asker[A]]] = []
        for lane, waiting in zip(Lane, self._lanes, strict=True):
            if waiting:
                room = self._max_batch - len(batch)
                if batch and lane is Lane.BATCH:
                    room = min(room, BESIDE)
                batch += [waiting.popleft() for _ in range(min(len(waiting), room))]
        return batch

    async def close(self) -> None:
        """Answer all who wait."""
        if self._draining:
            await asyncio.gather(*self._draining)


class _Group(Generic[A]):
    """The answers to questions that were asked together."""

    def __init__(self, size: int) -> None:
        self.answered: asyncio.Future[Sequence[A | Exception]] = asyncio.get_running_loop().create_future()
        self._answers: list[A | Exception | None] = [None] * size
        self._missing = size

    def put(self, number: int, answer: A | Exception) -> None:
        self._answers[number] = answer
        self._missing -= 1
        if not self._missing and not self.answered.done():
            self.answered.set_result(self._answers)  # type: ignore[arg-type] # none is missing


class _Place(Generic[A]):
    """One question's place in a group."""

    __slots__ = ("_group", "_number")

    def __init__(self, group: _Group[A], number: int) -> None:
        self._group, self._number = group, number

    def done(self) -> bool:
        return self._group.answered.done()

    def set_result(self, result: A, /) -> None:
        self._group.put(self._number, result)

    def set_exception(self, exception: Exception, /) -> None:
        self._group.put(self._number, exception)


def _overloaded(waiting: int) -> EngineError:
    return EngineError(f"{waiting} requests wait already", retryable=True, fix="try again later", code="overloaded")
