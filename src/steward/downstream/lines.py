"""Lines: the way to each destination, with its breaker, its bulkhead and its budget of retries.

A call is asked in this order: is the destination spared (breaker), is there a place (bulkhead), how long may it take
(time-out and deadline), and if it failed in a way that may pass: may it be repeated (idempotent, budget, time left).
What is held back was not tried: :class:`steward.errors.HeldBack` says so, and until when to leave it alone.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from steward.clock import Clock
from steward.decision.action import Action, Destination
from steward.decision.lane import Lane
from steward.downstream.breaker import Breaker, State, Verdict
from steward.downstream.budget import RetryBudget
from steward.downstream.bulkhead import Bulkhead
from steward.entries import Restored, Tripped
from steward.errors import DeclarationError, EngineError, HeldBack

REPEATS: Final = 2
"""How often an idempotent call is repeated at once, at most; later tries are the action's own."""
_BACKOFF_S: Final = 0.1
_MOST_BACKOFF_S: Final = 2.0
_BUSY: Final = timedelta(milliseconds=500)
"""How long a full queue is left alone, at least."""
_APART_WHEN_SPARED: Final = timedelta(milliseconds=20)
_APART_WHEN_FULL: Final = timedelta(milliseconds=2)
"""How far apart those held back come again: to look at ten thousand runs in one moment would hold up all others."""
_MOST_SPREAD: Final = timedelta(minutes=10)
_OWN_WAITING: Final = 100
"""How many may wait for an action that is the only one to go where it goes; more wait in the ledger, for less."""
_MAX_REASON_LETTERS: Final = 500


class LineFacts(Struct, frozen=True, kw_only=True):
    """What a line did, for metrics and people.

    Attributes:
        destination: Its name.
        decision: Whose own line it is; ``None`` if it was declared, and may be shared.
        state: Its breaker's.
        under_way: Calls that have a place.
        waiting: Calls that wait for one.
        calls: Calls so far, without repeats and without those held back.
        failed: Tries that showed the destination ill.
        held: Calls held back.
        repeated: Tries beyond the first of their call.

    Example:
        >>> LineFacts(destination="plant", state=State.CLOSED).held
        0
    """

    destination: str
    state: State
    decision: str | None = None
    under_way: int = 0
    waiting: int = 0
    calls: int = 0
    failed: int = 0
    held: int = 0
    repeated: int = 0


def destination_of(decision: str, action: Action[Any]) -> Destination:
    """Return where an action goes: its declared destination, else a line of its own, shared with nobody.

    Example:
        >>> def pay(choice: object, call: object) -> None: ...
        >>> destination_of("pay.release", Action(do=pay)).name
        'pay.release/pay'
    """
    return action.to or Destination(name=f"{decision}/{action.name}", waiting=_OWN_WAITING)


