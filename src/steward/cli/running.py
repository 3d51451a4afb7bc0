"""The running server of a project: where it says that it listens, and how it is called."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import msgspec
from msgspec import Struct

from steward.errors import EngineError
from steward.runtime.settings import Settings

_FILE = "server.json"
_TIMEOUT_S = 60.0
_KNOCK_S = 2.0


class ServerFacts(Struct, frozen=True, kw_only=True):
    """Where a project's server listens.

    Example:
        >>> ServerFacts(host="127.0.0.1", port=8700, pid=17).url
        'http://127.0.0.1:8700'
    """

    host: str
    port: int
    pid: int

    @property
    def url(self) -> str:
        """The address for browsers and ``curl``."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - not to listen on
        return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{self.port}"


@contextmanager
def announced(settings: Settings) -> Iterator[Callable[[int], ServerFacts]]:
    """Give a callable that keeps the server's address in a file while it runs."""
    path = settings.path(settings.data_dir) / _FILE

    def announce(port: int) -> ServerFacts:
        facts = ServerFacts(host=settings.host, port=port, pid=os.getpid())
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{_FILE}.new")
        fresh.write_bytes(msgspec.json.encode(facts))
        fresh.replace(path)
        return facts

    try:
        yield announce
    finally:
        if (facts := _read(path)) and facts.pid == os.getpid():
            path.unlink(missing_ok=True)


def running(settings: Settings) -> ServerFacts | None:
    """Return where this project's server listens, ``None`` if none answers."""
    facts = _read(settings.path(settings.data_dir) / _FILE)
    if facts is None or not _is_alive(facts.pid):
        return None
    try:
        status, _ = call(facts, "GET", "/healthz", timeout_s=_KNOCK_S)
    except EngineError:
        return None
    return facts if status == 200 else None


def _read(path: Path) -> ServerFacts | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=ServerFacts)
    except (OSError, msgspec.DecodeError):
        return None  # no file, or one half written: no server is known


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def call(
    facts: ServerFacts,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    timeout_s: float = _TIMEOUT_S,
    key: str = "",
) -> tuple[int, bytes]:
    """Send a request to the server; return the status and body of its answer.

    Raises:
        EngineError: It does not answer.
    """
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": f'"{key}"'} if key else {})
    connection = HTTPConnection(facts.url.partition("://")[2], timeout=timeout_s)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, HTTPException) as error:
        raise EngineError(
            f"the server at {facts.url} does not answer",
            why=str(error) or type(error).__name__,
            fix="look at its output, or stop it and run the command again",
            retryable=True,
        ) from error
    finally:
        connection.close()
