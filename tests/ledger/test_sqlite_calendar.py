"""When heads were signed, told from the entries that they are over."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steward.ledger import sqlite_calendar
from steward.ledger.sqlite_calendar import signed_hours
from steward.ledger.sqlite_store import SCHEMA

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


def database(path: Path, minutes: list[int], heads: list[int]) -> Path:
    """Make a file with an entry at each minute and a head over each number of entries."""
    path.unlink(missing_ok=True)
    made = sqlite3.connect(path)
    made.execute("PRAGMA synchronous = OFF")
    made.execute("PRAGMA journal_mode = MEMORY")
    made.executescript(SCHEMA)
    for index, minute in enumerate(minutes):
        name = "decided_at" if index % 2 else "at"
        body = f'{{"{name}":"{(NOON + timedelta(minutes=minute)).isoformat()}"}}'.encode()
        made.execute("INSERT INTO entries VALUES (?, 'acted', x'00', x'00', NULL, ?)", (index, body))
    made.executemany("INSERT INTO checkpoints VALUES (?, 'note')", [(size,) for size in heads])
    made.commit()
    made.close()
    return path


def test_heads_are_counted_by_the_hour_of_their_last_entry(tmp_path: Path) -> None:
    path = database(tmp_path / "l.db", [0, 10, 59, 60, 61, 200], [1, 3, 4, 6])
    told = [(hour.start.hour, hour.heads, hour.first, hour.last) for hour in signed_hours(path)]
    assert told == [(12, 2, 1, 3), (13, 1, 4, 4), (15, 1, 6, 6)]


@settings(max_examples=40)
@given(
    gaps=st.lists(st.integers(0, 150), min_size=1, max_size=60),
    chosen=st.sets(st.integers(1, 60), max_size=60),
)
def test_every_head_is_counted_once_in_its_hour(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[int], chosen: set[int]
) -> None:
    minutes = [sum(gaps[: place + 1]) for place in range(len(gaps))]
    heads = sorted(size for size in chosen if size <= len(minutes))
    path = database(tmp_path_factory.getbasetemp() / "any.db", minutes, heads)
    wanted = Counter(minutes[size - 1] // 60 for size in heads)
    found = signed_hours(path)
    assert {int((hour.start - NOON) / timedelta(hours=1)): hour.heads for hour in found} == wanted
    assert [hour.start for hour in found] == sorted(hour.start for hour in found)


def test_a_young_ledger_has_no_hours_and_an_unreadable_entry_ends_the_walk(tmp_path: Path) -> None:
    assert signed_hours(database(tmp_path / "l.db", [0], [])) == []
    path = database(tmp_path / "m.db", [0, 60, 120], [1, 2, 3])
    with sqlite3.connect(path) as made:
        made.execute("UPDATE entries SET body = x'ff' WHERE idx = 1")
    made.close()
    assert [hour.last for hour in signed_hours(path)] == [3]


def test_it_reads_few_entries_and_goes_back_so_far_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = database(tmp_path / "l.db", [10 * place for place in range(600)], list(range(1, 601)))
    monkeypatch.setattr(sqlite_calendar, "MOST_HOURS", 3)
    found = signed_hours(path)
    assert [(hour.heads, hour.last) for hour in found] == [(6, 588), (6, 594), (6, 600)]
