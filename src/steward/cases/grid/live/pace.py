"""The demo's pace: how fast a region's hours pass, and how long somebody who is asked has in real time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from steward.cases.grid.dispatch.decision import NAME
from steward.clock import VirtualClock
from steward.insight.rows import ApprovalRow
from steward.runtime.runtime import Runtime

STOPPED_HOURS_PER_S = 0.1
"""How fast hours pass while the decision is stopped: slow, as each of them is lost to the battery."""


class Pace:
    """Turns real time into the region's time.

    Hours pass at a fixed speed, slowly while the decision is stopped. While somebody is asked the region's time stands
    and only the desk's clock runs: as fast as clocks do if somebody looks at the console, else so fast that the
    deadline comes after a few seconds. A stop freezes the question, too.

    Args:
        runtime: What is played.
        clock: Its clock.
        hours_per_s: How many hours pass in a second.
        answer_s: How many real seconds people have to answer while nobody looks.
        watching: How many look at the console.
        frame_s: How often it looks again.

    Example:
        >>> async def wait(pace: Pace, row: ApprovalRow) -> None:
        ...     async for rate in pace.question(row):
        ...         print(f"{rate:g} seconds of the desk's clock in one of ours")
    """

    def __init__(
        self,
        runtime: Runtime,
        clock: VirtualClock,
        *,
        hours_per_s: float,
        answer_s: float,
        watching: Callable[[], int],
        frame_s: float,
    ) -> None:
        self._runtime, self._clock, self._watching = runtime, clock, watching
        self._hours_per_s, self._answer_s, self._frame_s = hours_per_s, answer_s, frame_s
        self._loop = asyncio.get_running_loop()
        self.over = asyncio.Event()

    @property
    def is_watched(self) -> bool:
        """Whether somebody looks at the console."""
        return self._watching() > 0

    @property
    def is_stopped(self) -> bool:
        """Whether the decision is stopped."""
        return self._runtime.stops.is_stopped(NAME)

    def rate(self, row: ApprovalRow) -> float:
        """Return how many seconds pass on the desk's clock in a real one while a question waits."""
        if self.is_stopped:
            return 0.0
        return 1.0 if self.is_watched else (row.deadline - row.asked_at).total_seconds() / self._answer_s

    async def question(self, row: ApprovalRow) -> AsyncIterator[float]:
        """Let the desk's clock run until a question is answered or its time is over; yield the rate at each look."""
        before = self._loop.time()
        while any(other.decision_id == row.decision_id for other in self._runtime.views.waiting()):
            if self.over.is_set():
                if self.is_stopped:
                    return
                self._clock.set(row.deadline)
            now, rate = self._loop.time(), self.rate(row)
            self._clock.set(min(self._clock.now() + timedelta(seconds=(now - before) * rate), row.deadline))
            before = now
            await self._runtime.advance()
            yield rate
            await self._nap(self._frame_s)
        await self._runtime.advance()

    async def hour(self, begun: float) -> AsyncIterator[bool]:
        """Let the hour pass that began when the loop's clock showed ``begun``; yield whether it is stopped."""
        was_stopped = self.is_stopped
        while not self.over.is_set():
            is_stopped = self.is_stopped
            hours_per_s = min(self._hours_per_s, STOPPED_HOURS_PER_S) if is_stopped else self._hours_per_s
            if (left := begun + 1 / hours_per_s - self._loop.time()) <= 0:
                return
            if is_stopped or was_stopped:
                await self._runtime.advance()
            was_stopped = is_stopped
            yield is_stopped
            await self._nap(min(left, self._frame_s))

    async def while_watched(self) -> AsyncIterator[None]:
        """Let nothing happen for as long as somebody looks."""
        while self.is_watched and not self.over.is_set():
            yield
            await self._nap(self._frame_s)

    async def _nap(self, seconds: float) -> None:
        """Sleep, but wake when it is over."""
        if not self.over.is_set():
            await asyncio.wait([waiting := asyncio.ensure_future(self.over.wait())], timeout=seconds)
            waiting.cancel()
