"""The stop switch: a stopped decision is still computed, but nothing is dispatched, and no question is answered.

All entries about stops belong to one run and are numbered by their keys (``stop/0``, ``stop/1`` …): the state is read
with one look-up however long the ledger is, and of two writers that know the same state only one is right.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from steward.clock import Clock
from steward.decision.checks import nearest
from steward.entries import Resumed, Resuming, Stopped
from steward.errors import Conflict, ContractError, NotFound
from steward.ledger.port import Commit, Draft, Entry
from steward.ledger.run import body_of
from steward.runtime.journal import Journal

EVERY: Final = "*"
"""Every decision at once."""
STOPS_RUN: Final = UUID("00000000-0000-8000-8000-73746f707065")
"""The run of all entries about stops."""
_TRIES: Final = 100
"""How often a writer that was overtaken reads on and thinks again."""


class Stop(Struct, frozen=True, kw_only=True):
    """A stop that stands.

    Attributes:
        decision: What is stopped; ``*`` is every decision.
        by: Who stopped it.
        at: When.
        reason: Why.
        resuming_by: The first of the two people who want to lift it.

    Example:
        >>> from datetime import UTC
        >>> Stop(decision="*", by="ana", at=datetime(2026, 1, 1, tzinfo=UTC), reason="smoke in the hall").decision
        '*'
    """

    decision: str
    by: str
    at: datetime
    reason: str
    resuming_by: str | UnsetType = UNSET


class Stops:
    """What is stopped now, kept in memory and folded from the ledger.

    Args:
        journal: Where entries are written.
        decisions: The names of the declared decisions.
        clock: Says when.
    """

    def __init__(self, journal: Journal, decisions: Collection[str], clock: Clock) -> None:
        self._journal, self._decisions, self._clock = journal, decisions, clock
        self._standing: dict[str, Stop] = {}
        self._unwritten: dict[str, Stop] = {}
        self._held: dict[UUID, str] = {}
        self._count = 0

    async def open(self) -> None:
        """Restore what stands from the ledger."""
        entries = await self._journal.ledger.of_run(STOPS_RUN)
        self._standing = stops_of(entries)
        self._count = len(entries)

    def is_stopped(self, decision: str) -> bool:
        """Tell whether nothing of a decision may be dispatched; asked right before each dispatch."""
        if not self._standing and not self._unwritten:
            return False
        return concerns(self._standing, decision) or concerns(self._unwritten, decision)

    def holds(self, run_id: UUID, decision: str) -> bool:
        """Tell whether a decision is stopped; if so, look at the run again once that is lifted."""
        if not self.is_stopped(decision):
            return False
        self._held[run_id] = decision
        return True

    def standing(self) -> Sequence[Stop]:
        """Return the stops that stand, the oldest first."""
        return sorted((self._standing | self._unwritten).values(), key=lambda stop: stop.at)

    async def stop(self, decision: str = EVERY, *, by: str, reason: str) -> Stop:
        """Stop a decision, or every one. It is in force at once, in this process even before it is durable.

        Stopped again, the new reason stands, and a first wish to lift it is void.

        Raises:
            NotFound: No such decision.
            ContractError: There is no name or no reason.
            EngineError: It cannot be written. In this process it is in force all the same.
        """
        _check_words(by, reason)
        if decision != EVERY and decision not in self._decisions:
            raise NotFound(
                f"no decision is named {decision!r}", fix=nearest(decision, (*self._decisions, EVERY)), field="decision"
            )
        stop = Stop(decision=decision, by=by, at=self._clock.now(), reason=reason)
        self._unwritten[decision] = stop
        await self._write(stop)
        return self._standing.get(decision, stop)

    async def resume(self, decision: str = EVERY, *, by: str, reason: str) -> Stop | None:
        """Want a stop to be lifted; it is with the second person. Return what still stands of it.

        Raises:
            Conflict: It does not stand (``code`` is ``not-stopped``), or the same person wants it twice
                (``second-person``).
            ContractError: There is no name or no reason.
            EngineError: It cannot be written; it stands on.
        """
        _check_words(by, reason)
        for unwritten in list(self._unwritten.values()):
            await self._write(unwritten)
        for _ in range(_TRIES):
            standing = self._standing.get(decision)
            if standing is None:
                raise Conflict(f"{decision!r} is not stopped", fix="list them: steward stops", code="not-stopped")
            if standing.resuming_by == by:
                raise Conflict(
                    f"{by} wants it to be lifted already", fix="somebody else must want it too", code="second-person"
                )
            if await self._append(_next(standing, by, reason, self._clock.now())):
                return self._standing.get(decision)
        raise Conflict("others change the stops all the time", fix="try again", code="stops-busy")

    async def release(self, decision: str, *, by: str, reason: str) -> bool:
        """Lift a stop that a declared decision set by itself, as an emergency does; it needs no second person.

        Args:
            decision: What it stopped.
            by: The declared decision. A stop that a person set, before or since, is not its own: it stands on.
            reason: Why.

        Returns:
            Whether it stood and was lifted.

        Raises:
            NotFound: ``by`` is no declared decision.
            ContractError: There is no reason.
            EngineError: It cannot be written; it stands on.
        """
        _check_words(by, reason)
        if by not in self._decisions:
            raise NotFound(
                f"no decision is named {by!r}", why="what people stop takes two people to resume", field="by"
            )
        for _ in range(_TRIES):
            standing = self._standing.get(decision)
            if standing is None or standing.by != by:
                return False
            body = Resumed(
                decision_id=STOPS_RUN, decision=decision, at=self._clock.now(), by=by, first=by, reason=reason
            )
            if await self._append(body):
                return True
        raise Conflict("others change the stops all the time", fix="try again", code="stops-busy")

    async def _write(self, stop: Stop) -> None:
        body = Stopped(decision_id=STOPS_RUN, decision=stop.decision, at=stop.at, by=stop.by, reason=stop.reason)
        while not await self._append(body):
            pass  # a stop is right whatever the others wrote
        if self._unwritten.get(stop.decision) == stop:
            del self._unwritten[stop.decision]

    async def _append(self, body: Stopped | Resuming | Resumed) -> bool:
        """Write the next entry and fold it; ``False`` if another was written first, which is folded then."""
        kind = str(type(body).__struct_config__.tag)
        draft = Draft(kind, STOPS_RUN, msgspec.json.encode(body), f"stop/{self._count}")
        try:
            await self._journal.append(Commit(entries=(draft,), urgent=True))
        except Conflict:
            await self.open()
            self._let_go()
            return False
        await self.open()
        self._let_go()
        return True

    def _let_go(self) -> None:
        """Have a look at what was held and is not any more."""
        free = [run_id for run_id, decision in self._held.items() if not self.is_stopped(decision)]
        for run_id in free:
            del self._held[run_id]
            self._journal.agenda.put(run_id, self._clock.now())
        if free:
            self._journal.bell.ring()


def stops_of(entries: Sequence[Entry]) -> dict[str, Stop]:
    """Fold the entries of :data:`STOPS_RUN` into the stops that stand, by decision, the oldest first."""
    found: dict[str, Stop] = {}
    for entry in entries:
        body = body_of(entry)
        if isinstance(body, Stopped):
            found.pop(body.decision, None)
            found[body.decision] = Stop(decision=body.decision, by=body.by, at=body.at, reason=body.reason)
        elif isinstance(body, Resuming) and body.decision in found:
            found[body.decision] = msgspec.structs.replace(found[body.decision], resuming_by=body.by)
        elif isinstance(body, Resumed):
            found.pop(body.decision, None)
    return found


def concerns(standing: Collection[str], decision: str) -> bool:
    """Tell whether one of the stops that stand is for a decision.

    Example:
        >>> concerns({"pay.release"}, "pay.release"), concerns({"*"}, "pay.release"), concerns({"*"}, "*")
        (True, True, True)
    """
    return decision in standing or EVERY in standing


def _next(standing: Stop, by: str, reason: str, at: datetime) -> Resuming | Resumed:
    if isinstance(standing.resuming_by, str):
        return Resumed(
            decision_id=STOPS_RUN, decision=standing.decision, at=at, by=by, first=standing.resuming_by, reason=reason
        )
    return Resuming(decision_id=STOPS_RUN, decision=standing.decision, at=at, by=by, reason=reason)


def _check_words(by: str, reason: str) -> None:
    for name, value in (("by", by), ("reason", reason)):
        if not value.strip() or (name == "by" and value != value.strip()):
            raise ContractError(f"a stop needs {name}", fix="say who stops or resumes, and why", field=name)
