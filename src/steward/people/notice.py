"""What people are told: one short text for each thing that needs somebody."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from msgspec import Struct


class Notice(Struct, frozen=True, kw_only=True):
    """Something that people are to be told.

    Attributes:
        id: Stable: the same thing told again has the same id.
        about: The kind of entry: ``asked``, ``escalated``, ``stopped`` …
        decision: The decision's name, ``*`` for all.
        run_id: The run it is about.
        to: The groups or people it is for.
        title: One line.
        lines: What to know before one opens the page.
        at: When it happened.
        deadline: Until when an answer counts, if one is wanted.
        urgent: Whether it is told in quiet hours too.

    Example:
        >>> noon = datetime.fromisoformat("2026-01-01T12:00Z")
        >>> notice = Notice(id="7", about="asked", decision="pay.release", run_id=UUID(int=1), to=("desk",),
        ...     title="pay.release asks", lines=("900.00 EUR at stake",), at=noon, deadline=noon)
        >>> print(notice.text("https://steward.example"))
        900.00 EUR at stake
        <BLANKLINE>
        Open it: https://steward.example/approvals/00000000-0000-0000-0000-000000000001
    """

    id: str
    about: str
    decision: str
    run_id: UUID
    to: tuple[str, ...]
    title: str
    lines: tuple[str, ...]
    at: datetime
    deadline: datetime | None = None
    urgent: bool = False

    @property
    def is_question(self) -> bool:
        """Whether it is only worth telling while nobody has answered."""
        return self.deadline is not None

    def link(self, page: str) -> str:
        """Return where it can be read; opening it never approves anything."""
        return f"{page.rstrip('/')}/{'approvals' if self.is_question else 'decisions'}/{self.run_id}"

    def text(self, page: str) -> str:
        """Return the whole text, with a link to ``page``, the address of the console or API, if there is one."""
        return "\n".join((*self.lines, *(("", f"Open it: {self.link(page)}") if page else ())))
