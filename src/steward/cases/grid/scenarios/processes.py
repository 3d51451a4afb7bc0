"""The engine that runs paths in processes of this machine."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path

from steward.cases.grid.scenarios.path import PathResult
from steward.cases.grid.scenarios.worker import Done, decode_line
from steward.decision.lane import Lane
from steward.errors import DeclarationError, EngineError

_WORKER = "steward.cases.grid.scenarios.worker"
_MOST_DEATHS = 2
"""How many processes may die over one path; then the path is to blame."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
"""Each process has one core; more threads would only get in each other's way."""


class Processes:
    """Starts ``count`` processes, and gives each the next path when it has finished one.

    No path is handed out before there is a process for it, and a process knows of one path at a time: what they keep
    in memory does not grow with the batch.

    Args:
        count: How many.

    Raises:
        DeclarationError: Not even one.

    Example:
        >>> Processes(2).count
        2
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise DeclarationError(f"{count} processes run nothing", field="engine")
        self.count = count

    async def run(self, folder: Path, numbers: Sequence[int], *, lane: Lane) -> AsyncGenerator[PathResult, None]:
        """Yield results as they come; see the port."""
        team = _Team(folder, deque(numbers), lane)
        hands = [asyncio.create_task(team.hand()) for _ in range(min(self.count, len(numbers)))]
        try:
            for _ in range(len(numbers)):
                result = await team.results.get()
                if isinstance(result, EngineError):
                    raise result
                yield result
        finally:
            for hand in hands:
                hand.cancel()
            await asyncio.gather(*hands, return_exceptions=True)
            await team.close()


class _Team:
    """The paths that wait, the processes that run them, and what came of them."""

    def __init__(self, folder: Path, waiting: deque[int], lane: Lane) -> None:
        self.results: asyncio.Queue[PathResult | EngineError] = asyncio.Queue()
        self._folder, self._waiting, self._lane = folder, waiting, lane
        self._processes: list[asyncio.subprocess.Process] = []

    async def hand(self) -> None:
        """Keep one process at work; another takes its place if it dies."""
        process: asyncio.subprocess.Process | None = None
        try:
            while self._waiting:
                number, line = self._waiting.popleft(), b""
                for _ in range(_MOST_DEATHS):
                    process = process or await self._started()
                    if (line := await _answer(process, number)).endswith(b"\n"):
                        break
                    process = None
                self.results.put_nowait(_told(number, line))
        except OSError as error:
            self.results.put_nowait(EngineError("no process can be started", why=str(error), retryable=True))

    async def close(self) -> None:
        """End every process that was started, and wait until it has ended."""
        for process in self._processes:
            with suppress(ProcessLookupError):
                process.kill()
            if process.stdin is not None:
                process.stdin.close()
            await process.wait()

    async def _started(self) -> asyncio.subprocess.Process:
        process = await _started(self._folder, self._lane)
        self._processes.append(process)
        return process


async def _started(folder: Path, lane: Lane) -> asyncio.subprocess.Process:
    manner = ("nice",) if lane is Lane.BATCH else ()
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", _WORKER, str(folder), *manner,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **_ONE_THREAD},
        start_new_session=True,  # Ctrl-C is for the batch, which then ends this
    )  # fmt: skip


async def _answer(process: asyncio.subprocess.Process, number: int) -> bytes:
    """Return the line with which a process answers; one without an end if it died."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(ConnectionError):
        process.stdin.write(b"%d\n" % number)
        await process.stdin.drain()
    return await process.stdout.readline()


def _told(number: int, line: bytes) -> PathResult | EngineError:
    if not line.endswith(b"\n"):
        return EngineError(
            f"path {number} cannot be run: {_MOST_DEATHS} processes died over it",
            fix="look for what they wrote to standard error, and for memory",
        )
    said = decode_line(line)
    return said.result if isinstance(said, Done) else EngineError(f"path {number} cannot be run", why=said.what)
