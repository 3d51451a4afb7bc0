"""The house that an emergency happens in: what it freezes, whom it tells, and who says that it is over."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol
from uuid import UUID

from steward.cases.grid.emergency.events import EmergencyHeld
from steward.decision.contract import Contract
from steward.errors import Conflict, EngineError
from steward.ledger.port import Message
from steward.runtime.runtime import Runtime

ALL_CLEAR = "all-clear"
"""The signal that ends the hold."""


class Automation(Protocol):
    """What an emergency asks of the other decisions and of people."""

    async def freeze(self, decisions: Sequence[str], *, by: str, reason: str) -> None:
        """Let those decisions dispatch nothing; twice is fine."""
        ...

    async def why_not_frozen(self, decisions: Sequence[str]) -> str | None:
        """Return which of them may dispatch, if one may."""
        ...

    async def release(self, decisions: Sequence[str], *, by: str, reason: str) -> None:
        """Let them go on, but for those that people stopped."""
        ...

    async def tell(self, held: EmergencyHeld, *, key: str) -> None:
        """Ask people whether it is to stay so; the same key again asks nobody twice."""
        ...

    async def all_clear(self, run: UUID, *, by: str, reason: str) -> None:
        """End the hold of a run; nothing happens if it has ended."""
        ...


class OwnAutomation:
    """The decisions of one runtime, by its stop switch, its bus and its signals.

    Whoever opened the runtime says which it is: ``automation.runtime = runtime``. Before that nothing is dispatched.

    Example:
        >>> OwnAutomation().runtime is None
        True
    """

    def __init__(self) -> None:
        self.runtime: Runtime | None = None

    async def freeze(self, decisions: Sequence[str], *, by: str, reason: str) -> None:
        """Stop what is not stopped."""
        runtime = self._running()
        for decision in decisions:
            if runtime.stops.is_stopped(decision):
                continue
            try:
                await runtime.stop(decision, by=by, reason=reason)
            except EngineError as error:  # it may have been written all the same, so it is no refusal
                raise EngineError(f"{decision} may not be frozen", why=str(error), retryable=True) from error

    async def why_not_frozen(self, decisions: Sequence[str]) -> str | None:
        """Return which of them is not stopped."""
        running = [decision for decision in decisions if not self._running().stops.is_stopped(decision)]
        return f"{running[0]} is not frozen" if running else None

    async def release(self, decisions: Sequence[str], *, by: str, reason: str) -> None:
        """Lift the stops that ``by`` set, the last first."""
        for decision in reversed(decisions):
            await self._running().stops.release(decision, by=by, reason=reason)

    async def tell(self, held: EmergencyHeld, *, key: str) -> None:
        """Put it on the bus, where the decision about it listens."""
        runtime, contract = self._running(), Contract.of(EmergencyHeld)
        now = runtime.clock.now()
        data = contract.encode(held)
        message = Message(contract.name, held.site, "grid-emergency", key, data, contract.version, now, now)
        await runtime.publish([message])

    async def all_clear(self, run: UUID, *, by: str, reason: str) -> None:
        """Send the run its signal."""
        with suppress(Conflict):  # it has ended
            await self._running().signal(run, ALL_CLEAR, reason, by=by)

    def _running(self) -> Runtime:
        if self.runtime is None:
            raise EngineError("the automation is not attached to a runtime yet", retryable=True, code="not-attached")
        return self.runtime
