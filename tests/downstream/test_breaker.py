"""The breaker: opens after failures in a row, probes once, and listens to nobody from before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from steward.clock import VirtualClock
from steward.downstream.breaker import Breaker, Permit, State, Verdict
from steward.errors import Conflict, ContractError, DeclarationError, EngineError, HeldBack

START = datetime(2026, 1, 1, tzinfo=UTC)
OPEN_FOR = timedelta(seconds=5)


def breaker_at(clock: VirtualClock, failures: int = 3) -> Breaker:
    return Breaker(failures=failures, open_for=OPEN_FOR, now=clock.now)


def taken(breaker: Breaker) -> Permit:
    permit = breaker.take()
    assert permit is not None
    return permit


def tripped(clock: VirtualClock) -> Breaker:
    breaker = breaker_at(clock, failures=1)
    assert breaker.give_back(taken(breaker), Verdict.ILL)
    return breaker


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (None, Verdict.WELL),
        (TimeoutError(), Verdict.ILL),
        (ConnectionRefusedError(), Verdict.ILL),
        (OSError("no route"), Verdict.ILL),
        (RuntimeError("the client library's own"), Verdict.ILL),
        (EngineError("busy", retryable=True), Verdict.ILL),
        (EngineError("unknown account"), Verdict.WELL),
        (Conflict("already paid"), Verdict.WELL),
        (ContractError("no such field"), Verdict.WELL),
        (HeldBack("spared"), Verdict.SILENT),
        (DeclarationError("wrong choice"), Verdict.SILENT),
        (TypeError("our own bug"), Verdict.SILENT),
        (KeyError("our own bug"), Verdict.SILENT),
        (KeyboardInterrupt(), Verdict.SILENT),
    ],
)
def test_who_answers_is_well_and_what_was_never_called_says_nothing(
    error: BaseException | None, verdict: Verdict
) -> None:
    assert Verdict.of(error) is verdict


def test_it_opens_after_failures_in_a_row_only() -> None:
    breaker = breaker_at(VirtualClock(START))
    for verdict in (Verdict.ILL, Verdict.ILL, Verdict.WELL, Verdict.ILL, Verdict.SILENT, Verdict.ILL):
        assert not breaker.give_back(taken(breaker), verdict)
    assert breaker.state is State.CLOSED
    assert breaker.give_back(taken(breaker), Verdict.ILL)
    assert (breaker.state, breaker.failed) == (State.OPEN, 3)


def test_it_holds_back_until_its_time_is_over() -> None:
    clock = VirtualClock(START)
    breaker = tripped(clock)
    clock.advance(OPEN_FOR - timedelta(microseconds=1))
    assert breaker.holds
    assert breaker.take() is None
    assert breaker.held_until == START + OPEN_FOR
    clock.advance(timedelta(microseconds=1))
    assert not breaker.holds
    assert taken(breaker).is_probe


def test_of_many_who_come_together_one_probes() -> None:
    clock = VirtualClock(START)
    breaker = tripped(clock)
    clock.advance(OPEN_FOR)
    assert [permit for _ in range(50) if (permit := breaker.take()) is not None] == [Permit(2, is_probe=True)]


@pytest.mark.parametrize(
    ("verdict", "state", "changed", "free"),
    [
        (Verdict.WELL, State.CLOSED, True, True),
        (Verdict.ILL, State.OPEN, False, False),
        (Verdict.SILENT, State.OPEN, False, True),  # nothing was learnt: the next call probes
    ],
)
def test_the_probe_decides(verdict: Verdict, state: State, changed: bool, free: bool) -> None:
    clock = VirtualClock(START)
    breaker = tripped(clock)
    clock.advance(OPEN_FOR)
    assert breaker.give_back(taken(breaker), verdict) is changed
    assert breaker.state is state
    assert (breaker.take() is not None) is free


def test_a_failed_probe_holds_back_for_the_whole_time_again() -> None:
    clock = VirtualClock(START)
    breaker = tripped(clock)
    clock.advance(OPEN_FOR)
    breaker.give_back(taken(breaker), Verdict.ILL)
    clock.advance(OPEN_FOR - timedelta(seconds=1))
    assert breaker.take() is None


@pytest.mark.parametrize("verdict", Verdict)
def test_a_call_from_before_says_nothing_about_the_probe(verdict: Verdict) -> None:
    clock = VirtualClock(START)
    breaker = breaker_at(clock, failures=1)
    late, first = taken(breaker), taken(breaker)
    breaker.give_back(first, Verdict.ILL)
    clock.advance(OPEN_FOR)
    probe = taken(breaker)
    assert not breaker.give_back(late, verdict)
    assert breaker.state is State.HALF_OPEN
    assert breaker.give_back(probe, Verdict.WELL)


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(hours=-1), timedelta(days=1)])
def test_no_jump_of_the_clock_keeps_it_open(jump: timedelta) -> None:
    clock = VirtualClock(START)
    breaker = tripped(clock)
    clock.set(clock.now() + jump)
    assert taken(breaker).is_probe


class BreakerAlways(RuleBasedStateMachine):
    """Any order of calls, ends and waits, beside a model that only knows what is open, since when, and who probes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock(START)
        self.breaker = breaker_at(self.clock)
        self.out: list[Permit] = []

    @rule(seconds=st.floats(-10, 10, allow_nan=False))
    def wait(self, seconds: float) -> None:
        self.clock.set(self.clock.now() + timedelta(seconds=seconds))

    @rule()
    def take(self) -> None:
        before, holds = self.breaker.state, self.breaker.holds
        permit = self.breaker.take()
        assert (permit is None) is holds
        if permit is not None:
            assert permit.is_probe is (before is State.OPEN)
            self.out.append(permit)

    @precondition(lambda self: self.out)
    @rule(data=st.data(), verdict=st.sampled_from(Verdict))
    def give_back(self, data: st.DataObject, verdict: Verdict) -> None:
        permit = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        before = self.breaker.state
        changed = self.breaker.give_back(permit, verdict)
        after = self.breaker.state
        if permit.is_probe:
            assert before is State.HALF_OPEN
            assert after is (State.CLOSED if verdict is Verdict.WELL else State.OPEN)
        elif before is not after:
            assert (before, after, verdict) == (State.CLOSED, State.OPEN, Verdict.ILL)
        # What is told alternates: tripped, restored, tripped …
        assert changed is ((before is State.CLOSED) is not (after is State.CLOSED))

    @invariant()
    def one_probe_while_half_open_and_none_else(self) -> None:
        probes = sum(permit.is_probe for permit in self.out)
        assert probes == (self.breaker.state is State.HALF_OPEN)

    @invariant()
    def closed_means_few_failures(self) -> None:
        assert self.breaker.state is not State.CLOSED or self.breaker.failed < 3


TestBreakerAlways = BreakerAlways.TestCase
