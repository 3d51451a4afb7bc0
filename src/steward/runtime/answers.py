"""The answers of people: each is checked against the run as it stands, and the ledger's keys have the last word."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, NotRequired, Protocol, TypedDict, Unpack
from uuid import UUID

from steward.clock import Clock
from steward.decision.checks import nearest
from steward.decision.decision import Decision
from steward.entries import Endorsed
from steward.errors import Conflict, NotFound, StewardError
from steward.insight.views import Views
from steward.ledger.port import Commit, Entry
from steward.ledger.run import Run
from steward.loop import verdicts
from steward.loop.act import typed_choice
from steward.loop.asks import Approval
from steward.loop.encode import draft
from steward.loop.gate import Keyed, escalate, expect_again, expire, settle
from steward.loop.verdicts import Said
from steward.records import Money
from steward.runtime.journal import Journal

Verdict = Callable[[Run, Said], Sequence[Keyed]]


class Words(TypedDict):
    """What every answer says: the fields of :class:`steward.loop.verdicts.Said`, but when."""

    by: str
    reason: str
    evidence: NotRequired[str | None]
    groups: NotRequired[frozenset[str]]
    confirmed_up_to: NotRequired[float | None]


class Runs(Protocol):
    """What runs are read from: a ledger, or whatever reads one."""

    async def of_run(self, run_id: UUID) -> Sequence[Entry]:
        """Return all entries of one run, in order."""
        ...


class Answers:
    """Takes what people answer and writes it down; each method returns the run as it stands then.

    All raise as :func:`steward.loop.verdicts.approve`, ``NotFound`` for an unknown run, and ``Conflict`` (``code`` is
    ``stopped``) while the decision is stopped.

    Args:
        journal: Where entries are written.
        decisions: The declarations, by name.
        clock: Says when.
        is_stopped: Whether a decision is stopped.
    """

    def __init__(
        self,
        journal: Journal,
        decisions: Mapping[str, Decision[Any, Any, Any]],
        clock: Clock,
        is_stopped: Callable[[str], bool],
    ) -> None:
        self._journal, self._decisions, self._clock, self._is_stopped = journal, decisions, clock, is_stopped

    async def approve(self, decision_id: UUID, **words: Unpack[Words]) -> Run:
        """Agree with what is asked; see :func:`steward.loop.verdicts.approve`."""
        return await self._answer(decision_id, verdicts.approve, words)

    async def reject(self, decision_id: UUID, **words: Unpack[Words]) -> Run:
        """Refuse what is asked; see :func:`steward.loop.verdicts.reject`."""
        return await self._answer(decision_id, verdicts.reject, words)

    async def change(self, decision_id: UUID, choice: object, **words: Unpack[Words]) -> Run:
        """Put a choice of one's own in the place of what is asked; see :func:`steward.loop.verdicts.change`."""

        def verdict(run: Run, said: Said) -> Sequence[Keyed]:
            return verdicts.change(run, said, self._declared(run), choice)

        return await self._answer(decision_id, verdict, words)

    async def question(self, decision_id: UUID, **words: Unpack[Words]) -> Run:
        """Ask back; the ``reason`` is the question."""
        return await self._answer(decision_id, verdicts.question, words)

    async def reply(self, decision_id: UUID, **words: Unpack[Words]) -> Run:
        """Answer the open question; the ``reason`` is the reply. Anybody may."""
        return await self._answer(decision_id, verdicts.reply, words)

    async def escalate(self, decision_id: UUID, *, to: str | None = None, **words: Unpack[Words]) -> Run:
        """Ask the next group of the ladder too, or the one named; see :func:`steward.loop.verdicts.escalate`."""
        return await self._answer(decision_id, partial(verdicts.escalate, to=to), words)

    async def snooze(self, decision_id: UUID, *, until: datetime, **words: Unpack[Words]) -> Run:
        """Do not remind this person before ``until``; see :func:`steward.loop.verdicts.snooze`."""
        return await self._answer(decision_id, partial(verdicts.snooze, until=until), words)

    def obstacle(self, run: Run, **words: Unpack[Words]) -> StewardError | None:
        """Return why somebody could not agree to what a run asks now, ``None`` if they can; nothing is written."""
        if run.is_waiting and self._is_stopped(run.record.decision):
            return stopped(run.record.decision)
        words["evidence"] = None if run.asked is None else run.asked.evidence
        try:
            verdicts.approve(run, Said(at=self._clock.now(), **words))
        except StewardError as error:
            return error
        return None

    def expects(self, run: Run, choice: object) -> Money | None:
        """Return what a choice, as plain data, is expected to earn in a run, if its decision says how to tell.

        Raises:
            NotFound: The decision is not declared any more.
            StewardError: Its code has changed since, and cannot tell.
        """
        decision = self._declared(run)
        return expect_again(decision, run.record, typed_choice(decision, choice))

    async def remind(self, run: Run) -> None:
        """Do what is due for a run that waits: settle it, let it expire, or climb the ladder; and look again later."""
        assert run.asked is not None
        facts, now, run_id = run.asked.gate, self._clock.now(), run.record.decision_id
        assert isinstance(facts.deadline, datetime)
        if (settled := settle(run)) is not None:
            await self._write(settled)
        elif now >= facts.deadline:
            await self._write(expire(run, now))
        elif (escalated := escalate(run, now)) is not None:
            await self._write(escalated)
            self._journal.agenda.put(run_id, now)
        else:
            later = [rung.at for rung in facts.ladder if rung.at > now]
            self._journal.agenda.put(run_id, min(later, default=facts.deadline))

    async def _answer(self, decision_id: UUID, verdict: Verdict, words: Words) -> Run:
        run = await self._run(decision_id)
        said = Said(at=self._clock.now(), **words)
        if run.is_waiting and self._is_stopped(run.record.decision):
            raise stopped(run.record.decision)
        steps = verdict(run, said)
        try:
            await self._journal.append(Commit(entries=[draft(*step) for step in steps]))
        except Conflict as error:
            raise overtaken(run, await self._run(decision_id), said.by) from error
        return await self._counted(run, steps, said.by)

    async def _counted(self, before: Run, steps: Sequence[Keyed], by: str) -> Run:
        """Return the run as it stands; an agreement that came too late to count is told to whoever gave it."""
        run = await self._run(before.record.decision_id)
        last = steps[-1][0]
        if not isinstance(last, Endorsed):
            return run
        if last not in run.endorsed:
            raise overtaken(before, run, by)
        if (settled := settle(run)) is not None:
            await self._write(settled)
            run = await self._run(before.record.decision_id)
        return run

    async def _write(self, keyed: Keyed) -> None:
        with suppress(Conflict):  # somebody else took this step at the same moment; theirs stands
            await self._journal.append(Commit(entries=[draft(*keyed)]))

    async def _run(self, decision_id: UUID) -> Run:
        return Run.of(await self._journal.ledger.of_run(decision_id), decision_id)

    def _declared(self, run: Run) -> Decision[Any, Any, Any]:
        name = run.record.decision
        if name not in self._decisions:
            raise NotFound(f"no decision is named {name!r} now", fix=nearest(name, self._decisions), field="name")
        return self._decisions[name]


