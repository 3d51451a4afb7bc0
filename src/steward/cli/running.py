"""The running server of a project: where it says that it listens, and how it is called."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

import msgspec
from msgspec import Struct

from steward.errors import EngineError
from steward.runtime.settings import Settings

_FILE = "server.json"
_TIMEOUT_S = 60.0
_KNOCK_S = 2.0


class ServerFacts(Struct, frozen=True, kw_only=True):
    """Where a project's server listens; with ``certificate``, its own certificate's file, it speaks TLS.

    Example:
        >>> ServerFacts(host="127.0.0.1", port=8700, pid=17).url
        'http://127.0.0.1:8700'
    """

    host: str
    port: int
    pid: int
    certificate: str = ""

    @property
    def url(self) -> str:
        """The address for browsers and ``curl``."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - not to listen on
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{self.port}"


@contextmanager
def announced(settings: Settings) -> Iterator[Callable[[int], ServerFacts]]:
    """Give a callable that keeps the server's address in a file while it runs."""
    path = settings.path(settings.data_dir) / _FILE

    def announce(port: int) -> ServerFacts:
        certificate = str(settings.path(settings.ssl_certfile)) if settings.ssl_certfile else ""
        facts = ServerFacts(host=settings.host, port=port, pid=os.getpid(), certificate=certificate)
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
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Send a request to the server; return the status and body of its answer.

    Raises:
        EngineError: It does not answer.
    """
    sent = {"content-type": "application/json", **(headers or {})}
    connection = None
    try:
        connection = _connection(facts, timeout_s)
        connection.request(method, path, body, sent)
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
        if connection is not None:
            connection.close()


def _connection(facts: ServerFacts, timeout_s: float) -> HTTPConnection:
    place = facts.url.partition("://")[2]
    if not facts.certificate:
        return HTTPConnection(place, timeout=timeout_s)
    # It is this project's own server: its very certificate is trusted, and not by the name that others call it by.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(facts.certificate)
    return HTTPSConnection(place, timeout=timeout_s, context=context)
