"""An engine: e-mail by SMTP, over TLS."""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

from steward.errors import DeclarationError, EngineError
from steward.people.book import Smtp
from steward.people.notice import Notice

TIMEOUT_S: Final = 20.0
_TLS_FROM_THE_START: Final = 465
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class SmtpChannel:
    """Hands notices to a mail server, one message each.

    Args:
        server: Which.
        page: The address that links point to.
        password: The user's, if the server wants one.
        context: The authorities that the server's certificate must come from; by default those of this machine.
        timeout_s: How long each step with the server may take.

    Raises:
        DeclarationError: The server is to be used without TLS, but is not on this machine.

    Example:
        >>> SmtpChannel(Smtp(host="mail.example.org", sender="steward@example.org", plain=True))
        Traceback (most recent call last):
        ...
        steward.errors.DeclarationError: mail.example.org may not be used without TLS...
    """

    def __init__(
        self,
        server: Smtp,
        *,
        page: str = "",
        password: str = "",
        context: ssl.SSLContext | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        if server.plain and server.host not in _LOCAL:
            raise DeclarationError(
                f"{server.host} may not be used without TLS",
                why="what people are asked would be readable on its way",
                fix="leave plain out; it is for a server on this machine",
                field="smtp.plain",
            )
        self._server, self._page, self._password = server, page, password
        self._context, self._timeout_s = context, timeout_s

    async def send(self, notice: Notice, address: str) -> None:
        """Hand a notice to the server.

        Raises:
            EngineError: It was not taken.
        """
        message = self.message(notice, address)
        try:
            # The library blocks; its own time-outs end the thread.
            await asyncio.to_thread(self._hand_over, message, address)
        except smtplib.SMTPResponseException as error:
            raise _failed(
                self._server, f"{error.smtp_code} {_readable(error.smtp_error)}", retryable=400 <= error.smtp_code < 500
            ) from error
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise _failed(self._server, f"{code} {_readable(said)}", retryable=400 <= code < 500) from error
        except (smtplib.SMTPException, OSError) as error:
            raise _failed(self._server, str(error) or type(error).__name__, retryable=True) from error

    def message(self, notice: Notice, address: str) -> EmailMessage:
        """Return the message; the same notice to the same address has the same ``Message-ID``."""
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"] = self._server.sender, address
        # A header is one line; the library refuses others, and a decision's name is not worth a lost message.
        message["Subject"] = " ".join(notice.title.split())
        message["Date"] = notice.at
        unique = hashlib.sha256(f"{notice.id}\n{address}".encode()).hexdigest()[:32]
        message["Message-ID"] = f"<{unique}@{self._server.sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(notice.text(self._page))
        return message

    def _hand_over(self, message: EmailMessage, address: str) -> None:
        server, context = self._server, self._context or ssl.create_default_context()
        if server.port == _TLS_FROM_THE_START:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=self._timeout_s, context=context
            )
        else:
            connection = smtplib.SMTP(server.host, server.port, timeout=self._timeout_s)
        with connection:
            if server.port != _TLS_FROM_THE_START and not server.plain:
                connection.starttls(context=context)
            if server.user:
                connection.login(server.user, self._password)
            connection.send_message(message, from_addr=server.sender, to_addrs=[address])


def _failed(server: Smtp, why: str, *, retryable: bool) -> EngineError:
    return EngineError(
        f"the mail server {server.host}:{server.port} did not take the message",
        why=why,
        fix="check [smtp] in the address book",
        retryable=retryable,
        code="engine.smtp",
    )


def _readable(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said
