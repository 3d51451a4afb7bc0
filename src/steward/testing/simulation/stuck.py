"""What a simulation raises by itself, and the list of what every task waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from types import CoroutineType
from typing import Any

from steward.errors import StewardError


class Deadlock(StewardError):
    """Nothing is ready, nothing is scheduled, and the simulation is not over.

    Example:
        >>> Deadlock("everybody waits").code
        'simulation.deadlock'
    """

    code = "simulation.deadlock"


class Livelock(StewardError):
    """Much happens, but time stands still.

    Example:
        >>> Livelock("two tasks wake each other").code
        'simulation.livelock'
    """

    code = "simulation.livelock"


class Unsimulated(StewardError):
    """The simulated code wants what no simulation has: a thread, a socket, a process.

    Example:
        >>> Unsimulated("to_thread was called").code
        'simulation.unsimulated'
    """

    code = "simulation.unsimulated"


def waiting_for(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """Return one line for each task that is not done: its name, and the lines it waits in, outermost first."""
    lines = [f"  {task.get_name()}: {' > '.join(_places(task)) or 'not begun'}" for task in tasks if not task.done()]
    return "\n".join(lines) or "  no task"


def _places(task: asyncio.Task[Any]) -> list[str]:
    places: list[str] = []
    waits: object = task.get_coro()
    while isinstance(waits, CoroutineType):
        if waits.cr_frame is not None:
            code = waits.cr_frame.f_code
            places.append(f"{Path(code.co_filename).name}:{waits.cr_frame.f_lineno} {code.co_qualname}")
        waits = waits.cr_await
    return places
