"""The verifier finds every change that means something, and names the entry."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from tests.ledger.signed import ENTRIES, ENTRY, change

from steward.clock import SystemClock
from steward.errors import ContractError, EngineError, NotFound
from steward.ledger import Commit
from steward.ledger.merkle import Frontier, leaf_hash
from steward.ledger.note import Signer, checkpoint_text
from steward.ledger.sqlite import SqliteLedger
from steward.ledger.sqlite_tree import node_id
from steward.ledger.verify import Break, verify_bundle, verify_entry, verify_store
from steward.testing.conformance.ledger import draft


def test_a_whole_ledger_holds(path: Path) -> None:
    report = verify_store(path)
    assert report.breaks == []
    assert (report.entries, report.messages, report.signed_entries) == (ENTRIES, 120, ENTRIES)
    assert report.checkpoints == 7
    edge = Frontier()
    edge.extend([leaf_hash(draft(n, kind=["decided", "acted", "valued"][n % 3]).body) for n in range(ENTRIES)])
    assert report.root == edge.root().hex()


async def test_a_ledger_in_use_can_be_verified(path: Path) -> None:
    ledger = await SqliteLedger.open(path, clock=SystemClock(), checkpoint_every=timedelta(hours=1))
    await ledger.append(Commit(entries=[draft(9000)]))
    report = verify_store(path)
    assert (report.breaks, report.entries, report.signed_entries) == ([], ENTRIES + 1, ENTRIES)
    await ledger.close()


CHANGES: list[tuple[str, str, Break | str]] = [
    (
        "body",
        "UPDATE entries SET body = replace(body, '17}', '18}') WHERE idx = 17",
        Break(17, "its body is not the one that was hashed"),
    ),
    ("kind", "UPDATE entries SET kind = 'acted' WHERE idx = 18", Break(18, "its columns do not repeat its body")),
    ("run", "UPDATE entries SET run_id = zeroblob(16) WHERE idx = 19", Break(19, "its columns do not repeat its body")),
    ("key", "UPDATE entries SET key = 'k1' WHERE idx = 21", "was taken before"),
    ("key-gone", "UPDATE entries SET key = NULL WHERE idx = 21", "has too much for number 21"),
    ("gap", "DELETE FROM entries WHERE idx = 20", Break(20, "it is missing; the next entry is 21")),
    ("tail", "DELETE FROM entries WHERE idx >= 595", "signed over 600 entries, but only 595"),
    ("node", "UPDATE nodes SET hash = zeroblob(32) WHERE id = (SELECT min(id) FROM nodes)", "node 0 of height 8"),
    ("node-gone", "DELETE FROM nodes WHERE id = (SELECT max(id) FROM nodes)", "1 nodes of the tree are missing"),
    ("checkpoint", "UPDATE checkpoints SET note = replace(note, '200', '201') WHERE size = 200", "does not hold"),
    ("checkpoint-place", "UPDATE checkpoints SET size = 201 WHERE size = 200", "another ledger or place"),
    ("message", "UPDATE messages SET body = zeroblob(9) WHERE id = (SELECT max(id) FROM messages)", "not those that"),
    ("message-gone", "DELETE FROM messages WHERE id = (SELECT min(id) FROM messages)", "it should be number 0"),
    ("topic", "UPDATE topics SET name = 'other' WHERE no = 1", "it belongs to 'topic-0'"),
    ("cursor", "UPDATE cursors SET position = 7", "the cursor 'loop' is not"),
    ("key-index", "UPDATE keys_recent SET rows = zeroblob(24) WHERE id = 1", "the index 'keys' lacks number 1"),
    (
        "key-rows",
        "UPDATE keys_recent SET rows = CAST(rows || x'00' AS BLOB) WHERE id = 1",
        "row 1 of the index 'keys' is",
    ),
    ("message-index", "DELETE FROM message_ids_recent WHERE id = 1", "the index 'message_ids' lacks"),
    ("origin", "UPDATE meta SET value = 'x' WHERE name = 'origin'", "belongs to another ledger"),
    ("key-of-ledger", "UPDATE meta SET value = 'x' WHERE name = 'public_key'", "does not hold"),
    ("meta", "INSERT INTO meta VALUES ('more', '1')", "exactly origin and public key"),
    ("body-null", "UPDATE entries SET body = 7 WHERE idx = 3", Break(3, "a column has a value of the wrong type")),
]


@pytest.mark.parametrize(("sql", "expected"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_each_change_is_found(path: Path, sql: str, expected: Break | str) -> None:
    change(path, sql)
    breaks = verify_store(path).breaks
    if isinstance(expected, Break):
        assert expected in breaks
    else:
        assert any(expected in str(one) for one in breaks), breaks


def test_only_the_changed_body_is_named(path: Path) -> None:
    change(path, "UPDATE entries SET body = replace(body, '17}', '18}') WHERE idx = 17")
    assert verify_store(path).breaks == [Break(17, "its body is not the one that was hashed")]


@pytest.mark.parametrize("index", [0, 255, 256, 511, 512, 599])
def test_the_changed_one_is_named_at_the_edges_of_what_is_read_at_once(path: Path, index: int) -> None:
    change(path, "UPDATE entries SET body = x'7b7d' WHERE idx = ?", index)
    assert {one.index for one in verify_store(path).breaks} == {index}


def test_a_gap_at_the_edge_of_what_is_read_at_once_is_named_once(path: Path) -> None:
    change(path, "DELETE FROM entries WHERE idx BETWEEN 256 AND 259")
    named = [one for one in verify_store(path).breaks if one.index is not None]
    assert named == [Break(256, "it is missing; the next entry is 260")]


def test_breaks_before_a_row_that_cannot_be_read_are_named(path: Path) -> None:
    change(path, "UPDATE entries SET body = x'7b7d' WHERE idx = 270")
    change(path, "UPDATE entries SET key = CAST(x'ff' AS TEXT) WHERE idx = 300")
    breaks = verify_store(path).breaks
    assert {one.index for one in breaks} == {270, None}
    assert "the database cannot be read" in str(breaks[-1])


def test_a_body_changed_with_its_hash_is_found_by_the_signature(path: Path) -> None:
    body = draft(18).body
    change(path, "UPDATE entries SET body = ?, leaf = ? WHERE idx = 450", body, leaf_hash(body))
    breaks = [str(one) for one in verify_store(path).breaks]
    assert "the first 500 entries are not those that were signed" in breaks
    assert "the first 400 entries are not those that were signed" not in breaks


def test_a_rewritten_history_with_another_key_is_found_by_who_knows_the_key(path: Path) -> None:
    database = sqlite3.connect(path)
    (known,) = database.execute("SELECT value FROM meta WHERE name = 'public_key'").fetchone()
    database.execute("DELETE FROM checkpoints")
    database.execute("DELETE FROM entries WHERE idx >= 512")
    database.execute("DELETE FROM keys_recent")
    signer = Signer.of_seed("steward.local/forged", bytes(32))
    database.execute("UPDATE meta SET value = ? WHERE name = 'public_key'", (signer.vkey,))
    database.execute("UPDATE meta SET value = ? WHERE name = 'origin'", (signer.name,))
    keyed = database.execute("SELECT key, idx FROM entries WHERE key IS NOT NULL").fetchall()
    rows = b"".join(sha256(key.encode()).digest()[:16] + index.to_bytes(8, "big") for key, index in keyed)
    database.execute("INSERT INTO keys_recent VALUES (1, ?)", (rows,))
    (root,) = database.execute("SELECT hash FROM nodes WHERE id = ?", (node_id(9, 0),)).fetchone()
    database.commit()
    database.close()
    path.with_name(path.name + ".checkpoint").write_text(signer.sign(checkpoint_text(signer.name, 512, root)))
    assert verify_store(path).breaks == []
    assert "another key" in str(verify_store(path, public_key=known).breaks[0])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_text(file.read_text().replace("600", "700")), "does not hold"),
        (lambda file: file.write_bytes(b"\xff"), "cannot be read"),
    ],
)
def test_the_outside_checkpoint_is_checked(path: Path, spoil: Callable[[Path], object], says: str) -> None:
    spoil(path.with_name("ledger.db.checkpoint"))
    assert any(says in str(one) for one in verify_store(path).breaks)


def test_a_key_that_is_none_is_wrong_usage_not_a_break(path: Path) -> None:
    proof = path.with_name("bundle.json").read_bytes()
    for key in ("x", "", json.loads(proof)["public_key"][:-4]):
        for verify, *what in ((verify_store, path), (verify_entry, path, ENTRY), (verify_bundle, proof)):
            with pytest.raises(ContractError, match="the public key that is trusted is malformed"):
                verify(*what, public_key=key)


def meaning(path: Path) -> object:
    """Return everything SQLite can read from a file, or ``None`` if it cannot."""
    database = sqlite3.connect(path)
    try:
        if database.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            return None
        marks = [database.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")]
        schema = database.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").fetchall()
        tables = [name for kind, name, _, _ in schema if kind == "table"]
        return marks, schema, [database.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in tables]
    except sqlite3.DatabaseError:
        return None
    finally:
        database.close()


def flip(path: Path, original: bytes, place: int) -> None:
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    path.write_bytes(original[:place] + bytes([original[place] ^ 0x55]) + original[place + 1 :])


def flips_unseen(path: Path, places: range) -> list[int]:
    """Return the places where a changed byte changes what the database says, but the verifier is content."""
    original, whole = path.read_bytes(), meaning(path)
    unseen = []
    for place in places:
        flip(path, original, place)
        if verify_store(path).ok and meaning(path) != whole:
            unseen.append(place)
    return unseen


def test_a_flipped_byte_anywhere_is_found_or_means_nothing(path: Path) -> None:
    assert flips_unseen(path, range(0, path.stat().st_size, 1699)) == []


def test_a_flipped_byte_in_the_header_is_found_or_means_nothing(original: Path, tmp_path: Path) -> None:
    for file in original.parent.iterdir():
        shutil.copy2(file, tmp_path / file.name)
    assert flips_unseen(tmp_path / original.name, range(0, 110, 3)) == []


@pytest.mark.deep
def test_every_byte(path: Path) -> None:
    assert flips_unseen(path, range(0, path.stat().st_size, 61)) == []


def test_every_byte_of_a_body_is_found_and_named(path: Path) -> None:
    original = path.read_bytes()
    body = draft(301, kind="acted").body
    first = original.index(body)
    for place in range(first, first + len(body), 7):
        flip(path, original, place)
        assert 301 in [one.index for one in verify_store(path).breaks]


def test_a_truncated_file_is_found(path: Path) -> None:
    original = path.read_bytes()
    for size in (0, 50, 100, 4096, 8192, len(original) // 2, len(original) - 8192, len(original) - 1):
        path.write_bytes(original[:size])
        assert not verify_store(path).ok, size


def test_a_write_that_was_cut_off_is_told_as_such(path: Path, tmp_path: Path) -> None:
    left = tmp_path / "left" / "ledger.db"
    left.parent.mkdir()
    with closing(sqlite3.connect(path, isolation_level=None)) as owner:
        owner.execute("PRAGMA journal_mode = DELETE")
        owner.execute("PRAGMA cache_size = 1")
        owner.execute("BEGIN")
        owner.execute("UPDATE entries SET body = body || ' '")
        for ending in ("", "-journal"):
            shutil.copy(f"{path}{ending}", f"{left}{ending}")
        owner.execute("ROLLBACK")
    with pytest.raises(EngineError, match="in the middle of a write"):
        verify_store(left)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        verify_store(tmp_path / "none.db")
    with pytest.raises(NotFound):
        verify_entry(tmp_path / "none.db", ENTRY)
