"""A process inside the simulation: its tasks end all at once, between any two of their steps, as under ``kill -9``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

T = TypeVar("T")
CURRENT: ContextVar[Process | None] = ContextVar("steward_simulated_process", default=None)
"""The process that the running code belongs to; ``None`` for the world outside."""


class Process:
    """Runs code that can be killed; what it starts belongs to it, and dies with it without being told.

    Args:
        name: Shown in errors.
        died: Called once, when it dies.

    Attributes:
        dead: Whether it was killed.
        fuse: After so many more steps of its code it is killed; 0 is never.

    Example:
        >>> from steward.testing import Simulation
        >>> async def world(simulation: Simulation) -> str:
        ...     process = Process("server")
        ...     endless = process.ask(asyncio.Event().wait)
        ...     asyncio.get_running_loop().call_later(5, process.kill)
        ...     try:
        ...         await endless
        ...     except ConnectionError as error:
        ...         return f"{error} after {simulation.loop.time():.0f} s"
        ...     return ""
        >>> Simulation(seed=1).run(world)
        'server died after 5 s'
    """

    def __init__(self, name: str, *, died: Callable[[], object] = lambda: None) -> None:
        self.name, self.dead, self.fuse = name, False, 0
        self._died = died
        self._context: Context = copy_context()
        self._context.run(CURRENT.set, self)
        self._asked: dict[asyncio.Future[Any], None] = {}

    async def ask(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do ``work`` in this process on behalf of somebody outside.

        Raises:
            ConnectionError: The process is dead, or died before it could answer.
        """
        if self.dead:
            raise ConnectionRefusedError(f"{self.name} is down")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._asked[answer] = None
        task = loop.create_task(work(), context=self._context)
        task.add_done_callback(lambda done: _pass_on(done, answer), context=self._context)
        try:
            return await answer
        finally:
            self._asked.pop(answer, None)

    def takes_a_step(self) -> bool:
        """Tell whether its next callback runs; it dies here when the fuse has burnt down."""
        if self.fuse:
            self.fuse -= 1
            if not self.fuse:
                self.kill()
        return not self.dead

    def kill(self) -> None:
        """End it now. Nothing of it runs on: no ``finally``, no ``except``, no callback."""
        if self.dead:
            return
        self.dead = True
        for answer in self._asked:
            if not answer.done():
                answer.set_exception(ConnectionResetError(f"{self.name} died"))
        self._died()


def _pass_on(done: asyncio.Task[T], answer: asyncio.Future[T]) -> None:
    if answer.done():
        return
    if done.cancelled():
        answer.set_exception(ConnectionAbortedError("the request was given up"))
    elif (error := done.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(done.result())
