"""The entries about what is done in the world, and taken back."""

from __future__ import annotations

from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from msgspec import UNSET, UnsetType

from steward.entries.later import Later
from steward.records import ActionFacts, Receipt, RolloutFacts

_EXAMPLE: Final = MappingProxyType(
    {"decision_id": UUID(int=1), "decision": "pay.release", "at": datetime(2026, 1, 1, tzinfo=UTC)}
)
"""What the examples below have in common."""


class Acted(Later, frozen=True, kw_only=True, tag="acted", forbid_unknown_fields=True):
    """The action took effect at the ``attempt``-th try.

    Example:
        >>> Acted(**_EXAMPLE, choice="pay",
        ...     action=ActionFacts(name="pay", key="k"), receipt=Receipt(reference="r1"), attempt=2).attempt
        2
    """

    action: ActionFacts
    choice: object
    receipt: Receipt
    attempt: int


class Undone(Later, frozen=True, kw_only=True, tag="undone", forbid_unknown_fields=True):
    """The action was taken back; with ``step`` set, one of its steps was.

    Example:
        >>> Undone(**_EXAMPLE,
        ...     reason="paid twice", receipt=Receipt(reference="r2")).reason
        'paid twice'
    """

    reason: str
    receipt: Receipt
    step: str | UnsetType = UNSET


class Failed(Later, frozen=True, kw_only=True, tag="failed", forbid_unknown_fields=True):
    """A stage failed for good; ``stage`` is the loop's verb.

    Where it is about to be decided, ``release`` says by what, and ``rollout`` for which arm of one.

    Example:
        >>> Failed(**_EXAMPLE,
        ...     stage="act", code="action-timeout", reason="no answer within 30 s", attempt=5).stage
        'act'
    """

    stage: str
    code: str
    reason: str
    attempt: int = 1
    release: str | UnsetType = UNSET
    rollout: RolloutFacts | UnsetType = UNSET


class Stepped(Later, frozen=True, kw_only=True, tag="stepped", forbid_unknown_fields=True):
    """A step of an action with several is done; its ``result`` is remembered and never computed again.

    Attributes:
        step: The step's name.
        position: Its place, from 0.
        result: What it gave: a receipt, a signal's payload, ``None`` for a wait or a check.
        attempt: At which try; 0 for what has no effect of its own (a wait, a signal, a check), which is not kept when
            a failed run is let go on.

    Example:
        >>> Stepped(**_EXAMPLE, step="open_breaker", position=0, result={"reference": "b7"}, attempt=1).step
        'open_breaker'
    """

    step: str
    position: int
    result: object
    attempt: int = 1


class Signalled(Later, frozen=True, kw_only=True, tag="signalled", forbid_unknown_fields=True):
    """A person, a device or a webhook told a run what it waits for, or will wait for.

    Example:
        >>> Signalled(**_EXAMPLE, by="crew-3", signal="crew-clear", payload={"clear": True}).signal
        'crew-clear'
    """

    signal: str
    payload: object


class Doubted(Later, frozen=True, kw_only=True, tag="doubted", forbid_unknown_fields=True):
    """A try timed out or was cut off, so that it is not known whether it took effect; the world is read back next.

    Example:
        >>> Doubted(**_EXAMPLE, reason="no answer within 30 s", attempt=1).attempt
        1
    """

    reason: str
    attempt: int
    step: str | UnsetType = UNSET


class Reverting(Later, frozen=True, kw_only=True, tag="reverting", forbid_unknown_fields=True):
    """A step failed for good: from now on what was done is taken back in reverse order, and then the run has failed.

    Example:
        >>> Reverting(**_EXAMPLE, step="crew-clear", code="signal-timeout", reason="nobody said so in 0:30:00").code
        'signal-timeout'
    """

    step: str
    code: str
    reason: str
    attempt: int = 1
    release: str | UnsetType = UNSET
    rollout: RolloutFacts | UnsetType = UNSET


class Halted(Later, frozen=True, kw_only=True, tag="halted", forbid_unknown_fields=True):
    """A run stands still until an operator answers ``question``; ``code`` is stable.

    Example:
        >>> Halted(**_EXAMPLE, code="code-gone", question="Go on with the steps of today's release?").code
        'code-gone'
    """

    code: str
    question: str


class Aborted(Later, frozen=True, kw_only=True, tag="aborted", forbid_unknown_fields=True):
    """A person ended a run under way; what was done is taken back in reverse order.

    Example:
        >>> Aborted(**_EXAMPLE, by="ana", reason="storm warning").by
        'ana'
    """

    reason: str


class Redriven(Later, frozen=True, kw_only=True, tag="redriven", forbid_unknown_fields=True):
    """A person let a failed or halted run go on; with ``code`` set, on the action's code of that hash.

    Example:
        >>> Redriven(**_EXAMPLE, by="ana", reason="the gateway is back").reason
        'the gateway is back'
    """

    reason: str
    code: str | UnsetType = UNSET
