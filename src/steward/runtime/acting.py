"""How what acts is put together: plans, dispatch, the workflow's engine, and what people do about effects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from steward.clock import Clock
from steward.decision.decision import Decision
from steward.loop.act import plan_of
from steward.runtime.effects import Effects
from steward.runtime.journal import Journal
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
    """

    workflow: EmbeddedWorkflow
    effects: Effects


def open_acting(
    journal: Journal,
    decisions: Iterable[Decision[Any, Any, Any]],
    former: Iterable[Decision[Any, Any, Any]],
    clock: Clock,
    stops: Stops,
) -> Acting:
    """Put it together for today's decisions and the ``former`` ones that runs under way are pinned to."""
    plans = Plans({name: plan for name, plan in _plans(decisions)}, _plans(former))
    dispatch = Dispatcher(clock, holds=stops.holds)
    return Acting(
        EmbeddedWorkflow(journal, plans, clock, dispatch),
        Effects(journal, plans, clock, dispatch, stops.is_stopped),
    )


def _plans(decisions: Iterable[Decision[Any, Any, Any]]) -> list[tuple[str, Plan]]:
    return [(decision.name, plan) for decision in decisions if (plan := plan_of(decision)) is not None]
