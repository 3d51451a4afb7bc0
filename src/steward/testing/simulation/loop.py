"""An event loop without a machine below it: time is virtual, and what is ready runs in an order that a seed chose."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context, copy_context
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, TypeVarTuple, cast

from steward.clock import Chance
from steward.testing.simulation.process import CURRENT, Process
from steward.testing.simulation.stuck import Deadlock, Livelock, Unsimulated, waiting_for

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
MOST_CALLBACKS: Final = 50_000
"""So many without time moving are a livelock."""
_REFUSED: Final = (
    *("add_reader", "remove_reader", "add_writer", "remove_writer", "add_signal_handler", "remove_signal_handler"),
    *("create_connection", "create_server", "create_unix_connection", "create_unix_server"),
    *("create_datagram_endpoint", "connect_accepted_socket", "connect_read_pipe", "connect_write_pipe", "start_tls"),
    *("sendfile", "sock_recv", "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into", "sock_sendall", "sock_sendto"),
    *("sock_sendfile", "sock_connect", "sock_accept", "subprocess_exec", "subprocess_shell"),
    *("getaddrinfo", "getnameinfo"),
)
if TYPE_CHECKING:
    _Loop = asyncio.BaseEventLoop  # the type checker does not see that what is refused is there, too
else:
    _Loop = asyncio.AbstractEventLoop


class _Handle(asyncio.TimerHandle):
    """A callback to be run, in whose process; made a hundred thousand times a second, so without the parent's help."""

    __slots__ = ("process",)

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: Context,
        when: float = 0.0,
    ) -> None:
        self._callback, self._args, self._loop, self._context, self._when = callback, args, loop, context, when
        self._cancelled, self._repr, self._source_traceback, self._scheduled = False, None, None, False
        self.process: Process | None = context.get(CURRENT)


