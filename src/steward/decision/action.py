"""The effect on the world, and how it is taken back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
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
        deadline: When it is too late; what is called downstream should be told.
        results: What the steps before this one gave, by name, in an action of several steps.
        undoes: While something is taken back, the key that it was done under; ``key`` is then another one.
        trace_id: The W3C trace id of the request that asked for the decision, if it had one.

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
    deadline: datetime | None = None
    results: Mapping[str, object] = field(default_factory=dict)
    undoes: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Destination:
    """A system outside that actions call, and how it is spared when it does not answer.

    Actions with equal destinations share one breaker, one queue and one budget of retries.

    Args:
        name: For example ``plant-gateway``; it stands in metrics and in the ledger.
        at_once: How many calls may be under way; more wait.
        waiting: How many may wait; more wait in the ledger, which costs less, and are looked at again later.
        failures: How many failures in a row open the breaker.
        open_for: How long no call is made then; afterwards a single one probes.

    Example:
        >>> Destination(name="plant-gateway", at_once=4).failures
        5
    """

    name: str
    at_once: int = 16
    waiting: int = 200
    failures: int = 5
    open_for: timedelta = timedelta(seconds=5)

    def __post_init__(self) -> None:
        """Refuse a destination that could never be called."""
        if not self.name.strip():
            raise DeclarationError("a destination needs a name", field="destination.name")
        for name in ("at_once", "failures"):
            if getattr(self, name) < 1:
                raise DeclarationError(f"{name} is at least 1, got {getattr(self, name)}", field=f"destination.{name}")
        if self.waiting < 0:
            raise DeclarationError(f"waiting is at least 0, got {self.waiting}", field="destination.waiting")
        check_duration(self.open_for, "destination.open_for")
        if self.open_for <= timedelta(0):
            raise DeclarationError(f"open_for must be positive, got {self.open_for}", field="destination.open_for")


@dataclass(frozen=True, kw_only=True)
class Action(Generic[C]):
    """What is done with a choice; plain or async functions.

    A plain function runs on the loop's own thread and holds up everything else until it returns: it is for what answers
    at once. What waits for a network or a disk is an ``async def``; only that can be given up after ``timeout``.

    It is called at least once for each decision, always with the same ``call.key``.

    Args:
        do: Takes the choice and the call, and returns the receipt.
        undo: Takes back what was done under ``call.undoes``. It may be asked twice, too.
        verify: Reads the world back: the receipt if the effect is there, ``None`` if not.
        attempts: How often it is tried before it counts as failed.
        backoff: The wait before the second try; doubled each time.
        timeout: How long one try of an async function may take.
        within: How long after it became due (decided, or agreed to) it may still begin; later it counts as failed.
        to: The system that it calls. Without it nothing is shared with other actions.

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
    within: timedelta | None = None
    to: Destination | None = None

    def __post_init__(self) -> None:
        """Refuse an action that would never be tried."""
        if self.attempts < 1:
            raise DeclarationError(f"an action is tried at least once, got {self.attempts}", field="action.attempts")
        check_duration(self.timeout, "action.timeout")
        check_duration(self.backoff, "action.backoff")
        if self.timeout <= timedelta(0) or self.backoff < timedelta(0):
            raise DeclarationError("timeout and backoff must be positive", field="action.timeout")
        if self.within is not None:
            check_duration(self.within, "action.within")
            if self.within <= timedelta(0):
                raise DeclarationError(f"within must be positive, got {self.within}", field="action.within")

    @property
    def name(self) -> str:
        """The action's name: its function's."""
        return getattr(self.do, "__name__", type(self.do).__name__)
