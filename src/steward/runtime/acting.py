"""How what acts is put together: plans, dispatch, the workflow's engine, and what people do about effects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from steward.clock import Clock
from steward.decision.action import Action, Destination
from steward.decision.decision import Decision
from steward.downstream.lines import Lines
from steward.loop.act import plan_of
from steward.runtime.effects import Effects
from steward.runtime.journal import Journal
from steward.runtime.outages import Outages
from steward.runtime.stops import Stops
from steward.workflow.dispatch import Dispatcher
from steward.workflow.embedded import EmbeddedWorkflow
from steward.workflow.plan import Plan, Plans


@dataclass(frozen=True)
class Acting:
    """What acts.

    Attributes:
        workflow: Lets runs go on.
        effects: What people do about effects.
        lines: The ways to what actions call.
        outages: Writes down when one of them breaks.
    """

    workflow: EmbeddedWorkflow
    effects: Effects
    lines: Lines
    outages: Outages


def open_acting(
    journal: Journal,
    decisions: Iterable[Decision[Any, Any, Any]],
    former: Iterable[Decision[Any, Any, Any]],
    clock: Clock,
    stops: Stops,
) -> Acting:
    """Put it together for today's decisions and the ``former`` ones that runs under way are pinned to."""
    today = _plans(decisions)
    plans, outages = Plans(dict(today), _plans(former)), Outages(journal)
    lines = Lines(clock, tell=outages.hear, declared=_destinations(plan for _, plan in today))
    dispatch = Dispatcher(clock, lines.reach, holds=stops.holds)
    return Acting(
        EmbeddedWorkflow(journal, plans, clock, dispatch),
        Effects(journal, plans, clock, stops.is_stopped),
        lines,
        outages,
    )


def _destinations(plans: Iterable[Plan]) -> list[Destination]:
    actions = (step for plan in plans for step in plan.steps if isinstance(step, Action))
    return [action.to for action in actions if action.to is not None]


def _plans(decisions: Iterable[Decision[Any, Any, Any]]) -> list[tuple[str, Plan]]:
    return [(decision.name, plan) for decision in decisions if (plan := plan_of(decision)) is not None]
