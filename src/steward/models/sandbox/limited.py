"""Runs a function over foreign bytes in a process that can do little, and for a limited time.

What is read from outside may be made to fill the memory, to never end, or to use a flaw of a library. So it is read
where that harms nobody: in a process of its own, with an empty environment, no open files but its input and output,
limits on memory, time and what it may write, and (on Linux) no way to reach a network, to start a program or to change
a file; see :mod:`steward.models.sandbox.limited_process`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Final, Literal

import msgspec
from msgspec import Struct

from steward.errors import ContractError, EngineError, IntegrityError, NotFound, StewardError

MAX_ANSWER_BYTES: Final = 4 << 20
ENVIRONMENT: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""All that a limited process gets to know of its surroundings."""

_START: Final = (
    "import sys; sys.path[:] = sys.argv.pop().split('\\n'); "
    "from steward.models.sandbox.limited_process import main; main(sys.argv[1:])"
)


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a limited process may use.

    Attributes:
        memory_bytes: Its address space, libraries included.
        cpu_s: Seconds of processor time.
        wall_s: Seconds until it is ended, whatever it does.
        open_files: Files open at a time.

    Example:
        >>> Limits(cpu_s=5).wall_s
        120
    """

    memory_bytes: int = 3 << 30
    cpu_s: int = 60
    wall_s: int = 120
    open_files: int = 64


class Failure(Struct, frozen=True, kw_only=True):
    """An error of a limited process, as it is told to the one that started it.

    Example:
        >>> Failure(kind="contract", what="model.txt is empty").error().code
        'contract'
    """

    kind: Literal["contract", "integrity", "engine", "not-found"]
    what: str
    why: str = ""
    fix: str = ""
    code: str = ""
    field: str = ""

    @classmethod
    def of(cls, error: StewardError) -> Failure:
        """Return an error as it is told."""
        kinds = {NotFound: "not-found", IntegrityError: "integrity", EngineError: "engine"}
        kind = next((kind for known, kind in kinds.items() if isinstance(error, known)), "contract")
        told = {"what": error.what, "why": error.why, "fix": error.fix, "code": error.code, "field": error.field or ""}
        return msgspec.convert({"kind": kind, **told}, cls)

    def error(self) -> StewardError:
        """Return the error again."""
        kinds: Mapping[str, type[StewardError]] = {
            "contract": ContractError,
            "integrity": IntegrityError,
            "engine": EngineError,
            "not-found": NotFound,
        }
        return kinds[self.kind](self.what, why=self.why, fix=self.fix, code=self.code or None, field=self.field or None)


class Answer(Struct, frozen=True, kw_only=True):
    """The last words of a limited process: what the function returned, or why it failed.

    Example:
        >>> Answer(returned=b"ok").failed is None
        True
    """

    returned: bytes = b""
    failed: Failure | None = None


_decode = msgspec.msgpack.Decoder(Answer).decode


def run(function: str, given: IO[bytes] | bytes, *arguments: str, limits: Limits | None = None) -> bytes:
    """Call a function of Steward with foreign bytes, in a limited process.

    Args:
        function: ``module:function``; it takes a binary file that can be searched and the ``arguments``, and returns
            bytes.
        given: The bytes, or a file with them that has a descriptor.
        *arguments: Further arguments.
        limits: What the process may use.

    Returns:
        What the function returned; at most 4 MiB.

    Raises:
        ContractError: The bytes made the process exceed its limits or crash (``code`` is ``model-unsafe``), or the
            function refused them.
        StewardError: Whatever else the function raised of this kind.
        EngineError: The process could not be started.

    Example:
        >>> run("steward.models.sandbox.limited_process:count_bytes", b"abc")
        b'3'
    """
    allowed = limits or Limits()
    with _as_file(given) as source, tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter, with a function of ours
                command(function, allowed, *arguments),
                stdin=source,
                stdout=said,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                close_fds=True,
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError("a process for foreign files cannot be started", why=str(error)) from error
        status = _ended(process, allowed.wall_s)
        said.seek(0)
        answer = said.read(MAX_ANSWER_BYTES + 1)
    if status or len(answer) > MAX_ANSWER_BYTES:
        raise _unsafe(status, allowed)
    try:
        told = _decode(answer)
    except msgspec.MsgspecError as error:
        raise _unsafe(status, allowed) from error
    if told.failed is not None:
        raise told.failed.error()
    return told.returned


def command(function: str, limits: Limits, *arguments: str) -> list[str]:
    """Return the command that calls a function of Steward in a process that keeps to ``limits``.

    Without site, and isolated: no file beside the program has a say in what runs; the path is ours.
    """
    path = "\n".join(os.path.abspath(folder) for folder in sys.path)
    return [sys.executable, "-I", "-S", "-c", _START, function, msgspec.json.encode(limits).decode(), *arguments, path]


def _ended(process: subprocess.Popen[bytes], wall_s: int) -> int:
    """Wait for a process and return how it ended; end it, with all it may have started, when its time is up."""
    try:
        return process.wait(wall_s)
    except subprocess.TimeoutExpired:
        return -signal.SIGALRM
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _unsafe(status: int, limits: Limits) -> ContractError:
    whys = {
        -signal.SIGALRM: f"it took longer than {limits.wall_s} s",
        -signal.SIGXCPU: f"it took more than {limits.cpu_s} s of processor time",
        -signal.SIGKILL: f"it took more than {limits.cpu_s} s of processor time, or the machine's memory",
        -signal.SIGSYS: "it tried what reading a model never does",
    }
    why = whys.get(status, f"reading it ended with signal {-status}" if status < 0 else "reading it gave no answer")
    return ContractError(
        "the model cannot be read safely", why=why, fix="make it again, or smaller", code="model-unsafe"
    )


@contextmanager
def _as_file(given: IO[bytes] | bytes) -> Iterator[IO[bytes]]:
    if not isinstance(given, bytes):
        given.flush()
        given.seek(0)
        yield given
        return
    with tempfile.TemporaryFile() as file:
        file.write(given)
        file.flush()
        file.seek(0)
        yield file
