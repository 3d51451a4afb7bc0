"""Time, identifiers and chance: the only place in Steward that reads a clock or draws a random number.

Everything else takes a :class:`Clock`, so that whole runs can be repeated in virtual time, by seed.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Protocol
from uuid import UUID, SafeUUID

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
Chance = random.Random
"""Where a simulation draws from."""


def seeded(seed: int) -> Chance:
    """Return chances that are the same again for the same seed.

    Example:
        >>> seeded(1).random() == seeded(1).random()
        True
    """
    return random.Random(seed)  # noqa: S311 - repeatable on purpose


class Clock(Protocol):
    """Where time, ids and chance come from."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...

    def new_id(self) -> UUID:
        """Return a UUIDv7 greater than every one this clock has made before."""
        ...

    def chance(self) -> float:
        """Return a random number in [0, 1)."""
        ...

    async def sleep_until(self, when: datetime) -> None:
        """Return once ``now() >= when``."""
        ...


def uuid_of(number: int) -> UUID:
    """Return ``UUID(int=number)``, without its checks: a third of the time.

    Args:
        number: At least 0 and below 2**128.

    Example:
        >>> uuid_of(1) == UUID(int=1)
        True
    """
    made = object.__new__(UUID)
    # As UUID itself does it, because it refuses to be changed.
    object.__setattr__(made, "int", number)
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made


def time_of(made: UUID) -> datetime:
    """Return when a UUIDv7 was made, to the millisecond.

    Example:
        >>> clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
        >>> time_of(clock.new_id()).isoformat()
        '2026-01-01T00:00:00+00:00'
    """
    return EPOCH + (made.int >> 80) * _MILLISECOND


class _Ids:
    """UUIDv7 (RFC 9562, section 5.7) with a 12-bit counter, so that ids of one process always grow."""

    def __init__(self, chance: random.Random) -> None:
        self._bits = chance.getrandbits
        self._last = -1

    def make(self, unix_ms: int) -> UUID:
        # 48 bits of time and 12 of counter form one number that only grows, even if the clock jumps back.
        self._last = stamp = max(self._last + 1, unix_ms << 12)
        high = ((stamp >> 12) << 16) | 0x7000 | (stamp & 0xFFF)
        return uuid_of((high << 64) | (0b10 << 62) | self._bits(62))


class SystemClock:
    """The machine's own clock.

    Example:
        >>> clock = SystemClock()
        >>> clock.new_id() < clock.new_id()
        True
        >>> clock.new_id().version
        7
    """

    def __init__(self) -> None:
        self._random = random.SystemRandom()
        self._ids = _Ids(random.Random(self._random.getrandbits(128)))  # noqa: S311 - ids are unique, not secret

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)

    def new_id(self) -> UUID:
        """Return a UUIDv7 greater than every one this clock has made before."""
        return self._ids.make(time.time_ns() // 1_000_000)

    def chance(self) -> float:
        """Return a random number in [0, 1)."""
        return self._random.random()

    async def sleep_until(self, when: datetime) -> None:
        """Return once ``now() >= when``; looks again at least once a minute, as wall clocks jump."""
        while (left := (when - self.now()).total_seconds()) > 0:  # noqa: ASYNC110 - nobody tells when time has passed
            await asyncio.sleep(min(left, 60.0))


class VirtualClock:
    """A clock that moves only when told to; same seed, same ids and chances.

    Args:
        start: The first time it shows; aware.
        seed: The seed of its ids and chances.

    Example:
        >>> clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC), seed=7)
        >>> clock.advance(timedelta(hours=2))
        >>> clock.now().isoformat()
        '2026-01-01T02:00:00+00:00'
    """

    def __init__(self, start: datetime, *, seed: int = 0) -> None:
        self._now = start.astimezone(UTC)
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._ids = _Ids(random.Random(seed + 1))  # noqa: S311 - repeatable on purpose
        self._order = count()
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """Return the time it was last set to."""
        return self._now

    def new_id(self) -> UUID:
        """Return a UUIDv7 greater than every one this clock has made before."""
        return self._ids.make((self.now() - EPOCH) // _MILLISECOND)

    def chance(self) -> float:
        """Return a random number in [0, 1)."""
        return self._random.random()

    async def sleep_until(self, when: datetime) -> None:
        """Return once somebody has moved the clock to ``when`` or beyond."""
        if when > self._now:
            woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._sleepers, (when, next(self._order), woken))
            await woken

    def advance(self, by: timedelta) -> None:
        """Move on by ``by`` and wake those who slept until then."""
        self.set(self.now() + by)

    def set(self, when: datetime) -> None:
        """Show ``when`` from now on (it may be earlier: clocks jump) and wake those who slept until then."""
        self._now = when.astimezone(UTC)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)
