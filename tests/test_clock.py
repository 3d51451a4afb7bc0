"""Time, ids and chance: ids only grow, whatever the clock does; the virtual clock repeats itself by seed."""

from __future__ import annotations

import asyncio
import copy
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from steward.clock import EPOCH, SystemClock, VirtualClock, uuid_of

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=50))
def test_ids_grow_whatever_the_clock_does(jumps_ms: list[int]) -> None:
    clock = VirtualClock(NOON)
    ids = []
    for jump_ms in jumps_ms:
        clock.advance(timedelta(milliseconds=jump_ms))
        ids += [clock.new_id(), clock.new_id()]
    assert all(one < two for one, two in pairwise(ids))
    assert {(id.version, id.variant) for id in ids} == {(7, "specified in RFC 4122")}


def test_many_ids_of_one_millisecond_grow_and_stay_near() -> None:
    clock = VirtualClock(NOON)
    ids = [clock.new_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))
    assert (ids[-1].int >> 80) - (NOON - EPOCH) // timedelta(milliseconds=1) <= 3


def test_an_id_tells_its_time() -> None:
    assert EPOCH + timedelta(milliseconds=VirtualClock(NOON).new_id().int >> 80) == NOON
    clock = SystemClock()
    told = EPOCH + timedelta(milliseconds=clock.new_id().int >> 80)
    assert abs(told - clock.now()) < timedelta(minutes=1)


def test_the_same_seed_gives_the_same_ids_and_chances() -> None:
    one, same, other = (VirtualClock(NOON, seed=seed) for seed in (1, 1, 2))
    draws = [[(clock.new_id(), clock.chance()) for _ in range(20)] for clock in (one, same, other)]
    assert draws[0] == draws[1] != draws[2]
    assert all(0 <= chance < 1 for _, chance in draws[0])


def test_time_is_always_told_in_utc() -> None:
    clock = VirtualClock(NOON.astimezone(timezone(timedelta(hours=5))))
    assert clock.now().tzinfo is UTC
    clock.set(datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=1))))
    assert clock.now() == datetime(2026, 1, 1, 13, tzinfo=UTC)
    assert SystemClock().now().tzinfo is UTC


async def test_sleepers_wake_in_order_and_only_when_it_is_time() -> None:
    clock, woken = VirtualClock(NOON), list[int]()

    async def sleep(n: int) -> None:
        await clock.sleep_until(NOON + n * SECOND)
        woken.append(n)

    tasks = [asyncio.ensure_future(sleep(n)) for n in (3, 1, 2, 0, 2)]
    await asyncio.sleep(0)
    assert woken == [0]
    clock.set(NOON - SECOND)
    clock.advance(3 * SECOND)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert woken == [0, 1, 2, 2]
    tasks[0].cancel()
    clock.advance(SECOND)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert woken == [0, 1, 2, 2]


async def test_the_system_clock_does_not_sleep_for_the_past() -> None:
    clock = SystemClock()
    await asyncio.wait_for(clock.sleep_until(clock.now() - SECOND), 1)
    soon = clock.now() + timedelta(milliseconds=20)
    await clock.sleep_until(soon)
    assert clock.now() >= soon


@given(st.integers(0, 2**128 - 1))
def test_a_uuid_made_quickly_is_like_any_other(number: int) -> None:
    made, other = uuid_of(number), UUID(int=number)
    assert (made, hash(made), str(made), repr(made), made.bytes) == (
        other,
        hash(other),
        str(other),
        repr(other),
        other.bytes,
    )
    assert made.is_safe is other.is_safe
    assert copy.deepcopy(made) == other
