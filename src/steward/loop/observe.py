"""Observe: what really happened is joined to the decisions it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any
from uuid import UUID

import msgspec

from steward.clock import time_of
from steward.decision.decision import Decision
from steward.entries import Observed
from steward.ledger.port import Draft
from steward.ledger.run import Run
from steward.loop.value import value


def joiner(decision: Decision[Any, Any, Any]) -> Callable[[Any], str] | None:
    """Return what reads the join key out of an event or an outcome; ``None`` without economics."""
    if decision.economics is None:
        return None
    return _reader(decision.economics.key)


def sharer(decision: Decision[Any, Any, Any]) -> Callable[[Any], str] | None:
    """Return what reads out of an event by what it falls into an arm of a rollout; ``None`` without economics."""
    if decision.economics is None:
        return None
    return _reader(decision.economics.sticky or decision.economics.key)


def _reader(names: Sequence[str]) -> Callable[[Any], str]:
    read = attrgetter(*names)
    return lambda source: msgspec.json.encode(read(source)).decode()


def belongs_to(runs: Sequence[UUID], within: timedelta, at: datetime) -> Sequence[UUID]:
    """Return the runs, of those with an outcome's key, that it tells about.

    These are the runs whose window it lies in. One that lies in none is late, and belongs to the latest run: keys may
    repeat, and it must not restate all that was ever decided under its key.

    Example:
        >>> from steward.clock import VirtualClock
        >>> clock = VirtualClock(datetime.fromisoformat("2026-01-01T00:00:00Z"))
        >>> first = clock.new_id()
        >>> clock.advance(timedelta(days=1))
        >>> second = clock.new_id()
        >>> belongs_to([first, second], timedelta(hours=2), clock.now() + timedelta(hours=1)) == [second]
        True
        >>> belongs_to([first, second], timedelta(hours=2), clock.now() + timedelta(hours=9)) == [second]
        True
    """
    inside = [run for run in runs if time_of(run) <= at <= time_of(run) + within]
    return inside or sorted(runs)[-1:]


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
