"""The live stream over a socket: who is sent what, when nothing is sent, and how a stream ends."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
from starlette.types import Message
from tests.console.world import Company

from steward.api.server import Server
from steward.console import live as live_module
from steward.console import streams
from steward.console.audience import Audience, Fragment
from steward.console.console import Console
from steward.console.live import Live, position
from steward.console.streams import Listener
from steward.console.zones import UTC_ZONE, Zone
from steward.errors import EngineError

ROWS, STATE = "overview-newest", "overview-state"
PATIENCE_S = 10.0


class Reader:
    """Somebody who reads a stream."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def line(self) -> str | None:
        """Return the next line that says something; ``None`` at the end."""
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._lines:
                if line and not line.startswith("retry:"):
                    return line
        return None

    async def news(self) -> dict[str, Any]:
        """Return the next message, past heartbeats."""
        while (line := await self.line()) is not None:
            if line.startswith("data: "):
                decoded: dict[str, Any] = msgspec.json.decode(line.removeprefix("data: "))
                return decoded
        raise AssertionError("the stream has ended")

    async def until(self, text: str) -> list[dict[str, Any]]:
        """Return the messages until one holds a text."""
        found = [await self.news()]
        while text not in str(found[-1]):
            found.append(await self.news())
        return found

    async def ends(self) -> bool:
        """Read to the end."""
        while await self.line() is not None:
            pass
        return True


class Place:
    """A server with the console, whose stream has short beats."""

    def __init__(self, company: Company) -> None:
        self.company, self.console = company, Console()
        self.live: Live = self.console.live
        self.live.beat_s = 0.02
        self.server: Server

    async def __aenter__(self) -> Place:
        self.server = await Server.start(self.company.runtime, "127.0.0.1", 0, rooms=[self.console])
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.server.stop()

    def has(self, **parts: Fragment) -> None:
        """Give the stream other parts than the pages have."""
        self.live._fragments = parts

    def headers(self, name: str) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self.company.secrets[name]}"} if name else {}

    @asynccontextmanager
    async def reader(self, *show: str, who: str = "", cookie: str = "") -> AsyncIterator[Reader]:
        url = f"http://127.0.0.1:{self.server.port}/events"
        headers = dict(self.headers(who)) | ({"cookie": cookie} if cookie else {})
        async with (
            httpx.AsyncClient(timeout=PATIENCE_S) as client,
            client.stream("GET", url, params={"show": ",".join(show)}, headers=headers) as response,
        ):
            yield Reader(response)


@pytest.fixture
async def place(company: Company) -> AsyncIterator[Place]:
    async with Place(company) as made:
        yield made


@pytest.fixture
async def staffed_place(staffed: Company) -> AsyncIterator[Place]:
    async with Place(staffed) as made:
        yield made


async def test_all_who_look_are_told_what_is_and_then_what_changes(place: Place) -> None:
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(place.reader(ROWS, STATE)) for _ in range(5)]
        assert readers[0].response.headers["content-type"].startswith("text/event-stream")
        first = [await each.news() for each in readers]
        assert {tuple(each["html"]) for each in first} == {tuple(first[0]["html"])}
        assert set(first[0]["html"]) == {ROWS, STATE}
        assert first[0]["waiting"] == 0
        assert place.live.watching == 5
        run = await place.company.dispatch(price_eur=140.0)
        for each in readers:
            assert (await each.until(str(run)))[-1]["waiting"] == 1
    async with place.reader(ROWS) as late:
        news = await late.news()
        assert str(run) in news["html"][ROWS]
        assert (news["waiting"], set(news["html"])) == (1, {ROWS})


async def test_only_what_changed_is_sent(place: Place) -> None:
    async with place.reader(ROWS, STATE, "page") as reader:
        await reader.news()
        await place.company.dispatch()
        await reader.until("runs inside its limits")
        run = await place.company.dispatch()
        changed = await reader.until(str(run))
        assert all(STATE not in each["html"] for each in changed)


async def test_nothing_is_sent_while_nothing_changes_but_a_sign_of_life(place: Place) -> None:
    place.live.heartbeat_s = 0.05
    async with place.reader(ROWS) as reader:
        await reader.news()
        assert [await reader.line() for _ in range(4)] == [":"] * 4