class VirtualLoop(_Loop):
    """Runs coroutines in virtual time: it moves to the next timer at once when nothing is ready.

    Callbacks that are ready at one moment run in an order drawn from ``chance``, as nobody may rely on another. There
    are no threads, sockets, signals or subprocesses: asking for one raises :class:`Unsimulated`.

    Args:
        chance: Where the order comes from.

    Attributes:
        steps: How many callbacks have run.

    Example:
        >>> from steward.clock import seeded
        >>> async def main() -> float:
        ...     await asyncio.sleep(86_400)
        ...     return asyncio.get_running_loop().time()
        >>> VirtualLoop(seeded(1)).run_until_complete(main())
        86400.0
    """

    def __init__(self, chance: Chance) -> None:
        self.steps = 0
        self._chance = chance.random
        self._ready: list[_Handle] = []
        self._timers: list[tuple[int, int, _Handle]] = []
        self._order = count()
        self._now_us = 0
        self._moved_at = 0
        self._tasks: list[tuple[asyncio.Task[Any], Process | None]] = []
        self._prune_at = 256
        self._error: BaseException | None = None
        self._closed = False

    # Time

    @property
    def now_us(self) -> int:
        """Microseconds since the simulation began."""
        return self._now_us

    def time(self) -> float:
        """Return the seconds since the simulation began."""
        return self._now_us / 1e6

    # What is to run

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback in one of the next steps."""
        handle = _Handle(callback, args, self, context if context is not None else copy_context())
        if not self._closed:
            self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback ``delay`` seconds from now."""
        return self._call_at_us(self._now_us + max(round(delay * 1e6), 0), callback, args, context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback when :meth:`time` is ``when``."""
        return self._call_at_us(max(round(when * 1e6), self._now_us), callback, args, context)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Refuse: there are no other threads that could call."""
        _refuse("call_soon_threadsafe")

    def _call_at_us(
        self, due_us: int, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> _Handle:
        timer = _Handle(callback, args, self, context if context is not None else copy_context(), due_us / 1e6)
        heapq.heappush(self._timers, (due_us, next(self._order), timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave it in the queue; it is passed over."""

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[T]:
        """Start a task; it is kept until it is done, so that what was killed is never cleaned up early."""
        given = None if name is None else str(name)
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self, name=given, context=context, **options)
        if len(self._tasks) >= self._prune_at:
            self._tasks = [known for known in self._tasks if not known[0].done()]
            self._prune_at = 256 + 2 * len(self._tasks)
        self._tasks.append((task, CURRENT.get() if context is None else context.get(CURRENT)))
        return task

    # Running

    def run_until_complete(self, future: Generator[Any, None, T] | Awaitable[T]) -> T:
        """Run until ``future`` is done; it may be called from inside another loop.

        Raises:
            Deadlock: Everybody waits for somebody.
            Livelock: 50,000 callbacks ran without time moving.
        """
        main: asyncio.Future[T] = asyncio.ensure_future(cast("Awaitable[T]", future), loop=self)
        around = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            self._run(main)
        finally:
            asyncio._set_running_loop(around)
        return main.result()

    def _run(self, main: asyncio.Future[Any]) -> None:
        ready, chance = self._ready, self._chance
        while not main.done():
            if not ready and not self._move_on():
                raise self._deadlock()
            if (size := len(ready)) > 1:
                place = int(chance() * size)
                ready[place], ready[-1] = ready[-1], ready[place]
            handle = ready.pop()
            if handle._cancelled or not (handle.process is None or handle.process.takes_a_step()):
                continue
            self.steps += 1
            handle._context.run(handle._callback, *handle._args)  # what a callback raises ends the simulation
            if self._error is not None:
                raise self._error
            if self.steps - self._moved_at > MOST_CALLBACKS:
                raise self._livelock()

    def _move_on(self) -> bool:
        """Move to the time of the next timer; ``False`` if there is none."""
        timers, ready = self._timers, self._ready
        while timers and timers[0][2]._cancelled:
            heapq.heappop(timers)
        if not timers:
            return False
        if timers[0][0] > self._now_us:
            self._now_us, self._moved_at = timers[0][0], self.steps
        while timers and timers[0][0] <= self._now_us:
            timer = heapq.heappop(timers)[2]
            if not timer._cancelled:
                ready.append(timer)
        return True

    def _waiting(self) -> str:
        alive = [task for task, process in self._tasks if process is None or not process.dead]
        return f"the tasks wait here\n{waiting_for(alive)}"

    def _deadlock(self) -> Deadlock:
        return Deadlock(
            "everybody waits, and nothing is scheduled", why=self._waiting(), fix="find who should have woken them"
        )

    def _livelock(self) -> Livelock:
        return Livelock(
            f"{MOST_CALLBACKS} callbacks ran at {self.time()} s",
            why=f"time moves only when nothing is ready; {self._waiting()}",
            fix="find the task that never waits for a time",
        )

    def fail(self, error: BaseException) -> None:
        """End the simulation with ``error`` after the step that is running, whoever would catch it there."""
        if self._error is None:
            self._error = error

    def close(self) -> None:
        """Drop everything that has not ended, without letting it act on anything; twice is fine."""
        self._closed = True
        self._ready.clear()
        self._timers.clear()
        for task, _ in self._tasks:
            if not task.done() and isinstance(coroutine := task.get_coro(), Coroutine):
                _end(coroutine)
        self._tasks.clear()

    def is_running(self) -> bool:
        """Whether it is the loop that runs now."""
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def get_debug(self) -> bool:
        """Never in debug mode, which looks at the machine's clock."""
        return False

    async def shutdown_asyncgens(self) -> None:
        """Do nothing: generators end with their tasks."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Do nothing: this is told of errors that nobody looked at, as of tasks whose process was killed."""

    def run_in_executor(self, executor: object, func: Callable[..., object], *args: object) -> NoReturn:
        """Refuse: a thread would not wait for virtual time."""
        _refuse("run_in_executor")


def _refuse(name: str) -> NoReturn:
    raise Unsimulated(
        f"{name} was called in a simulation",
        why="there are no threads, sockets or processes in it",
        fix="put what needs them behind a function that the simulation replaces, such as an action's do",
    )


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refuse(*args: object, **options: object) -> NoReturn:
        _refuse(name)

    return refuse


for _name in _REFUSED:
    setattr(VirtualLoop, _name, _refusing(_name))


def _end(coroutine: Coroutine[Any, Any, Any]) -> None:
    with suppress(BaseException):  # it was killed: what its cleaning up says concerns nobody
        coroutine.close()
