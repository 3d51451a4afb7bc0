"""Dead letters: messages that no consumer could handle, kept with the reason and the original."""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct

from steward.bus.port import MAX_DATA_BYTES
from steward.errors import StewardError
from steward.ledger.port import Message, StoredMessage

DEAD_LETTERS = "steward.dead-letters"
"""The topic that dead letters are kept on."""
MAX_REASON_LETTERS = 2000
"""Longer reasons are cut off."""


class DeadLetter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a dead letter says: who could not handle which message, and why.

    Attributes:
        consumer: The consumer's name.
        offset: The message's place in its topic.
        code: The error's stable code.
        reason: The error's message.
        field: The field that was wrong, if the error names one.
        message: The original; its ``data`` is empty if it was larger than any bus takes.

    Example:
        >>> from datetime import UTC
        >>> now = datetime(2026, 1, 1, tzinfo=UTC)
        >>> poisoned = StoredMessage(41, Message("grid.load", "ES", "meter-7", "1", b"{", 1, now, now))
        >>> letter = dead_letter(poisoned, StewardError("not JSON"), consumer="loop", at=now)
        >>> DeadLetter.of(letter).reason, DeadLetter.of(letter).message == poisoned.message
        ('not JSON', True)
    """

    consumer: str
    offset: int
    code: str
    reason: str
    field: str | None
    message: Message

    @classmethod
    def of(cls, message: Message) -> DeadLetter:
        """Read a message of the topic ``steward.dead-letters``."""
        return msgspec.json.decode(message.data, type=cls)


def dead_letter(stored: StoredMessage, error: Exception, *, consumer: str, at: datetime) -> Message:
    """Return the message that keeps ``stored`` and why ``consumer`` could not handle it.

    To be committed with the consumer's cursor. The same failure again gives the same id, so it is stored once.

    Args:
        stored: The poisoned message.
        error: What its handler raised.
        consumer: The consumer's name.
        at: When it failed; aware.
    """
    message = stored.message
    if len(message.data) > MAX_DATA_BYTES:  # can only have come past the bus; it stays at its offset
        message = msgspec.structs.replace(message, data=b"")
    reason = str(error) if isinstance(error, StewardError) else f"{type(error).__name__}: {error}"
    letter = DeadLetter(
        consumer=consumer,
        offset=stored.offset,
        code=error.code if isinstance(error, StewardError) else "unexpected",
        reason=reason[:MAX_REASON_LETTERS].encode(errors="replace").decode(),
        field=error.field if isinstance(error, StewardError) else None,
        message=message,
    )
    return Message(
        topic=DEAD_LETTERS,
        key=message.key,
        source=f"urn:steward:consumer:{consumer}",
        id=f"{stored.offset}:{message.topic}",
        data=msgspec.json.encode(letter),
        version=1,
        event_time=message.event_time,
        known_at=at,
        trace=message.trace,
    )
