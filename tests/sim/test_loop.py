"""The simulated loop: virtual time, an order by seed, no machine below, and what it says when nothing moves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest

from steward.testing import Deadlock, Livelock, Simulation, Unsimulated, VirtualLoop
from steward.testing.simulation.process import Process

T = TypeVar("T")
HOUR = timedelta(hours=1)


def run(main: Callable[[], Awaitable[T]], seed: int = 1) -> T:
    async def world(simulation: Simulation) -> T:
        return await main()

    return Simulation(seed).run(world)


def test_a_year_passes_at_once() -> None:
    async def main() -> float:
        await asyncio.sleep(365 * 86_400)
        return asyncio.get_running_loop().time()

    assert run(main) == 365 * 86_400


def test_timers_fire_in_order_and_at_their_time() -> None:
    fired: list[tuple[float, str]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(2, lambda: fired.append((loop.time(), "b")))
        loop.call_later(1, lambda: fired.append((loop.time(), "a")))
        loop.call_at(3, lambda: fired.append((loop.time(), "c")))
        loop.call_later(1.5, lambda: fired.append((loop.time(), "never"))).cancel()
        await asyncio.sleep(4)

    run(main)
    assert fired == [(1.0, "a"), (2.0, "b"), (3.0, "c")]


def test_a_cancelled_timer_does_not_move_time() -> None:
    async def main() -> float:
        asyncio.get_running_loop().call_later(1000, print).cancel()
        await asyncio.sleep(1)
        return asyncio.get_running_loop().time()

    assert run(main) == 1.0


def test_what_is_ready_runs_in_an_order_that_the_seed_chose() -> None:
    async def main() -> str:
        order: list[str] = []
        for letter in "abcdefgh":
            asyncio.get_running_loop().call_soon(order.append, letter)
        await asyncio.sleep(1)
        return "".join(order)

    orders = [run(main, seed) for seed in range(20)]
    assert len(set(orders)) > 15
    assert orders == [run(main, seed) for seed in range(20)]
    assert {"".join(sorted(order)) for order in orders} == {"abcdefgh"}


def test_timeouts_are_virtual() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 30)
        return asyncio.get_running_loop().time()

    assert run(main) == 30.0


def test_deadlock_tells_who_waits_where() -> None:
    async def stuck() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        waiting = asyncio.get_running_loop().create_task(stuck(), name="the stuck one")
        await waiting

    with pytest.raises(Deadlock) as raised:
        run(main)
    assert "the stuck one: test_loop.py" in str(raised.value)
    assert "stuck > locks.py" in str(raised.value)


def test_livelock_is_found() -> None:
    async def main() -> None:
        while True:  # noqa: ASYNC110 - a task that never lets time pass
            await asyncio.sleep(0)

    with pytest.raises(Livelock, match="callbacks ran at 0"):
        run(main)


@pytest.mark.parametrize(
    "want",
    [
        lambda: asyncio.to_thread(print),
        lambda: asyncio.open_connection("localhost", 80),
        lambda: asyncio.create_subprocess_exec("true"),
        lambda: asyncio.start_server(lambda reader, writer: None, port=0),
    ],
)
def test_there_is_no_machine_below(want: Callable[[], Awaitable[object]]) -> None:
    async def main() -> None:
        await want()

    with pytest.raises(Unsimulated, match="no threads, sockets or processes"):
        run(main)


def test_other_threads_cannot_call() -> None:
    with pytest.raises(Unsimulated):
        VirtualLoop(random.Random(1)).call_soon_threadsafe(print)


def test_an_error_in_a_callback_ends_the_simulation() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(10)

    with pytest.raises(ZeroDivisionError):
        run(main)


async def test_it_runs_inside_another_loop() -> None:
    outer = asyncio.get_running_loop()

    async def main() -> float:
        await asyncio.sleep(5)
        return asyncio.get_running_loop().time()

    assert run(main) == 5.0
    assert asyncio.get_running_loop() is outer


def test_a_killed_process_does_nothing_more() -> None:
    told: list[str] = []

    async def endless() -> None:
        try:
            while True:
                await asyncio.sleep(1)
                told.append("alive")
        except BaseException:
            told.append("caught")
            raise
        finally:
            told.append("cleaned up")

    async def main() -> None:
        process = Process("it")
        asking = asyncio.ensure_future(process.ask(endless))
        await asyncio.sleep(3.5)
        process.kill()
        with pytest.raises(ConnectionResetError, match="it died"):
            await asking
        with pytest.raises(ConnectionRefusedError, match="it is down"):
            await process.ask(endless)
        told.append("over")
        await asyncio.sleep(100)

    async def world(simulation: Simulation) -> None:
        await main()
        assert told == ["alive"] * 3 + ["over"]

    Simulation(1).run(world)


@pytest.mark.parametrize("steps", range(1, 12))
def test_a_process_can_die_between_any_two_steps(steps: int) -> None:
    async def main() -> int:
        done = 0

        async def work() -> None:
            nonlocal done
            for _ in range(20):
                await asyncio.sleep(0)
                done += 1

        process = Process("it")
        process.fuse = steps
        with pytest.raises(ConnectionResetError):
            await process.ask(work)
        return done

    assert run(main) == max(steps - 2, 0)


def test_wall_time_jumps_and_monotonic_time_does_not() -> None:
    woken: list[datetime] = []

    async def world(simulation: Simulation) -> tuple[float, datetime]:
        clock = simulation.new_clock()
        sleeper = asyncio.ensure_future(clock.sleep_until(clock.now() + 3 * HOUR))
        sleeper.add_done_callback(lambda _: woken.append(simulation.machine.now()))
        await asyncio.sleep(60)
        simulation.machine.jump(timedelta(hours=-1))
        await asyncio.sleep(60)
        simulation.machine.jump(timedelta(days=1))
        await asyncio.sleep(61)
        assert sleeper.done()
        return simulation.loop.time(), clock.now()

    passed, now = Simulation(1).run(world)
    assert passed == 181
    assert now == datetime(2026, 1, 1, 23, 3, 1, tzinfo=UTC)
    assert woken[0] >= datetime(2026, 1, 1, 23, 2, tzinfo=UTC)


def test_a_sleeper_sleeps_on_when_the_clock_goes_back() -> None:
    async def world(simulation: Simulation) -> timedelta:
        clock = simulation.new_clock()
        start, sleeper = clock.now(), asyncio.ensure_future(clock.sleep_until(clock.now() + HOUR))
        simulation.machine.jump(-HOUR)
        await sleeper
        return timedelta(seconds=simulation.loop.time()) + (clock.now() - start) * 0

    assert Simulation(1).run(world) == 2 * HOUR
