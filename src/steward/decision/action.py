"""The effect on the world, and how it is taken back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from steward.decision.duration import check_duration
from steward.decision.feature import Features
from steward.errors import DeclarationError
from steward.records import Receipt

C = TypeVar("C")


@dataclass(frozen=True, kw_only=True)
class Call:
    """What an action's function is told besides the choice.

    Attributes:
        decision_id: The run it belongs to.
        decision: The decision's name.
        key: The idempotency key: equal for every try of this effect. Receivers use it to act only once.
        features: The features the choice was made from.
        decided_at: When it was decided.
        attempt: From 1.

    Example:
        >>> Call(decision_id=UUID(int=1), decision="pay.release", key="pay.release/1", features=Features(),
        ...      decided_at=datetime.fromisoformat("2026-01-01T00:00:00Z")).attempt
        1
    """

    decision_id: UUID
    decision: str
    key: str
    features: Features
    decided_at: datetime
    attempt: int = 1


@dataclass(frozen=True, kw_only=True)
class Action(Generic[C]):
    """What is done with a choice; plain or async functions.

    A plain function runs on the loop's own thread and holds up everything else until it returns: it is for what answers
    at once. What waits for a network or a disk is an ``async def``; only that can be given up after ``timeout``.

    It is called at least once for each decision, always with the same ``call.key``.

    Args:
        do: Takes the choice and the call, and returns the receipt.
        undo: Takes back what was done under ``call.key``, the same key as that of ``do``. It may be asked twice, too.
        verify: Reads the world back: the receipt if the effect is there, ``None`` if not.
        attempts: How often it is tried before it counts as failed.
        backoff: The wait before the second try; doubled each time.
        timeout: How long one try of an async function may take.

    Example:
        >>> def write(choice: float, call: Call) -> Receipt:
        ...     return Receipt(reference=call.key)
        >>> Action(do=write).attempts
        5
    """

    do: Callable[[C, Call], Receipt | Awaitable[Receipt]]
    undo: Callable[[C, Call], Receipt | Awaitable[Receipt]] | None = None
    verify: Callable[[C, Call], Receipt | Awaitable[Receipt | None] | None] | None = None
    attempts: int = 5
    backoff: timedelta = timedelta(seconds=1)
    timeout: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        """Refuse an action that would never be tried."""
        if self.attempts < 1:
            raise DeclarationError(f"an action is tried at least once, got {self.attempts}", field="action.attempts")
        check_duration(self.timeout, "action.timeout")
        check_duration(self.backoff, "action.backoff")
        if self.timeout <= timedelta(0) or self.backoff < timedelta(0):
            raise DeclarationError("timeout and backoff must be positive", field="action.timeout")

    @property
    def name(self) -> str:
        """The action's name: its function's."""
        return getattr(self.do, "__name__", type(self.do).__name__)