class Lines:
    """The lines of a process, by name of the destination.

    Args:
        clock: Time and chance.
        tell: Told that a breaker tripped or was restored; it must neither block nor raise.
        declared: The destinations that are known from the start.

    Raises:
        DeclarationError: Two destinations have one name and differ.

    Example:
        >>> from steward.clock import SystemClock
        >>> async def answer() -> str:
        ...     return "done"
        >>> lines = Lines(SystemClock())
        >>> asyncio.run(lines.call(Destination(name="plant"), answer))
        'done'
        >>> lines.facts()[0].calls
        1
    """

    def __init__(
        self,
        clock: Clock,
        *,
        tell: Callable[[Tripped | Restored], None] = lambda body: None,
        declared: Iterable[Destination] = (),
    ) -> None:
        self._clock, self._tell = clock, tell
        self._lines: dict[str, _Line] = {}
        self._owners: dict[str, str] = {}
        for destination in declared:
            if self._line(destination).destination != destination:
                raise DeclarationError(
                    f"two destinations are named {destination.name!r} and differ",
                    why="they would share one breaker and one queue",
                    fix="declare it once and pass it to every action",
                    field="action.to",
                )

    async def call(
        self,
        destination: Destination,
        function: Callable[[], Any],
        *,
        lane: Lane = Lane.NORMAL,
        timeout: timedelta | None = None,  # noqa: ASYNC109 - counts from when the call has its place, not from now
        deadline: datetime | None = None,
        idempotent: bool = False,
    ) -> Any:
        """Call a destination; see the module.

        Args:
            destination: Where it goes.
            function: The call; plain or async.
            lane: How urgent it is, among those who wait.
            timeout: How long it may take from when it has its place, repeats included.
            deadline: When it is too late, waiting included; aware.
            idempotent: Whether it may be repeated at once without asking whether it took effect.

        Raises:
            HeldBack: It was not tried: ``breaker-open``, ``bulkhead-full`` or ``deadline-passed``.
            TimeoutError: It took too long. Whether it took effect is not known.
            Exception: Whatever the call raised, at its last try.
        """
        return await self._line(destination).call(
            function, lane=lane, timeout=timeout, deadline=deadline, idempotent=idempotent
        )

    async def reach(
        self,
        decision: str,
        action: Action[Any],
        function: Callable[[], Any],
        *,
        deadline: datetime | None = None,
        is_reading: bool = False,
    ) -> Any:
        """Call a function of an action, the way that its destination takes; raises as :meth:`call`.

        Args:
            decision: The decision's name.
            action: Whose function it is.
            function: The call; plain or async.
            deadline: When it is too late, waiting included; aware.
            is_reading: Whether it only reads the world back. That, and what ``action.do`` and ``action.undo`` say of
                themselves (``idempotent``, as webhooks may), decides whether it is repeated at once.
        """
        acting = [each for each in (action.do, action.undo) if each is not None]
        destination = destination_of(decision, action)
        if action.to is None:
            self._owners[destination.name] = decision
        return await self.call(
            destination,
            function,
            timeout=action.timeout,
            deadline=deadline,
            idempotent=is_reading or all(getattr(each, "idempotent", False) for each in acting),
        )

    def facts(self) -> list[LineFacts]:
        """Return what each line did, by name."""
        return [line.facts(self._owners.get(name)) for name, line in sorted(self._lines.items())]

    def _line(self, destination: Destination) -> _Line:
        # An earlier release of a decision may declare the same name otherwise: the line is what counts.
        line = self._lines.get(destination.name)
        if line is None:
            line = self._lines[destination.name] = _Line(destination, self._clock, self._tell)
        return line


