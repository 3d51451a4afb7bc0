"""What the sentences about entries are made of."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Told(Struct, frozen=True, kw_only=True):
    """One entry as people read it.

    Attributes:
        at: When; ``None`` for what is still to come.
        title: What happened.
        detail: By whom, why, and with what.
        tone: How it went: ``pos``, ``warn``, ``neg``, ``info``, or nothing.
        until: The deadline that it sets.

    Example:
        >>> Told(at=None, title="Waits for the crew").tone
        ''
    """

    at: datetime | None
    title: str
    detail: str = ""
    tone: str = ""
    until: datetime | None = None


def joined(*parts: str) -> str:
    """Return the parts that are not empty, with dots between them."""
    return " · ".join(part for part in parts if part)


def quoted(text: str) -> str:
    """Return what somebody wrote in quotes; nothing if that is nothing."""
    return f"“{text}”" if text else ""
