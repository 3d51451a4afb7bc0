"""The walk through the database: blocks, signed heads of any size, and columns with values of any type."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from steward.clock import SystemClock
from steward.ledger import Commit
from steward.ledger.merkle import leaf_hash
from steward.ledger.sqlite import SqliteLedger
from steward.ledger.verify import Break, verify_store
from steward.ledger.verify_store import _twice
from steward.testing.conformance.ledger import draft


async def made(path: Path, sizes: list[int], keys: Mapping[int, str] = MappingProxyType({4: ""})) -> Path:
    """Make a ledger that was signed at some sizes, in which few entries have a key, and one an empty one."""
    ledger = await SqliteLedger.open(path, clock=SystemClock(), checkpoint_every=timedelta(hours=1))
    for start, end in zip([0, *sizes], sizes, strict=False):
        await ledger.append(Commit(entries=[draft(n, key=keys.get(n)) for n in range(start, end)]))
        await ledger.checkpoint()
    await ledger.close()
    return path


def change(path: Path, sql: str, *values: object) -> None:
    with sqlite3.connect(path) as database:
        assert database.execute(sql, values).rowcount > 0
    database.close()


async def test_heads_of_any_size_are_compared(tmp_path: Path) -> None:
    path = await made(tmp_path / "ledger.db", sizes := [1, 2, 7, 255, 256, 257, 500, 512, 800])
    report = verify_store(path)
    assert (report.breaks, report.signed_entries) == ([], 800)
    assert report.checkpoints >= len(sizes) + 1
    body = draft(999).body
    change(path, "UPDATE entries SET body = ?, leaf = ? WHERE idx = 256", body, leaf_hash(body))
    unsigned = [str(one) for one in verify_store(path).breaks if "not those that were signed" in str(one)]
    assert [int(text.split()[2]) for text in dict.fromkeys(unsigned)] == [257, 500, 512, 800]


async def test_an_empty_ledger_holds_with_its_head(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = await SqliteLedger.open(path, clock=SystemClock())
    await ledger.checkpoint()
    await ledger.close()
    report = verify_store(path)
    assert (report.breaks, report.entries) == ([], 0)
    assert report.checkpoints > 0


async def test_progress_is_told_as_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("steward.ledger.verify_store._PROGRESS_EVERY", 256)
    path = await made(tmp_path / "ledger.db", [600])
    seen: list[tuple[int, int]] = []
    verify_store(path, progress=lambda done, of: seen.append((done, of)))
    assert seen == [(256, 600), (512, 600)]


async def test_a_hash_that_is_text_is_named_and_the_rest_is_checked(tmp_path: Path) -> None:
    path = await made(tmp_path / "ledger.db", [300])
    change(path, "UPDATE entries SET leaf = 'text' WHERE idx = 7")
    change(path, "UPDATE entries SET kind = 'acted' WHERE idx = 299")
    breaks = verify_store(path).breaks
    assert {one.index for one in breaks} == {7, 299, None}
    assert not any("cannot be read" in str(one) for one in breaks)


async def test_the_first_row_that_cannot_be_read_is_a_break(tmp_path: Path) -> None:
    path = await made(tmp_path / "ledger.db", [5])
    change(path, "UPDATE entries SET kind = CAST(x'ff' AS TEXT) WHERE idx = 0")
    (only,) = verify_store(path).breaks
    assert str(only).startswith("the database cannot be read: Could not decode")


async def test_a_body_nested_without_end_is_named(tmp_path: Path) -> None:
    path = await made(tmp_path / "ledger.db", [5])
    change(path, "UPDATE entries SET body = ? WHERE idx = 3", b'{"a":' + b"[" * 100_000)
    assert Break(3, "its body is not an entry's JSON") in verify_store(path).breaks


async def test_another_table_or_index_is_found(tmp_path: Path) -> None:
    path = await made(tmp_path / "ledger.db", [5])
    with sqlite3.connect(path) as database:
        database.execute("CREATE INDEX entries_by_key ON entries (key)")
    database.close()
    assert [str(one) for one in verify_store(path).breaks] == ["the tables are not those of a ledger"]


async def test_sealed_rows_stand_where_their_first_byte_says(tmp_path: Path) -> None:
    path = await made(tmp_path / "ledger.db", [5])
    first = sha256(b"").digest()[0]
    change(path, "INSERT INTO keys_sealed SELECT ? << 32, rows FROM keys_recent", first)
    change(path, "DELETE FROM keys_recent")
    assert verify_store(path).ok
    change(path, "UPDATE keys_sealed SET id = ? << 32", first ^ 1)
    assert [str(one) for one in verify_store(path).breaks] == [
        f"row {(first ^ 1) << 32} of the index 'keys' is malformed"
    ]


async def test_the_order_of_rows_in_an_index_means_nothing(tmp_path: Path) -> None:
    path = await made(tmp_path / "ledger.db", [300], {n: f"key {n}" for n in range(0, 300, 7)})
    with sqlite3.connect(path) as database:
        (rows,) = database.execute("SELECT rows FROM keys_recent").fetchone()
    database.close()
    pieces = [rows[start : start + 24] for start in range(0, len(rows), 24)]
    change(path, "UPDATE keys_recent SET rows = ?", b"".join(sorted(pieces)))
    assert verify_store(path).ok
    change(path, "UPDATE keys_recent SET rows = ?", b"".join([*pieces[1:], pieces[1]]))
    assert [str(one) for one in verify_store(path).breaks] == [
        "the index 'keys' lacks number 0",
        "the index 'keys' has too much for number 7",
    ]


def test_only_all_of_a_digest_makes_two_the_same() -> None:
    rows = np.array([[5, 1, 0], [9, 2, 1], [9, 3, 2], [1, 1, 3], [9, 2, 4]], np.uint64)
    assert list(_twice(rows)) == [("0000000000000009", 4)]
    assert list(_twice(rows[:4])) == []
