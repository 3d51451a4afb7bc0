"""Notify: tells people what needs them, at least once, and writes down whom it told and whom it could not reach."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, count
from typing import Final

import msgspec
from msgspec import Struct

from steward.clock import Clock
from steward.entries import Notified, Resumed, Resuming, Stopped
from steward.errors import Conflict, EngineError, StewardError
from steward.ledger.port import Commit, Committed, Draft, Entry
from steward.ledger.run import Run, body_of
from steward.people.book import AddressBook
from steward.people.notice import Notice
from steward.people.plan import Delivery, deliveries
from steward.people.port import Channel
from steward.runtime.journal import Journal
from steward.runtime.notices import STOPS, TOLD, Decisions, of_run, of_stop

ATTEMPTS: Final = 5
BACKOFF: Final = timedelta(seconds=15)
"""The wait before the second try; doubled each time, so that the last is made after about four minutes."""
_CURSOR: Final = "notify"
_AT_ONCE: Final = 16
_PAGE: Final = 1000
_log = logging.getLogger("steward.notify")


class _Due(Struct):
    """One delivery that is still owed, for the entry at ``index``."""

    index: int
    notice: Notice
    to: Delivery
    attempt: int = 1
    again: bool = False
    failed: str = ""

    @property
    def key(self) -> str:
        return f"notified:{self.index}:{self.to.person}:{self.to.channel}"


class Notifier:
    """Tells people. What is owed is derived from the ledger, so that a restart forgets nothing.

    Args:
        journal: Tells of new entries, and takes what was told.
        decisions: The declarations, by name.
        book: Whom to reach and how.
        channels: The engines, by name.
        clock: Says when.
    """

    def __init__(
        self,
        journal: Journal,
        decisions: Decisions,
        book: AddressBook,
        channels: Mapping[str, Channel],
        clock: Clock,
    ) -> None:
        self._journal, self._decisions, self._clock = journal, decisions, clock
        self.book, self._channels = book, channels
        self._heard: list[Entry] = []
        self._due: list[tuple[datetime, int, _Due]] = []
        self._order = count()
        self._sending: set[asyncio.Task[None]] = set()
        self._owed: dict[int, int] = {}
        self._cursor = 0
        self._failure: BaseException | None = None
        journal.listen(self._hear)

    async def open(self) -> None:
        """Take up what an earlier process still owed."""
        ledger = self._journal.ledger
        self._cursor, size = await ledger.cursor(_CURSOR), await ledger.size()
        found: list[Entry] = []
        for kind in sorted(TOLD | STOPS):
            start = self._cursor
            while start < size and (page := await ledger.read(start, _PAGE, kind=kind)):
                found += page
                start = page[-1].index + 1
        for entry in sorted(found, key=lambda each: each.index):
            await self._plan(entry, again=True)

    async def step(self) -> int:
        """Tell all that is due now and wait for it; return how much was done."""
        done = await self.begin()
        while self._sending:
            await asyncio.wait(self._sending)
        self._raise_failure()
        return done

    async def begin(self) -> int:
        """Begin to tell what is due now, without waiting for slow servers; return how much was begun.

        Raises:
            EngineError: The ledger could not be read or written.
        """
        self._raise_failure()
        heard, self._heard = self._heard, []
        for place, entry in enumerate(heard):
            try:
                await self._plan(entry, again=False)
            except BaseException:
                self._heard = heard[place:] + self._heard
                raise
        begun = 0
        while self._due and self._due[0][0] <= self._clock.now() and len(self._sending) < _AT_ONCE:
            due = heapq.heappop(self._due)[2]
            task = asyncio.create_task(self._tell(due))
            self._sending.add(task)
            task.add_done_callback(partial(self._ended, due))
            begun += 1
        return len(heard) + begun

    def next_due(self) -> datetime | None:
        """Return when somebody is to be told next."""
        return self._due[0][0] if self._due and len(self._sending) < _AT_ONCE else None

    async def close(self) -> None:
        """Stop; what was not told is told after the next start."""
        sending = list(self._sending)
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)

    def _hear(self, committed: Committed, drafts: Sequence[Draft]) -> None:
        for index, draft in enumerate(drafts, committed.first_index):
            if draft.kind in TOLD or draft.kind in STOPS:
                self._heard.append(Entry(index, draft.kind, draft.run_id, draft.body))

    async def _plan(self, entry: Entry, *, again: bool) -> None:
        notice = await self._notice(entry)
        if notice is None:
            return
        for delivery in deliveries(self.book, notice, max(self._clock.now(), notice.at)):
            self._owed[entry.index] = self._owed.get(entry.index, 0) + 1
            self._put(_Due(entry.index, notice, delivery, again=again), delivery.at)

    async def _notice(self, entry: Entry) -> Notice | None:
        body = body_of(entry)
        if isinstance(body, Stopped | Resuming | Resumed):
            return of_stop(entry.index, body, self._decisions)
        entries = await self._journal.ledger.of_run(entry.run_id)
        if entries[0].kind != "decided":
            return None  # an event that failed before anything was decided
        return of_run(entry.index, body, Run.of(entries, entry.run_id), self._decisions.get(body.decision))

    def _put(self, due: _Due, at: datetime) -> None:
        heapq.heappush(self._due, (at, next(self._order), due))

    async def _tell(self, due: _Due) -> None:
        if due.again and await self._journal.ledger.by_key(due.key) is not None:
            return self._settle(due)
        if due.notice.is_question and not await self._is_open(due.notice):
            # Who was never reached is written down; who would only be told of what is over is not.
            return await self._write(due, due.failed) if due.failed else self._settle(due)
        channel = self._channels.get(due.to.channel)
        try:
            if channel is None:
                raise EngineError(f"there is no channel {due.to.channel!r}", code="engine.channel")
            await channel.send(due.notice, due.to.address)
        except StewardError as error:
            if due.attempt == 1:  # the error names no address, and no secret
                _log.warning("%s is not told of %s by %s yet: %s", due.to.person, due.key, due.to.channel, error)
            if getattr(error, "retryable", False) and due.attempt < ATTEMPTS:
                later = msgspec.structs.replace(due, attempt=due.attempt + 1, failed=str(error))
                self._put(later, self._clock.now() + BACKOFF * 2 ** (due.attempt - 1))
                return None
            await self._write(due, str(error))
        else:
            await self._write(due, "")
        return None

    async def _is_open(self, notice: Notice) -> bool:
        return Run.of(await self._journal.ledger.of_run(notice.run_id), notice.run_id).is_waiting

    async def _write(self, due: _Due, failed: str) -> None:
        body = Notified(
            decision_id=due.notice.run_id,
            decision=due.notice.decision,
            at=self._clock.now(),
            to=due.to.person,
            channel=due.to.channel,
            about=due.notice.about,
            failed=failed,
        )
        self._settle(due)
        unplanned = (entry.index for entry in self._heard)
        position = min(chain(self._owed, unplanned), default=self._journal.size)
        draft = Draft("notified", body.decision_id, msgspec.json.encode(body), due.key)
        cursors = {} if position <= self._cursor else {_CURSOR: position}
        try:
            await self._journal.append(Commit(entries=(draft,), cursors=cursors))
        except Conflict:
            return  # told twice around a restart; the first is written down
        self._cursor = max(self._cursor, position)

    def _settle(self, due: _Due) -> None:
        left = self._owed[due.index] = self._owed[due.index] - 1
        if not left:
            del self._owed[due.index]

    def _ended(self, due: _Due, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
            self._owed.setdefault(due.index, 1)
            self._put(due, self._clock.now() + BACKOFF)
        self._journal.bell.ring()

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
