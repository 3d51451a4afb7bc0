"""One HTTP exchange as the hot routes see it: a request whose body is read once, and a reply."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from steward.errors import ContractError
from steward.wire import check_bounds, check_keys, read

if TYPE_CHECKING:
    from steward.api.entrance import Caller

T = TypeVar("T")
B = TypeVar("B", bytes, bytearray)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An ASGI 3 application."""

JSON = b"application/json"
_SINGLE = frozenset(
    b"host content-type content-length idempotency-key authorization cookie origin sec-fetch-site".split()
)
NOSNIFF = (b"x-content-type-options", b"nosniff")


class Reply(NamedTuple):
    """What is sent back.

    Attributes:
        status: The HTTP status code.
        body: The body's bytes.
        media_type: Its type.
        headers: More headers, lower-case names.

    Example:
        >>> Reply(202, b"{}").media_type
        b'application/json'
    """

    status: int
    body: bytes
    media_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Exchange:
    """A request whose head has arrived; its headers by lower-case name.

    Args:
        listed: The headers as they were sent.
        limit_bytes: The longest body that is taken.
        receive: Where the body comes from; needed unless the body is there already.
        body: The body, if it is there already.

    Attributes:
        caller: Who sent it, once that is known: before any route sees the request.

    Raises:
        ContractError: A header that may stand once stands twice (``code`` is ``http.header-repeated``).

    Example:
        >>> Exchange([(b"host", b"localhost")], limit_bytes=1024, body=b"{}").headers[b"host"]
        b'localhost'
    """

    __slots__ = ("_body", "_receive", "caller", "headers", "limit_bytes", "listed")
    caller: Caller

    def __init__(
        self,
        listed: Sequence[tuple[bytes, bytes]],
        *,
        limit_bytes: int,
        receive: Receive | None = None,
        body: bytes | None = None,
    ) -> None:
        self.listed, self.limit_bytes = listed, limit_bytes
        self._receive, self._body = receive, body
        self.headers = dict(listed)
        if len(self.headers) != len(listed):
            _refuse_repeated(listed)

    async def body(self) -> bytes:
        """Read the whole body.

        Raises:
            ContractError: It is longer than the limit (``code`` is ``http.too-large``).
            ConnectionResetError: The client went away before it had sent everything.
        """
        if self._body is not None:
            return self._checked(self._body)
        announced = self.headers.get(b"content-length", b"0")
        if len(announced) > 19 or not announced.isdigit() or int(announced) > self.limit_bytes:
            raise _too_large(self.limit_bytes)
        if self._receive is None:
            return b""
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body: bytes = message.get("body", b"")
            return self._checked(body)
        return await self._rest(self._receive, message)

    async def _rest(self, receive: Receive, message: Message) -> bytes:
        chunks = bytearray()
        while message["type"] == "http.request":
            chunks += message.get("body", b"")
            self._checked(chunks)
            if not message.get("more_body"):
                return bytes(chunks)
            message = await receive()
        raise ConnectionResetError

    def _checked(self, body: B) -> B:
        if len(body) > self.limit_bytes:
            raise _too_large(self.limit_bytes)
        return body

    async def json(self) -> bytes:
        """Read the body of a request that must be JSON.

        Raises:
            ContractError: The media type is another (``http.media-type``), or the body is too long.
        """
        self.media_type(JSON)
        return await self.body()

    def media_type(self, *known: bytes) -> bytes:
        """Return the body's media type without its parameters, which must be one of those ``known``."""
        declared = self.headers.get(b"content-type", b"")
        if declared in known:
            return declared
        essence, _, parameters = declared.lower().partition(b";")
        essence = essence.strip()
        charset = parameters.partition(b"charset=")[2].strip(b' "').partition(b";")[0]
        if essence not in known or charset not in (b"", b"utf-8"):
            raise ContractError(
                f"a body of type {declared.decode('latin-1')!r} is not taken here",
                fix=f"send the header Content-Type: {known[0].decode()}",
                code="http.media-type",
            )
        return essence


def _refuse_repeated(listed: Sequence[tuple[bytes, bytes]]) -> None:
    seen: set[bytes] = set()
    for name, _ in listed:
        if name in _SINGLE and name in seen:
            text = name.decode("latin-1")
            raise ContractError(f"the header {text} stands twice", fix="send it once", code="http.header-repeated")
        seen.add(name)


def _too_large(limit_bytes: int) -> ContractError:
    return ContractError(
        f"the body is longer than {limit_bytes:,} bytes",
        fix="send less at once, or raise the setting max_body_bytes",
        code="http.too-large",
    )


def strictly(decoder: Callable[[bytes], T], body: bytes) -> T:
    """Decode a JSON body as strictly as an event; ``decoder`` is a msgspec decoder's method.

    Raises:
        ContractError: It does not fit; ``error.field`` names the place.
    """
    check_bounds(body, max_bytes=len(body))
    value: T = read(decoder, body)
    check_keys(body)
    return value


async def send_reply(reply: Reply, send: Send) -> None:
    """Send a reply as two ASGI messages."""
    status, body, media_type, headers = reply
    listed = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), NOSNIFF, *headers]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})