async def approvals(
    views: Views,
    ledger: Runs,
    limit: int = 100,
    *,
    is_stopped: Callable[[str], bool],
    among: Collection[str] | None = None,
) -> list[Approval]:
    """Return what people are asked now, the next deadline first, ``among`` some decisions only.

    Args:
        views: Tells which runs wait; it must have caught up.
        ledger: Tells what is asked in each, or whatever reads one.
        limit: The most that are returned.
        is_stopped: Whether a decision is stopped.
        among: The only decisions that are looked at.
    """
    found = []
    for row in views.waiting(limit, among=among):
        run = Run.of(await ledger.of_run(row.decision_id), row.decision_id)
        if run.is_waiting:
            found.append(Approval.of(run, is_stopped=is_stopped(row.decision)))
        await asyncio.sleep(0)  # a long list holds up nobody
    return found


def stopped(decision: str) -> Conflict:
    """Return the error for an answer while nothing may be answered."""
    return Conflict(
        f"{decision!r} is stopped, and what waits is frozen",
        fix="see why: steward stops; two people lift it: steward resume",
        code="stopped",
    )


def overtaken(before: Run, now: Run, by: str) -> StewardError:
    """Return the error for somebody whose entries met another's: the ledger has refused them, or they do not count."""
    if now.round != before.round and now.is_waiting:
        return verdicts.evidence_changed()
    if not now.is_waiting:
        return now.answered_by()
    if part := now.barred.get(by):
        return verdicts.had_part(by, part)
    return Conflict(f"{by} has answered already", fix="somebody else must agree too", code="already-endorsed")
