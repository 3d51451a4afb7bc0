"""An engine: models answered on this machine, each where it disturbs nobody.

What answers in microseconds stays on the event loop's thread: a hop would cost more than the answer. What is slower
goes to worker threads if it lets go of the interpreter's lock while it computes, else to worker processes. Which of
them is found out when the model is opened, or declared.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Self

import numpy as np
from msgspec import Struct

from steward.errors import DeclarationError, EngineError
from steward.models.artefact import Artefact
from steward.models.port import LoadedModel
from steward.records import ServingFacts
from steward.serving.batching import Batcher
from steward.serving.port import Answered, Row, closed
from steward.serving.processes import Processes
from steward.serving.worker import matrix

NAME: Final = "in-process"
LOOP_BELOW_US: Final = 200.0
"""Up to this time for one row a model stays on the loop's thread; a hop to a thread and back costs about 60 µs."""
_OVERLAP: Final = 1.25
_PROBE_S: Final = 0.03
_PROBES: Final = 3


class Place(StrEnum):
    """Where a model is answered.

    Example:
        >>> Place("threads").name
        'THREADS'
    """

    LOOP = "loop"
    THREADS = "threads"
    PROCESSES = "processes"


class Measured(Struct, frozen=True):
    """How a model answers on this machine.

    Attributes:
        one_us: The median time of one row, in microseconds.
        overlap: How many threads got to compute at a time while it answered: near 1 if it holds the lock.

    Example:
        >>> Measured(one_us=4.1, overlap=1.9).place.value, Measured(one_us=9_000, overlap=1.0).place.value
        ('loop', 'processes')
    """

    one_us: float
    overlap: float

    @property
    def place(self) -> Place:
        """Where such a model disturbs nobody."""
        if self.one_us <= LOOP_BELOW_US:
            return Place.LOOP
        return Place.THREADS if self.overlap >= _OVERLAP or (os.cpu_count() or 1) < 2 else Place.PROCESSES


def measure(model: LoadedModel) -> Measured:
    """Find out how a model answers: how long one row takes, and whether others can compute meanwhile."""
    row = [0.0] * len(model.inputs)
    model.predict_one(row)
    times = []
    for _ in range(11):
        started = time.perf_counter()
        model.predict_one(row)
        times.append(time.perf_counter() - started)
    one_s = statistics.median(times)
    if one_s * 1e6 <= LOOP_BELOW_US:
        return Measured(one_s * 1e6, 1.0)
    rows = np.zeros((max(1, min(1000, int(_PROBE_S / 4 / one_s))), len(model.inputs)))
    return Measured(one_s * 1e6, max(overlap(lambda: model.predict(rows)) for _ in range(_PROBES)))


def overlap(work: Callable[[], object]) -> float:
    """Return how much processor time two threads got in a second, one of which does ``work``.

    The other lets go of the lock again and again: it gets to run only if ``work`` does not hold it.
    """

    def computed() -> float:
        began, until = time.thread_time(), time.perf_counter() + _PROBE_S
        while time.perf_counter() < until:
            work()
        return time.thread_time() - began

    with ThreadPoolExecutor(1) as pool:
        started, mine = time.perf_counter(), time.thread_time()
        running = pool.submit(computed)
        while not running.done():
            time.sleep(0)
        return (running.result() + time.thread_time() - mine) / (time.perf_counter() - started)


