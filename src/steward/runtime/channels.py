"""The channels that an address book asks for, each engine loaded only when somebody is reached by it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from steward.clock import Clock
from steward.decision.decision import Decision
from steward.people.book import AddressBook, read_book
from steward.people.port import Channel
from steward.people.secret import read_secret
from steward.runtime.journal import Journal
from steward.runtime.notices import Decisions
from steward.runtime.notify import Notifier
from steward.runtime.settings import Settings


async def open_notifier(settings: Settings, journal: Journal, decisions: Decisions, clock: Clock) -> Notifier | None:
    """Return what tells people, with what was still owed; ``None`` without an address book.

    Raises:
        DeclarationError: The address book or a secret that it names does not fit.
        EngineError: A channel's extra is not installed, or the ledger cannot be read.
    """
    if not settings.people:
        return None
    path = settings.path(settings.people)
    book = read_book(path)
    notifier = Notifier(journal, decisions, book, open_channels(book, path.parent, clock), clock)
    await notifier.open()
    return notifier


def open_channels(book: AddressBook, folder: Path, clock: Clock) -> dict[str, Channel]:
    """Return the channels by name; files that the book names count from ``folder``."""
    used = {channel for contact in book.people.values() for channel in contact.channels}
    channels: dict[str, Channel] = {}
    if book.smtp is not None and "smtp" in used:
        from steward.people.smtp import SmtpChannel  # noqa: PLC0415 - only where it is used

        password = read_secret(folder / book.smtp.password_file) if book.smtp.password_file else ""
        channels["smtp"] = SmtpChannel(book.smtp, page=book.page, password=password)
    if book.webhook is not None and "webhook" in used:
        from steward.access.tokens import Secret  # noqa: PLC0415 - as above
        from steward.people.webhook import WebhookChannel  # noqa: PLC0415 - as above

        hook, secret = book.webhook, Secret(read_secret(folder / book.webhook.secret_file))
        channels["webhook"] = WebhookChannel(secret, clock=clock, allow=hook.allow, ports=hook.ports, page=book.page)
    if "apprise" in used:
        from steward.people.apprise import AppriseChannel  # noqa: PLC0415 - as above

        channels["apprise"] = AppriseChannel(page=book.page)
    return channels


def unreached(book: AddressBook, decisions: Iterable[Decision[Any, Any, Any]]) -> list[str]:
    """Return a sentence for each group that a decision asks, or that owns one, and that the book does not know."""
    missing = []
    for decision in decisions:
        gate = decision.gate
        asked = () if gate is None else (gate.approvers, *gate.groups)
        missing += [
            f"{decision.name} asks or tells {name!r}, whom the address book does not know"
            for name in dict.fromkeys((*asked, decision.owner))
            if not book.members(name)
        ]
    return missing
