"""Lines: what is held back is not tried, what hangs harms only itself, what is repeated stays a small share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from steward.clock import VirtualClock
from steward.decision.action import Action, Call, Destination
from steward.decision.lane import Lane
from steward.downstream.breaker import State
from steward.downstream.lines import REPEATS, Lines, destination_of
from steward.entries import Restored, Tripped
from steward.errors import DeclarationError, EngineError, HeldBack
from steward.records import Receipt

START = datetime(2026, 1, 1, tzinfo=UTC)
PLANT = Destination(name="plant", at_once=2, waiting=3, failures=3, open_for=timedelta(seconds=5))


class Told:
    """A virtual clock, lines by it, and what they told."""

    def __init__(self, *declared: Destination) -> None:
        self.clock = VirtualClock(START)
        self.bodies: list[Tripped | Restored] = []
        self.lines = Lines(self.clock, tell=self.bodies.append, declared=declared)

    async def trip(self, destination: Destination = PLANT) -> None:
        for _ in range(destination.failures):
            with pytest.raises(ConnectionError):
                await self.lines.call(destination, refuse)


async def well() -> str:
    return "done"


async def refuse() -> str:
    raise ConnectionRefusedError("nobody listens")


def times(failures: int, error: Exception) -> Callable[[], Awaitable[str]]:
    """Fail so often, then answer."""
    left = iter([error] * failures)

    async def call() -> str:
        if (fault := next(left, None)) is not None:
            raise fault
        return "done"

    return call


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_plain_and_async_functions_give_their_result() -> None:
    told = Told()
    assert await told.lines.call(PLANT, well) == "done"
    assert await told.lines.call(PLANT, lambda: 7) == 7
    assert told.lines.facts()[0].calls == 2


async def test_it_trips_is_held_back_and_is_restored_by_one_probe() -> None:
    told = Told()
    await told.trip()
    with pytest.raises(HeldBack) as caught:
        await told.lines.call(PLANT, well)
    assert caught.value.code == "breaker-open"
    assert caught.value.held_until == START + PLANT.open_for
    told.clock.advance(PLANT.open_for)
    assert await told.lines.call(PLANT, well) == "done"
    tripped, restored = told.bodies
    assert isinstance(tripped, Tripped)
    assert isinstance(restored, Restored)
    assert (tripped.destination, tripped.failures, tripped.decision) == ("plant", 3, "*")
    assert tripped.reason == "ConnectionRefusedError: nobody listens"
    assert (restored.destination, restored.at) == ("plant", START + PLANT.open_for)
    assert tripped.decision_id != restored.decision_id


async def held_until(told: Told) -> datetime:
    with pytest.raises(HeldBack) as caught:
        await told.lines.call(PLANT, well)
    assert caught.value.held_until is not None
    return caught.value.held_until


async def test_those_held_back_come_again_one_after_the_other() -> None:
    told = Told()
    await told.trip()
    turns = [await held_until(told) for _ in range(1000)]
    assert turns == [START + PLANT.open_for + n * timedelta(milliseconds=20) for n in range(1000)]
    told.clock.set(START - timedelta(days=1))  # its time counts as over, but the first to come is called off
    probe = asyncio.create_task(told.lines.call(PLANT, asyncio.Event().wait))
    await settle()
    assert await held_until(told) == told.clock.now() + PLANT.open_for
    probe.cancel()
    await asyncio.wait([probe])


async def test_fifty_who_come_together_make_one_probe() -> None:
    wide = Destination(name="wide", at_once=50, failures=3)
    told = Told()
    await told.trip(wide)
    told.clock.advance(wide.open_for)
    go, probes = asyncio.Event(), []

    async def probe() -> None:
        probes.append(1)
        await go.wait()

    calls = [asyncio.create_task(told.lines.call(wide, probe)) for _ in range(50)]
    await settle()
    assert (len(probes), told.lines.facts()[0].state) == (1, State.HALF_OPEN)
    go.set()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [getattr(end, "code", "done") for end in ends].count("breaker-open") == 49
    assert told.lines.facts()[0].state is State.CLOSED


async def test_nobody_queues_behind_a_probe() -> None:
    told, narrow, go = Told(), Destination(name="narrow", at_once=1, failures=1), asyncio.Event()
    await told.trip(narrow)
    told.clock.advance(narrow.open_for)
    probe = asyncio.create_task(told.lines.call(narrow, go.wait))
    await settle()
    other = asyncio.create_task(told.lines.call(narrow, well))
    await settle()
    assert told.lines.facts()[0].waiting == 0
    with pytest.raises(HeldBack):
        await other
    go.set()
    await probe


async def test_a_probe_that_is_called_off_leaves_the_next_one_to_probe() -> None:
    told = Told()
    await told.trip()
    told.clock.advance(PLANT.open_for)
    probe = asyncio.create_task(told.lines.call(PLANT, asyncio.Event().wait))
    await settle()
    probe.cancel()
    await asyncio.wait([probe])
    assert await told.lines.call(PLANT, well) == "done"


async def test_when_it_trips_those_who_wait_are_sent_away_at_once() -> None:
    told = Told()
    go = asyncio.Event()

    async def hang_then_fail() -> None:
        await go.wait()
        raise TimeoutError

    narrow = Destination(name="narrow", at_once=1, failures=1)
    calls = [asyncio.create_task(told.lines.call(narrow, hang_then_fail)) for _ in range(4)]
    await settle()
    assert told.lines.facts()[0].waiting == 3
    go.set()
    ends = await asyncio.gather(*calls, return_exceptions=True)
    assert [getattr(end, "code", "timed out") for end in ends] == ["timed out"] + ["breaker-open"] * 3
    assert told.lines.facts()[0].held == 3


async def test_while_calls_still_hang_nobody_waits_behind_an_open_breaker() -> None:
    told, fails, touchy = Told(), asyncio.Event(), Destination(name="touchy", at_once=2, failures=1)

    async def fail() -> None:
        await fails.wait()
        raise ConnectionResetError

    hung = asyncio.create_task(told.lines.call(touchy, asyncio.Event().wait))
    failing = asyncio.create_task(told.lines.call(touchy, fail))
    waits = [asyncio.create_task(told.lines.call(touchy, well)) for _ in range(3)]
    await settle()
    fails.set()
    ends = await asyncio.gather(failing, *waits, return_exceptions=True)
    assert [getattr(end, "code", "failed") for end in ends] == ["failed"] + ["breaker-open"] * 3
    assert told.lines.facts()[0].under_way == 1
    hung.cancel()
    await asyncio.wait([hung])


async def test_what_hangs_is_given_up_and_harms_no_other_line() -> None:
    told = Told()
    hung = [
        asyncio.create_task(told.lines.call(PLANT, asyncio.Event().wait, timeout=timedelta(seconds=30)))
        for _ in range(5)
    ]
    await settle()
    assert (told.lines.facts()[0].under_way, told.lines.facts()[0].waiting) == (2, 3)
    with pytest.raises(HeldBack) as caught:
        await told.lines.call(PLANT, well)
    assert caught.value.code == "bulkhead-full"
    assert caught.value.held_until is not None
    assert await told.lines.call(Destination(name="other"), well) == "done"
    for call in hung:
        call.cancel()
    await asyncio.wait(hung)
    assert (told.lines.facts()[1].under_way, told.lines.facts()[1].waiting) == (0, 0)
    with pytest.raises(TimeoutError):
        await told.lines.call(PLANT, asyncio.Event().wait, timeout=timedelta(milliseconds=1))


async def test_an_emergency_takes_the_place_of_a_batch_in_the_queue() -> None:
    told, go = Told(), asyncio.Event()
    batch = [asyncio.create_task(told.lines.call(PLANT, go.wait, lane=Lane.BATCH)) for _ in range(5)]
    await settle()
    alarm = asyncio.create_task(told.lines.call(PLANT, well, lane=Lane.EMERGENCY))
    await settle()
    go.set()
    assert await alarm == "done"
    ends = await asyncio.gather(*batch, return_exceptions=True)
    assert [getattr(end, "code", "done") for end in ends] == ["done"] * 4 + ["bulkhead-full"]


async def test_the_deadline_is_kept_while_waiting_and_while_calling() -> None:
    told = Told()
    soon = START + timedelta(milliseconds=2)
    with pytest.raises(TimeoutError):
        await told.lines.call(PLANT, asyncio.Event().wait, deadline=soon, timeout=timedelta(seconds=30))
    hung = [asyncio.create_task(told.lines.call(PLANT, asyncio.Event().wait)) for _ in range(2)]
    await settle()
    with pytest.raises(HeldBack) as caught:
        await told.lines.call(PLANT, well, deadline=soon)
    assert caught.value.code == "deadline-passed"
    for call in hung:
        call.cancel()
    await asyncio.wait(hung)


async def test_only_what_is_idempotent_is_repeated() -> None:
    told = Told()
    with pytest.raises(ConnectionError):
        await told.lines.call(PLANT, times(1, ConnectionResetError()))
    assert await told.lines.call(PLANT, well) == "done"
    assert await told.lines.call(PLANT, times(2, ConnectionResetError()), idempotent=True) == "done"
    assert told.lines.facts()[0].repeated == 2


async def test_a_call_is_repeated_so_often_and_no_more() -> None:
    told = Told()
    wide = Destination(name="wide", failures=1000)
    with pytest.raises(ConnectionError):
        await told.lines.call(wide, times(REPEATS + 1, ConnectionResetError()), idempotent=True)
    assert told.lines.facts()[0].repeated == REPEATS


@pytest.mark.parametrize("final", [EngineError("unknown account"), TypeError("our bug"), DeclarationError("wrong")])
async def test_what_would_fail_again_is_not_repeated(final: Exception) -> None:
    told = Told()
    with pytest.raises(type(final)):
        await told.lines.call(PLANT, times(1, final), idempotent=True)
    assert told.lines.facts()[0].repeated == 0


async def test_repeats_of_an_outage_stay_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    monkeypatch.setattr(told.clock, "chance", lambda: 0.0)
    wide = Destination(name="wide", failures=10_000)
    for _ in range(200):
        with pytest.raises(ConnectionError):
            await told.lines.call(wide, refuse, idempotent=True)
    facts = told.lines.facts()[0]
    assert (facts.calls, facts.repeated, facts.failed) == (200, 30, 230)


async def test_no_repeat_comes_earlier_than_the_destination_asked_for() -> None:
    told = Told()
    busy = EngineError("busy", retryable=True, held_until=START + timedelta(seconds=30))
    with pytest.raises(EngineError, match="busy"):
        await told.lines.call(PLANT, times(1, busy), idempotent=True, timeout=timedelta(seconds=10))
    assert told.lines.facts()[0].repeated == 0  # there is not that much time left


async def test_what_was_tried_is_never_told_as_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first try may have taken effect; then the breaker opens, and the repeat is held back."""
    told = Told()
    monkeypatch.setattr(told.clock, "chance", lambda: 0.0)
    touchy = Destination(name="touchy", failures=1)
    with pytest.raises(ConnectionResetError) as caught:
        await told.lines.call(touchy, times(1, ConnectionResetError("cut off")), idempotent=True)
    assert isinstance(caught.value.__cause__, HeldBack)


