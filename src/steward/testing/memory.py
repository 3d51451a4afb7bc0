"""The in-memory runtime: everything of a real one, but for the disk and the passing of time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from steward.clock import VirtualClock
from steward.decision.decision import Decision
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Ledger
from steward.models.registry import Registry
from steward.runtime.runtime import Runtime
from steward.runtime.settings import Settings

NEW_YEAR: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class InMemory:
    """A runtime whose time a test moves; made by :func:`in_memory`.

    Attributes:
        runtime: The runtime.
        clock: Its clock.

    Example:
        >>> import asyncio
        >>> from steward.testing.scenarios.small import RefundAsked, refund
        >>> async def nobody_answers() -> str:
        ...     async with in_memory(refund) as shop:
        ...         answer = await shop.runtime.decide("simulation.refund", RefundAsked(order="A-1", amount_eur=900.0))
        ...         await shop.later(timedelta(minutes=10))
        ...         return (await shop.runtime.run(answer.record.decision_id)).status.value
        >>> asyncio.run(nobody_answers())
        'expired'
    """

    runtime: Runtime
    clock: VirtualClock

    async def later(self, by: timedelta = timedelta(0)) -> int:
        """Let time pass, and do all that is due then; return how much was done."""
        self.clock.advance(by)
        return await self.runtime.advance()


@asynccontextmanager
async def in_memory(
    *decisions: Decision[Any, Any, Any],
    start: datetime = NEW_YEAR,
    seed: int = 0,
    ledger: Ledger | None = None,
    registry: Registry | None = None,
    settings: Settings | None = None,
) -> AsyncIterator[InMemory]:
    """Open decisions in memory, with a virtual clock.

    Args:
        *decisions: What is run.
        start: The first time that the clock shows.
        seed: The seed of its ids and chances.
        ledger: What it writes to, for example a :class:`~steward.testing.FaultyLedger`; one in memory by default.
        registry: Where models come from.
        settings: Others than the defaults; the ledger that they name is not used.
    """
    clock = VirtualClock(start, seed=seed)
    runtime = await Runtime.open(
        decisions,
        settings=settings or Settings(ledger="memory://"),
        clock=clock,
        registry=registry,
        ledger=ledger or MemoryLedger(),
    )
    async with runtime:
        yield InMemory(runtime, clock)
