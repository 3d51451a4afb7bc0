"""The bulkhead: so many at once, a bounded queue, urgent first, and no place is ever lost."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from steward.decision.lane import Lane
from steward.downstream.bulkhead import Bulkhead
from steward.errors import HeldBack


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def busy(waiting: int = 10) -> Bulkhead:
    bulkhead = Bulkhead(at_once=1, waiting=waiting)
    await bulkhead.enter()
    return bulkhead


async def test_urgent_first_and_in_order_within_a_lane() -> None:
    bulkhead = await busy()
    served: list[str] = []

    async def call(name: str, lane: Lane) -> None:
        await bulkhead.enter(lane)
        served.append(name)
        bulkhead.leave()

    lanes = [("b1", Lane.BATCH), ("n1", Lane.NORMAL), ("b2", Lane.BATCH), ("e", Lane.EMERGENCY), ("n2", Lane.NORMAL)]
    calls = [asyncio.create_task(call(*one)) for one in lanes]
    await settle()
    assert (bulkhead.under_way, bulkhead.waiting) == (1, 5)
    bulkhead.leave()
    await asyncio.gather(*calls)
    assert served == ["e", "n1", "n2", "b1", "b2"]
    assert (bulkhead.under_way, bulkhead.waiting) == (0, 0)


async def test_nobody_overtakes_those_who_wait() -> None:
    bulkhead = Bulkhead(at_once=2, waiting=10)
    await bulkhead.enter()
    await bulkhead.enter()
    first = asyncio.create_task(bulkhead.enter(Lane.BATCH))
    await settle()
    bulkhead.leave()
    assert bulkhead.under_way == 2  # the place was handed over, not set free
    await first


async def test_when_full_the_least_urgent_makes_room() -> None:
    bulkhead = await busy(waiting=2)
    old, new = (asyncio.create_task(bulkhead.enter(Lane.BATCH)) for _ in range(2))
    await settle()
    with pytest.raises(HeldBack, match="full") as caught:
        await bulkhead.enter(Lane.BATCH)
    assert caught.value.code == "bulkhead-full"
    alarm = asyncio.create_task(bulkhead.enter(Lane.EMERGENCY))
    with pytest.raises(HeldBack):
        await new
    bulkhead.leave()
    await alarm
    assert not old.done()
    bulkhead.leave()
    await old


async def test_a_queue_of_none_refuses_at_once() -> None:
    bulkhead = await busy(waiting=0)
    with pytest.raises(HeldBack):
        await bulkhead.enter(Lane.EMERGENCY)


@pytest.mark.parametrize("within_s", [-1.0, 0.0, 0.001])
async def test_the_deadline_is_kept_while_waiting(within_s: float) -> None:
    bulkhead = await busy()
    with pytest.raises(TimeoutError):
        await bulkhead.enter(Lane.NORMAL, within_s)
    assert bulkhead.waiting == 0
    bulkhead.leave()
    assert bulkhead.under_way == 0


async def test_who_is_called_off_at_the_moment_of_his_turn_passes_it_on() -> None:
    bulkhead = await busy()
    first, second = (asyncio.create_task(bulkhead.enter()) for _ in range(2))
    await settle()
    bulkhead.leave()  # the first one's turn is set, but it has not run yet
    first.cancel()
    await second
    assert bulkhead.under_way == 1


async def test_who_was_called_off_is_passed_over() -> None:
    bulkhead = await busy()
    first, second = (asyncio.create_task(bulkhead.enter()) for _ in range(2))
    await settle()
    first.cancel()
    bulkhead.leave()  # before the first one could leave the queue
    await second
    assert bulkhead.under_way == 1


class BulkheadAlways(RuleBasedStateMachine):
    """Callers that come, go and are called off in any order: no place is lost, none is given twice."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.bulkhead = Bulkhead(at_once=2, waiting=3)
        self.tasks: list[tuple[Lane, asyncio.Task[None]]] = []
        self.inside = 0

    def teardown(self) -> None:
        for _, task in self.tasks:
            task.cancel()
        self.run()
        self.loop.close()

    def run(self) -> None:
        self.loop.run_until_complete(settle())
        for lane, task in [each for each in self.tasks if each[1].done()]:
            self.tasks.remove((lane, task))
            if not task.cancelled():
                error = task.exception()
                assert error is None or isinstance(error, HeldBack)
                self.inside += error is None

    @rule(lane=st.sampled_from(Lane), settled=st.booleans())
    def come(self, lane: Lane, settled: bool) -> None:
        async def enter() -> None:
            await self.bulkhead.enter(lane)

        self.tasks.append((lane, self.loop.create_task(enter())))
        if settled:
            self.run()

    @precondition(lambda self: self.inside)
    @rule(settled=st.booleans())
    def leave(self, settled: bool) -> None:
        self.inside -= 1
        self.bulkhead.leave()
        if settled:
            self.run()

    @precondition(lambda self: self.tasks)
    @rule(data=st.data())
    def call_off(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.tasks) - 1))
        # A caller that had its turn and is called off before it ran gives the place back by itself.
        self.tasks[place][1].cancel()

    @rule()
    def settle_down(self) -> None:
        self.run()
        assert self.bulkhead.under_way == self.inside
        # Nobody waits while there is a place.
        assert self.bulkhead.waiting == len(self.tasks)
        assert not self.tasks or self.inside == 2

    @invariant()
    def bounds_hold(self) -> None:
        assert 0 <= self.bulkhead.under_way <= 2
        assert self.bulkhead.waiting <= 3


TestBulkheadAlways = BulkheadAlways.TestCase
