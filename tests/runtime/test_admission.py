"""Who is let in, and who is sent away: lanes, bursts and shares."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.clock import VirtualClock
from steward.decision.lane import Lane
from steward.runtime import admission as module
from steward.runtime.admission import BURST_AGAIN, REMEMBERED, Admission, Reason

START = datetime(2026, 1, 1, tzinfo=UTC)
MOST = 20


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


@pytest.fixture
def admission(clock: VirtualClock) -> Admission:
    return Admission(clock, most=MOST, unnoticed=timedelta(milliseconds=20))


def enter(admission: Admission, times: int, lane: Lane = Lane.NORMAL, caller: str = "ana") -> list[Reason | None]:
    return [admission.enter(lane, caller) for _ in range(times)]


def let_in(answers: Iterable[Reason | None]) -> int:
    return sum(answer is None for answer in answers)


def test_a_burst_fills_the_house_twice_and_comes_again_later(admission: Admission, clock: VirtualClock) -> None:
    assert let_in(enter(admission, 100)) == 2 * MOST
    assert enter(admission, 1) == [Reason.FULL]
    for _ in range(2 * MOST):
        admission.leave("ana", 0.001)
    assert let_in(enter(admission, 100)) == MOST
    for _ in range(MOST):
        admission.leave("ana", 0.001)
    clock.advance(BURST_AGAIN / 2)
    assert let_in(enter(admission, 100)) == MOST + MOST // 2


def test_batches_leave_room_and_emergencies_find_some(admission: Admission) -> None:
    assert let_in(enter(admission, 100, Lane.BATCH)) == int(0.7 * MOST)
    assert admission.is_full(Lane.BATCH)
    assert not admission.is_full(Lane.NORMAL)
    enter(admission, 100)
    assert admission.is_full(Lane.NORMAL)
    assert not admission.is_full(Lane.EMERGENCY)
    assert let_in(enter(admission, 100, Lane.EMERGENCY)) == MOST // 10
    assert admission.is_full(Lane.EMERGENCY)


def test_what_is_refused_is_counted_by_lane_and_reason(admission: Admission) -> None:
    enter(admission, 2 * MOST + 3)
    admission.is_full(Lane.NORMAL)
    admission.is_full(Lane.BATCH)
    facts = admission.facts()
    assert (facts.limit, facts.in_flight) == (MOST, 2 * MOST)
    assert facts.refused == {(Lane.NORMAL, Reason.FULL): 4, (Lane.BATCH, Reason.FULL): 1}


def test_a_caller_alone_may_fill_the_house(admission: Admission) -> None:
    assert let_in(enter(admission, MOST, caller="ana")) == MOST


def test_the_last_fifth_is_for_those_below_their_share(admission: Admission) -> None:
    assert enter(admission, 1, caller="bo") == [None]
    greedy = enter(admission, MOST, caller="ana")
    assert let_in(greedy) == 15
    assert set(greedy[15:]) == {Reason.SHARE}
    assert enter(admission, 3, caller="bo") == [None] * 3
    assert enter(admission, 1, Lane.EMERGENCY, caller="ana") == [None]  # shares are for what can wait


def test_who_called_once_shares_for_a_while_only(admission: Admission, clock: VirtualClock) -> None:
    enter(admission, 1, caller="bo")
    admission.leave("bo", 0.001)
    assert let_in(enter(admission, MOST - 4)) == MOST - 4
    assert enter(admission, 1) == [Reason.SHARE]
    clock.advance(REMEMBERED)
    assert enter(admission, 4) == [None] * 4


def test_callers_are_forgotten_before_they_are_too_many(admission: Admission, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CALLERS", 10)
    for number in range(100):
        assert admission.enter(Lane.NORMAL, f"c{number}") is None
        admission.leave(f"c{number}", 0.001)
    assert len(admission._under_way) <= 10


def test_a_clock_set_back_neither_frees_nor_locks(admission: Admission, clock: VirtualClock) -> None:
    enter(admission, 2 * MOST)
    clock.advance(timedelta(days=-1))
    assert admission.is_full(Lane.NORMAL)
    clock.advance(BURST_AGAIN)
    assert not admission.is_full(Lane.NORMAL)


@given(
    st.lists(st.tuples(st.sampled_from(Lane), st.sampled_from("abc"), st.booleans(), st.floats(-1, 3)), max_size=300)
)
def test_whatever_happens_all_who_enter_can_leave(story: list[tuple[Lane, str, bool, float]]) -> None:
    clock = VirtualClock(START)
    admission = Admission(clock, most=MOST, unnoticed=timedelta(milliseconds=20))
    inside: list[str] = []
    for lane, caller, enters, wait_s in story:
        clock.set(clock.now() + timedelta(seconds=wait_s))
        if enters:
            full = admission.is_full(lane)
            reason = admission.enter(lane, caller)
            assert reason is not None or not full, "the look at the door and the door itself agree"
            inside += [caller] * (reason is None)
        elif inside:
            admission.leave(inside.pop(), 0.5)
        assert admission.facts().in_flight == len(inside) <= 2.1 * MOST
    for caller in inside:
        admission.leave(caller, None)
    assert admission.facts().in_flight == 0
