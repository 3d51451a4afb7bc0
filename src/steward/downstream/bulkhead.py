"""The bulkhead: a destination's own places, so that one that hangs cannot take everybody's.

So many calls are under way at once; a bounded number waits, in lanes: what is urgent goes first, and when the queue is
full what is least urgent makes room. The name and the idea: M. Nygard, *Release It!*, chapter 5.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from steward.decision.lane import Lane
from steward.errors import HeldBack

Turn = asyncio.Future[None]
"""Done when it is one's turn; failed when one is sent away."""


def _full() -> HeldBack:
    return HeldBack("the queue is full", code="bulkhead-full")


class Bulkhead:
    """Places for calls, and a bounded queue with lanes before them.

    Args:
        at_once: How many have a place.
        waiting: How many may wait.
        full: Makes the error for those who may not even wait.

    Attributes:
        under_way: How many have a place now.

    Example:
        >>> async def one_place() -> list[str]:
        ...     bulkhead, served = Bulkhead(at_once=1, waiting=2), []
        ...     async def call(name: str, lane: Lane) -> None:
        ...         await bulkhead.enter(lane)
        ...         served.append(name)
        ...         await asyncio.sleep(0)
        ...         bulkhead.leave()
        ...     calls = [("first", Lane.BATCH), ("report", Lane.BATCH), ("alarm", Lane.EMERGENCY)]
        ...     await asyncio.gather(*(call(name, lane) for name, lane in calls))
        ...     return served
        >>> asyncio.run(one_place())
        ['first', 'alarm', 'report']
    """

    def __init__(self, *, at_once: int, waiting: int, full: Callable[[], HeldBack] = _full) -> None:
        self._at_once, self._most_waiting, self._full = at_once, waiting, full
        self.under_way = 0
        # Ordered dictionaries: from both ends and from within, all in constant time.
        self._lanes: dict[Lane, OrderedDict[int, Turn]] = {lane: OrderedDict() for lane in Lane}
        self._came = 0

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return sum(map(len, self._lanes.values()))

    async def enter(self, lane: Lane = Lane.NORMAL, within_s: float | None = None) -> None:
        """Return once one has a place; ``leave`` must follow.

        Raises:
            HeldBack: Nobody more may wait, or somebody more urgent came.
            TimeoutError: There was no place within ``within_s`` seconds.
        """
        if self.under_way < self._at_once:  # then nobody waits: a place that is left goes to who does
            self.under_way += 1
            return
        if within_s is not None and within_s <= 0:
            raise TimeoutError
        if self.waiting >= self._most_waiting:
            self._make_room(lane)
        self._came += 1
        place, turn = self._came, asyncio.get_running_loop().create_future()
        self._lanes[lane][place] = turn
        try:
            async with asyncio.timeout(within_s):
                await turn
        except BaseException:
            # Called off at the very moment that it was one's turn: the place goes to the next.
            has_left = self._lanes[lane].pop(place, None) is None
            if has_left and turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place to the most urgent who waits."""
        for lane in Lane:
            while self._lanes[lane]:
                _, turn = self._lanes[lane].popitem(last=False)
                if not turn.done():  # one that was called off has not yet had the time to leave the queue
                    turn.set_result(None)
                    return
        self.under_way -= 1

    def _make_room(self, lane: Lane) -> None:
        """Send the newest of the least urgent away, if it is less urgent than ``lane``."""
        for other in reversed(Lane):
            if other <= lane:
                break
            if self._lanes[other]:
                _, turn = self._lanes[other].popitem()
                if not turn.done():
                    turn.set_exception(self._full())
                return
        raise self._full()
