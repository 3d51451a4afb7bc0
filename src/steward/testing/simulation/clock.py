"""The wall clock of a simulated machine: it moves with the loop's time, and may jump."""

from __future__ import annotations

from asyncio import Future
from datetime import UTC, datetime, timedelta
from typing import Final

from steward.clock import Chance, VirtualClock
from steward.testing.simulation.loop import VirtualLoop

NEW_YEAR: Final = datetime(2026, 1, 1, tzinfo=UTC)
_LOOKS_EVERY_S: Final = 60.0
"""A sleeper looks at the wall clock again after so long at most, as :class:`steward.clock.SystemClock` does."""


class Machine:
    """What all clocks of one simulated machine show: a start, the loop's time, and the jumps since.

    Args:
        loop: Whose time it follows.
        chance: When sleepers notice a jump.
        start: What is shown at first.

    Example:
        >>> from steward.clock import seeded
        >>> machine = Machine(VirtualLoop(seeded(1)), seeded(1))
        >>> machine.jump(timedelta(hours=1))
        >>> machine.now().isoformat()
        '2026-01-01T01:00:00+00:00'
    """

    def __init__(self, loop: VirtualLoop, chance: Chance, start: datetime = NEW_YEAR) -> None:
        self._loop, self._chance, self._start = loop, chance, start
        self._sleepers: dict[Future[None], None] = {}
        self._shown_us, self._shown = 0, start

    def now(self) -> datetime:
        """Return what the machine's clock shows."""
        us = self._loop.now_us
        if us != self._shown_us:
            self._shown_us, self._shown = us, self._start + timedelta(microseconds=us)
        return self._shown

    def jump(self, by: timedelta) -> None:
        """Set the clock forward or back; the loop's own time goes on as if nothing had happened."""
        self._start += by
        self._shown_us = -1
        for sleeper in self._sleepers:
            self._loop.call_later(self._chance.random() * _LOOKS_EVERY_S, _wake, sleeper)

    async def sleep_until(self, when: datetime) -> None:
        """Return once :meth:`now` is ``when`` or later."""
        while (left := (when - self.now()).total_seconds()) > 0:
            sleeper: Future[None] = self._loop.create_future()
            timer = self._loop.call_later(left, _wake, sleeper)
            self._sleepers[sleeper] = None
            try:
                await sleeper
            finally:
                timer.cancel()
                del self._sleepers[sleeper]


class LoopClock(VirtualClock):
    """The clock of one process: the machine's time, with ids and chances of its own.

    Args:
        machine: Whose time it shows.
        seed: The seed of its ids and chances.

    Example:
        >>> from steward.clock import seeded
        >>> clock = LoopClock(Machine(VirtualLoop(seeded(1)), seeded(1)), seed=1)
        >>> clock.now().isoformat(), clock.new_id() < clock.new_id()
        ('2026-01-01T00:00:00+00:00', True)
    """

    def __init__(self, machine: Machine, *, seed: int) -> None:
        super().__init__(machine.now(), seed=seed)
        self._machine = machine

    def now(self) -> datetime:
        """Return the machine's time."""
        return self._machine.now()

    def set(self, when: datetime) -> None:
        """Let the machine's clock jump to ``when``."""
        self._machine.jump(when - self.now())

    async def sleep_until(self, when: datetime) -> None:
        """Return once the machine's clock shows ``when`` or later."""
        await self._machine.sleep_until(when)


def _wake(sleeper: Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
