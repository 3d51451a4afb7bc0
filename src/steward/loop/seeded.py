"""Seeded checks: now and then people are asked about a known wrong choice, to see whether they look.

The check is a run of its own, made from the same event, whose record has no action: whatever is answered, there is
nothing that could be done. That it is a check is told by an entry of a third run, which nobody is shown who answers.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from steward.clock import Clock
from steward.decision.feature import Features
from steward.entries import Failed, Seeded
from steward.errors import StewardError
from steward.ledger.port import Draft
from steward.loop.choose import expected_value
from steward.loop.encode import draft, encode, own_code
from steward.loop.gate import ask
from steward.loop.prepare import Prepared
from steward.records import GateFacts, Prediction, Record


def seeded(
    prepared: Prepared, record: Record, features: Features, prediction: Prediction[Any], clock: Clock
) -> tuple[Draft, ...]:
    """Return the entries of a check beside an ask, if its turn has come; none for a gate without checks.

    What the check's own code does wrong is written down and never stops the decision.
    """
    gate = prepared.decision.gate
    if gate is None or gate.checks is None or clock.chance() >= gate.checks.rate:
        return ()
    twin_id = clock.new_id()
    try:
        with own_code("gate.checks"):
            twin = _twin(prepared, record, features, prediction, twin_id)
            asked = [draft(*keyed) for keyed in ask(twin, encode(twin), author=prepared.author)]
            told = Seeded(
                decision_id=clock.new_id(),
                decision=record.decision,
                at=record.decided_at,
                about=twin_id,
                why=f"in the place of {encode(record.choice).decode()}, which run {record.decision_id} chose",
            )
            return (draft(twin), *asked, draft(told, f"seeded:{twin_id}"))
    except StewardError as error:
        failed = Failed(
            decision_id=twin_id,
            decision=record.decision,
            at=record.decided_at,
            stage="gate",
            code=error.code,
            reason=str(error),
        )
        return (draft(failed),)


def _twin(
    prepared: Prepared, record: Record, features: Features, prediction: Prediction[Any], twin_id: object
) -> Record:
    gate, weigh = prepared.decision.gate, prepared.weigh
    assert gate is not None
    assert gate.checks is not None
    assert weigh is not None
    assert isinstance(record.gate, GateFacts)
    wrong = gate.checks.wrong(features, record.choice)
    if encode(wrong) == encode(record.choice):
        raise StewardError(f"{wrong!r} is not wrong: it was chosen", fix="mend gate.checks", code="gate-failed")
    impact = weigh(features, prediction, wrong, record.decided_at).impact
    return msgspec.structs.replace(
        record,
        decision_id=twin_id,
        choice=wrong,
        gate=msgspec.structs.replace(record.gate, impact=impact),
        expected_value=expected_value(prepared.decision, features, prediction, wrong) or UNSET,
        # Without these nothing can be done, and no outcome is taken for its own.
        action=UNSET,
        outcome_key=UNSET,
    )
