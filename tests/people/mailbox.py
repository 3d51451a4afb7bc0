"""A real mail server on loopback that keeps what it gets, and can refuse or hang."""

from __future__ import annotations

import asyncio
import email
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


class Mailbox:
    """What the server does with each message: ``answers`` first, then 250."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.recipients: list[str] = []
        self.answers: list[str] = []
        self.hang_s = 0.0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.hang_s:
            await asyncio.sleep(self.hang_s)
        if self.answers:
            return self.answers.pop(0)
        self.messages.append(email.message_from_bytes(envelope.content))
        self.recipients += envelope.rcpt_tos
        return "250 kept"


def sign_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"steward", b"s3cret"), handled=False)


class _OnFreePort(Controller):
    """The library tries its own port, which is 0 here."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[union-attr] # it has just been started
        super()._trigger_server()  # type: ignore[no-untyped-call] # the library has no types here


@contextmanager
def serving(mailbox: Mailbox, **options: Any) -> Iterator[int]:
    """Run the server on a free port."""
    controller = _OnFreePort(mailbox, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()
