"""Act: the effect on the world, at least once, always under the same key.

The decided entry is the outbox: what is due is read from the ledger, never from memory, so that only durable
decisions act and a crash repeats a try instead of losing it. What is done in which order is :mod:`steward.workflow`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, get_type_hints

import msgspec

from steward.decision.decision import Decision
from steward.errors import DeclarationError
from steward.records import ActionFacts
from steward.workflow.plan import Plan


def facts(decision: Decision[Any, Any, Any], run_id: object) -> ActionFacts:
    """Name the action and its idempotency key."""
    assert decision.action is not None
    return ActionFacts(name=decision.action.name, key=f"{decision.name}/{run_id}", code=decision.action_code)


def plan_of(decision: Decision[Any, Any, Any]) -> Plan | None:
    """Return what a decision's action does, ready to be run; ``None`` if it has none."""
    if decision.action is None:
        return None
    kind = choice_type(decision.policy)  # found once: it takes longer than most actions
    return Plan.of(decision.action, code=decision.action_code, read_choice=partial(_typed, decision.name, kind))


def typed_choice(decision: Decision[Any, Any, Any], stored: object) -> Any:
    """Return a stored choice as the type that the policy declares it to return.

    Raises:
        DeclarationError: It is of another type, as an earlier release's choice may be.
    """
    return _typed(decision.name, choice_type(decision.policy), stored)


def _typed(decision: str, kind: Any, stored: object) -> Any:
    if kind is None or (isinstance(kind, type) and isinstance(stored, kind)):
        return stored
    try:
        return msgspec.json.decode(msgspec.json.encode(stored), type=kind, dec_hook=_read_other)
    except msgspec.ValidationError as error:
        raise DeclarationError(
            f"the stored choice {stored!r} is not what the policy of {decision!r} returns now",
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


def choice_type(policy: Callable[..., Any]) -> Any:
    """Return the type of choice that a policy declares to return; ``None`` if it does not, or cannot be told.

    Example:
        >>> from steward.decision.choice import Choice
        >>> def hold(features: object, prediction: object) -> Choice[str]:
        ...     return Choice("hold", reasons=("always",))
        >>> choice_type(hold)
        <class 'str'>
    """
    try:
        returned = get_type_hints(policy).get("return")
    except (NameError, TypeError):
        return None  # an annotation that cannot be resolved leaves the stored form
    arguments = getattr(returned, "__args__", ())
    kind = arguments[0] if arguments else None
    return None if kind is Any else kind
