"""Apprise, against a real HTTP server that it posts to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from tests.people.receiver import Receiver, receiving

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


@pytest.fixture
def service() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


async def test_a_notice_arrives_whole(service: Receiver) -> None:
    channel = AppriseChannel(page="https://steward.example")
    await channel.send(NOTICE, f"json://127.0.0.1:{service.server_port}/hook")
    ((_, body),) = service.got
    posted = json.loads(body)
    assert posted["title"] == "grid.dispatch stands still"
    assert posted["message"] == (
        "Go on?\n\nOpen it: https://steward.example/decisions/00000000-0000-0000-0000-000000000001"
    )


async def test_failure_is_told_without_the_address(service: Receiver) -> None:
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