class _Line:
    """The way to one destination."""

    def __init__(self, destination: Destination, clock: Clock, tell: Callable[[Tripped | Restored], None]) -> None:
        self.destination, self._clock, self._tell = destination, clock, tell
        self._breaker = Breaker(failures=destination.failures, open_for=destination.open_for, now=clock.now)
        self._bulkhead = Bulkhead(at_once=destination.at_once, waiting=destination.waiting, full=self._full)
        self._budget = RetryBudget()
        self._last_turn = clock.now()
        self._calls = self._failed = self._held = self._repeated = 0

    def facts(self, decision: str | None) -> LineFacts:
        return LineFacts(
            destination=self.destination.name,
            decision=decision,
            state=self._breaker.state,
            under_way=self._bulkhead.under_way,
            waiting=self._bulkhead.waiting,
            calls=self._calls,
            failed=self._failed,
            held=self._held,
            repeated=self._repeated,
        )

    async def call(
        self,
        function: Callable[[], Any],
        *,
        lane: Lane,
        timeout: timedelta | None,  # noqa: ASYNC109 - as in Lines.call
        deadline: datetime | None,
        idempotent: bool,
    ) -> Any:
        span = _Span(self._left(deadline), None if timeout is None else timeout.total_seconds())
        try:
            if not idempotent:
                return await self._once(function, lane, span)
            return await self._repeatedly(function, lane, span)
        except HeldBack:
            self._held += 1
            raise

    async def _repeatedly(self, function: Callable[[], Any], lane: Lane, span: _Span) -> Any:
        """Repeat a call that failed in a way that may pass, while budget and time allow."""
        import stamina  # noqa: PLC0415 - only where something may be repeated

        failure: Exception | None = None

        def wait_after(error: Exception) -> float | bool:
            nonlocal failure
            failure = error
            wait_s = self._wait_before_repeat(error, span)
            if wait_s is None or not self._budget.take():
                return False
            span.repeats += 1
            self._repeated += 1
            return wait_s

        # Which errors, how long and until when is ours, by our clock and chance; stamina keeps the tries.
        async for attempt in stamina.retry_context(on=wait_after, attempts=1 + REPEATS, timeout=None):
            with attempt:
                try:
                    return await self._once(function, lane, span)
                except HeldBack as held:
                    if failure is None:
                        raise
                    # Something was tried, and may have taken effect: to say "held back" would hide that.
                    raise failure from held
        raise AssertionError("unreachable")

    def _wait_before_repeat(self, error: Exception, span: _Span) -> float | None:
        if span.repeats >= REPEATS or Verdict.of(error) is not Verdict.ILL:
            return None
        wait_s = self._clock.chance() * min(_BACKOFF_S * 2**span.repeats, _MOST_BACKOFF_S)
        if isinstance(error, EngineError) and error.held_until is not None:
            wait_s = max(wait_s, (error.held_until - self._clock.now()).total_seconds())
        left_s = span.left_s()
        return wait_s if left_s is None or wait_s < left_s else None

    async def _once(self, function: Callable[[], Any], lane: Lane, span: _Span) -> Any:
        if self._breaker.holds:
            raise self._spared()
        await self._enter(lane, span)
        try:
            permit = self._breaker.take()
            if permit is None:  # it opened meanwhile; so all who wait are sent away, one after the other
                raise self._spared()
            if span.begin():
                self._calls += 1
                self._budget.pay_in()
            error: BaseException | None = None
            try:
                result = function()
                if not inspect.isawaitable(result):
                    return result  # it has ended: there is nothing to be given up
                async with asyncio.timeout_at(span.ends_at_s):
                    return await result
            except BaseException as raised:
                error = raised
                raise
            finally:
                verdict = Verdict.of(error)
                self._failed += verdict is Verdict.ILL
                if self._breaker.give_back(permit, verdict):
                    self._turned(error)
        finally:
            self._bulkhead.leave()

    async def _enter(self, lane: Lane, span: _Span) -> None:
        try:
            await self._bulkhead.enter(lane, span.left_s())
        except TimeoutError:
            raise HeldBack(
                f"a call to {self.destination.name} found no place before its deadline", code="deadline-passed"
            ) from None

    def _next_turn(self, earliest: datetime, apart: timedelta) -> datetime:
        """Return a time for one who is held back, a little after that of the one before."""
        turn = self._last_turn + apart
        # Also after the clock was set back, nobody waits long after the time at which it makes sense.
        self._last_turn = turn if earliest <= turn < earliest + _MOST_SPREAD else earliest
        return self._last_turn

    def _full(self) -> HeldBack:
        return HeldBack(
            f"the queue to {self.destination.name} is full",
            why=f"{self.destination.at_once} calls are under way and {self.destination.waiting} wait",
            held_until=self._next_turn(self._clock.now() + _BUSY, _APART_WHEN_FULL),
            code="bulkhead-full",
        )

    def _spared(self) -> HeldBack:
        return HeldBack(
            f"{self.destination.name} is spared: its breaker is open",
            why=f"{self._breaker.failed} calls in a row failed",
            held_until=self._next_turn(self._breaker.held_until, _APART_WHEN_SPARED),
            fix="nothing: it is probed by itself, and goes on when it answers",
            code="breaker-open",
        )

    def _turned(self, error: BaseException | None) -> None:
        made, now, name = self._clock.new_id(), self._clock.now(), self.destination.name
        if self._breaker.state is State.CLOSED:
            self._tell(Restored(decision_id=made, decision="*", at=now, destination=name))
            return
        reason = f"{type(error).__name__}: {error}"[:_MAX_REASON_LETTERS]
        failed = self._breaker.failed
        self._tell(Tripped(decision_id=made, decision="*", at=now, destination=name, failures=failed, reason=reason))

    def _left(self, deadline: datetime | None) -> float | None:
        return None if deadline is None else (deadline - self._clock.now()).total_seconds()


class _Span:
    """How long a call may take, counted on the event loop's clock, which no jump of the wall clock moves."""

    def __init__(self, left_s: float | None, timeout_s: float | None) -> None:
        self._time = asyncio.get_running_loop().time
        self.ends_at_s = None if left_s is None else self._time() + left_s
        self._timeout_s = timeout_s
        self._has_begun = False
        self.repeats = 0

    def begin(self) -> bool:
        """Let the time-out count from now on, if this is the first try; return whether it is."""
        if self._has_begun:
            return False
        self._has_begun = True
        if self._timeout_s is not None:
            ends_at_s = self._time() + self._timeout_s
            self.ends_at_s = ends_at_s if self.ends_at_s is None else min(self.ends_at_s, ends_at_s)
        return True

    def left_s(self) -> float | None:
        return None if self.ends_at_s is None else self.ends_at_s - self._time()
