"""Follow: what comes after a decision by itself: deadlines, escalations, and the action with its tries."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from steward.clock import Clock
from steward.decision.decision import Decision
from steward.errors import Conflict, EngineError, StewardError
from steward.ledger.port import Commit, Draft
from steward.ledger.run import Run
from steward.loop import gate
from steward.loop.act import act, gave_up, wait_before
from steward.runtime.journal import Journal

_RETRY = timedelta(seconds=1)
"""The wait after the ledger could not be read or written."""


def answer_key(run_id: UUID) -> str:
    """Return the ledger key that only one answer to an ask can take, whoever gives it."""
    return f"answer:{run_id}"


class Follow:
    """Looks at runs that are due and does their next step. All it knows comes from the ledger."""

    def __init__(self, journal: Journal, decisions: Mapping[str, Decision[Any, Any, Any]], clock: Clock) -> None:
        self._journal, self._decisions, self._clock = journal, decisions, clock
        self._attempts: dict[UUID, int] = {}
        self._busy: set[UUID] = set()

    async def step(self) -> int:
        """Do what is due now, side by side; return how many runs were looked at."""
        due = [run_id for run_id in self._journal.agenda.due(self._clock.now()) if run_id not in self._busy]
        results = await asyncio.gather(*(self._look(run_id) for run_id in due), return_exceptions=True)
        for run_id, result in zip(due, results, strict=True):
            if isinstance(result, EngineError) and result.retryable:
                self._journal.agenda.put(run_id, self._clock.now() + _RETRY)
            elif isinstance(result, BaseException):
                raise result
        return len(due)

    async def _look(self, run_id: UUID) -> None:
        self._busy.add(run_id)
        try:
            run = Run.of(await self._journal.ledger.of_run(run_id), run_id)
            decision = self._decisions.get(run.record.decision)
            if run.is_waiting:
                await self._remind(run)
            elif decision is not None and decision.action is not None and run.needs_action:
                await self._act(decision, run)
        finally:
            self._busy.discard(run_id)

    async def _remind(self, run: Run) -> None:
        assert run.asked is not None
        facts, now, run_id = run.asked.gate, self._clock.now(), run.record.decision_id
        assert isinstance(facts.deadline, datetime)
        if now >= facts.deadline:
            await self._append(run_id, gate.expire(run, now), answer_key(run_id))
            return
        if isinstance(facts.escalate_at, datetime) and now < facts.escalate_at:
            self._journal.agenda.put(run_id, facts.escalate_at)
            return
        if (escalated := gate.escalate(run, now)) is not None:
            await self._append(run_id, escalated, f"escalated:{run_id}")
        self._journal.agenda.put(run_id, facts.deadline)

    async def _act(self, decision: Decision[Any, Any, Any], run: Run) -> None:
        assert decision.action is not None
        run_id = run.record.decision_id
        attempt = self._attempts[run_id] = self._attempts.get(run_id, 0) + 1
        try:
            acted = await act(decision, run, attempt=attempt, now=self._clock.now)
        except StewardError as error:
            if attempt < decision.action.attempts and getattr(error, "retryable", False):
                wait = wait_before(decision.action, attempt, self._clock.chance())
                self._journal.agenda.put(run_id, self._clock.now() + wait)
                return
            await self._append(run_id, gave_up(run, error, attempt=attempt, at=self._clock.now()), f"acted:{run_id}")
        else:
            await self._append(run_id, acted, f"acted:{run_id}")
        self._attempts.pop(run_id, None)

    async def _append(self, run_id: UUID, body: msgspec.Struct, key: str) -> None:
        kind = str(body.__struct_config__.tag)
        try:
            await self._journal.append(Commit(entries=(Draft(kind, run_id, msgspec.json.encode(body), key),)))
        except Conflict:
            return  # somebody else took this step at the same moment; theirs stands
