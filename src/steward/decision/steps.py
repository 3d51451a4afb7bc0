"""Actions of several steps: plain values that say what is done in which order, and what is waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from steward.decision.action import Action, Call
from steward.decision.duration import check_duration
from steward.decision.fingerprint import ABSENT
from steward.errors import DeclarationError

C = TypeVar("C")


@dataclass(frozen=True)
class Wait(Generic[C]):
    """Waits: for a time after the step before it, or until a moment that a pure function tells.

    Example:
        >>> Wait(timedelta(minutes=5), name="settle").name
        'settle'
    """

    until: timedelta | Callable[[C, Call], datetime]
    name: str = "wait"

    def __post_init__(self) -> None:
        """Refuse what is neither."""
        if not callable(self.until):
            check_duration(self.until, "wait.until")
            if self.until <= timedelta(0):
                raise DeclarationError(f"a wait takes time, got {self.until}", field="wait.until")


@dataclass(frozen=True, kw_only=True)
class Signal:
    """Waits for a person, a device or a webhook to say something; what is said early is kept.

    Args:
        name: What it is called by those who send it.
        within: How long it is waited for.
        otherwise: What is taken as said when nothing comes. Without it the run fails and what was done is taken back.

    Example:
        >>> Signal(name="crew-clear", within=timedelta(minutes=30)).name
        'crew-clear'
        >>> Signal(name="all-clear", within=timedelta(minutes=30), otherwise="time is up").otherwise
        'time is up'
    """

    name: str
    within: timedelta
    otherwise: str | None = field(default=None, metadata=ABSENT)

    def __post_init__(self) -> None:
        """Refuse a signal that could never come."""
        check_duration(self.within, "signal.within")
        if self.within <= timedelta(0):
            raise DeclarationError(f"a signal takes time, got {self.within}", field="signal.within")


@dataclass(frozen=True)
class Check(Generic[C]):
    """Looks whether it is safe to go on; an ``async def`` or plain function that returns why not, or ``None``.

    When it is not safe, the run fails and what was done is taken back.

    Example:
        >>> def feeder_is_dead(choice: str, call: Call) -> str | None:
        ...     return None
        >>> Check(feeder_is_dead).name
        'feeder_is_dead'
    """

    safe: Callable[[C, Call], Any]
    timeout: timedelta = timedelta(seconds=30)

    @property
    def name(self) -> str:
        """The check's name: its function's."""
        return getattr(self.safe, "__name__", type(self.safe).__name__)


@dataclass(frozen=True, init=False)
class Steps(Generic[C]):
    """An action of several steps, run in order; each result is remembered and no step is run again once it is done.

    When a step fails for good, or a person aborts, what was done is taken back in reverse order. Between two steps
    nothing is kept in memory but the time of the next look: a process may be killed there, and another goes on.

    Args:
        *steps: What is done, in order: actions, waits, signals and checks, each with a name of its own.
        name: What it is called; by default the names of its steps.
        within: How long after it became due it may still begin.

    Example:
        >>> from steward.records import Receipt
        >>> def open_breaker(choice: str, call: Call) -> Receipt:
        ...     return Receipt(reference="b7")
        >>> def close_breaker(choice: str, call: Call) -> Receipt:
        ...     return Receipt(reference="b7")
        >>> switching = Steps(Action(do=open_breaker, undo=close_breaker), Wait(timedelta(seconds=5)), name="switch")
        >>> [step.name for step in switching.steps]
        ['open_breaker', 'wait']
    """

    steps: tuple[Action[C] | Wait[C] | Signal | Check[C], ...]
    name: str
    within: timedelta | None

    def __init__(
        self,
        *steps: Action[C] | Wait[C] | Signal | Check[C],
        name: str | None = None,
        within: timedelta | None = None,
    ) -> None:
        names = [step.name for step in steps]
        twice = sorted({each for each in names if names.count(each) > 1})
        if not any(isinstance(step, Action) for step in steps):
            raise DeclarationError("steps without an action do nothing", fix="pass Action(...)", field="action.steps")
        if twice or not all(names):
            raise DeclarationError(
                f"two steps are named {twice[0]!r}" if twice else "a step has no name",
                why="results are remembered by name",
                fix="name one of them otherwise",
                field="action.steps",
            )
        if within is not None:
            check_duration(within, "action.within")
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "name", name or " > ".join(names))
        object.__setattr__(self, "within", within)
