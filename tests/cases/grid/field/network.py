"""A line between client and server that can be cut or fall silent, and what was heard at its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from steward.cases.grid.field.reading import Reading
from steward.cases.grid.field.source import Gap

PATIENCE_S = 20.0


class Heard:
    """Takes readings and gaps, and wakes who waits for something to be true of them."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.lost: list[Gap] = []
        self.gaps: list[Gap] = []
        self._news = asyncio.Event()

    async def take(self, readings: Sequence[Reading]) -> None:
        self.readings.extend(readings)
        self._news.set()

    def tell_gap(self, gap: Gap) -> None:
        (self.lost if gap.until is None else self.gaps).append(gap)
        self._news.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                self._news.clear()
                await self._news.wait()


class Line:
    """Carries bytes both ways; mute, it takes them and passes nothing on, as a half-open connection does."""

    def __init__(self) -> None:
        self.port = 0
        self.mute = self.deaf = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool) -> None:
        self._writers.add(writer)
        try:
            while data := await reader.read(65_536):
                if not (self.mute if back else self.deaf):
                    writer.write(data)
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    @asynccontextmanager
    async def to(self, port: int) -> AsyncIterator[Line]:
        """Listen, and carry to a port of this machine; ``mute`` drops what comes back, ``deaf`` what goes there."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                there, back = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                writer.transport.abort()
                return
            for carried in (self._carry(reader, back, back=False), self._carry(there, writer, back=True)):
                self._carrying.add(asyncio.create_task(carried))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            await asyncio.gather(*self._carrying)
            await server.wait_closed()
