"""Value: what a run was worth against its baseline, in exact money."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.entries import Valued
from steward.errors import StewardError
from steward.ledger.run import Run
from steward.loop.act import typed_choice
from steward.records import Money


def value(decision: Decision[Any, Any, Any], run: Run, outcome: object, *, outcome_id: str, at: datetime) -> Valued:
    """Value a run by its outcome; a later outcome restates an earlier valuation.

    Raises:
        StewardError: The user's function failed or gave something that is not a finite amount.
    """
    economics = decision.economics
    assert economics is not None
    features = Features(run.record.features)
    try:
        earned = Money.rounded(economics.value(features, typed_choice(decision, run.choice), outcome), economics.unit)
        baseline = Money.rounded(economics.baseline(features, outcome), economics.unit)
    except Exception as error:
        raise StewardError(
            f"the value of {run.record.decision_id} could not be computed: {error}",
            fix=f"mend the economics of {decision.name!r}, then send the outcome again",
            code="value-failed",
        ) from error
    return Valued(
        decision_id=run.record.decision_id,
        decision=decision.name,
        at=at,
        value=earned,
        baseline=baseline,
        saving=Money(earned.amount - baseline.amount, economics.unit),
        outcome_id=outcome_id,
        restates=run.valued is not None,
    )
