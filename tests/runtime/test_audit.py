"""The running ledger is verified beside the process that writes it, and what was changed is found and named."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from tests.runtime.world import NOON

from steward.clock import SystemClock, VirtualClock
from steward.errors import EngineError, NotFound
from steward.ledger.memory import MemoryLedger
from steward.ledger.port import Commit, Draft, Ledger
from steward.ledger.sqlite import SqliteLedger
from steward.runtime import audit as audits
from steward.runtime.audit import Audit, Trust
from steward.runtime.settings import Settings


def draft(number: int) -> Draft:
    body = f'{{"kind":"acted","decision_id":"{UUID(int=number)}","at":"2026-01-01T12:00:00Z","n":"mark-{number}"}}'
    return Draft("acted", UUID(int=number), body.encode())


async def filled(ledger: Ledger, count: int = 300) -> Ledger:
    await ledger.append(Commit(entries=[draft(number) for number in range(count)]))
    return ledger


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[SqliteLedger]:
    ledger = await SqliteLedger.open(tmp_path / "ledger.db", clock=SystemClock())
    await filled(ledger)
    yield ledger
    await ledger.close()


def flip(ledger: SqliteLedger, text: bytes, by: bytes) -> None:
    """Change bytes of the file under the process that has it open."""
    with sqlite3.connect(ledger.database_file) as beside:
        beside.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    beside.close()
    stored = ledger.database_file.read_bytes()
    assert stored.count(text) == 1
    with ledger.database_file.open("r+b") as file:
        file.seek(stored.index(text))
        file.write(by)


async def test_a_ledger_that_holds_is_verified_to_its_last_entry(kept: SqliteLedger) -> None:
    audit = Audit(kept, clock=VirtualClock(NOON))
    assert (audit.trust, audit.age, audit.last) == (Trust.UNKNOWN, None, None)
    found = await audit.verify()
    assert (found.trust, found.entries, found.signed_entries, found.breaks) == (Trust.HOLDS, 300, 300, [])
    assert found.checkpoints >= 1
    assert [(hour.start.hour, hour.last) for hour in found.hours] == [(12, 300)]
    assert (audit.last, audit.trust, audit.progress) == (found, Trust.HOLDS, None)
    assert found.at == NOON


async def test_a_flipped_byte_under_a_running_ledger_is_named_and_logged(
    kept: SqliteLedger, caplog: pytest.LogCaptureFixture
) -> None:
    audit = Audit(kept)
    assert (await audit.verify()).trust is Trust.HOLDS
    flip(kept, b'"mark-217"', b'"mark-218"'.replace(b"8", b"9"))
    with caplog.at_level(logging.ERROR, "steward.audit"):
        found = await audit.verify()
    assert found.trust is Trust.BROKEN
    assert [each.index for each in found.breaks] == [217]
    assert "entry 217: its body is not the one that was hashed" in caplog.text
    proven = await audit.prove(217)
    assert [each.what for each in proven.breaks][:1] == ["its body is not the one that was hashed"]
    assert (await audit.prove(216)).ok


async def test_only_the_key_of_this_process_is_trusted(kept: SqliteLedger, tmp_path: Path) -> None:
    audit = Audit(kept)
    other = await SqliteLedger.open(tmp_path / "other.db", clock=SystemClock())
    await other.close()
    await kept.checkpoint()
    kept.checkpoint_file.write_text((tmp_path / "other.db.checkpoint").read_text())
    found = await audit.verify()
    assert any("checkpoint" in each.what for each in found.breaks)


async def test_one_at_a_time(kept: SqliteLedger) -> None:
    audit = Audit(kept)
    first = audit.begin()
    assert audit.begin() is first
    assert audit.progress is not None
    await first
    second = audit.begin()
    assert second is not first
    await second


async def test_closing_ends_the_process_and_leaves_the_ledger_alone(
    kept: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[asyncio.subprocess.Process] = []
    is_started = asyncio.Event()
    begin = asyncio.create_subprocess_exec

    async def watched(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        started.append(await begin(*arguments, **options))
        is_started.set()
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    audit = Audit(kept)
    task = audit.begin()
    await is_started.wait()
    await audit.close()
    assert task.cancelled()
    assert started[0].returncode is not None
    assert audit.last is None
    assert await kept.size() == 300


async def test_what_cannot_be_verified_says_why_and_is_tried_again(
    kept: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = Audit(kept)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(EngineError, match="cannot be started"):
            await audit.verify()
    with monkeypatch.context() as patch:
        patch.setattr(audits, "_PROCESS", "steward.nothing_of_that_name")
        with pytest.raises(EngineError, match="without a word"):
            await audit.verify()
    assert (audit.progress, audit.trust) == (None, Trust.UNKNOWN)
    assert "without a word" in str(audit.failure)
    moved = kept.database_file.rename(kept.database_file.with_suffix(".moved"))
    with pytest.raises(EngineError, match="there is no ledger"):
        await audit.verify()
    moved.rename(kept.database_file)
    assert (await audit.verify()).trust is Trust.HOLDS
    assert audit.failure is None


async def test_it_repeats_whatever_happens_and_only_where_it_is_wanted(
    kept: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 0
    done = asyncio.Event()

    async def verify(audit: Audit) -> Any:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise EngineError("the disk is away")
        done.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Audit, "verify", verify)
    for ledger, every_s in ((kept, 0.0), (MemoryLedger(), 0.001)):
        idle = Audit(ledger, every_s=every_s)
        idle.start()
        assert idle._repeated is None
    audit = Audit(kept, every_s=0.001)
    audit.start()
    await done.wait()
    await audit.close()
    assert rounds == 2


async def test_a_ledger_in_memory_is_walked_through_without_holding_up_others() -> None:
    ledger = await filled(MemoryLedger(), 1_000)
    audit, turns = Audit(ledger), 0
    task = audit.begin()
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    found = task.result()
    assert (found.trust, found.entries, found.signed_entries, found.hours) == (Trust.HOLDS, 1_000, 1_000, [])
    assert turns > 4  # blocks of 256


@pytest.mark.parametrize("change", [{"body": draft(9).body}, {"kind": "failed"}])
async def test_a_change_in_memory_is_found(change: dict[str, Any]) -> None:
    ledger = MemoryLedger()
    await filled(ledger, 10)
    ledger._entries[4] = replace(ledger._entries[4], **change)
    found = await Audit(ledger).verify()
    assert found.trust is Trust.BROKEN


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_every_entry_is_proven_and_none_beyond(kind: str, kept: SqliteLedger) -> None:
    ledger: Ledger = kept if kind == "sqlite" else await filled(MemoryLedger())
    audit = Audit(ledger)
    for index in (0, 7, 299):
        proven = await audit.prove(index)
        assert (proven.index, proven.ok, proven.signed, proven.kind) == (index, True, True, "acted")
        assert proven.root == (await ledger.root(proven.size)).hex()
    for index in (-1, 300, 2**80):
        with pytest.raises(NotFound, match="the ledger has no entry"):
            await audit.prove(index)


AUTOGROUP = Path("/proc/self/autogroup")


@pytest.mark.parametrize("session", [False, True])
def test_the_process_gives_way(session: bool) -> None:
    code = (
        "import os; from steward.runtime.audit_process import give_way; give_way(); "
        "print(os.nice(0), os.sched_getscheduler(0) == os.SCHED_IDLE)"
    )
    shown = f"; print(open({str(AUTOGROUP)!r}).read())" if AUTOGROUP.exists() else ""
    done = subprocess.run(
        [sys.executable, "-c", code + shown], capture_output=True, text=True, check=True, start_new_session=session
    )
    assert done.stdout.split()[0] == "19"
    assert hasattr(os, "SCHED_IDLE")
    # Among sessions it gives way, too; but only where the session is its own.
    assert not AUTOGROUP.exists() or done.stdout.strip().endswith("nice 19") is session


def test_how_often_is_a_setting() -> None:
    assert Settings().verify_every_s == 300.0
    assert Settings(verify_every_s=0.0).verify_every_s == 0.0
