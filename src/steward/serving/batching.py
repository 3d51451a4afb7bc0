"""Adaptive micro-batching: who asks while all workers are busy is answered together with the others who do.

An idle worker answers at once; no timer is waited for. How many questions go together follows from what it takes: the
limit grows as long as full batches stay well within the budget, and shrinks when one exceeds it (additive increase,
multiplicative decrease, as in D. Crankshaw et al., *Clipper*, NSDI 2017, section 4.3.1).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from steward.errors import EngineError, HeldBack
from steward.serving.port import Answered, closed, too_late

Q = TypeVar("Q")
Result = Answered | EngineError
Run = Callable[[Sequence[Q], float], Awaitable[Sequence[Result]]]
"""Answers a batch; the second argument is how long somebody still waits for it, in seconds."""

CRASHED: Final = "worker-crashed"
"""The code of an error that one question may have brought upon all that were asked with it."""
_COMFORTABLE: Final = 0.7
_AFTER_EXCESS: Final = 0.85


class _Ask(Generic[Q]):
    """Questions that were asked together, and what became of them."""

    __slots__ = ("answered", "deadline_s", "missing", "questions", "results", "running", "taken")

    def __init__(self, questions: Sequence[Q], deadline_s: float) -> None:
        self.questions, self.deadline_s = questions, deadline_s
        self.results: list[Result | None] = [None] * len(questions)
        self.taken, self.missing = 0, len(questions)
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.running: set[_Running[Q]] = set()

    def put(self, start: int, results: Sequence[Result]) -> None:
        self.results[start : start + len(results)] = results
        self.missing -= len(results)
        if not self.missing and not self.answered.done():
            self.answered.set_result(None)


_Piece = tuple[_Ask[Q], int, int]


class _Running(Generic[Q]):
    """A batch under way."""

    __slots__ = ("pieces", "task")

    def __init__(self, pieces: Sequence[_Piece[Q]]) -> None:
        self.pieces = pieces
        self.task: asyncio.Task[None] | None = None


class Batcher(Generic[Q]):
    """Gathers questions into batches for some workers.

    Args:
        name: What errors call it.
        run: Answers a batch; its ``EngineError`` goes to all who are in it.
        at_once: How many batches may be under way.
        budget_s: How long a batch may take.
        most: Most questions in a batch.
        most_waiting: Most questions that may wait.
        cancellable: Whether ``run`` may be cancelled once nobody waits for any of its answers.

    Attributes:
        limit: How many questions go into a batch now.

    Example:
        >>> from steward.records import ServingFacts
        >>> facts, sizes = ServingFacts(endpoint="here"), []
        >>> async def double(questions: Sequence[float], left_s: float) -> list[Answered]:
        ...     sizes.append(len(questions))
        ...     await asyncio.sleep(0)
        ...     return [Answered(2 * n, facts) for n in questions]
        >>> async def ask() -> list[object]:
        ...     batcher = Batcher("here", double, at_once=1, budget_s=1.0)
        ...     answers = await asyncio.gather(*(batcher.ask([n], within_s=1.0) for n in range(5)))
        ...     return [answer.value for [answer] in answers]
        >>> asyncio.run(ask()), sizes
        ([0, 2, 4, 6, 8], [4, 1])
    """

    def __init__(
        self,
        name: str,
        run: Run[Q],
        *,
        at_once: int,
        budget_s: float,
        most: int = 1024,
        most_waiting: int = 10_000,
        cancellable: bool = False,
    ) -> None:
        self._name, self._run, self._at_once, self._budget_s = name, run, at_once, budget_s
        self._most, self._most_waiting, self._cancellable = most, most_waiting, cancellable
        self._asks: deque[_Ask[Q]] = deque()
        self._running: set[_Running[Q]] = set()
        self._waiting = 0
        self._is_scheduled = self._is_closed = False
        self.limit = min(4.0, float(most))

    @property
    def load(self) -> float:
        """The share of its places that is taken; above 1 somebody waits."""
        return (len(self._running) + self._waiting / max(self.limit, 1)) / self._at_once

    async def ask(self, questions: Sequence[Q], within_s: float) -> list[Result]:
        """Return the answers.

        Raises:
            EngineError: None could be answered; ``deadline`` in time.
            HeldBack: Too many wait.
        """
        if self._is_closed:
            raise closed(self._name)
        if not questions:
            return []
        if self._waiting and self._waiting + len(questions) > self._most_waiting:
            raise HeldBack(f"{self._waiting} questions to {self._name} wait already", code="overloaded")
        ask = _Ask(questions, asyncio.get_running_loop().time() + within_s)
        self._asks.append(ask)
        self._waiting += len(questions)
        self._schedule()
        try:
            async with asyncio.timeout(within_s):
                await ask.answered
        except TimeoutError:
            raise too_late(self._name, within_s) from None
        finally:
            self._forget(ask)
        return _told(ask.results)

    async def close(self) -> None:
        """Fail who waits, and let what is under way end."""
        self._is_closed = True
        for ask in list(self._asks):
            ask.put(ask.taken, [closed(self._name)] * (len(ask.questions) - ask.taken))
        tasks = [running.task for running in self._running if running.task is not None]
        if self._cancellable:
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _schedule(self) -> None:
        # Not at once: whoever asks in the same turn of the loop is in the same batch.
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._is_scheduled = False
        while self._waiting and len(self._running) < self._at_once:
            running = _Running(self._take())
            self._running.add(running)
            for ask, _, _ in running.pieces:
                ask.running.add(running)
            running.task = asyncio.get_running_loop().create_task(self._serve(running))

    def _take(self) -> list[_Piece[Q]]:
        pieces: list[_Piece[Q]] = []
        room = max(int(self.limit), 1)
        while room and self._asks:
            ask = self._asks[0]
            start = ask.taken
            ask.taken = stop = min(start + room, len(ask.questions))
            pieces.append((ask, start, stop))
            room -= stop - start
            self._waiting -= stop - start
            if stop == len(ask.questions):
                self._asks.popleft()
        return pieces

    async def _serve(self, running: _Running[Q]) -> None:
        time = asyncio.get_running_loop().time
        pieces, started = running.pieces, time()
        try:
            results = await self._answers(pieces)
            if isinstance(results, EngineError) and results.code == CRASHED and len(pieces) > 1:
                # One of them may be to blame: let the others not pay for it.
                for piece in pieces:
                    self._put([piece], await self._answers([piece]))
            else:
                self._put(pieces, results)
                self._learn(sum(stop - start for _, start, stop in pieces), time() - started)
        finally:
            self._running.discard(running)
            for ask, _, _ in pieces:
                ask.running.discard(running)
            self._schedule()

    async def _answers(self, pieces: Sequence[_Piece[Q]]) -> Sequence[Result] | EngineError:
        questions = [question for ask, start, stop in pieces for question in ask.questions[start:stop]]
        left_s = max(ask.deadline_s for ask, _, _ in pieces) - asyncio.get_running_loop().time()
        try:
            return await self._run(questions, max(left_s, 0.0))
        except EngineError as error:
            return error
        except Exception as error:
            failed = EngineError(f"{self._name} failed", why=f"{type(error).__name__}: {error}", code="serving-failed")
            failed.__cause__ = error
            return failed

    def _put(self, pieces: Sequence[_Piece[Q]], results: Sequence[Result] | EngineError) -> None:
        at = 0
        for ask, start, stop in pieces:
            count = stop - start
            ask.put(start, [results] * count if isinstance(results, EngineError) else results[at : at + count])
            at += count

    def _learn(self, size: int, took_s: float) -> None:
        if took_s > self._budget_s:
            self.limit = max(1.0, min(self.limit, size) * _AFTER_EXCESS)
        elif size >= int(self.limit) and took_s < self._budget_s * _COMFORTABLE:
            self.limit = min(float(self._most), self.limit + max(1.0, self.limit / 4))

    def _forget(self, ask: _Ask[Q]) -> None:
        """Take what has not begun out of the queue, and call off what nobody waits for any more."""
        if not ask.missing:
            return
        if ask.taken < len(ask.questions) and ask in self._asks:
            self._asks.remove(ask)
            self._waiting -= len(ask.questions) - ask.taken
        if not ask.answered.done():
            ask.answered.cancel()
        for running in ask.running if self._cancellable else ():
            if running.task and all(other.answered.done() for other, _, _ in running.pieces):
                running.task.cancel()


def _told(results: Sequence[Result | None]) -> list[Result]:
    """Return the results, or raise the one error that all of them share."""
    first = results[0]
    if isinstance(first, EngineError) and all(each is first for each in results):
        raise first
    return [each for each in results if each is not None]
