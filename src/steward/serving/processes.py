"""Worker processes, for models that hold the interpreter's lock: each with its own interpreter and its own copy.

A worker that dies, or does not come back, is a typed failure for who waits for it, and is replaced by a new one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
import numpy as np

from steward.errors import EngineError, IntegrityError
from steward.models import manifest as manifests
from steward.models.artefact import Artefact
from steward.serving.batching import CRASHED
from steward.serving.port import Row
from steward.serving.worker import LENGTH, MAX_FRAME_BYTES, SHAPE, Failure, Load

STARTS_WITHIN_S: Final = 60.0
PATIENCE_S: Final = 1.0
"""How long a worker may go on when nobody waits for its answer any more, before it is taken for stuck."""


class Worker:
    """One process; it answers one batch at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, artefact: Artefact) -> Worker:
        """Start a process and have it load the model from its verified bytes.

        Raises:
            IntegrityError: The model cannot be loaded.
            EngineError: The process does not start.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "steward.serving.worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        worker = cls(process)
        load = Load(manifests.encode(artefact.manifest), artefact.digest, dict(artefact.files))
        try:
            async with asyncio.timeout(STARTS_WITHIN_S):
                failure = msgspec.msgpack.decode(await worker._exchange(msgspec.msgpack.encode(load)), type=Failure)
        except BaseException:
            await worker.stop()
            raise
        if failure.what:
            await worker.stop()
            raise IntegrityError(f"a worker cannot load {artefact.name!r}", why=failure.what, code=failure.code)
        return worker

    async def answer(self, rows: Any) -> Any:
        """Return ``(n, c)`` float64 for ``(n, k)`` rows; ``EngineError`` says what failed."""
        frame = await self._exchange(SHAPE.pack(*rows.shape) + rows.tobytes())
        if frame[:1] == b"!":
            failure = msgspec.msgpack.decode(frame[1:], type=Failure)
            raise EngineError("the model failed", why=failure.what, code=failure.code)
        shape = SHAPE.unpack_from(frame, 1)
        return np.frombuffer(frame, np.float64, offset=1 + SHAPE.size).reshape(shape)

    async def _exchange(self, body: bytes) -> bytes:
        out, source = self._process.stdin, self._process.stdout
        assert out is not None
        assert source is not None
        try:
            out.write(LENGTH.pack(len(body)))
            out.write(body)
            await out.drain()
            (length,) = LENGTH.unpack(await source.readexactly(LENGTH.size))
            if length > MAX_FRAME_BYTES:
                raise ConnectionResetError(f"a frame of {length} bytes")
            return await source.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise EngineError(
                "a worker process has died",
                why=str(error) or type(error).__name__,
                fix="it is replaced; try again, and look for what kills it (memory?)",
                retryable=True,
                code=CRASHED,
            ) from error

    async def stop(self) -> None:
        """End the process, whatever it does."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        # The pipes' transports are closed by the loop's next turn; without it they warn when they are collected.
        await asyncio.sleep(0)


class Processes:
    """Some workers with one model each.

    Args:
        artefact: The model, with its verified bytes.
        count: How many processes.
    """

    def __init__(self, artefact: Artefact, count: int) -> None:
        self._artefact, self._count = artefact, count
        self._idle: list[Worker] = []
        self._is_closed = False

    async def open(self) -> None:
        """Start all of them; errors as for :meth:`Worker.start`."""
        started = await asyncio.gather(
            *(Worker.start(self._artefact) for _ in range(self._count)), return_exceptions=True
        )
        self._idle = [worker for worker in started if isinstance(worker, Worker)]
        for failure in started:
            if isinstance(failure, BaseException):
                await self.close()
                raise failure

    async def run(self, rows: Sequence[Row], left_s: float) -> Any:
        """Answer a batch with an idle worker, or with a new one in the place of one that died.

        Raises:
            EngineError: The model failed, or its worker did.
        """
        worker = self._idle.pop() if self._idle else await Worker.start(self._artefact)
        is_well = False
        try:
            async with asyncio.timeout(left_s + PATIENCE_S):
                answers = await worker.answer(np.array(rows, np.float64))
            is_well = True
            return answers
        except TimeoutError:
            raise EngineError(
                "a worker process was stuck", fix="it is replaced; allow more time", retryable=True, code="worker-stuck"
            ) from None
        except EngineError as error:
            is_well = error.code != CRASHED
            raise
        finally:
            if is_well and not self._is_closed:
                self._idle.append(worker)
            else:
                await worker.stop()

    async def close(self) -> None:
        """End all processes."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(worker.stop() for worker in idle))
