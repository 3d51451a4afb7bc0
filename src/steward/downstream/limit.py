"""An adaptive limit of what is under way at once, learnt from how long things take.

A fixed limit is right on one day. Here the limit follows the measured latency: as long as a window's mean stays near
the lowest mean known (nothing queues), it grows; when things begin to queue, the mean rises and the limit shrinks in
proportion; when something is dropped, it shrinks at once. The rule is that of Netflix's ``concurrency-limits``
(``Gradient2Limit``: limit x gradient + queue, smoothed; ``AIMDLimit``: x 0.9 after a drop), see
https://github.com/Netflix/concurrency-limits. Different is what latency is compared with: there a slow average, which
an overload of minutes drags along; here the lowest mean, measured again now and then while little is let in: in an
overload only, as somebody is sent away for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from steward.decision.lane import Lane
from steward.errors import DeclarationError

EMERGENCY_SHARE: Final = 1.1
"""The share of the limit that emergencies may fill: they find room where others do not."""
BATCH_SHARE: Final = 0.7
"""The share that batches may fill: they leave room for all others."""
_SMOOTHING: Final = 0.2
_SMALLEST_GRADIENT: Final = 0.5
_LARGEST_GRADIENT: Final = 2.0
"""As long as nobody notices: in a full house the latency grows with the limit, so what is missing to it is known."""
_AFTER_DROP: Final = 0.9


class AdaptiveLimit:
    """How many requests may be under way, between ``least`` and ``most``.

    Args:
        now: Tells the time; aware.
        least: Never fewer.
        most: Never more.
        first: How many before anything is known.
        tolerance: By which factor the mean latency may rise above the lowest one before the limit shrinks.
        window: How long latencies are gathered before the limit is computed again.
        samples: How many latencies a window has at least.
        memory: After how many windows the lowest mean is measured again; at first sooner.
        unnoticed: A mean latency up to this is never taken for a queue.

    Attributes:
        in_flight: How many are under way.
        limit: How many may be now, in the normal lane.

    Example:
        >>> from datetime import UTC
        >>> from steward.clock import VirtualClock
        >>> clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        >>> limit = AdaptiveLimit(clock.now, first=2)
        >>> [limit.try_acquire() for _ in range(3)], limit.try_acquire(Lane.EMERGENCY)
        ([True, True, False], True)
        >>> limit.release(0.003)
        >>> limit.in_flight
        2
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        least: int = 4,
        most: int = 1000,
        first: int = 20,
        tolerance: float = 1.5,
        window: timedelta = timedelta(milliseconds=500),
        samples: int = 10,
        memory: int = 600,
        unnoticed: timedelta = timedelta(0),
    ) -> None:
        if not 1 <= first <= most or not 1 <= least <= most or tolerance < 1 or samples < 1 or memory < 1:
            raise DeclarationError("a limit lies between least and most, at least 1, and tolerance is at least 1")
        self._now, self._least, self._most, self._tolerance = now, least, most, tolerance
        self._window, self._samples, self._memory = window, samples, memory
        self._unnoticed_s = unnoticed.total_seconds()
        self.in_flight = self._peak = 0
        self._lowest_s = math.inf
        self._age, self._next_probe = 0, min(2, memory)
        self._is_probing, self._before_probe = False, 0
        self._limit = float(first)
        self._look_at = samples
        self._open_rooms()
        self._begin_window()

    def has_room(self, lane: Lane = Lane.NORMAL) -> bool:
        """Tell whether ``try_acquire`` would let one more in."""
        return self.in_flight < self._rooms[lane]

    def try_acquire(self, lane: Lane = Lane.NORMAL) -> bool:
        """Count one more as under way and return ``True``, unless there are too many for its lane."""
        if self.in_flight >= self._rooms[lane]:
            return False
        self.acquire()
        return True

    def acquire(self) -> None:
        """Count one more as under way, whether or not there is room."""
        self.in_flight += 1
        if self.in_flight > self._peak:  # noqa: PLR1730 - this runs for every request, and a call costs more
            self._peak = self.in_flight

    def release(self, latency_s: float | None, *, dropped: bool = False) -> None:
        """Say that one ended.

        Args:
            latency_s: How long it took, in seconds; ``None`` if that says nothing.
            dropped: Whether it ended because there was too much.
        """
        self.in_flight -= 1
        if self._before_probe > 0:
            self._before_probe -= 1  # it came when more was let in, and waited behind that
            return
        if dropped:
            self._has_dropped = True
        elif latency_s is not None:
            self._sum_s += latency_s
            self._count += 1
        if self._count >= self._look_at or self._has_dropped:
            # The time is not asked for each one: that would cost more than all else here.
            self._look_at = self._count + self._samples
            self._look()

    def _look(self) -> None:
        if self._is_probing:
            if self._count >= self._samples:
                self._end_probe()
        # A clock that was set back ends the window, too.
        elif not timedelta(0) <= self._now() - self._began_at < self._window:
            self._end_window()

    def _begin_window(self) -> None:
        self._began_at = self._now()
        self._sum_s, self._count, self._look_at = 0.0, 0, self._samples
        self._peak, self._has_dropped = self.in_flight, False

    def _end_window(self) -> None:
        if self._has_dropped:
            self._set(self._limit * _AFTER_DROP)
        elif self._count:
            self._learn(self._sum_s / self._count)
        self._begin_window()

    def _learn(self, mean_s: float) -> None:
        self._lowest_s = min(self._lowest_s, mean_s)
        self._age += 1
        is_old = self._age >= self._next_probe
        if self._peak < self._limit / 2:
            # Nobody came near the limit: nothing is known about a higher one, and nothing queued.
            if is_old and self._peak <= self._few():
                self._remember(mean_s)
            return
        is_unnoticed = mean_s <= self._unnoticed_s
        if is_old and self._peak >= int(self._limit) and not is_unnoticed:
            self._is_probing, self._before_probe = True, self.in_flight
        ratio = max(self._tolerance * self._lowest_s, self._unnoticed_s) / mean_s if mean_s > 0 else 1.0
        gradient = min(max(ratio, _SMALLEST_GRADIENT), _LARGEST_GRADIENT if is_unnoticed else 1.0)
        # Room to grow by the root of the limit: quick when small, careful when large.
        wanted = self._limit * gradient + math.sqrt(self._limit) / 2
        self._set(self._limit + _SMOOTHING * (wanted - self._limit))

    def _few(self) -> int:
        """Return how many at once are so few that nothing queues."""
        return math.ceil(math.sqrt(self._limit) / 2)

    def _end_probe(self) -> None:
        self._is_probing = False
        self._remember(self._sum_s / self._count)
        self._open_rooms()
        self._begin_window()

    def _remember(self, mean_s: float) -> None:
        """Take a mean that was measured while little was under way; the next is wanted after twice the time."""
        self._lowest_s, self._age, self._next_probe = mean_s, 0, min(self._next_probe * 2, self._memory)

    def _set(self, limit: float) -> None:
        self._limit = min(max(limit, self._least), self._most)
        self._open_rooms()

    def _open_rooms(self) -> None:
        self.limit = room = self._few() if self._is_probing else int(self._limit)
        # In the order of lanes; what cannot wait is let in also while it is measured how fast the others could be.
        emergency = math.ceil(self._limit * EMERGENCY_SHARE)
        self._rooms = (emergency, room, max(int(room * BATCH_SHARE), 1))
