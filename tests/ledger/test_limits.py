"""What no engine stores is refused at the door, and named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest

from steward.errors import ContractError, NotFound
from steward.ledger import Commit, Draft, Message
from steward.ledger.limits import MAX_BODY_BYTES, MAX_KEY_LETTERS, MAX_POSITION, check_commit, check_range

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = UUID(int=1)


@dataclass
class Case:
    commit: Commit
    field: str


def event(size: int) -> Message:
    return Message("t", "k", "s", "1", bytes(size), 1, NOW, NOW)


@pytest.mark.parametrize(
    "case",
    [
        Case(Commit(entries=[Draft("a", RUN, b""), Draft("a", RUN, bytes(MAX_BODY_BYTES + 1))]), "entries[1].body"),
        Case(Commit(entries=[Draft("a", RUN, b"", "k" * (MAX_KEY_LETTERS + 1))]), "entries[0].key"),
        Case(Commit(messages=[event(MAX_BODY_BYTES + 1)]), "messages[0].data"),
        Case(Commit(cursors={"loop": -1}), "cursors.loop"),
        Case(Commit(cursors={"loop": MAX_POSITION + 1}), "cursors.loop"),
    ],
    ids=lambda case: case.field,
)
def test_refused(case: Case) -> None:
    with pytest.raises(ContractError) as refused:
        check_commit(case.commit)
    assert refused.value.field == case.field


def test_the_largest_is_taken() -> None:
    check_commit(
        Commit(
            entries=[Draft("a", RUN, bytes(MAX_BODY_BYTES), "k" * MAX_KEY_LETTERS)],
            messages=[event(MAX_BODY_BYTES)],
            cursors={"loop": MAX_POSITION},
        )
    )


def test_ranges() -> None:
    check_range(3, 3, index=2)
    check_range(3, 3, first=3)


@pytest.mark.parametrize(
    ("size", "index", "first"), [(0, 0, 0), (4, None, 0), (-1, None, 0), (3, 3, 0), (3, -1, 0), (2, None, 3)]
)
def test_beyond_the_end(size: int, index: int | None, first: int) -> None:
    with pytest.raises(NotFound):
        check_range(size, 3, index=index, first=first)
