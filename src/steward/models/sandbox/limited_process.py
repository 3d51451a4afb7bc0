"""The process of :mod:`steward.models.sandbox.limited`: gives up what it does not need, then reads what is foreign.

Its standard input is the foreign file, its standard output takes the answer; there is nothing else.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from importlib import import_module
from typing import IO, Final

import msgspec

from steward.errors import ContractError, StewardError
from steward.models.sandbox.limited import MAX_ANSWER_BYTES, Answer, Failure, Limits
from steward.models.sandbox.seccomp import forbid

_STDOUT: Final = 1


def main(arguments: list[str]) -> None:
    """Call the function that the arguments name, within their limits, and write its answer."""
    function, limits, *rest = arguments
    allowed = msgspec.json.decode(limits, type=Limits)
    module, _, name = function.partition(":")
    call = getattr(import_module(module), name)  # our own code, before anything is given up
    limit(allowed)
    try:
        answer = Answer(returned=call(sys.stdin.buffer, *rest))
    except StewardError as error:
        answer = Answer(failed=Failure.of(error))
    except MemoryError:
        answer = _refused(f"it needs more memory than {allowed.memory_bytes >> 20} MiB")
    except RecursionError:
        answer = _refused("it is nested too deeply")
    except Exception as error:
        answer = _refused(f"reading it failed: {type(error).__name__}: {error}"[:500])
    _say(msgspec.msgpack.encode(answer))
    sys.stdout.flush()
    os._exit(0)  # what a library left to be done at the end is not


def limit(allowed: Limits) -> None:
    """Give up, for good, what reading a file does not need.

    Args:
        allowed: What is kept.
    """
    signal.alarm(allowed.wall_s)
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, allowed.memory_bytes),
        (resource.RLIMIT_CPU, allowed.cpu_s),
        (resource.RLIMIT_NOFILE, allowed.open_files),
        (resource.RLIMIT_FSIZE, MAX_ANSWER_BYTES),
    ):
        _, hard = resource.getrlimit(kind)
        lowest = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (lowest, lowest))
    forbid()


def _say(data: bytes) -> None:
    while data:
        data = data[os.write(_STDOUT, data) :]


def _refused(why: str) -> Answer:
    error = ContractError("the model cannot be read", why=why, fix="make it again, or smaller", code="model-unsafe")
    return Answer(failed=Failure.of(error))


def count_bytes(given: IO[bytes]) -> bytes:
    """Return how many bytes were given; the smallest function that can be run.

    Example:
        >>> from io import BytesIO
        >>> count_bytes(BytesIO(b"abc"))
        b'3'
    """
    return str(given.seek(0, os.SEEK_END)).encode()
