"""The views are kept in a file: shared, made anew when damaged, and whole after a failed write."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.insight.histories import (
    entries_of,
    filled,
    record,
)

from steward.entries import (
    Body,
)
from steward.errors import EngineError
from steward.insight.views import Views
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit, Draft


def test_they_are_kept_in_their_file_and_shared_between_processes(tmp_path: Path) -> None:
    one = Views(tmp_path / "v")
    two = Views(tmp_path / "v")
    one.apply(entries_of([record(1)]))
    two.apply(entries_of([record(1), record(2)]))
    assert one.position == two.position == 2
    assert one.runs() == two.runs()
    one.close()
    two.close()
    again = Views(tmp_path / "v")
    assert again.position == 2
    again.close()


@pytest.mark.parametrize("damage", ["garbage", "other version", "flipped page"])
def test_a_damaged_file_or_one_of_another_version_is_made_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "v"
    views = Views(path)
    views.apply(entries_of([record(n) for n in range(200)]))
    views.close()
    if damage == "garbage":
        path.write_bytes(b"this is no database" * 100)
    elif damage == "flipped page":
        data = bytearray(path.read_bytes())
        data[4096 * 3 : 4096 * 5] = b"\x5a" * 8192
        path.write_bytes(data)
    else:
        database = sqlite3.connect(path)
        database.execute("PRAGMA user_version = 99")
        database.close()
    fresh = Views(path)
    assert (fresh.position, fresh.runs()) == (0, [])
    fresh.close()


def test_a_file_that_cannot_be_made_is_an_engine_error(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot be used"):
        Views(tmp_path / "no such folder" / "v")


async def test_views_of_another_ledger_are_thrown_away(tmp_path: Path) -> None:
    async def ledger_of(bodies: Sequence[Body]) -> MemoryLedger:
        ledger = MemoryLedger()
        drafts = [Draft(entry.kind, entry.run_id, entry.body) for entry in entries_of(bodies)]
        await ledger.append(Commit(entries=drafts))
        return ledger

    views = Views(tmp_path / "v")
    await views.catch_up(await ledger_of([record(1), record(2)]))
    await views.catch_up(other := await ledger_of([record(3), record(4), record(5)]))
    assert [row.decision_id for row in views.runs()] == [record(n).decision_id for n in (5, 4, 3)]
    await views.catch_up(await ledger_of([record(3)]))  # set back
    assert len(views.runs()) == 1
    assert await views.catch_up(other) == 2
    assert await views.catch_up(other) == 0
    views.close()


def test_a_failed_write_leaves_everything_as_it_was() -> None:
    views = filled([record(1)])
    views._db.execute("ALTER TABLE tallies RENAME TO elsewhere")
    with pytest.raises(EngineError, match="cannot be used"):
        views.apply(entries_of([record(2)], start=1))
    views._db.execute("ALTER TABLE elsewhere RENAME TO tallies")
    assert (views.position, len(views.runs())) == (1, 1)
    views.apply(entries_of([record(2)], start=1))
    assert views.totals()[0].runs == 2
    views.close()
