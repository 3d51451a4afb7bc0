"""The server: listens, sweeps slow clients out, and stops without losing an answer."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from email.utils import format_datetime
from functools import partial
from typing import Any, Self, TypeVar

from steward.api.app import create_app
from steward.api.listening import needs_first_key, refuse_strangers, tls_of
from steward.api.protocol import Connection, connector
from steward.api.rooms import Room
from steward.errors import EngineError
from steward.runtime.runtime import Runtime

T = TypeVar("T")
_log = logging.getLogger("steward.api")
_SWEEP_S = 1.0
_BACKLOG = 2048
_DOORS = 128
"""How often an address is listened on. Through each, uvloop lets one connection in a turn of the loop, and a turn is
long under load: with one, whoever wants to press the stop switch then may wait for seconds."""
_KEEP_ALIVE_S = 5.0
"""How long a connection may rest between an answer and its next request."""
_GARBAGE_OBJECTS = 50_000


class Server:
    """A listening server; made by :meth:`start`.

    Attributes:
        port: The port it listens on.
    """

    def __init__(
        self, runtime: Runtime, loop: asyncio.AbstractEventLoop, host: str, rooms: Sequence[Room] = ()
    ) -> None:
        self._runtime, self._loop = runtime, loop
        app = create_app(runtime, host, rooms=rooms)
        self._closing = app.service.closing
        self._state, self._connect = connector(app, loop)
        self._guarding: asyncio.Task[None] | None = None
        self._listening: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self.port = 0

    @classmethod
    async def start(
        cls,
        runtime: Runtime,
        host: str,
        port: int,
        *,
        rooms: Sequence[Room] = (),
        invite: Callable[[str], object] | None = None,
    ) -> Self:
        """Listen on ``host`` and ``port`` (0: any free one), with TLS if the settings have a certificate.

        Args:
            runtime: What is served.
            host: The address.
            port: The port.
            rooms: What stands beside the API, such as the console.
            invite: Shows the one-time key to who starts the server, where others reach it and nobody administers yet.

        Raises:
            DeclarationError: Others would reach it, nobody administers yet, and nobody would see the one-time key.
            EngineError: The port is taken (``code`` is ``port-in-use``), or the address cannot be listened on.
        """
        invites = needs_first_key(runtime, host)
        if invites and invite is None and not runtime.settings.access:
            raise refuse_strangers(host)
        server = cls(runtime, asyncio.get_running_loop(), host, rooms)
        tls = tls_of(runtime.settings)
        try:
            await server._listen(host, port, tls)
        except OSError as error:
            raise _refused(host, port, error) from error
        server.port = server._listening[0].sockets[0].getsockname()[1]
        server._sweep()
        if invites and invite is not None and (once := await runtime.guard.bootstrap()) is not None:
            invite(once.reveal())
        return server

    async def _listen(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        create = partial(
            self._loop.create_server,
            self._connect,
            backlog=_BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=None if tls is None else self._runtime.settings.request_timeout_s,
        )
        first = await create(host, port)
        self._listening.append(first)
        for each in first.sockets:
            for _ in range(_DOORS - 1):
                again = socket.fromfd(each.fileno(), each.family, each.type)
                self._listening.append(await create(sock=again))

    def _sweep(self) -> None:
        date = format_datetime(self._runtime.clock.now(), usegmt=True).encode()
        self._state.set_headers((b"date", date), (b"server", b"steward"))
        limit = max(1, round(self._runtime.settings.request_timeout_s / _SWEEP_S))
        idle_limit = max(1, round(_KEEP_ALIVE_S / _SWEEP_S))
        for connection in list(self._state.connections):
            if isinstance(connection, Connection):
                connection.tick(limit, idle_limit)
        if self._guarding is None or self._guarding.done():
            self._guarding = self._loop.create_task(self._keep_guard())
        self._sweeper = self._loop.call_later(_SWEEP_S, self._sweep)

    async def _keep_guard(self) -> None:
        """Let the guard write down what it has seen, and learn what other processes have changed."""
        try:
            await self._runtime.guard.sweep()
        except EngineError as error:
            _log.warning("who was refused is written later: %s", error)

    async def stop(self) -> None:
        """Take no more requests, answer those under way, and close; waits for the setting ``drain_s`` at most."""
        self._closing.set()
        for listening in self._listening:
            listening.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._runtime.settings.drain_s):
                while under_way := self._state.under_way:
                    await asyncio.wait(under_way)
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._guarding is not None:
            await self._guarding
            await self._keep_guard()
        for connection in list(self._state.connections):
            transport = connection.transport
            if transport is not None:
                transport.close()
        for waiting in self._state.under_way:
            waiting.cancel()
        await asyncio.sleep(0)


async def serve(
    runtime: Runtime,
    host: str | None = None,
    port: int | None = None,
    *,
    rooms: Sequence[Room] = (),
    ready: Callable[[int], object] = lambda port: None,
    invite: Callable[[str], object] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM (or until cancelled); answer what is under way, then close the runtime.

    Args:
        runtime: An open runtime.
        host: The address; by default that of the settings.
        port: The port; by default that of the settings; 0 takes a free one.
        rooms: What stands beside the API, such as the console.
        ready: Called with the port once the server listens.
        invite: Called with the one-time key, where others reach the server and nobody administers yet.

    Raises:
        DeclarationError: As :meth:`Server.start`.
        EngineError: The port is taken, the address cannot be listened on, or the background work failed for good. The
            runtime is then closed too.
    """
    settings = runtime.settings
    try:
        server = await Server.start(
            runtime,
            settings.host if host is None else host,
            settings.port if port is None else port,
            rooms=rooms,
            invite=invite,
        )
        try:
            with _little_garbage(), _signals() as told:
                ready(server.port)
                await _stopped_or_failed(told, runtime)
        finally:
            await server.stop()
    finally:
        await runtime.close()


async def _stopped_or_failed(told: asyncio.Event, runtime: Runtime) -> None:
    """Wait until told to stop; raise if the background work fails for good, as decisions would pile up unseen."""
    stopped, failed = asyncio.ensure_future(told.wait()), asyncio.ensure_future(runtime.failed())
    try:
        await asyncio.wait((stopped, failed), return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done():
            await failed
    finally:
        stopped.cancel()
        failed.cancel()
        await asyncio.gather(stopped, failed, return_exceptions=True)


@contextmanager
def _little_garbage() -> Iterator[None]:
    """Let the collector leave alone what was loaded at the start, and run less often: answers make no cycles.

    Without it every hundredth request pays for a walk over all modules and models (measured: 15 % of the CPU).
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def _signals() -> Iterator[asyncio.Event]:
    """Give an event that SIGINT and SIGTERM set; once left, a signal ends the process as it always would."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, told.set)
    try:
        yield told
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the fastest event loop there is: uvloop, or asyncio's own where that is not installed."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - not there on Windows
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


def _refused(host: str, port: int, error: OSError) -> EngineError:
    if error.errno == errno.EADDRINUSE:
        return EngineError(
            f"port {port} of {host} is in use",
            why="another program listens there",
            fix="stop it, or choose another port: --port 8701 (0 takes a free one)",
            code="port-in-use",
            field="port",
        )
    return EngineError(
        f"the server cannot listen on {host}:{port}",
        why=error.strerror or str(error),
        fix="choose an address of this machine, for example 127.0.0.1, and a port above 1023",
        code="cannot-listen",
        field="host",
    )
