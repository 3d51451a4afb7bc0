"""Dead letters: effects and events that did not come through by themselves, and how they are let go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct

from steward.bus.deadletters import DEAD_LETTERS, DeadLetter
from steward.bus.port import Accepted
from steward.clock import Clock
from steward.entries import Doubted, Failed, Halted, Redriven
from steward.errors import Conflict, ContractError, NotFound
from steward.insight.views import Views
from steward.ledger.port import Commit, Draft, Message, StoredMessage
from steward.ledger.run import Run
from steward.records import Status
from steward.runtime.journal import Journal

_STUCK: Final = (Status.HALTED, Status.FAILED, Status.IN_DOUBT)


class DeadRun(Struct, frozen=True, kw_only=True):
    """A run whose effect did not come through.

    Attributes:
        decision_id: The run.
        decision: Its name.
        status: ``failed``, ``halted``, or ``in-doubt`` (which is still being tried).
        at: Since when.
        code: The error's stable code.
        reason: What happened, and whether it may have taken effect all the same; of a halted run, the question to the
            operator.

    Example:
        >>> DeadRun(decision_id=UUID(int=7), decision="pay.release", status=Status.FAILED, at=datetime(2026, 1, 1),
        ...         code="action-timeout", reason="no answer within 30 s").code
        'action-timeout'
    """

    decision_id: UUID
    decision: str
    status: Status
    at: datetime
    code: str
    reason: str


class DeadMessage(Struct, frozen=True, kw_only=True):
    """An event that no consumer could handle; ``offset`` is its place among the dead letters.

    Example:
        >>> DeadMessage(offset=3, topic="grid.load", source="meter-7", id="41", at=datetime(2026, 1, 1),
        ...             code="contract", reason="load_mw is missing").offset
        3
    """

    offset: int
    topic: str
    source: str
    id: str
    at: datetime
    code: str
    reason: str
    field: str | None = None


class DeadLettersNow(Struct, frozen=True, kw_only=True):
    """What did not come through: runs, the newest first, and events, the latest first.

    Example:
        >>> DeadLettersNow(runs=[], messages=[]).runs
        []
    """

    runs: Sequence[DeadRun]
    messages: Sequence[DeadMessage]


class DeadLetters:
    """Lists what did not come through, and publishes events once more.

    Args:
        journal: Where entries are written.
        views: Which runs stand where.
        clock: Says when.
        publish: Puts an event on the bus, if it fits its contract by now.
        topics: The decisions that each topic concerns.
    """

    def __init__(
        self,
        journal: Journal,
        views: Views,
        clock: Clock,
        *,
        publish: Callable[[Sequence[Message]], Awaitable[Accepted]],
        topics: Mapping[str, Collection[str]],
    ) -> None:
        self._journal, self._views, self._clock = journal, views, clock
        self._publish, self._topics = publish, topics

    async def now(self, limit: int = 100, *, among: Collection[str] | None = None) -> DeadLettersNow:
        """Return up to ``limit`` runs and events, ``among`` some decisions only."""
        await self._views.catch_up(self._journal.ledger)
        rows = [row for status in _STUCK for row in self._views.runs(status=status, limit=limit, among=among)]
        newest = sorted(rows, key=lambda row: row.decision_id, reverse=True)[:limit]
        runs = [_dead(Run.of(await self._journal.of_run(row.decision_id), row.decision_id)) for row in newest]
        return DeadLettersNow(
            runs=[run for run in runs if run is not None], messages=await self.messages(limit, among=among)
        )

    async def redrive(self, offset: int, *, by: str, reason: str) -> Accepted:
        """Publish an event once more, under an id of its own; it is recorded who wanted that.

        Raises:
            NotFound: There is no such dead letter, or nothing listens to its topic.
            ContractError: It still does not fit, or there is no name or reason.
            Conflict: It was published again before.
        """
        for name, value in (("by", by), ("reason", reason)):
            if not value.strip():
                raise ContractError(f"{name} is missing", fix="say who does it and why", field=name)
        stored = await self._journal.ledger.messages(DEAD_LETTERS, offset, 1) if offset >= 0 else ()
        if not stored:
            raise NotFound(f"there is no dead letter {offset}", fix="list them: steward dead-letters", field="offset")
        key, message = _redriven(offset), DeadLetter.of(stored[0].message).message
        if (earlier := await self._journal.ledger.by_key(key)) is not None:
            raise Conflict(f"dead letter {offset} was published again in entry {earlier.index}", code="overtaken")
        now = self._clock.now()
        again = msgspec.structs.replace(message, id=f"{message.id}/redriven/{offset}", known_at=now)
        accepted = await self._publish([again])  # the bus keeps one id once, so a crash before the entry does no harm
        body = Redriven(decision_id=self._clock.new_id(), decision=message.topic, at=now, by=by, reason=reason)
        with suppress(Conflict):  # somebody else did the same at this moment
            await self._journal.append(
                Commit(entries=(Draft("redriven", body.decision_id, msgspec.json.encode(body), key),))
            )
        return accepted

    async def messages(
        self, limit: int = 100, *, among: Collection[str] | None = None, open_only: bool = False
    ) -> list[DeadMessage]:
        """Return the events, of the last ``limit``, that no consumer could handle, the latest first.

        Args:
            limit: How many are looked at.
            among: Some decisions only.
            open_only: Leave out those that were published again.
        """
        count = (await self._journal.ledger.topics()).get(DEAD_LETTERS, 0)
        stored = await self._journal.ledger.messages(DEAD_LETTERS, max(count - limit, 0), limit)
        found = [
            letter for letter in map(_shown, reversed(stored)) if among is None or self._concerns(letter.topic, among)
        ]
        if not open_only:
            return found
        return [letter for letter in found if await self._journal.ledger.by_key(_redriven(letter.offset)) is None]

    def _concerns(self, topic: str, among: Collection[str]) -> bool:
        return any(name in among for name in self._topics.get(topic, ()))


def _redriven(offset: int) -> str:
    """Return the key of the entry that tells that a dead letter was published again."""
    return f"redriven:letter:{offset}"


def _dead(run: Run) -> DeadRun | None:
    """Return why a run stands where it does; ``None`` if it has just gone on."""
    body: Failed | Halted | Doubted | None = run.halted or run.failure or run.doubted
    if body is None:
        return None
    return DeadRun(
        decision_id=run.record.decision_id,
        decision=run.record.decision,
        status=run.status,
        at=body.at,
        code="in-doubt" if isinstance(body, Doubted) else body.code,
        reason=body.question if isinstance(body, Halted) else body.reason,
    )


def _shown(stored: StoredMessage) -> DeadMessage:
    letter = DeadLetter.of(stored.message)
    return DeadMessage(
        offset=stored.offset,
        topic=letter.message.topic,
        source=letter.message.source,
        id=letter.message.id,
        at=stored.message.known_at,
        code=letter.code,
        reason=letter.reason,
        field=letter.field,
    )
