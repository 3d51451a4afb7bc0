"""Transactions of the store: durable, in few statements, and in step with the disk after a lost answer."""

from __future__ import annotations

import sqlite3
from functools import partial
from pathlib import Path

import pytest

from steward.errors import EngineError
from steward.ledger import Commit, Committed
from steward.ledger.sqlite_store import Store, connect, cursor_crc, insert_rows, message_crc, message_digest
from steward.testing.conformance.ledger import draft, message


class AnswerLost(sqlite3.Connection):
    """A connection that commits and then says that it failed."""

    armed = False

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        cursor = super().execute(sql, parameters)  # type: ignore[arg-type] # passed on as it came
        if sql == "COMMIT" and self.armed:
            raise sqlite3.OperationalError("disk I/O error")
        return cursor


def made(path: Path) -> Store:
    store = Store(connect(path, timeout_s=1))
    store.create("steward.local/test", "key")
    store.load()
    return store


def test_commits_survive_a_power_loss(tmp_path: Path) -> None:
    store = made(tmp_path / "a.db")
    ask = store.database.execute
    assert ask("PRAGMA synchronous").fetchone() == (2,)
    assert ask("PRAGMA journal_mode").fetchone() == ("wal",)
    store.database.close()


def test_a_commit_whose_answer_was_lost_is_known_afterwards(tmp_path: Path) -> None:
    made(tmp_path / "a.db").database.close()
    database = sqlite3.connect(tmp_path / "a.db", isolation_level=None, factory=AnswerLost)
    store = Store(database)
    store.load()
    store.write([Commit(entries=[draft(0, key="a")])])
    database.armed = True
    with pytest.raises(sqlite3.OperationalError):
        store.write([Commit(entries=[draft(1, key="b")], messages=[message("load", 1)])])
    database.armed = False
    conflict, more = store.write([Commit(entries=[draft(2, key="b")]), Commit(entries=[draft(2)])])
    assert isinstance(conflict, Exception)
    assert isinstance(more, Committed)
    assert more.first_index == 2
    root = store.frontier.root()
    store.load()
    assert (store.frontier.size, store.frontier.root()) == (3, root)
    database.close()


def test_a_few_entries_are_one_statement_and_all_else_is_one_transaction(tmp_path: Path) -> None:
    store = made(tmp_path / "a.db")
    database = store.database
    statements: list[str] = []

    def written(commit: Commit) -> list[str]:
        statements.clear()
        database.set_trace_callback(statements.append)
        store.write([commit])
        database.set_trace_callback(None)
        return [statement.split()[0] for statement in statements]

    assert written(Commit(entries=[draft(n) for n in range(60)])) == ["INSERT"]
    assert written(Commit(entries=[draft(n) for n in range(190)])) == ["BEGIN", "INSERT", "INSERT", "COMMIT"]
    for commit in (
        Commit(entries=[draft(n) for n in range(10)]),  # completes a node of the tree
        Commit(entries=[draft(0, key="k")]),
        Commit(messages=[message("load", 1)]),
        Commit(entries=[draft(0)], cursors={"c": 1}),
    ):
        told = written(commit)
        assert (told[0], told[-1]) == ("BEGIN", "COMMIT")
    size, root = store.frontier.size, store.frontier.root()
    store.load()
    assert (store.frontier.size, store.frontier.root()) == (size, root)
    database.close()


def test_a_statement_that_fails_alone_leaves_nothing(tmp_path: Path) -> None:
    store = made(tmp_path / "a.db")
    database = store.database
    store.write([Commit(entries=[draft(0)])])
    database.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.Error):
        store.write([Commit(entries=[draft(1), draft(2)])])
    database.execute("PRAGMA query_only = OFF")
    (written,) = store.write([Commit(entries=[draft(3)])])
    assert isinstance(written, Committed)
    assert (written.first_index, store.frontier.size) == (1, 2)
    database.close()


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 63, 64, 65, 1023, 1024, 1025, 3000])
def test_rows_are_inserted_in_few_statements(rows: int) -> None:
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("CREATE TABLE t (a, b)")
    statements: list[str] = []
    database.set_trace_callback(statements.append)
    insert_rows(database, "t", 2, [cell for n in range(rows) for cell in (n, -n)])
    database.set_trace_callback(None)
    assert len(statements) <= rows // 1024 + 10
    assert database.execute("SELECT a, b FROM t ORDER BY a").fetchall() == [(n, -n) for n in range(rows)]
    database.close()


def test_checksums_depend_on_place_and_content() -> None:
    assert message_crc(1, b"a") != message_crc(2, b"a")
    assert message_crc(1, b"a") != message_crc(1, b"b")
    assert cursor_crc("loop", 1) != cursor_crc("loop", 2)


def test_messages_are_told_apart_by_all_three_names() -> None:
    same = message("a", 1)
    others = [message("b", 1), message("a", 2), message("a", 1, source="meter-8")]
    assert message_digest(same) == message_digest(message("a", 1))
    assert len({message_digest(one) for one in (same, *others)}) == 4


class Reluctant(sqlite3.Connection):
    """A connection that stays in the old journal mode, as SQLite does without an error when a write failed."""

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        return super().execute("PRAGMA journal_mode" if sql == "PRAGMA journal_mode = WAL" else sql, parameters)  # type: ignore[arg-type] # passed on as it came


def test_a_file_that_does_not_come_into_wal_mode_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Reluctant))
    with pytest.raises(EngineError, match=r"WAL mode.*'delete'") as caught:
        connect(tmp_path / "ledger.db", timeout_s=1)
    assert caught.value.retryable
