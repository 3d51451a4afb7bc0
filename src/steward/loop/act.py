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
from steward.entries import Acted, Failed, Undone
from steward.errors import Conflict, DeclarationError, EngineError, StewardError
from steward.ledger.run import Run
from steward.records import ActionFacts, Receipt


def facts(decision: Decision[Any, Any, Any], run_id: object) -> ActionFacts:
    """Name the action and its idempotency key."""
    assert decision.action is not None
    return ActionFacts(name=decision.action.name, key=f"{decision.name}/{run_id}", code=decision.action_code)


def typed_choice(decision: Decision[Any, Any, Any], stored: object) -> Any:
    """Return a stored choice as the type that the policy declares it to return.

    Raises:
        DeclarationError: It is of another type, as an earlier release's choice may be.
    """
    kind = _choice_type(decision.policy)
    if kind is None or (isinstance(kind, type) and isinstance(stored, kind)):
        return stored
    try:
        return msgspec.json.decode(msgspec.json.encode(stored), type=kind, dec_hook=_read_other)
    except msgspec.ValidationError as error:
        raise DeclarationError(
            f"the stored choice {stored!r} is not what the policy of {decision.name!r} returns now",
            why=str(error),
            fix="let the policy's new type read the old choices too",
            code="choice-outdated",
        ) from error


def _read_other(kind: type[Any], stored: object) -> object:
    """Read what JSON does not know, as it was written with the record: pydantic models and numpy scalars."""
    if hasattr(kind, "model_validate_json"):
        return kind.model_validate_json(msgspec.json.encode(stored))
    if hasattr(kind, "item"):
        return kind(stored)
    raise TypeError(f"a {kind.__name__} cannot be read from the ledger")


def _choice_type(policy: Callable[..., Any]) -> Any:
    try:
        returned = get_type_hints(policy).get("return")
    except (NameError, TypeError):
        return None  # an annotation that cannot be resolved leaves the stored form
    arguments = getattr(returned, "__args__", ())
    kind = arguments[0] if arguments else None
    return None if kind is Any else kind


async def act(
    decision: Decision[Any, Any, Any], run: Run, *, attempt: int, now: Callable[[], datetime], tried: bool = False
) -> Acted:
    """Try the effect once.

    From the second try on, and where ``tried`` says that an earlier process may have acted, the world is read back
    first if ``verify`` is declared.

    Raises:
        EngineError: The try failed or timed out; ``retryable`` tells whether another may succeed.
        DeclarationError: The choice is of another type than the policy declares now.
    """
    action = decision.action
    assert isinstance(action, Action)
    choice, call = typed_choice(decision, run.choice), _call(run, attempt)
    receipt = None
    if (tried or attempt > 1) and action.verify is not None:
        receipt = await _limited(action, "verify", action.verify, choice, call)
    if receipt is None:
        receipt = await _limited(action, "do", action.do, choice, call)
    receipt = _checked(action, receipt)
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
    if not isinstance(action, Action) or action.undo is None:
        raise Conflict(f"{decision.name!r} declares no undo", fix="act on the world by other means", code="no-undo")
    if run.receipt is None or run.undone is not None:
        raise Conflict(f"decision {run.record.decision_id} has no effect to take back", code="nothing-to-undo")
    done = await _limited(action, "undo", action.undo, typed_choice(decision, run.choice), _call(run, 1))
    receipt = _checked(action, done)
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


def _checked(action: Action[Any], receipt: object) -> Receipt:
    """Refuse what could not be read back from the ledger."""
    if not isinstance(receipt, Receipt):
        why = f"it returned a {type(receipt).__name__}"
    else:
        try:
            return msgspec.json.decode(msgspec.json.encode(receipt), type=Receipt)
        except (msgspec.ValidationError, TypeError) as error:
            why = str(error)
    raise EngineError(f"action {action.name!r} gave no receipt", why=why, fix="return a Receipt", code="no-receipt")


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
