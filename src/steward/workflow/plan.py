"""A plan: what an action does, step by step, made ready for an engine; and how it reads what was stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from steward.decision.action import Action
from steward.decision.steps import Check, Signal, Steps, Wait
from steward.ledger.run import Run
from steward.records import ActionFacts, Receipt

Step = Action[Any] | Wait[Any] | Signal | Check[Any]
"""One step of a plan."""
NEVER_DONE = "it never took effect"
"""The reason for an undo that was not needed."""
ReadChoice = Callable[[object], Any]
"""Turns a stored choice into the type that the action's functions take."""


def _as_stored(choice: object) -> Any:
    return choice


@dataclass(frozen=True)
class Plan:
    """The steps of an action, in order.

    Attributes:
        steps: What is done; a plain action is a plan of one step.
        code: The hash of its code, which runs are pinned to.
        is_single: Whether it is a plain action, whose only entry is its ``acted``.
        within: How long after it became due the first step may still begin.
        read_choice: How the stored choice is read.

    Example:
        >>> def pay(choice: str, call: object) -> Receipt:
        ...     return Receipt(reference="r1")
        >>> plan = Plan.of(Action(do=pay), code="ab12")
        >>> plan.is_single, plan.names
        (True, ('pay',))
    """

    steps: tuple[Step, ...]
    code: str
    is_single: bool = False
    within: timedelta | None = None
    read_choice: ReadChoice = _as_stored

    @classmethod
    def of(cls, action: Action[Any] | Steps[Any], *, code: str, read_choice: ReadChoice = _as_stored) -> Plan:
        """Return the plan of a declared action."""
        if isinstance(action, Steps):
            return cls(action.steps, code, within=action.within, read_choice=read_choice)
        return cls((action,), code, is_single=True, read_choice=read_choice)

    @property
    def names(self) -> tuple[str, ...]:
        """The steps' names, in order."""
        return tuple(step.name for step in self.steps)

    def key(self, run: Run, step: Action[Any]) -> str:
        """Return the idempotency key of a step: equal for every try, another one after it was taken back."""
        assert isinstance(run.record.action, ActionFacts)
        key = run.record.action.key if self.is_single else f"{run.record.action.key}/{step.name}"
        # A receiver that remembers the key of what was taken back would not do it again.
        earlier = sum(undone.step == step.name and undone.reason != NEVER_DONE for undone in run.taken_back)
        return f"{key}/{earlier + 1}" if earlier else key

    def results(self, run: Run) -> Mapping[str, object]:
        """Return what the steps that are done gave: receipts of actions, payloads of signals."""
        actions = {step.name for step in self.steps if isinstance(step, Action)}
        return {
            done.step: msgspec.convert(done.result, Receipt) if done.step in actions else done.result
            for done in run.stepped
        }


class Plans:
    """The plans of a process: today's of each decision, and former ones that runs under way are pinned to.

    Example:
        >>> plans = Plans({"pay.release": Plan((), code="new")}, [("pay.release", Plan((), code="old"))])
        >>> plans.today("pay.release").code, plans.pinned("pay.release", "old").code, plans.pinned("pay.release", "x")
        ('new', 'old', None)
    """

    def __init__(self, today: Mapping[str, Plan], former: Iterable[tuple[str, Plan]] = ()) -> None:
        self._today = dict(today)
        self._by_code = {(name, plan.code): plan for name, plan in (*former, *today.items())}

    def today(self, decision: str) -> Plan | None:
        """Return the plan that new runs of a decision take; ``None`` if it is not declared, or declares no action."""
        return self._today.get(decision)

    def pinned(self, decision: str, code: str | None) -> Plan | None:
        """Return the plan with this code; without one (an entry of before there were any), today's."""
        return self._today.get(decision) if code is None else self._by_code.get((decision, code))

    def of(self, run: Run) -> Plan | None:
        """Return the plan that a run goes on with; ``None`` if its code is gone."""
        return self.pinned(run.record.decision, run.code)
