"""What all entries that follow a decision have in common."""

from __future__ import annotations

from datetime import datetime

from steward.records import EntryBody


class Later(EntryBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry that follows a decision: made at ``at`` by ``by`` (a person, a service, or ``system``).

    Example:
        >>> from datetime import UTC
        >>> from uuid import UUID
        >>> Later(decision_id=UUID(int=1), decision="pay.release", at=datetime(2026, 1, 1, tzinfo=UTC)).by
        'system'
    """

    at: datetime
    by: str = "system"
