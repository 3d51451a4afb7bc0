"""Apprise, against a real HTTP server that it posts to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import UUID

import pytest

from steward.errors import EngineError
from steward.people.apprise import AppriseChannel
from steward.people.notice import Notice

NOTICE = Notice(
    id="7",
    about="halted",
    decision="grid.dispatch",
    run_id=UUID(int=1),
    to=("desk",),
    title="grid.dispatch stands still",
    lines=("Go on?",),
    at=datetime(2026, 1, 1, tzinfo=UTC),
)


class Service(HTTPServer):
    status: int = 200
    posted: list[dict[str, Any]]


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        self.server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service(("127.0.0.1", 0), Handler)
    server.posted = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


async def test_a_notice_arrives_whole(service: Service) -> None:
    channel = AppriseChannel(page="https://steward.example")
    await channel.send(NOTICE, f"json://127.0.0.1:{service.server_port}/hook")
    (posted,) = service.posted
    assert posted["title"] == "grid.dispatch stands still"
    assert posted["message"] == (
        "Go on?\n\nOpen it: https://steward.example/decisions/00000000-0000-0000-0000-000000000001"
    )


async def test_failure_is_told_without_the_address(service: Service) -> None:
    service.status = 500
    with pytest.raises(EngineError) as raised:
        await AppriseChannel().send(NOTICE, f"json://user:s3cret@127.0.0.1:{service.server_port}/hook")
    assert raised.value.retryable
    assert "s3cret" not in str(raised.value)


async def test_an_address_that_means_nothing_is_told() -> None:
    with pytest.raises(EngineError, match="no such address") as raised:
        await AppriseChannel().send(NOTICE, "nonsense://s3cret")
    assert not raised.value.retryable
    assert "s3cret" not in str(raised.value)
