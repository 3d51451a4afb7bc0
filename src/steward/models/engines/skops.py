"""scikit-learn models in skops' format, answered by a limited process of their own.

A scikit-learn object is made of Python objects. skops makes only those of types it trusts by itself (``trusted=[]``),
and even so they are made where they can reach no network, start no program and change no file. That costs a trip to
another process for each batch: what can be converted to ONNX is served faster so.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading
import weakref
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from steward.errors import EngineError, IntegrityError
from steward.models.engines.skops_worker import FINE, REFUSED, framed
from steward.models.engines.tabular import TabularModel, tabular
from steward.models.manifest import Manifest
from steward.models.sandbox.limited import ENVIRONMENT, Limits, command

FILE = "model.skops"
LIMITS = Limits(cpu_s=1 << 30, wall_s=0)
"""The memory is limited, the time is not: the process lives as long as the model. Each answer has its own."""

ANSWER_WITHIN_S = 60.0


def load(manifest: Manifest, digest: str, files: Mapping[str, bytes]) -> TabularModel:
    """Load a model from ``model.skops``, as ``skops.io.dumps()`` writes it.

    A regression answers with ``predict``, a classification with ``predict_proba``.

    Raises:
        IntegrityError: The file is not such a model, or needs types that skops does not trust.
        EngineError: skops is not installed, or the process could not be started.
    """
    try:
        if set(files) != {FILE}:
            raise ValueError(f"its only file must be {FILE}, found {', '.join(sorted(files))}")
        return tabular(manifest, digest, Worker(files[FILE], manifest.task, len(manifest.inputs)))
    except ValueError as error:
        raise IntegrityError(
            f"model {manifest.name!r} version {manifest.version} cannot be loaded",
            why=str(error),
            fix="write it with skops.io.dumps(), made of types of scikit-learn and NumPy only",
        ) from error


class Worker:
    """A limited process that answers from one model; it is started again after it has failed.

    Args:
        content: The model's bytes.
        task: What it answers.
        width: How many inputs a row has.

    Raises:
        ValueError: The process refuses the model.
        EngineError: The process cannot be started, or ended.

    Example:
        >>> Worker(b"no model", "regression", 1)
        Traceback (most recent call last):
        ValueError: BadZipFile: File is not a zip file
    """

    def __init__(self, content: bytes, task: str, width: int) -> None:
        if find_spec("skops") is None:
            raise EngineError(
                "skops is not installed", fix="pip install 'steward-aios[skops]'", code="engine-not-installed"
            )
        self._content, self._arguments = content, (task, str(width))
        self._one_at_a_time = threading.Lock()
        self._process = self._start()

    def __call__(self, rows: Any) -> Any:
        """Return the answers for ``(n, k)`` float64 rows.

        Raises:
            EngineError: The model failed, or did not answer in time.
        """
        with self._one_at_a_time:
            if self._process.poll() is not None:
                self._process = self._start()
            told = self._exchange(self._process, rows.tobytes())
        if told[:1] != FINE:
            raise EngineError("the model failed", why=told[1:].decode(errors="replace"))
        return np.frombuffer(told, offset=1).reshape(len(rows), -1)

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter, with a function of ours
                command("steward.models.engines.skops_worker:serve", LIMITS, *self._arguments),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                close_fds=True,
                bufsize=0,
            )
        except OSError as error:
            raise EngineError("a process for a model cannot be started", why=str(error)) from error
        weakref.finalize(self, _end, process)
        told = self._exchange(process, self._content)
        if told[:1] == REFUSED:
            raise ValueError(told[1:].decode(errors="replace"))
        return process

    def _exchange(self, process: subprocess.Popen[bytes], content: bytes) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            left = memoryview(framed(content))
            while left:
                left = left[os.write(process.stdin.fileno(), left) :]
            size = int.from_bytes(_read(process.stdout.fileno(), 8), "little")
            return _read(process.stdout.fileno(), size)
        except OSError as error:
            _end(process)
            raise EngineError(
                "the process of a model has ended, or did not answer in time",
                retryable=True,
                why=str(error),
                fix=f"it may use {LIMITS.memory_bytes >> 30} GiB and take {ANSWER_WITHIN_S:.0f} s for an answer",
            ) from error


def _read(source: int, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        if not select.select([source], [], [], ANSWER_WITHIN_S)[0]:
            raise TimeoutError(f"no answer within {ANSWER_WITHIN_S:.0f} s")
        part = os.read(source, size - len(content))
        if not part:
            raise OSError("it ended")
        content += part
    return bytes(content)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
