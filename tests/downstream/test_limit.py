"""The adaptive limit, on simulated servers: keeps latency under overload, gives nothing away, and finds new limits."""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.clock import VirtualClock
from steward.decision.lane import Lane
from steward.downstream.limit import AdaptiveLimit
from steward.errors import DeclarationError

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Seen:
    """What a simulated server did after warming up."""

    p99_s: float
    goodput: float
    limit: int


class Servers:
    """Several servers with one queue; requests come by chance, at ``load`` times what the servers can do."""

    def __init__(self, servers: int, *, seed: int = 1, **settings: Any) -> None:
        self.servers, self.chance, self.clock = servers, random.Random(seed), VirtualClock(START)
        self.limit = AdaptiveLimit(self.clock.now, **settings)
        self.now_s, self.busy = 0.0, 0
        self.ends: list[tuple[float, float]] = []
        self.queue: deque[float] = deque()

    def run(self, load: float, *, for_s: float, warm_s: float, service_s: float = 0.004) -> Seen:
        rate = load * self.servers / service_s
        until, warm = self.now_s + for_s, self.now_s + warm_s
        took: list[float] = []
        comes = self.now_s + self.chance.expovariate(rate)
        while self.now_s < until:
            if self.ends and self.ends[0][0] < comes:
                self.now_s, came = heapq.heappop(self.ends)
                self._tick()
                self.busy -= 1
                self.limit.release(self.now_s - came)
                if self.now_s > warm:
                    took.append(self.now_s - came)
            else:
                self.now_s, comes = comes, comes + self.chance.expovariate(rate)
                self._tick()
                if self.limit.try_acquire():
                    self.queue.append(self.now_s)
            while self.queue and self.busy < self.servers:
                self.busy += 1
                heapq.heappush(self.ends, (self.now_s + self.chance.expovariate(1 / service_s), self.queue.popleft()))
        took.sort()
        capacity = (for_s - warm_s) * self.servers / service_s
        return Seen(took[int(len(took) * 0.99)], len(took) / capacity, self.limit.limit)

    def _tick(self) -> None:
        self.clock.set(START + timedelta(seconds=self.now_s))


@pytest.mark.parametrize("servers", [1, 8])
@pytest.mark.parametrize("overload", [2.0, 10.0])
def test_overload_costs_neither_latency_nor_goodput(servers: int, overload: float) -> None:
    usual = Servers(servers).run(0.7, for_s=12, warm_s=4)
    over = Servers(servers).run(overload, for_s=12, warm_s=4)
    assert over.p99_s <= 3 * usual.p99_s
    assert over.goodput >= 0.95
    assert usual.goodput >= 0.66  # of the 70 % that came, nearly all were let in


def test_an_overload_of_minutes_does_not_drag_the_latency_along() -> None:
    servers = Servers(4, memory=60)
    first = servers.run(3, for_s=15, warm_s=5)
    last = servers.run(3, for_s=45, warm_s=35)
    assert last.p99_s <= 1.5 * first.p99_s


def test_a_slower_world_is_learnt() -> None:
    servers = Servers(8, memory=40)
    servers.run(2, for_s=10, warm_s=5)
    slow = servers.run(2, for_s=40, warm_s=20, service_s=0.02)
    assert slow.goodput >= 0.9


def test_it_shrinks_after_a_drop_and_not_below_the_least() -> None:
    clock = VirtualClock(START)
    limit = AdaptiveLimit(clock.now, first=20, least=3)
    for _ in range(40):
        assert limit.try_acquire()
        clock.advance(timedelta(seconds=1))
        limit.release(None, dropped=True)
    assert limit.limit == 3


def test_it_does_not_grow_while_nobody_comes_near_it() -> None:
    clock = VirtualClock(START)
    limit = AdaptiveLimit(clock.now, first=20, samples=1)
    for _ in range(2000):
        assert limit.try_acquire()
        clock.advance(timedelta(seconds=1))
        limit.release(0.001)
        assert limit.limit == 20  # not even for a moment: a burst may come at any time


def test_lanes_fill_it_one_after_the_other() -> None:
    limit = AdaptiveLimit(VirtualClock(START).now, first=10)
    assert [sum(limit.try_acquire(lane) for _ in range(20)) for lane in reversed(Lane)] == [7, 3, 1]


@given(
    st.lists(
        st.tuples(st.sampled_from(Lane), st.booleans(), st.booleans(), st.floats(0, 100), st.floats(-5, 5)),
        max_size=200,
    )
)
def test_whatever_happens_the_limit_keeps_its_bounds(story: list[tuple[Lane, bool, bool, float, float]]) -> None:
    clock = VirtualClock(START)
    limit = AdaptiveLimit(clock.now, least=2, most=8, first=4, samples=1, memory=3)
    for lane, enters, dropped, latency_s, wait_s in story:
        clock.set(clock.now() + timedelta(seconds=wait_s))
        if enters:
            limit.try_acquire(lane)
        elif limit.in_flight:
            limit.release(latency_s, dropped=dropped)
        assert 1 <= limit.limit <= 8
        assert 0 <= limit.in_flight <= 9  # one more for emergencies
    while limit.in_flight:
        limit.release(None)
    assert limit.try_acquire()


@pytest.mark.parametrize(
    "wrong", [{"least": 0}, {"first": 0}, {"first": 2000}, {"least": 2000}, {"tolerance": 0.5}, {"samples": 0}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError):
        AdaptiveLimit(VirtualClock(START).now, **wrong)


def test_a_latency_that_nobody_notices_is_no_queue() -> None:
    servers = Servers(8, unnoticed=timedelta(milliseconds=40))
    seen = servers.run(2, for_s=20, warm_s=10)
    # 8 servers of 4 ms: a mean of 40 ms in a full house is 80 under way.
    assert 60 <= seen.limit <= 100
    assert seen.goodput >= 0.99


def test_nobody_is_refused_to_measure_where_the_limit_is_not_reached() -> None:
    clock = VirtualClock(START)
    limit = AdaptiveLimit(clock.now, first=20, samples=1, memory=3)
    for turn in range(200):
        let_in = [limit.try_acquire() for _ in range(19)]
        assert all(let_in), f"turn {turn}"
        clock.advance(timedelta(seconds=1))
        for _ in let_in:
            limit.release(0.001)


def test_a_latency_that_says_nothing_moves_nothing() -> None:
    clock = VirtualClock(START)
    limit = AdaptiveLimit(clock.now, first=20, samples=1)
    for _ in range(100):
        while limit.try_acquire():
            pass
        clock.advance(timedelta(seconds=1))
        while limit.in_flight:
            limit.release(None)
    assert limit.limit == 20


def test_emergencies_find_room_also_while_it_is_measured() -> None:
    clock = VirtualClock(START)
    limit = AdaptiveLimit(clock.now, first=100, samples=1)
    for turn in range(20):
        while limit.try_acquire():
            pass
        assert limit.has_room(Lane.EMERGENCY)
        clock.advance(timedelta(seconds=1))
        if limit.limit < 10:
            return
        while limit.in_flight:
            limit.release(0.01 * (turn + 1))
    raise AssertionError("it was never measured again")
