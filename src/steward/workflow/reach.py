"""How a step's functions are called: with a time-out, through whatever stands before the world, errors made plain."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from steward.decision.action import Action
from steward.errors import EngineError, StewardError
from steward.records import Receipt

TIMED_OUT = "action-timeout"
"""The code of a try that did not answer in time: whether it took effect is not known."""
_MOST_WAIT = timedelta(hours=1)


class Reach(Protocol):
    """Calls a function of an action; what spares a system that is ill (:mod:`steward.downstream`) has this form."""

    async def __call__(
        self,
        decision: str,
        action: Action[Any],
        function: Callable[[], Any],
        *,
        deadline: datetime | None,
        is_reading: bool,
    ) -> Any:
        """Call ``function``, plain or async, and return what it gave.

        Args:
            decision: The decision's name.
            action: Whose function it is; it says how long it may take, and where it goes.
            function: The call.
            deadline: When it is too late for an answer, waiting for a turn included; ``None`` if it may wait for ever.
            is_reading: Whether it only reads the world back, so that it may be repeated freely.

        Raises:
            HeldBack: It was not tried.
            TimeoutError: It took too long.
        """
        ...


async def directly(
    decision: str,
    action: Action[Any],
    function: Callable[[], Any],
    *,
    deadline: datetime | None = None,
    is_reading: bool = False,
) -> Any:
    """Call a function with nothing between it and the world but its time-out.

    Example:
        >>> asyncio.run(directly("pay.release", Action(do=print), lambda: 7))
        7
    """
    return await limited(function, action.timeout)


async def limited(function: Callable[[], Any], timeout: timedelta) -> Any:  # noqa: ASYNC109 - a declared duration
    """Call a plain or async function; only the latter can be given up.

    Raises:
        TimeoutError: It took too long.
    """
    result = function()
    if inspect.isawaitable(result):
        return await asyncio.wait_for(result, timeout.total_seconds())
    return result


async def plainly(what: str, called: Awaitable[Any], timeout: timedelta) -> Any:  # noqa: ASYNC109 - only told
    """Return what a call gave; whatever it raised becomes an error that says whether another try may succeed.

    Raises:
        HeldBack: It was not tried.
        EngineError: It timed out or failed.
        StewardError: Whatever it raised of our own errors: a refusal, unless it says that it is retryable.
    """
    try:
        return await called
    except TimeoutError as error:
        raise EngineError(f"{what} did not answer within {timeout}", retryable=True, code=TIMED_OUT) from error
    except StewardError:
        raise
    except Exception as error:
        raise EngineError(
            f"{what} failed: {type(error).__name__}: {error}", retryable=True, code="action-failed"
        ) from error


def checked(action: Action[Any], receipt: object) -> Receipt:
    """Return a receipt as it will be read back from the ledger.

    Raises:
        EngineError: It is none, or could not be read back.
    """
    if not isinstance(receipt, Receipt):
        why = f"it returned a {type(receipt).__name__}"
    else:
        try:
            return msgspec.json.decode(msgspec.json.encode(receipt), type=Receipt)
        except (msgspec.ValidationError, TypeError) as error:
            why = str(error)
    raise EngineError(f"action {action.name!r} gave no receipt", why=why, fix="return a Receipt", code="no-receipt")


def may_pass(error: StewardError) -> bool:
    """Tell whether another try may succeed.

    Example:
        >>> may_pass(EngineError("the plant is busy", retryable=True))
        True
    """
    return bool(getattr(error, "retryable", False))


def no_earlier(when: datetime, error: StewardError) -> datetime:
    """Return when to try again: at ``when``, or later if whoever failed asked to be left alone until then.

    Example:
        >>> noon, one = datetime.fromisoformat("2026-01-01T12:00:00Z"), datetime.fromisoformat("2026-01-01T13:00:00Z")
        >>> no_earlier(noon, EngineError("busy", retryable=True, held_until=one)) == one
        True
    """
    held_until = error.held_until if isinstance(error, EngineError) else None
    return when if held_until is None else max(when, held_until)


def wait_before(backoff: timedelta, attempt: int, chance: float) -> timedelta:
    """Return the wait after the ``attempt``-th try: a random share (full jitter) of a ceiling that doubles each time.

    Example:
        >>> wait_before(timedelta(seconds=10), 3, 0.5).total_seconds()
        20.0
    """
    ceiling: timedelta = min(backoff * 2 ** min(attempt - 1, 20), _MOST_WAIT)
    return ceiling * chance
