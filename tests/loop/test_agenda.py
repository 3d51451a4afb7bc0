"""The agenda: due runs, each once, earliest first, and at once whatever the clock says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from steward.ledger.port import Draft
from steward.loop.agenda import Agenda

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_due_runs_come_once_and_in_order() -> None:
    agenda = Agenda()
    for n, after in ((1, 3), (2, 1), (3, 2), (2, 0)):
        agenda.put(UUID(int=n), NOON + after * HOUR)
    assert agenda.next_due() == NOON
    assert agenda.due(NOON + HOUR) == [UUID(int=2)]
    assert agenda.due(NOON + 5 * HOUR, limit=1) == [UUID(int=3)]
    assert len(agenda) == 1
    assert agenda.due(NOON + 5 * HOUR, limit=0) == []
    assert agenda.due(NOON + 5 * HOUR) == [UUID(int=1)]
    assert agenda.next_due() is None


@pytest.mark.parametrize(
    ("kind", "body", "noted"),
    [
        ("decided", b'{"status":"decided","action":{"name":"pay"}}', True),
        ("decided", b'{"event":{"status":"waiting"},"status":"decided","action":{"name":"pay"}}', True),
        ("decided", b'{"status":"decided"}', False),
        ("asked", b"{}", True),
        ("approved", b"{}", True),
        ("rejected", b"{}", True),
        ("expired", b"{}", True),
        ("acted", b"{}", False),
        ("valued", b"{}", False),
    ],
)
def test_new_entries_are_followed_up_at_once(kind: str, body: bytes, noted: bool) -> None:
    agenda = Agenda()
    agenda.take_note([Draft(kind, UUID(int=1), body)])
    assert agenda.due(NOON - 1000 * 365 * 24 * HOUR) == ([UUID(int=1)] if noted else [])