async def test_parts_are_made_once_for_all_who_may_see_the_same(staffed_place: Place) -> None:
    made: list[tuple[frozenset[str] | None, Zone, int]] = []

    async def part(audience: Audience) -> str:
        made.append((audience.readable, audience.zone, audience.runtime.views.position))
        return str(audience.runtime.views.position)

    staffed_place.has(part=part, page=position)
    readers = []
    async with AsyncExitStack() as stack:
        for name in ("ana", "ben", "olga", "audra", "paula"):
            for cookie, show in (("", "part"), ("", "part,page"), ("steward-zone=utc", "part")):
                reader = await stack.enter_async_context(staffed_place.reader(show, who=name, cookie=cookie))
                await reader.news()
                readers.append(reader)
        made.clear()
        await staffed_place.company.dispatch()
        for reader in readers:
            await reader.until(str(staffed_place.company.runtime.views.position))
        audiences = {(readable, zone) for readable, zone, _ in made}
        assert len(audiences) == 4  # those of the payments desk and the others, each in two zones
        assert len(made) == len(set(made)), "made again for the same audience in the same state"


async def test_nobody_is_told_of_another_teams_decisions(staffed_place: Place) -> None:
    company = staffed_place.company
    parts = (ROWS, STATE, "overview-urgent", "overview-concerns", "overview-tiles-today", "overview-chart-1h")
    async with staffed_place.reader(*parts, who="ana") as ana, staffed_place.reader(*parts, who="olga") as olga:
        assert (await ana.news())["waiting"] == (await olga.news())["waiting"] == 0
        secret = await company.refund(900.0)
        assert (await ana.until(str(secret)))[-1]["waiting"] == 1
        shown = await company.dispatch()
        told = await olga.until(str(shown))
        assert [each["waiting"] for each in told] == [0], "nothing was sent for what they may not see"
        assert str(secret) not in str(told)
        assert "Refund" not in str(told)
        assert "Dispatch" in str(told)


async def test_a_limit_to_a_team_counts_at_once(staffed_place: Place) -> None:
    company = staffed_place.company
    guard = company.runtime.guard
    ada = await guard.identify({b"authorization": f"Bearer {company.secrets['ada']}".encode()})
    await company.dispatch()
    async with staffed_place.reader(ROWS, who="audra") as audra:
        assert "Dispatch" in (await audra.news())["html"][ROWS]
        await guard.administration.limit(ada, "grid.dispatch", ["grid-desk"])
        assert "Dispatch" not in (await audra.news())["html"][ROWS]


async def test_whoever_is_not_signed_in_is_told_nothing(staffed_place: Place) -> None:
    async with staffed_place.reader(ROWS) as reader:
        assert reader.response.status_code == 401
    assert staffed_place.live.watching == 0


@pytest.mark.parametrize("how", ["key", "session", "rights"])
async def test_a_stream_ends_with_the_credentials_it_was_opened_with(staffed_place: Place, how: str) -> None:
    company = staffed_place.company
    guard = company.runtime.guard
    ada = await guard.identify({b"authorization": f"Bearer {company.secrets['ada']}".encode()})
    ana = await guard.identify({b"authorization": f"Bearer {company.secrets['ana']}".encode()})
    opened = await guard.sessions.sign_in(ana)
    cookie = opened.set_cookie().partition(";")[0] if how == "session" else ""
    async with staffed_place.reader(STATE, who="" if cookie else "ana", cookie=cookie) as reader:
        await reader.news()
        if how == "key":
            await guard.administration.revoke_key(ada, ana.credential.removeprefix("key:"), reason="lost")
        elif how == "rights":
            await guard.administration.revoke_identity(ada, "ana", reason="left")
        else:
            await guard.sessions.sign_out(opened.secret.reveal())
        assert await reader.ends()
    assert await emptied(staffed_place.live)


async def test_streams_of_whoever_is_at_this_machine_end_when_somebody_administers(place: Place) -> None:
    async with place.reader(STATE) as reader:
        await reader.news()
        await place.company.enrol()
        assert await reader.ends()


