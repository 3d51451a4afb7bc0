"""An engine: notices as signed webhooks, so that any program can tell people."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import msgspec

from steward.access.tokens import Secret
from steward.bus.cloudevents import STRUCTURED, encode_structured
from steward.clock import Clock
from steward.downstream.addresses import Allowed, Target
from steward.downstream.signature import sign
from steward.downstream.transport import Transport
from steward.errors import EngineError
from steward.ledger.port import Message
from steward.people.notice import Notice

TIMEOUT_S: Final = 10.0
_AGAIN: Final = frozenset({408, 409, 425, 429})


class WebhookChannel:
    """Posts each notice as a CloudEvent of type ``steward.notice``, signed as Standard Webhooks has it.

    Args:
        secret: ``whsec_…``, which receivers verify the signature with.
        allow: Hosts or networks inside that may be called besides public ``https`` addresses.
        ports: Ports that may be called besides 443 and 80.
        page: The address that links point to.
        clock: Says when a message was signed.

    Example:
        >>> from steward.clock import SystemClock
        >>> channel = WebhookChannel(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), clock=SystemClock())
    """

    def __init__(
        self, secret: Secret, *, clock: Clock, allow: Sequence[str] = (), ports: Sequence[int] = (), page: str = ""
    ) -> None:
        self._secret, self._clock, self._page = secret, clock, page
        self._transport = Transport(allowed=Allowed.of(list(allow)), ports=ports)

    async def send(self, notice: Notice, address: str) -> None:
        """Post a notice to a URL.

        Raises:
            EngineError: It was not taken.
            DeclarationError: The URL may not be called; nothing was sent.
        """
        body, now = self.event(notice), self._clock.now()
        unique = "msg_" + sha256(f"{notice.id}\n{address}".encode()).hexdigest()[:32]
        headers = [("Content-Type", STRUCTURED), *sign([self._secret], unique, now, body)]
        target = Target.of(address)
        try:
            answer = await self._transport.send("POST", target, headers, body, within_s=TIMEOUT_S)
        except TimeoutError as error:
            raise EngineError(
                f"{target.host} did not answer within {TIMEOUT_S:g} s", retryable=True, code="engine.webhook"
            ) from error
        if not 200 <= answer.status < 300:
            raise EngineError(
                f"{target.host} answered {answer.status}",
                retryable=answer.status in _AGAIN or answer.status >= 500,
                code="engine.webhook",
            )

    def event(self, notice: Notice) -> bytes:
        """Return the CloudEvent; equal for each time that the notice is sent."""
        data = {
            "about": notice.about,
            "decision": notice.decision,
            "decision_id": notice.run_id,
            "title": notice.title,
            "lines": notice.lines,
            "link": notice.link(self._page) if self._page else None,
            "deadline": notice.deadline,
            "urgent": notice.urgent,
        }
        return encode_structured(
            Message(
                topic="steward.notice",
                key=str(notice.run_id),
                source="urn:steward",
                id=notice.id,
                data=msgspec.json.encode(data),
                version=1,
                event_time=notice.at,
                known_at=notice.at,
            )
        )
