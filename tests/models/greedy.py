"""What a limited process must not be able to do; each function tries it and says what came of it."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

from steward.errors import ContractError, EngineError, IntegrityError, NotFound


def take_memory(given: IO[bytes]) -> bytes:
    held = [bytearray(64 << 20) for _ in range(1_000)]
    return str(len(held)).encode()


def take_time(given: IO[bytes]) -> bytes:
    while True:
        pass


def wait(given: IO[bytes]) -> bytes:
    signal.alarm(0)
    while True:
        signal.pause()


def crash(given: IO[bytes]) -> bytes:
    ctypes.string_at(0)
    return b""


def recurse(given: IO[bytes]) -> bytes:
    return recurse(given)


def fail(given: IO[bytes], kind: str) -> bytes:
    raise {"contract": ContractError, "integrity": IntegrityError, "engine": EngineError, "not-found": NotFound}[kind](
        "it failed", why="on purpose", fix="mend it", code="own-code", field="model.txt"
    )


def go_wrong(given: IO[bytes]) -> bytes:
    raise KeyError("nobody foresaw this")


def leave(given: IO[bytes]) -> bytes:
    os._exit(0)


def lie(given: IO[bytes]) -> bytes:
    os.write(1, b"not an answer")
    os._exit(0)


def talk(given: IO[bytes]) -> bytes:
    return b"x" * (8 << 20)


def look_around(given: IO[bytes]) -> bytes:
    files = [int(each) for each in os.listdir("/proc/self/fd")]
    limits = [
        resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_CORE, resource.RLIMIT_AS, resource.RLIMIT_NOFILE)
    ]
    names = sorted(set(os.environ) - {"LC_CTYPE"})
    return repr((sorted(files)[:3], len(files), limits, names, os.getcwd(), os.getsid(0) == os.getpid())).encode()


def try_out(given: IO[bytes], folder: str) -> bytes:
    """Return the names of what was possible, though none of it should be."""
    there = Path(folder, "there")
    tries: dict[str, Callable[[], object]] = {
        "a socket": socket.socket,
        "a connection": lambda: socket.create_connection(("127.0.0.1", 9)),
        "a program": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        "to write": lambda: Path(folder, "new").write_text("x"),
        "to append": lambda: there.open("a"),
        "to truncate": lambda: os.open(there, os.O_RDONLY | os.O_TRUNC),
        "to remove": there.unlink,
        "to rename": lambda: there.rename(Path(folder, "else")),
        "to make a folder": lambda: Path(folder, "sub").mkdir(),
        "to link": lambda: Path(folder, "link").symlink_to(there),
        "to change a mode": lambda: there.chmod(0o777),
        "to end its parent": lambda: os.kill(os.getppid(), signal.SIGTERM),
        "to raise its limits": lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40)),
    }
    done = []
    for name, attempt in tries.items():
        try:
            attempt()
        except (OSError, ValueError):
            continue
        done.append(name)
    return f"{done} {there.read_text()}".encode()
