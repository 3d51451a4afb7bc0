"""The one writer: a thread that gathers waiting commits into groups and answers them after the shared fsync."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue

from steward.clock import Clock
from steward.errors import EngineError, StewardError
from steward.ledger.port import Commit, Committed, stale_basis
from steward.ledger.sqlite_errors import meaning_of
from steward.ledger.sqlite_store import Store

MOST_ENTRIES_A_GROUP = 8192

Answer = asyncio.Future[Committed]
_Outcome = tuple[asyncio.Future[object], object]


class _Append:
    __slots__ = ("answer", "commit", "loop")

    def __init__(self, commit: Commit) -> None:
        self.commit = commit
        self.loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[object] = self.loop.create_future()


class _Call:
    __slots__ = ("answer", "function", "last", "loop")

    def __init__(self, function: Callable[[], object], *, last: bool) -> None:
        self.function, self.last = function, last
        self.loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[object] = self.loop.create_future()


class Writer:
    """Runs the store in a thread of its own.

    Args:
        store: The tables; nobody else may write them.
        clock: Tells when the next checkpoint is due.
        checkpoint: Signs and stores the head.
        checkpoint_every: The longest time that entries stay without a checkpoint while others arrive.

    Attributes:
        failures: How many times appending has failed, as far as told: it changes before those who wait hear of it.
    """

    def __init__(
        self, store: Store, *, clock: Clock, checkpoint: Callable[[], object], checkpoint_every: timedelta
    ) -> None:
        self._store, self._clock, self._checkpoint = store, clock, checkpoint
        self._every = checkpoint_every
        self._queue: SimpleQueue[_Append | _Call | None] = SimpleQueue()
        self._urgent: SimpleQueue[_Append] = SimpleQueue()
        self._signed_at: datetime = clock.now()
        self._signed_size = store.frontier.size
        self._trouble: StewardError | None = None
        self.failures = self._failed = 0
        self._thread = threading.Thread(target=self._work, name="steward-ledger-writer", daemon=True)
        self._thread.start()

    async def append(self, commit: Commit) -> Committed:
        """Hand over a commit and wait until it is durable."""
        request = _Append(commit)
        if commit.urgent:
            self._urgent.put(request)
            self._queue.put(None)  # where it would have stood; wakes the thread
        else:
            self._queue.put(request)
        answer = await request.answer
        if not isinstance(answer, Committed):
            raise TypeError(answer)
        return answer

    async def call(self, function: Callable[[], object], *, last: bool = False) -> object:
        """Run a function in the writer's thread, after all that was handed over before; end there if ``last``."""
        request = _Call(function, last=last)
        self._queue.put(request)
        return await request.answer

    def _work(self) -> None:
        running = True
        while running:
            group, call = self._gather()
            if group:
                self._write(group)
            if call is not None:
                self._tell(call.loop, [(call.answer, _outcome_of(call.function))])
                running = not call.last
            elif self._is_due(idle=not group):
                self._sign()

    def _gather(self) -> tuple[list[_Append], _Call | None]:
        """Return all commits that wait, up to a limit, and the call that comes after them, if any.

        What is urgent goes first, so that at most the group under way is written before it.
        """
        group: list[_Append] = []
        entries = 0
        unsigned = self._store.frontier.size != self._signed_size
        try:
            request = self._queue.get(timeout=self._every.total_seconds() if unsigned else None)
            self._take_urgent(group)
            while not isinstance(request, _Call):
                if request is None:
                    self._take_urgent(group)
                else:
                    group.append(request)
                    entries += len(request.commit.entries) + len(request.commit.messages)
                if entries >= MOST_ENTRIES_A_GROUP:
                    return group, None
                request = self._queue.get_nowait()
        except Empty:
            return group, None
        return group, request

    def _take_urgent(self, group: list[_Append]) -> None:
        with suppress(Empty):
            while True:
                group.append(self._urgent.get_nowait())

    def _write(self, group: list[_Append]) -> None:
        if self._trouble is not None:
            self._sign()
        refused = [request for request in group if request.commit.basis not in (None, self._failed)]
        if refused:
            self._answer(refused, [stale_basis()] * len(refused))
            group = [request for request in group if request not in refused]
        if not group:
            return
        outcome: object = self._trouble
        if outcome is None:
            outcome = _outcome_of(lambda: self._store.write([request.commit for request in group]))
        if isinstance(outcome, list):
            self._answer(group, outcome)
        else:
            self._failed += 1
            self._answer(group, [outcome] * len(group))

    def _answer(self, group: list[_Append], outcome: list[object]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Outcome]] = {}
        for request, answer in zip(group, outcome, strict=True):
            by_loop.setdefault(request.loop, []).append((request.answer, answer))
        for loop, outcomes in by_loop.items():
            self._tell(loop, outcomes)

    def _tell(self, loop: asyncio.AbstractEventLoop, outcomes: list[_Outcome]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._settle, outcomes, self._failed)

    def _settle(self, outcomes: list[_Outcome], failed: int) -> None:
        self.failures = max(self.failures, failed)
        for answer, outcome in outcomes:
            if not answer.done():
                if isinstance(outcome, BaseException):
                    answer.set_exception(outcome)
                else:
                    answer.set_result(outcome)

    def _is_due(self, *, idle: bool) -> bool:
        if self._store.frontier.size == self._signed_size:
            return False
        since = self._clock.now() - self._signed_at
        return idle or since >= self._every or since < timedelta(0)

    def _sign(self) -> None:
        # Entries without a checkpoint outside the database could be cut off unseen: no appends until it works again.
        outcome = _outcome_of(self._checkpoint)
        self._trouble = outcome if isinstance(outcome, StewardError) else None
        self._signed_at = self._clock.now()
        if self._trouble is None:
            self._signed_size = self._store.frontier.size


def _outcome_of(function: Callable[[], object]) -> object:
    """Return what a function returns or raises: whoever waits must hear of every failure."""
    try:
        return function()
    except sqlite3.Error as error:
        return meaning_of(error)
    except StewardError as error:
        return error
    except Exception as error:
        return EngineError("the ledger's writer failed", why=repr(error), fix="report this as a defect of Steward")