async def test_a_server_that_stops_waits_for_no_stream(company: Company) -> None:
    made = Place(company)
    made.has(big=big)
    async with AsyncExitStack() as stack:
        await made.__aenter__()
        reader = await stack.enter_async_context(made.reader())
        await reader.news()
        deaf = await deaf_reader(made)
        await blocked(made)
        async with asyncio.timeout(company.runtime.settings.drain_s / 2):
            await made.server.stop()
        assert await reader.ends()
        assert made.live.watching == 0
        deaf.close()


async def test_who_does_not_read_holds_up_nobody_and_is_dropped(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SLOW_S", 0.2)
    place.has(big=big, page=position)
    async with place.reader("page") as reader:
        await reader.news()
        deaf = await deaf_reader(place)
        await blocked(place)
        await place.company.dispatch()
        await reader.until(str(place.company.runtime.views.position))
        assert await emptied(place.live, to=1)
        deaf.close()


async def test_what_waits_to_be_sent_is_one_message_at_most(company: Company) -> None:
    listener = Listener(None, UTC_ZONE, frozenset())  # type: ignore[arg-type] # nobody asks who it is
    for number in range(1_000):
        listener.give(b"%d" % number, lambda: b"the present state", 0.0)
    listener.beat(0.0)
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)
        listener.end()

    await listener.send_all(send)
    assert [each["body"] for each in sent] == [b"the present state"]


async def test_a_caller_has_a_limited_number_of_streams(staffed_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "MOST_OF_A_CALLER", 2)
    async with staffed_place.reader(who="ana") as one, staffed_place.reader(who="ana") as two:
        await one.news()
        await two.news()
        async with staffed_place.reader(who="ana") as third, staffed_place.reader(who="ben") as other:
            assert third.response.status_code == 429
            assert other.response.status_code == 200
    monkeypatch.setattr(live_module, "MOST", 0)
    async with staffed_place.reader(who="ben") as nobody:
        assert nobody.response.status_code == 429


async def test_unknown_parts_are_left_out(place: Place) -> None:
    async with place.reader("nothing", "", "../etc", ROWS) as reader:
        assert set((await reader.news())["html"]) == {ROWS}


async def test_what_cannot_be_read_now_is_sent_later(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    failing = True

    async def part(audience: Audience) -> str:
        if failing:
            raise EngineError("the ledger cannot be read", retryable=True)
        return "here"

    place.has(part=part)
    async with place.reader("part") as reader:
        await eventually(lambda: bool(caplog.records))
        assert caplog.records[0].levelno == logging.WARNING
        failing = False
        assert (await reader.news())["html"] == {"part": "here"}


async def test_a_part_that_cannot_be_made_ends_the_streams_and_is_logged(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    async def part(audience: Audience) -> str:
        raise ZeroDivisionError

    place.has(part=part)
    async with place.reader("part") as reader:
        assert await reader.ends()
    assert "cannot be made" in caplog.text
    assert caplog.records[0].exc_info is not None


async def test_the_task_runs_only_while_somebody_listens(place: Place) -> None:
    assert place.live._task is None
    async with place.reader(STATE) as reader:
        await reader.news()
        first = place.live._task
    assert first is not None
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait([first])
    assert place.live.watching == 0
    async with place.reader(STATE) as reader:
        await reader.news()
        assert place.live._task is not first


async def deaf_reader(place: Place) -> socket.socket:
    """Ask for the stream and never read it."""
    loop = asyncio.get_running_loop()
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    await loop.sock_connect(deaf, ("127.0.0.1", place.server.port))
    await loop.sock_sendall(deaf, b"GET /events?show=big HTTP/1.1\r\nhost: localhost\r\n\r\n")
    return deaf


async def big(audience: Audience) -> str:
    """More than fits into what lies between a server and somebody who does not read."""
    return f"{audience.runtime.views.position} {'x' * 4_000_000}"


async def blocked(place: Place) -> None:
    """Let things happen until a message cannot be sent on."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(listener._sending is not None for listener in place.live._listeners):
            await place.company.dispatch()


async def emptied(live: Live, to: int = 0) -> bool:
    return await eventually(lambda: live.watching <= to)


async def eventually(holds: Callable[[], bool]) -> bool:
    """Give others their turns until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if holds():
                return True
            await asyncio.sleep(0)
