"""Follow: what comes after a decision by itself: deadlines, escalations, and the moves of its action."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import timedelta
from functools import partial
from uuid import UUID

from steward.clock import Clock
from steward.errors import EngineError
from steward.ledger.run import Run
from steward.runtime.journal import Journal
from steward.workflow.port import Workflow

_RETRY = timedelta(seconds=1)
"""The wait after the ledger could not be read or written."""
_MOST_AT_ONCE = 1000
"""How many runs are looked at side by side; more wait for their turn."""


class Follow:
    """Looks at runs that are due and does their next step. All it knows comes from the ledger.

    Args:
        journal: Where entries are written.
        decisions: The names of those declared; runs of others are left to the processes that know them.
        clock: Says when.
        workflow: Does what is due for a run that acts.
        remind: Does what is due for a run that waits for people.
        holds: Whether a decision is stopped; asked right before each step, and it then looks after the run.
    """

    def __init__(
        self,
        journal: Journal,
        decisions: Collection[str],
        clock: Clock,
        *,
        workflow: Workflow,
        remind: Callable[[Run], Awaitable[None]],
        holds: Callable[[UUID, str], bool],
    ) -> None:
        self._journal, self._decisions, self._clock = journal, decisions, clock
        self._workflow, self._remind, self._holds = workflow, remind, holds
        self._looks: dict[UUID, asyncio.Task[None]] = {}
        self._again: set[UUID] = set()
        self._failure: BaseException | None = None

    def inherit(self, run_ids: Iterable[UUID]) -> None:
        """Look at the unfinished runs of an earlier process."""
        for run_id in run_ids:
            self._journal.agenda.put(run_id, self._clock.now())

    async def step(self) -> int:
        """Do what is due now, side by side, and wait for it; return how many runs were looked at."""
        looks = self._begin()
        for result in await asyncio.gather(*looks, return_exceptions=True):
            if isinstance(result, BaseException):
                self._failure = None
                raise result
        return len(looks)

    async def begin(self) -> int:
        """Begin what is due now without waiting for it, so that a slow action holds up nobody.

        Raises:
            EngineError: An earlier look failed for good.
        """
        if self._failure is not None:
            raise self._failure
        return len(self._begin())

    async def look(self, run_id: UUID) -> None:
        """Look at one run now, and wait for it; what fails is told by :meth:`begin`."""
        if (earlier := self._looks.get(run_id)) is not None:
            await asyncio.wait([earlier])  # it may have read the run before what is to be seen now
        await asyncio.wait([self._looks.get(run_id) or self._start(run_id)])

    async def close(self) -> None:
        """Stop; what was under way is looked at again after the next start."""
        looks = list(self._looks.values())
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

    def _begin(self) -> list[asyncio.Task[None]]:
        begun = []
        for run_id in self._journal.agenda.due(self._clock.now(), max(_MOST_AT_ONCE - len(self._looks), 0)):
            if run_id in self._looks:
                self._again.add(run_id)
                continue
            begun.append(self._start(run_id))
        return begun

    def _start(self, run_id: UUID) -> asyncio.Task[None]:
        look = self._looks[run_id] = asyncio.create_task(self._look(run_id))
        look.add_done_callback(partial(self._ended, run_id))
        return look

    def _ended(self, run_id: UUID, look: asyncio.Task[None]) -> None:
        del self._looks[run_id]
        if not look.cancelled() and (error := look.exception()) is not None:
            self._failure = error
        if run_id in self._again:
            self._again.discard(run_id)
            self._journal.agenda.put(run_id, self._clock.now())
        self._journal.bell.ring()

    async def _look(self, run_id: UUID) -> None:
        try:
            entries = await self._journal.ledger.of_run(run_id)
            if not entries:
                return  # its commit failed
            run = Run.of(entries, run_id)
            if self._holds(run_id, run.record.decision):
                return
            if run.is_waiting:
                await self._remind(run)
            elif run.needs_action and run.record.decision in self._decisions:
                again = await self._workflow.go_on(run)
                if again is not None:
                    self._journal.agenda.put(run_id, again)
        except EngineError as error:
            if not error.retryable:
                raise
            self._journal.agenda.put(run_id, self._clock.now() + _RETRY)
