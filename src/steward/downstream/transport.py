"""An engine: HTTP/1.1 to addresses that were checked, one connection for each request.

The host is resolved once; every address it has must be allowed; the connection goes to one of exactly these, and TLS
still proves the name. Nothing is resolved again, so a name that answers otherwise the second time (DNS rebinding) gains
nothing. No redirects, no proxy, no cookies, no compression; what comes back is bounded in size and time.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

import h11

from steward.downstream.addresses import DEFAULT_PORTS, Address, Allowed, Target, plain_address
from steward.errors import DeclarationError, EngineError

MAX_BODY_BYTES: Final = 1024 * 1024
MAX_ANSWER_BYTES: Final = 64 * 1024
MAX_HEAD_BYTES: Final = 32 * 1024
_CHUNK_BYTES: Final = 16 * 1024
_MOST_ADDRESSES: Final = 4
"""How many of a host's addresses are tried."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host, as text."""


async def resolve(host: str, port: int) -> list[str]:
    """Ask this machine's resolver for the addresses of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[4][0]) for place in found]


@dataclass(frozen=True)
class HttpAnswer:
    """What a server answered; header names in lower case, the first of each.

    Example:
        >>> HttpAnswer(204, {}, b"").status
        204
    """

    status: int
    headers: dict[str, str]
    body: bytes


class Transport:
    """Sends single requests to allowed addresses.

    Args:
        allowed: What may be called besides public addresses; plain ``http`` goes only there.
        ports: Which ports may be called besides 443 (``https``) and 80 (``http``).
        context: The authorities that certificates must come from; by default those of this machine.
        resolve: Finds a host's addresses.

    Example:
        >>> Transport().check(Target.of("https://plant.example:22/"))
        Traceback (most recent call last):
        ...
        steward.errors.DeclarationError: port 22 may not be called. Next: ...
    """

    def __init__(
        self,
        *,
        allowed: Allowed = Allowed(),  # noqa: B008 - frozen
        ports: Sequence[int] = (),
        context: ssl.SSLContext | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        self._allowed, self._ports, self._context, self._resolve = allowed, frozenset(ports), context, resolve

    def check(self, target: Target) -> None:
        """Refuse what can be refused before anything is resolved.

        Raises:
            DeclarationError: The port or the address may not be called.
        """
        if target.port != DEFAULT_PORTS[target.scheme] and target.port not in self._ports:
            raise DeclarationError(f"port {target.port} may not be called", fix="name it in ports=", field="ports")
        if target.address is not None:
            self._check_address(target, target.address)

    async def send(
        self, method: str, target: Target, headers: Sequence[tuple[str, str]], body: bytes, *, within_s: float
    ) -> HttpAnswer:
        """Send one request and read its whole answer.

        Args:
            method: For example ``POST``.
            target: Where to.
            headers: Besides those of the transport itself.
            body: At most 1 MiB.
            within_s: How long all of it may take, resolving included.

        Raises:
            DeclarationError: The port, or an address of the host, may not be called; nothing was sent.
            EngineError: ``unreachable``: nothing was sent; ``cut-off``: it is not known what became of it;
                ``answer-unreadable``: something came back that is no answer. All may pass.
            TimeoutError: It took too long.
        """
        if len(body) > MAX_BODY_BYTES:
            raise EngineError(f"a body of {len(body)} bytes is too large", fix=f"send at most {MAX_BODY_BYTES}")
        async with asyncio.timeout(within_s):
            reader, writer = await self.connect(target)
            try:
                return await _exchange(reader, writer, _request(method, target, headers, body), body)
            except h11.RemoteProtocolError as error:
                raise _failed("answer-unreadable", target, error) from error
            except OSError as error:
                raise _failed("cut-off", target, error) from error
            finally:
                writer.transport.abort()

    async def connect(self, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to one of the host's addresses, all of which must be allowed; errors as for :meth:`send`."""
        self.check(target)
        return await self._connect(target, await self._addresses(target))

    async def _addresses(self, target: Target) -> list[Address]:
        """Resolve the host once; return its addresses if every one of them is allowed."""
        if target.address is not None:
            return [target.address]
        try:
            found = await self._resolve(target.host, target.port)
        except OSError as error:
            raise _failed("unreachable", target, error) from error
        # An address with a zone (fe80::1%eth0) is link-local; the zone itself is of no interest.
        addresses = list(dict.fromkeys(plain_address(ip_address(text.partition("%")[0])) for text in found))
        for address in addresses:
            self._check_address(target, address)
        if not addresses:
            raise _failed("unreachable", target, OSError("it has no address"))
        return addresses[:_MOST_ADDRESSES]

    def _check_address(self, target: Target, address: Address) -> None:
        what = self._allowed.denies(target.host, address)
        if what is None and target.scheme == "http" and Allowed().denies(target.host, address) is None:
            what = "public, and would be called without encryption"
        if what is not None:
            raise DeclarationError(
                f"{target.host} may not be called",
                why=f"its address {address} is {what}",
                fix="call an https address, or name the host or network in allow= if it is yours",
                code="address-denied",
                field="url",
            )

    async def _connect(
        self, target: Target, addresses: Sequence[Address]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        secure: dict[str, Any] = {}
        if target.scheme == "https":
            if self._context is None:
                self._context = ssl.create_default_context()
            secure = {"ssl": self._context, "server_hostname": target.host}
        failure: OSError = OSError("it has no address")
        for address in addresses:
            try:
                reader, writer = await asyncio.open_connection(str(address), target.port, **secure)
            except OSError as error:
                failure = error
                continue
            peer = plain_address(ip_address(writer.get_extra_info("peername")[0]))
            if peer == address:
                return reader, writer
            writer.transport.abort()
            failure = OSError(f"the connection went to {peer} instead of {address}")
        raise _failed("unreachable", target, failure) from failure


def _request(method: str, target: Target, headers: Sequence[tuple[str, str]], body: bytes) -> h11.Request:
    own = [
        ("Host", target.authority),
        ("User-Agent", "steward"),
        ("Accept-Encoding", "identity"),
        ("Connection", "close"),
        ("Content-Length", str(len(body))),
    ]
    return h11.Request(method=method, target=target.path, headers=[*own, *headers])


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request, body: bytes
) -> HttpAnswer:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
    for part in (request, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(connection.send(part) or b"")
    await writer.drain()
    response: h11.Response | None = None
    answer = bytearray()
    while not isinstance(event := await _next(connection, reader), h11.EndOfMessage):
        if isinstance(event, h11.Response):
            response = event
        elif isinstance(event, h11.Data):
            answer += event.data
            if len(answer) > MAX_ANSWER_BYTES:
                raise h11.RemoteProtocolError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    assert response is not None
    headers: dict[str, str] = {}
    for name, value in response.headers:
        headers.setdefault(name.decode("ascii"), value.decode("latin-1"))
    return HttpAnswer(response.status_code, headers, bytes(answer))


async def _next(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        chunk = await reader.read(_CHUNK_BYTES)
        if not chunk and connection.their_state is h11.SEND_RESPONSE:
            raise ConnectionResetError("it was closed before there was an answer")
        connection.receive_data(chunk)
    return event


def _failed(code: str, target: Target, error: Exception) -> EngineError:
    what = {
        "unreachable": f"{target.host} cannot be reached",
        "cut-off": f"the connection to {target.host} broke before it answered",
        "answer-unreadable": f"what {target.host} answered cannot be read",
    }[code]
    return EngineError(what, why=str(error) or type(error).__name__, retryable=True, code=code)