async def test_the_time_out_holds_for_all_repeats_together(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    monkeypatch.setattr(told.clock, "chance", lambda: 0.0)
    tries = 0

    async def fail_then_hang() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise ConnectionResetError
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await told.lines.call(PLANT, fail_then_hang, idempotent=True, timeout=timedelta(milliseconds=200))
    assert tries == 2


def test_two_that_share_a_name_must_be_one() -> None:
    with pytest.raises(DeclarationError, match="'plant'"):
        Told(PLANT, Destination(name="plant", at_once=3))
    assert [facts.destination for facts in Told(PLANT, PLANT).lines.facts()] == ["plant"]


class Hook:
    """An action's function that says whether it may be repeated."""

    def __init__(self, idempotent: bool) -> None:
        self.idempotent = idempotent

    def __call__(self, choice: object, call: Call) -> Receipt:
        return Receipt(reference="r")


@pytest.mark.parametrize(
    ("action", "is_reading", "repeated"),
    [
        (Action[Any](do=Hook(idempotent=True)), False, 1),
        (Action[Any](do=Hook(idempotent=False)), False, 0),
        (Action[Any](do=Hook(idempotent=False)), True, 1),
        (Action[Any](do=Hook(idempotent=True), undo=Hook(idempotent=False)), False, 0),
    ],
)
async def test_an_action_is_repeated_if_it_says_so_or_only_reads(
    action: Action[Any], is_reading: bool, repeated: int
) -> None:
    told = Told()
    call = told.lines.reach("pay.release", action, times(1, ConnectionResetError()), is_reading=is_reading)
    if repeated:
        assert await call == "done"
    else:
        with pytest.raises(ConnectionResetError):
            await call
    facts = told.lines.facts()[0]
    assert (facts.destination, facts.decision, facts.repeated) == ("pay.release/Hook", "pay.release", repeated)


def test_an_action_without_a_destination_has_a_line_of_its_own() -> None:
    def pay(choice: object, call: Call) -> Receipt:
        return Receipt(reference="r")

    alone, shared = Action[Any](do=pay), Action[Any](do=pay, to=PLANT)
    assert destination_of("pay.a", alone) != destination_of("pay.b", alone)
    assert destination_of("pay.a", shared) is destination_of("pay.b", shared) is PLANT
