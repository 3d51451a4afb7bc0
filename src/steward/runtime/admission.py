"""Admission: how many requests are let in at once, who of them, and who is sent away.

A process that takes in more than it can do answers everybody late. So it learns how much may be under way
(:class:`steward.downstream.limit.AdaptiveLimit`), fills that in lanes, and sends the rest away at once, at the price of
a look at a number. A burst is no overload: now and then the house may be filled twice, when a disk hesitates or many
come at once. Of several callers none can fill the house: its last fifth is for those who have less than their
share under way.
"""

from __future__ import annotations

import math
from collections import Counter
from datetime import timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from steward.clock import Clock
from steward.decision.lane import Lane
from steward.downstream.limit import EMERGENCY_SHARE, AdaptiveLimit

LEAST: Final = 16
"""Never fewer are let in at once, however slow each is."""
FIRST: Final = 100
"""How many are let in before anything is known."""
TOLERANCE: Final = 4.0
"""How much longer than alone a request may take. More than for a single server: a batch that grows takes longer, too,
and decides more a second for it."""
OPEN_SHARE: Final = 0.8
"""The part of the house that is open to all, whatever their share."""
REMEMBERED: Final = timedelta(seconds=10)
"""How long a caller counts as one of those who share the house."""
MOST_CALLERS: Final = 10_000
BURST_AGAIN: Final = timedelta(seconds=5)
"""How long it takes until a burst that fills the house twice is let in again."""


class Reason(StrEnum):
    """Why somebody was sent away.

    Example:
        >>> Reason.SHARE.value
        'share'
    """

    FULL = "full"
    """There was no room in the lane."""
    SHARE = "share"
    """The caller had more than its share under way, and others call, too."""


class AdmissionFacts(NamedTuple):
    """What metrics tell.

    Attributes:
        limit: How many may be under way, in the normal lane.
        in_flight: How many are.
        refused: How many were sent away, by lane and reason.

    Example:
        >>> AdmissionFacts(100, 3, {}).limit
        100
    """

    limit: int
    in_flight: int
    refused: dict[tuple[Lane, Reason], int]


class Admission:
    """Lets requests in, and sends away what there is no room for.

    Args:
        clock: Time.
        most: How many may be under way at most.
        unnoticed: A mean time to the answer up to this is never taken for an overload.

    Example:
        >>> from steward.clock import SystemClock
        >>> admission = Admission(SystemClock(), most=100, unnoticed=timedelta(milliseconds=20))
        >>> admission.enter(Lane.NORMAL, "till-7"), admission.facts().in_flight
        (None, 1)
        >>> admission.leave("till-7", 0.004)
    """

    def __init__(self, clock: Clock, *, most: int, unnoticed: timedelta) -> None:
        self._now = clock.now
        self._limit = AdaptiveLimit(
            clock.now,
            least=min(LEAST, most),
            most=most,
            first=min(FIRST, most),
            tolerance=TOLERANCE,
            unnoticed=unnoticed,
        )
        self._under_way: dict[str, int] = {}
        self._counted_since = self._burst_at = clock.now()
        self._left = float(self._limit.limit)
        self._refused: Counter[tuple[Lane, Reason]] = Counter()

    def is_full(self, lane: Lane) -> bool:
        """Tell whether a request of this lane would be sent away, whoever sent it; counts it if so."""
        if self._limit.has_room(lane) or self._burst(lane) >= 1:
            return False
        self._refused[lane, Reason.FULL] += 1
        return True

    @property
    def is_nearly_full(self) -> bool:
        """Whether there is only room left for who has less than their share: no time for what nobody waits for."""
        return self._limit.in_flight >= self._limit.limit * OPEN_SHARE

    def enter(self, lane: Lane, caller: str) -> Reason | None:
        """Let a request in, which must :meth:`leave`; or return why it is not."""
        limit = self._limit
        mine = self._under_way.get(caller, 0)
        if limit.in_flight >= limit.limit * OPEN_SHARE and lane and self._has_too_much(mine):
            self._refused[lane, Reason.SHARE] += 1
            return Reason.SHARE
        if not limit.try_acquire(lane) and not self._take_of_burst(lane):
            self._refused[lane, Reason.FULL] += 1
            return Reason.FULL
        if not mine and len(self._under_way) >= MOST_CALLERS:
            self._forget_idle()
        self._under_way[caller] = mine + 1
        return None

    def leave(self, caller: str, took_s: float | None) -> None:
        """Say that a request which was let in has ended.

        Args:
            caller: Who sent it.
            took_s: How long it took, in seconds; ``None`` if that says nothing about the load.
        """
        self._under_way[caller] -= 1
        self._limit.release(took_s)

    def _burst(self, lane: Lane) -> float:
        """Return how many more may come now than there is room for; batches have no bursts."""
        whole = self._limit.limit
        if lane is Lane.EMERGENCY:  # finds room beyond the bursts of others, too
            return math.ceil((1 + EMERGENCY_SHARE) * whole) - self._limit.in_flight
        now = self._now()
        grown = max((now - self._burst_at) / BURST_AGAIN, 0.0)
        self._left, self._burst_at = min(self._left + grown * whole, whole), now
        return 0.0 if lane is Lane.BATCH else self._left

    def _take_of_burst(self, lane: Lane) -> bool:
        if self._burst(lane) < 1:
            return False
        if lane is not Lane.EMERGENCY:
            self._left -= 1
        self._limit.acquire()
        return True

    def _has_too_much(self, mine: int) -> bool:
        """Tell whether a caller has its share or more under way, where others share the house."""
        if not timedelta(0) <= self._now() - self._counted_since < REMEMBERED:
            self._forget_idle()
        callers = len(self._under_way) + (not mine)
        return callers > 1 and mine * callers >= self._limit.limit

    def _forget_idle(self) -> None:
        self._under_way = {caller: count for caller, count in self._under_way.items() if count}
        self._counted_since = self._now()

    def facts(self) -> AdmissionFacts:
        """Return what metrics tell."""
        return AdmissionFacts(self._limit.limit, self._limit.in_flight, dict(self._refused))


def batch_lane(lane: Lane) -> Lane:
    """Return the lane of a batch of a decision: that of batches, unless the decision is an emergency.

    Example:
        >>> batch_lane(Lane.NORMAL).name, batch_lane(Lane.EMERGENCY).name
        ('BATCH', 'EMERGENCY')
    """
    return lane if lane is Lane.EMERGENCY else Lane.BATCH
