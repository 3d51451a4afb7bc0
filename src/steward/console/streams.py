"""One open event stream: who listens, what is to be sent next, and the sending itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from steward.api.entrance import Caller
from steward.console.zones import Zone

SLOW_S: Final = 30.0
"""How long a reader may take for one message before the stream is ended; its browser then opens another."""
HEARTBEAT: Final = b":\n\n"
_BEGIN: Final = b"retry: 2000\n\n"


class Listener:
    """Somebody who listens. What it has not taken yet is one message at most, whatever happens meanwhile.

    Args:
        caller: Who it is.
        zone: The zone in which they read times.
        show: The parts that their pages show, by the elements' ids.

    Attributes:
        group: With whom it shares its messages, once it had the first.
        sent_s: When it last was given something to send, by the loop's clock.
    """

    __slots__ = ("_is_over", "_next", "_ready", "_sending", "caller", "group", "sent_s", "show", "zone")

    def __init__(self, caller: Caller, zone: Zone, show: frozenset[str]) -> None:
        self.caller, self.zone, self.show = caller, zone, show
        self.group: object = None
        self.sent_s = asyncio.get_running_loop().time()
        self._next: bytes | None = None
        self._ready = asyncio.Event()
        self._is_over = False
        self._sending: asyncio.Timeout | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is sent."""
        return self._is_over

    def give(self, message: bytes, whole: Callable[[], bytes], now_s: float) -> None:
        """Have a message sent; if the one before was not taken yet, all of the present state in the place of both."""
        self._next = message if self._next is None else whole()
        self.sent_s = now_s
        self._ready.set()

    def beat(self, now_s: float) -> None:
        """Show that the stream is alive, unless something waits to be sent anyway."""
        if self._next is None:
            self._next = HEARTBEAT
            self.sent_s = now_s
            self._ready.set()

    def end(self) -> None:
        """End the stream at once, also where the reader does not read."""
        self._is_over = True
        self._ready.set()
        if self._sending is not None and not self._sending.expired():
            self._sending.reschedule(asyncio.get_running_loop().time())

    async def send_all(self, send: Send) -> None:
        """Send what comes until the end.

        Raises:
            TimeoutError: The reader is too slow, or the stream was ended while it did not read.
        """
        while not self._is_over:
            await self._ready.wait()
            self._ready.clear()
            message, self._next = self._next, None
            if message is not None and not self._is_over:
                try:
                    async with asyncio.timeout(SLOW_S) as self._sending:
                        await send({"type": "http.response.body", "body": message, "more_body": True})
                finally:
                    self._sending = None


class EventStream(Response):
    """The response that never ends by itself.

    Args:
        listener: Whose it is.
        join: Called when it begins.
        leave: Called when it is over, whyever.
    """

    media_type = "text/event-stream"

    def __init__(
        self, listener: Listener, *, join: Callable[[Listener], object], leave: Callable[[Listener], object]
    ) -> None:
        super().__init__(headers={"x-accel-buffering": "no", "cache-control": "no-store"})
        del self.headers["content-length"]
        self._listener, self._join, self._leave = listener, join, leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the stream is ended, or the reader has gone."""
        listener = self._listener
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": _BEGIN, "more_body": True})
        gone = asyncio.ensure_future(_gone(Request(scope, receive)))
        gone.add_done_callback(lambda _: listener.end())
        self._join(listener)
        try:
            await listener.send_all(send)
        except TimeoutError:
            return  # a last message could not be sent either
        finally:
            self._leave(listener)
            gone.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
