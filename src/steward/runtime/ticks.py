"""Ticks: decisions that are due by the clock, each tick once, whatever happens in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from steward.clock import EPOCH, Clock
from steward.decision.schedule import Every, Missed
from steward.ledger.port import Commit, Ledger
from steward.loop.prepare import Prepared
from steward.loop.receive import Incoming

Decide = Callable[[str, Incoming, Mapping[str, int], Exception | None], Awaitable[None]]
TIMER = "timer"
"""The source of events that the clock makes."""
_SECOND = timedelta(seconds=1)
_MOST_AT_ONCE = 1000


class Ticks:
    """Knows the schedules and how far each has come; the positions are the ledger's cursors.

    What may not be decided now is due all the same, and is decided once it may.
    """

    def __init__(
        self,
        prepared: Mapping[str, Prepared],
        ledger: Ledger,
        clock: Clock,
        decide: Decide,
        refusal: Callable[[str], object | None] = lambda name: None,
    ) -> None:
        self._all = [p for p in prepared.values() if p.decision.schedule is not None]
        self._ledger, self._clock, self._decide, self._refusal = ledger, clock, decide, refusal
        self._last: dict[str, datetime] = {}

    @property
    def _scheduled(self) -> list[Prepared]:
        return [p for p in self._all if self._refusal(p.decision.name) is None]

    async def open(self) -> None:
        """Read how far each schedule had come; a new one starts now."""
        for prepared in self._all:
            position = await self._ledger.cursor(_cursor(prepared))
            if not position:  # remembered now, so that ticks missed before the first one are known as missed
                position = (self._clock.now() - EPOCH) // _SECOND
                await self._ledger.append(Commit(cursors={_cursor(prepared): position}))
            self._last[prepared.decision.name] = EPOCH + position * _SECOND

    async def step(self) -> int:
        """Decide the ticks that are due, in order, up to 1,000 of each decision; return how many."""
        done = 0
        for prepared in self._scheduled:
            for tick in self._due(prepared):
                await self._tick(prepared, tick)
                done += 1
        return done

    def next_due(self) -> datetime | None:
        """Return the time of the next tick."""
        return min((_schedule(p).next_after(self._last[p.decision.name]) for p in self._scheduled), default=None)

    def _due(self, prepared: Prepared) -> list[datetime]:
        schedule, now, last = _schedule(prepared), self._clock.now(), self._last[prepared.decision.name]
        if schedule.missed is Missed.SKIP:
            last = max(last, schedule.next_after(now) - 2 * schedule.period)
        tick, due = schedule.next_after(last), list[datetime]()
        while tick <= now and len(due) < _MOST_AT_ONCE:
            due.append(tick)
            tick = schedule.next_after(tick)
        return due

    async def _tick(self, prepared: Prepared, tick: datetime) -> None:
        name = prepared.decision.name
        tick_id = f"{name}/{tick.astimezone(UTC).isoformat()}"
        incoming = Incoming(
            event=None,
            event_id=tick_id,
            source=TIMER,
            event_time=tick,
            key=f"tick:{tick_id}",
        )
        try:
            incoming = msgspec.structs.replace(incoming, event=_schedule(prepared).make(tick))
        except Exception as error:
            unmade: Exception | None = error
        else:
            unmade = None
        await self._decide(name, incoming, {_cursor(prepared): (tick - EPOCH) // _SECOND}, unmade)
        self._last[name] = tick


def _schedule(prepared: Prepared) -> Every[Any]:
    assert prepared.decision.schedule is not None
    return prepared.decision.schedule


def _cursor(prepared: Prepared) -> str:
    return f"tick:{prepared.decision.name}"
