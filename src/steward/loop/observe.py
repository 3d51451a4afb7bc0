"""Observe: what really happened is joined to the decisions it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec

from steward.decision.decision import Decision
from steward.entries import Observed
from steward.ledger.port import Draft
from steward.ledger.run import Run
from steward.loop.value import value


def joiner(decision: Decision[Any, Any, Any]) -> Callable[[Any], str] | None:
    """Return what reads the join key out of an event or an outcome; ``None`` without economics."""
    if decision.economics is None:
        return None
    read = attrgetter(*decision.economics.key)
    return lambda source: msgspec.json.encode(read(source)).decode()


def observe(
    decision: Decision[Any, Any, Any], run: Run, outcome: object, *, outcome_id: str, at: datetime
) -> list[Draft]:
    """Return the entries that join an outcome to a run and value it; none if it was already joined."""
    economics = decision.economics
    assert economics is not None
    if any(seen.outcome_id == outcome_id for seen in run.observed):
        return []
    observed = Observed(
        decision_id=run.record.decision_id,
        decision=decision.name,
        at=at,
        outcome=outcome,
        outcome_id=outcome_id,
        late=at > run.record.decided_at + economics.within,
    )
    valued = value(decision, run, outcome, outcome_id=outcome_id, at=at)
    run_id = run.record.decision_id
    return [
        Draft("observed", run_id, msgspec.json.encode(observed), f"outcome:{run_id}:{outcome_id}"),
        Draft("valued", run_id, msgspec.json.encode(valued)),
    ]