class InProcess:
    """A model of this process, behind the port.

    Args:
        model: The loaded model.
        place: Where it is answered.
        batcher: What gathers questions for its workers; ``None`` on the loop.
        release: Lets go of the workers.

    Attributes:
        name: ``in-process``.
        place: Where it is answered.

    Example:
        >>> from steward.models.engines.functions import FunctionModel
        >>> async def ask() -> object:
        ...     engine = await InProcess.open(FunctionModel("twice", lambda x: 2 * x), place=Place.THREADS)
        ...     [answer] = await engine.answer([[21.0]], within_s=1.0)
        ...     await engine.close()
        ...     return answer.value
        >>> asyncio.run(ask())
        42.0
    """

    def __init__(
        self,
        model: LoadedModel,
        place: Place,
        batcher: Batcher[Row] | None,
        release: Callable[[], Awaitable[None]],
    ) -> None:
        self.name, self.place = NAME, place
        self._model, self._batcher, self._release = model, batcher, release
        self._matrix, self._is_closed = matrix(model), False

    @classmethod
    async def open(
        cls,
        model: LoadedModel,
        *,
        artefact: Artefact | None = None,
        place: Place | None = None,
        workers: int = 2,
        budget: timedelta = timedelta(milliseconds=20),
    ) -> Self:
        """Open the engine.

        Args:
            model: The loaded model.
            artefact: Where it came from; worker processes load it from there.
            place: Where to answer; measured by default.
            workers: How many threads or processes.
            budget: How long a batch may take.

        Raises:
            DeclarationError: Processes are asked for, but the model is no artefact.
            EngineError: The workers do not start.
        """
        if place is None:
            place = (await asyncio.to_thread(measure, model)).place
            if place is Place.PROCESSES and artefact is None:
                place = Place.THREADS
        if place is Place.LOOP:
            return cls(model, place, None, _nothing)
        if place is Place.THREADS:
            return cls(model, place, *_threads(model, workers, budget.total_seconds()))
        if artefact is None:
            raise DeclarationError(
                f"model {model.name!r} cannot be answered by processes",
                why="they load it from the registry, and it does not come from there",
                fix="register it, or let threads answer",
            )
        processes = Processes(artefact, workers)
        await processes.open()

        async def run(rows: Sequence[Row], left_s: float) -> list[Answered]:
            return answered(await processes.run(rows, left_s))

        batcher = Batcher(NAME, run, at_once=workers, budget_s=budget.total_seconds())
        return cls(model, place, batcher, processes.close)

    @property
    def load(self) -> float:
        """The share of its workers that is busy; above 1 somebody waits."""
        return 0.0 if self._batcher is None else self._batcher.load

    async def answer(self, questions: Sequence[Row], *, within_s: float) -> Sequence[Answered | EngineError]:
        """Answer rows; see :class:`steward.serving.port.Served`."""
        if self._is_closed:
            raise closed(NAME)
        if not questions:
            return []
        width = len(self._model.inputs)
        if any(len(row) != width for row in questions):
            raise EngineError(f"a row to {self._model.name!r} holds {width} numbers", code="wrong-width")
        if self._batcher is not None:
            return await self._batcher.ask(questions, within_s)
        return answered(self._matrix(np.array(questions, np.float64)))

    async def close(self) -> None:
        """Let go of the workers."""
        self._is_closed = True
        if self._batcher is not None:
            await self._batcher.close()
        await self._release()


_FACTS: Final = ServingFacts(endpoint=NAME)


def answered(answers: Any, facts: ServingFacts = _FACTS) -> list[Answered]:
    """Return ``(n, c)`` numbers as answers: a number each, or a tuple of probabilities."""
    if answers.shape[1] == 1:
        return [Answered(value, facts) for value in answers[:, 0].tolist()]
    return [Answered(tuple(values), facts) for values in answers.tolist()]


async def _nothing() -> None:
    """Let go of nothing."""


def _threads(model: LoadedModel, workers: int, budget_s: float) -> tuple[Batcher[Row], Callable[[], Awaitable[None]]]:
    pool = ThreadPoolExecutor(workers, thread_name_prefix=f"serving-{model.name}")
    compute = matrix(model)

    async def run(rows: Sequence[Row], left_s: float) -> list[Answered]:
        batch = np.array(rows, np.float64)
        # A thread cannot be called off: its place is free when it ends, and not before.
        return answered(await asyncio.shield(asyncio.get_running_loop().run_in_executor(pool, compute, batch)))

    async def close() -> None:
        pool.shutdown(wait=False, cancel_futures=True)

    return Batcher(NAME, run, at_once=workers, budget_s=budget_s), close
