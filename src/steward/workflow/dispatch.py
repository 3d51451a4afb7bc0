"""Dispatch: calls the functions of a plan's steps, and asks right before each effect whether it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from steward.clock import Clock
from steward.decision.action import Action
from steward.decision.steps import Check
from steward.errors import HeldBack
from steward.ledger.run import Run
from steward.records import Receipt
from steward.workflow.moves import call_of
from steward.workflow.plan import Plan
from steward.workflow.reach import Reach, checked, directly, limited, plainly


class Stopped(Exception):
    """The decision is stopped: nothing was dispatched.

    Example:
        >>> isinstance(Stopped(), Exception)
        True
    """


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect of a run: an action, under its idempotency key.

    Example:
        >>> from steward.decision.action import Action
        >>> Effect(Plan((), code="ab"), None, Action(do=print), "pay.release/1").key
        'pay.release/1'
    """

    plan: Plan
    run: Run
    action: Action[Any]
    key: str


class Dispatcher:
    """Calls functions of steps.

    Args:
        clock: Tells until when a call may take.
        reach: What calls of actions go through.
        holds: Whether nothing may be dispatched for a run of a decision; asked right before each dispatch. Whoever
            says so looks after the run.

    Example:
        >>> from steward.clock import SystemClock
        >>> from steward.workflow.reach import directly
        >>> Dispatcher(SystemClock()).reach is directly
        True
    """

    def __init__(
        self, clock: Clock, reach: Reach = directly, holds: Callable[[UUID, str], bool] = lambda run_id, decision: False
    ) -> None:
        self._clock, self.reach, self._holds = clock, reach, holds

    async def do(self, effect: Effect, attempt: int, deadline: datetime | None) -> object:
        """Try an effect; what it returns is not yet checked.

        Raises:
            Stopped: Nothing may be dispatched now.
            StewardError: As :func:`steward.workflow.reach.plainly`.
        """
        self._admit(effect.run)
        return await self._call(effect, "do", effect.key, attempt, deadline=deadline)

    async def undo(self, effect: Effect, attempt: int) -> Receipt:
        """Take an effect back, under a key of its own. Raises as :meth:`do`."""
        self._admit(effect.run)
        done = await self._call(effect, "undo", f"{effect.key}/undo", attempt, undoes=effect.key)
        return checked(effect.action, done)

    async def read_back(self, effect: Effect, attempt: int) -> Receipt | None:
        """Ask the world whether an effect is there; this is done also while nothing may be dispatched."""
        seen = await self._call(effect, "verify", effect.key, attempt)
        return None if seen is None else checked(effect.action, seen)

    async def why_not(self, plan: Plan, run: Run, check: Check[Any], attempt: int) -> object:
        """Ask a check why it is not safe to go on; ``None`` if it is. Raises as :meth:`do`."""
        self._admit(run)
        choice, until = plan.read_choice(run.choice), self._clock.now() + check.timeout
        call = call_of(plan, run, f"{run.record.decision_id}/{check.name}", attempt=attempt, deadline=until)
        asked = limited(lambda: check.safe(choice, call), check.timeout)
        return await plainly(f"check {check.name!r}", asked, check.timeout)

    def _admit(self, run: Run) -> None:
        if self._holds(run.record.decision_id, run.record.decision):
            raise Stopped

    async def _call(
        self,
        effect: Effect,
        verb: str,
        key: str,
        attempt: int,
        *,
        deadline: datetime | None = None,
        undoes: str | None = None,
    ) -> Any:
        plan, run, action = effect.plan, effect.run, effect.action
        function, choice = getattr(action, verb), plan.read_choice(run.choice)

        def begin() -> Any:
            # Counted from when it has its turn, which may be after others, and after a stop.
            now = self._clock.now()
            if verb != "verify" and self._holds(run.record.decision_id, run.record.decision):
                raise HeldBack(f"{run.record.decision!r} was stopped before its call had its turn", code="stopped")
            if deadline is not None and now > deadline:
                raise HeldBack(f"{action.name!r} had no turn before its deadline", code="deadline-passed")
            until = now + action.timeout
            return function(choice, call_of(plan, run, key, attempt=attempt, deadline=until, undoes=undoes))

        last = None if deadline is None else deadline + action.timeout
        called = self.reach(run.record.decision, action, begin, deadline=last, is_reading=verb == "verify")
        return await plainly(f"{verb} of {action.name!r}", called, action.timeout)
