"""Act: the effect on the world, at least once, always under the same key.

The decided entry is the outbox: what is due is read from the ledger, never from memory, so that only durable
decisions act and a crash repeats a try instead of losing it.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, get_type_hints

import msgspec

from steward.decision.action import Action, Call
from steward.decision.decision import Decision
from steward.decision.feature import Features
from steward.errors import Conflict, EngineError, StewardError
from steward.ledger.run import Run
from steward.records import Acted, ActionFacts, Failed, Receipt, Undone


def facts(decision: Decision[Any, Any, Any], run_id: object) -> ActionFacts:
    """Name the action and its idempotency key."""
    assert decision.action is not None
    return ActionFacts(name=decision.action.name, key=f"{decision.name}/{run_id}")


def typed_choice(decision: Decision[Any, Any, Any], stored: object) -> Any:
    """Return a stored choice as the type that the policy declares it to return."""
    kind = _choice_type(decision.policy)
    if kind is None or (isinstance(kind, type) and isinstance(stored, kind)):
        return stored
    return msgspec.json.decode(msgspec.json.encode(stored), type=kind)


def _choice_type(policy: Callable[..., Any]) -> Any:
    try:
        returned = get_type_hints(policy).get("return")
    except (NameError, TypeError):
        return None  # an annotation that cannot be resolved leaves the stored form
    arguments = getattr(returned, "__args__", ())
    kind = arguments[0] if arguments else None
    return None if kind is Any else kind


async def act(decision: Decision[Any, Any, Any], run: Run, *, attempt: int, now: Callable[[], datetime]) -> Acted:
    """Try the effect once; from the second try on the world is read back first where ``verify`` is declared.

    Raises:
        EngineError: The try failed or timed out; ``retryable`` tells whether another may succeed.
    """
    action = decision.action
    assert action is not None
    choice, call = typed_choice(decision, run.choice), _call(run, attempt)
    receipt = None
    if attempt > 1 and action.verify is not None:
        receipt = await _limited(action, "verify", action.verify, choice, call)
    if receipt is None:
        receipt = await _limited(action, "do", action.do, choice, call)
    if not isinstance(receipt, Receipt):
        raise EngineError(
            f"action {action.name!r} returned a {type(receipt).__name__}", fix="return a Receipt", code="no-receipt"
        )
    assert isinstance(run.record.action, ActionFacts)
    return Acted(
        decision_id=run.record.decision_id,
        decision=decision.name,
        at=now(),
        action=run.record.action,
        choice=run.choice,
        receipt=receipt,
        attempt=attempt,
    )


async def undo(
    decision: Decision[Any, Any, Any], run: Run, *, by: str, reason: str, now: Callable[[], datetime]
) -> Undone:
    """Take back what was done.

    Raises:
        Conflict: There is nothing to take back, or no way to.
        EngineError: Taking it back failed.
    """
    action = decision.action
    if action is None or action.undo is None:
        raise Conflict(f"{decision.name!r} declares no undo", fix="act on the world by other means", code="no-undo")
    if run.receipt is None or any(isinstance(step.body, Undone) for step in run.steps):
        raise Conflict(f"decision {run.record.decision_id} has no effect to take back", code="nothing-to-undo")
    receipt = await _limited(action, "undo", action.undo, typed_choice(decision, run.choice), _call(run, 1))
    return Undone(
        decision_id=run.record.decision_id, decision=decision.name, at=now(), by=by, reason=reason, receipt=receipt
    )


def gave_up(run: Run, error: StewardError, *, attempt: int, at: datetime) -> Failed:
    """Say that the action failed for good."""
    return Failed(
        decision_id=run.record.decision_id,
        decision=run.record.decision,
        at=at,
        stage="act",
        code=error.code,
        reason=str(error),
        attempt=attempt,
    )


def wait_before(action: Action[Any], attempt: int, chance: float) -> timedelta:
    """Return the wait before the next try: doubled each time, with full jitter, at most an hour."""
    ceiling: timedelta = min(action.backoff * 2 ** min(attempt - 1, 20), timedelta(hours=1))
    return ceiling * (0.5 + chance / 2)


def _call(run: Run, attempt: int) -> Call:
    assert isinstance(run.record.action, ActionFacts)
    return Call(
        decision_id=run.record.decision_id,
        decision=run.record.decision,
        key=run.record.action.key,
        features=Features(run.record.features),
        decided_at=run.record.decided_at,
        attempt=attempt,
    )


async def _limited(action: Action[Any], verb: str, function: Callable[..., Any], choice: Any, call: Call) -> Any:
    try:
        result = function(choice, call)
        if inspect.isawaitable(result):
            result = await asyncio.wait_for(result, action.timeout.total_seconds())
        return result
    except TimeoutError as error:
        raise EngineError(
            f"{verb} of {action.name!r} did not answer within {action.timeout}", retryable=True, code="action-timeout"
        ) from error
    except StewardError:
        raise
    except Exception as error:
        raise EngineError(
            f"{verb} of {action.name!r} failed: {type(error).__name__}: {error}", retryable=True, code="action-failed"
        ) from error
