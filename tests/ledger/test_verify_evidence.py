"""Single entries are proven from the store or from a bundle that left it; every change is found."""

from __future__ import annotations

import json
import shutil
import sqlite3
from base64 import b64decode
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from tests.ledger.signed import ENTRIES, ENTRY, change

from steward.clock import SystemClock
from steward.errors import NotFound
from steward.ledger import Commit
from steward.ledger.note import Signer
from steward.ledger.sqlite import SqliteLedger
from steward.ledger.verify import Break, verify_bundle, verify_entry
from steward.testing.conformance.ledger import draft


def test_entries_of_a_run_are_proven(path: Path) -> None:
    proven = verify_entry(path, ENTRY)
    assert [(one.index, one.kind, one.size, one.signed, one.breaks) for one in proven] == [
        (300, "decided", ENTRIES, True, []),
        (301, "acted", ENTRIES, True, []),
    ]
    assert proven[0].body.encode() == draft(300).body
    assert proven[0].path == [hashed.hex() for hashed in _bundle_path(path)]
    with pytest.raises(NotFound):
        verify_entry(path, UUID(int=99_999))


def _bundle_path(path: Path) -> list[bytes]:
    return [b64decode(node) for node in json.loads(path.with_name("bundle.json").read_text())["proof"]]


async def test_young_entries_are_proven_unsigned(path: Path) -> None:
    ledger = await SqliteLedger.open(path, clock=SystemClock(), checkpoint_every=timedelta(hours=1))
    await ledger.append(Commit(entries=[draft(90_000)]))
    (one,) = verify_entry(path, UUID(int=45_000))
    assert (one.signed, one.size, one.ok) == (False, ENTRIES + 1, True)
    await ledger.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE entries SET body = replace(body, '300}', '309}') WHERE idx = 300",
        "UPDATE entries SET leaf = zeroblob(32) WHERE idx = 302",
        "UPDATE nodes SET hash = zeroblob(32) WHERE id = (SELECT min(id) FROM nodes)",
    ],
)
def test_a_changed_tree_proves_nothing(path: Path, sql: str) -> None:
    change(path, sql)
    assert not verify_entry(path, ENTRY)[0].ok


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("UPDATE entries SET kind = 'approved' WHERE idx = 301", 301),
        ("UPDATE entries SET run_id = (SELECT run_id FROM entries WHERE idx = 300) WHERE idx = 400", 400),
    ],
)
def test_columns_that_tell_another_story_than_the_body_are_named(path: Path, sql: str, index: int) -> None:
    change(path, sql)
    found = [each for proven in verify_entry(path, ENTRY) for each in proven.breaks]
    assert found == [Break(index, "its columns do not repeat its body")]


def test_a_bundle_holds(path: Path) -> None:
    made_of = path.with_name("bundle.json").read_bytes()
    report = verify_bundle(made_of)
    assert (report.ok, report.signed_entries) == (True, 1)
    key = json.loads(made_of)["public_key"]
    assert verify_bundle(made_of, public_key=key).ok
    other = Signer.of_seed("steward.local/other", bytes(32)).vkey
    assert not verify_bundle(made_of, public_key=other).ok


def test_every_changed_byte_of_a_bundle_is_found(path: Path) -> None:
    whole = path.with_name("bundle.json").read_bytes()
    meaning_of_whole = json.loads(whole)
    for place in range(len(whole)):
        spoiled = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        if verify_bundle(spoiled).ok:
            assert json.loads(spoiled) == meaning_of_whole, place


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"format":1}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_bundle_is_told(text: bytes) -> None:
    assert "cannot be read" in str(verify_bundle(text).breaks[0])


def test_a_bundle_with_a_field_twice_or_too_many_is_refused(path: Path) -> None:
    whole = path.with_name("bundle.json").read_bytes()
    assert not verify_bundle(b'{"size":1,' + whole[1:]).ok
    assert not verify_bundle(b'{"more":1,' + whole[1:]).ok
    assert not verify_bundle(whole.replace(b"bundle/1", b"bundle/2")).ok


async def test_an_entry_of_a_ledger_too_young_for_a_checkpoint_is_only_unsigned(tmp_path: Path) -> None:
    path = tmp_path / "young.db"
    ledger = await SqliteLedger.open(path, clock=SystemClock(), checkpoint_every=timedelta(hours=1))
    await ledger.append(Commit(entries=[draft(1)]))
    path.with_name(path.name + ".checkpoint").unlink(missing_ok=True)
    young = shutil.copytree(tmp_path, tmp_path / "copy") / path.name
    with sqlite3.connect(young) as database:
        database.execute("DELETE FROM checkpoints")
    database.close()
    (proven,) = verify_entry(young, draft(1).run_id)
    assert (proven.signed, proven.breaks) == (False, [])
    await ledger.close()


def test_an_entry_without_its_outside_checkpoint_is_a_break(path: Path) -> None:
    path.with_name(path.name + ".checkpoint").unlink()
    proven = verify_entry(path, ENTRY)[0]
    assert [found.what for found in proven.breaks] == [
        "the checkpoint ledger.db.checkpoint outside the database is missing"
    ]
