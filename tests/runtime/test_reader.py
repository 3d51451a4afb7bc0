"""The ledger is read beside its writer, and never written."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from steward.clock import SystemClock
from steward.errors import EngineError, IntegrityError, NotFound
from steward.ledger.port import Commit, Draft, Ledger
from steward.ledger.sqlite import SqliteLedger
from steward.runtime.reader import LedgerReader


async def test_it_sees_what_the_writer_committed_and_takes_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    writer = await SqliteLedger.open(path, clock=SystemClock())
    first, second = UUID(int=1), UUID(int=2)
    await writer.append(Commit(entries=[Draft("decided", first, b'{"a":1}', key="k1")], cursors={"loop": 3}))
    reader: Ledger = LedgerReader(path)
    assert await reader.size() == 1
    await writer.append(Commit(entries=[Draft("acted", second, b"{}"), Draft("acted", first, b"{}")]))
    assert await reader.size() == 3
    assert await reader.read() == await writer.read()
    assert await reader.read(1, 1, kind="acted") == await writer.read(1, 1, kind="acted")
    assert await reader.of_run(first) == await writer.of_run(first)
    assert await reader.by_key("k1") == await writer.by_key("k1")
    assert await reader.by_key("k2") is None
    assert await reader.cursor("loop") == 3
    assert (await reader.topics(), await reader.messages("x")) == ({}, [])
    assert await reader.root() == await writer.root()
    assert await reader.inclusion(1) == await writer.inclusion(1)
    assert await reader.consistency(1) == await writer.consistency(1)
    for write in (reader.append(Commit()), reader.checkpoint()):
        with pytest.raises(EngineError, match="reading only"):
            await write
    await reader.close()
    await reader.close()
    await writer.close()


def test_no_file_and_no_ledger_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no ledger"):
        LedgerReader(tmp_path / "nowhere.db")
    assert not (tmp_path / "nowhere.db").exists()
    (tmp_path / "other.db").write_bytes(b"not a database" * 999)
    with pytest.raises(IntegrityError):
        LedgerReader(tmp_path / "other.db")
