"""Notices as webhooks, against a real HTTP server that verifies them."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.people.receiver import Receiver, receiving

from steward.access.tokens import Secret
from steward.clock import SystemClock
from steward.errors import DeclarationError, EngineError
from steward.people.notice import Notice
from steward.people.webhook import WebhookChannel

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOTICE = Notice(
    id="run/7",
    about="asked",
    decision="grid.dispatch",
    run_id=UUID(int=1),
    to=("desk",),
    title="grid.dispatch asks",
    lines=("At stake: 900.00 EUR.",),
    at=NOON,
    deadline=NOON + timedelta(minutes=10),
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def channel(receiver: Receiver, *, allow: tuple[str, ...] = ("127.0.0.0/8",)) -> WebhookChannel:
    return WebhookChannel(
        Secret(SECRET), clock=SystemClock(), allow=allow, ports=(receiver.server_port,), page="https://s.example"
    )


async def test_a_notice_arrives_signed_and_whole(receiver: Receiver) -> None:
    await channel(receiver).send(NOTICE, f"http://127.0.0.1:{receiver.server_port}/hook")
    ((headers, body),) = receiver.got
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.digest(b64decode(SECRET.removeprefix("whsec_")), signed, hashlib.sha256)
    assert headers["webhook-signature"] == f"v1,{b64encode(digest).decode()}"
    event = json.loads(body)
    assert (event["type"], event["id"], event["specversion"]) == ("steward.notice", "run/7", "1.0")
    assert event["data"]["title"] == "grid.dispatch asks"
    assert event["data"]["link"] == "https://s.example/approvals/00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(("status", "retryable"), [(503, True), (429, True), (400, False), (302, False)])
async def test_failure_is_told(receiver: Receiver, status: int, retryable: bool) -> None:
    receiver.status = status
    with pytest.raises(EngineError, match=str(status)) as raised:
        await channel(receiver).send(NOTICE, f"http://127.0.0.1:{receiver.server_port}/hook")
    assert raised.value.retryable is retryable


async def test_this_machine_is_not_called_unless_allowed(receiver: Receiver) -> None:
    with pytest.raises(DeclarationError):
        await channel(receiver, allow=()).send(NOTICE, f"http://127.0.0.1:{receiver.server_port}/hook")
    assert receiver.got == []
