"""What may be spent in a day: reserved before a call, settled after it, kept so that no restart forgets it.

Amounts are whole millionths of a currency's unit: one call costs less than a cent. What was reserved and never settled,
as the process died, stays spent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

from steward.errors import HeldBack
from steward.records import Money

MICRO: Final = 1_000_000
Keep = Callable[[Mapping[str, int]], Awaitable[object]]
"""Makes totals durable, by name."""
Kept = Callable[[str], Awaitable[int]]
"""Returns a durable total; 0 if there is none."""


def money(micro: int, unit: str) -> Money:
    """Return millionths as an exact amount.

    Example:
        >>> money(270, "EUR")
        Money(amount=Decimal('0.000270'), unit='EUR')
    """
    return Money(Decimal(micro).scaleb(-6), unit)


def micro_of(cost: Money) -> int:
    """Return an amount in millionths.

    Example:
        >>> micro_of(money(270, "EUR"))
        270
    """
    return int(cost.amount.scaleb(6))


class Purse(Protocol):
    """What calls are paid from."""

    async def reserve(self, micro: int) -> str:
        """Set an amount aside, durably; return the day it is taken from.

        Raises:
            HeldBack: As much is not left today; ``code`` is ``budget-spent``.
        """
        ...

    async def settle(self, day: str, reserved: int, spent: int) -> None:
        """Give back what was reserved, and take what was spent."""
        ...


class DayBudget:
    """The budget of one decision for one model, by the day in UTC.

    Args:
        name: What its totals are kept under, before the day.
        limit: How much may be spent in a day, in millionths.
        now: Tells the time; aware.
        keep: Makes a total durable.
        kept: Finds one.

    Example:
        >>> from datetime import UTC
        >>> totals: dict[str, int] = {}
        >>> async def keep(some: Mapping[str, int]) -> None:
        ...     totals.update(some)
        >>> async def kept(name: str) -> int:
        ...     return totals.get(name, 0)
        >>> budget = DayBudget("spent/pay/m", 1_000, lambda: datetime(2026, 1, 1, tzinfo=UTC), keep, kept)
        >>> async def spend() -> None:
        ...     day = await budget.reserve(900)
        ...     await budget.settle(day, 900, 270)
        >>> asyncio.run(spend()), totals
        (None, {'spent/pay/m/2026-01-01': 270})
    """

    def __init__(self, name: str, limit: int, now: Callable[[], datetime], keep: Keep, kept: Kept) -> None:
        self._name, self._limit, self._now, self._keep, self._kept = name, limit, now, keep, kept
        self._totals: dict[str, int] = {}
        self._lock = asyncio.Lock()

    async def reserve(self, micro: int) -> str:
        """Set an amount aside; see :class:`Purse`."""
        async with self._lock:
            day = f"{self._now():%Y-%m-%d}"
            total = await self._total(day)
            if total + micro > self._limit:
                raise HeldBack(
                    f"the budget of {self._name.partition('/')[2]} is spent",
                    why=f"{self._limit - total} of {self._limit} millionths are left today, a call may cost {micro}",
                    fix="allow more with day_budget, or wait for tomorrow (UTC)",
                    code="budget-spent",
                )
            await self._set(day, total + micro)
            return day

    async def settle(self, day: str, reserved: int, spent: int) -> None:
        """Take what was spent in the place of what was reserved; see :class:`Purse`."""
        if reserved == spent:
            return
        async with self._lock:
            await self._set(day, max(await self._total(day) - reserved + spent, 0))

    async def _total(self, day: str) -> int:
        if day not in self._totals:
            # The last days only: a call may end after midnight.
            self._totals = {known: total for known, total in sorted(self._totals.items())[-1:]}
            self._totals[day] = await self._kept(f"{self._name}/{day}")
        return self._totals[day]

    async def _set(self, day: str, total: int) -> None:
        await self._keep({f"{self._name}/{day}": total})
        self._totals[day] = total
