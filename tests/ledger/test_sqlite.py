"""The SQLite ledger under faults: full and locked disks, wrong files, restored backups."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from steward.clock import SystemClock, VirtualClock
from steward.errors import Conflict, EngineError, IntegrityError
from steward.ledger import Commit
from steward.ledger.sqlite import SqliteLedger
from steward.ledger.verify import verify_store
from steward.testing.conformance.ledger import draft, message


async def opened(path: Path, **options: object) -> SqliteLedger:
    every = options.get("checkpoint_every", timedelta(hours=1))
    timeout = options.get("lock_timeout", timedelta(seconds=5))
    assert isinstance(every, timedelta)
    assert isinstance(timeout, timedelta)
    return await SqliteLedger.open(path, clock=SystemClock(), checkpoint_every=every, lock_timeout=timeout)


async def filled(path: Path, entries: int) -> None:
    ledger = await opened(path)
    start = await ledger.size()
    await ledger.append(Commit(entries=[draft(n, key=f"k{n}") for n in range(start, start + entries)]))
    await ledger.close()


def copied(path: Path, to: Path) -> Path:
    for file in path.parent.glob(path.name + "*"):
        shutil.copy2(file, to / file.name)
    return to / path.name


async def test_groups_share_a_transaction(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "a.db")
    await asyncio.gather(*(ledger.append(Commit(entries=[draft(n)])) for n in range(200)))
    before = (tmp_path / "a.db-wal").stat().st_size
    await asyncio.gather(*(ledger.append(Commit(entries=[draft(n)])) for n in range(200)))
    # 200 separate transactions would log at least 200 pages of 8 KiB.
    assert (tmp_path / "a.db-wal").stat().st_size - before < 100 * 8192
    await ledger.close()


async def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "a.db")
    with pytest.raises(EngineError, match=f"process {os.getpid()}"):
        await opened(tmp_path / "a.db")
    await ledger.append(Commit(entries=[draft(0)]))
    await ledger.close()
    await (await opened(tmp_path / "a.db")).close()


async def test_checkpoints_are_kept_outside_too(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "a.db")
    await ledger.append(Commit(entries=[draft(0)]))
    head = await ledger.checkpoint()
    assert (tmp_path / "a.db.checkpoint").read_text() == head.note
    assert await ledger.checkpoint() == head
    await ledger.append(Commit(entries=[draft(1)]))
    await ledger.close()
    assert (tmp_path / "a.db.checkpoint").read_text().split("\n")[1] == "2"


async def test_entries_get_a_checkpoint_when_it_is_due(tmp_path: Path) -> None:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    ledger = await SqliteLedger.open(tmp_path / "a.db", clock=clock, checkpoint_every=timedelta(hours=1))

    async def signed_after_append() -> int:
        await ledger.append(Commit(entries=[draft(0)]))
        # One more turn of the writer's thread: it looks for due checkpoints after each.
        await ledger.append(Commit())
        path = tmp_path / "a.db.checkpoint"
        return int(path.read_text().split("\n")[1]) if path.exists() else 0

    assert await signed_after_append() == 0
    clock.advance(timedelta(minutes=59))
    assert await signed_after_append() == 0
    clock.advance(timedelta(minutes=1))
    signed = await signed_after_append()
    assert signed in {2, 3}
    clock.advance(timedelta(minutes=-90))
    assert await signed_after_append() > signed
    await ledger.close()


async def test_an_old_copy_put_back_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await filled(path, 300)
    (tmp_path / "old").mkdir()
    old = copied(path, tmp_path / "old")
    await filled(path, 10)
    shutil.copy2(old, path)
    with pytest.raises(IntegrityError, match=r"has 300 entries, but .* over 310") as refused:
        await opened(path)
    assert refused.value.code == "integrity.behind"
    assert not verify_store(path).ok


async def test_a_removed_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await filled(path, 3)
    path.unlink()
    with pytest.raises(IntegrityError, match="is empty, but"):
        await opened(path)


async def test_an_exchanged_history_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    await filled(path, 300)
    database = sqlite3.connect(path)
    database.execute("UPDATE entries SET leaf = zeroblob(32) WHERE idx = 299")
    database.commit()
    database.close()
    with pytest.raises(IntegrityError, match="are not those") as refused:
        await opened(path)
    assert refused.value.code == "integrity.differs"


@pytest.mark.parametrize(
    ("file", "says"),
    [("a.db.checkpoint", "is missing"), ("a.db.key", "is not the key that signs")],
)
async def test_a_missing_companion_is_refused(tmp_path: Path, file: str, says: str) -> None:
    await filled(tmp_path / "a.db", 3)
    (tmp_path / file).unlink()
    with pytest.raises(EngineError, match=says):
        await opened(tmp_path / "a.db")


async def test_companions_of_another_ledger_are_refused(tmp_path: Path) -> None:
    for name in ("a.db", "b.db"):
        await filled(tmp_path / name, 3)
    mine = (tmp_path / "a.db.checkpoint").read_text()
    shutil.copy2(tmp_path / "b.db.checkpoint", tmp_path / "a.db.checkpoint")
    with pytest.raises(IntegrityError, match="not signed by"):
        await opened(tmp_path / "a.db")
    (tmp_path / "a.db.checkpoint").write_text(mine)
    shutil.copy2(tmp_path / "b.db.key", tmp_path / "a.db.key")
    with pytest.raises(EngineError, match="holds another key"):
        await opened(tmp_path / "a.db")


async def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.db").write_bytes(b"Dear Sir or Madam, " * 1000)
    with pytest.raises(IntegrityError, match="not a ledger"):
        await opened(tmp_path / "letter.db")
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE t (a)")
    other.close()
    with pytest.raises(EngineError, match="another program"):
        await opened(tmp_path / "other.db")
    await filled(tmp_path / "new.db", 1)
    newer = sqlite3.connect(tmp_path / "new.db")
    newer.execute("PRAGMA user_version = 2")
    newer.close()
    with pytest.raises(EngineError, match="has format 2"):
        await opened(tmp_path / "new.db")
    with pytest.raises(EngineError, match="cannot be used"):
        await opened(tmp_path / "none" / "a.db")


async def test_a_failed_opening_lets_go_of_the_lock(tmp_path: Path) -> None:
    await filled(tmp_path / "a.db", 1)
    (tmp_path / "a.db.key").chmod(0o644)
    for _ in range(2):
        with pytest.raises(EngineError, match="open to others"):
            await opened(tmp_path / "a.db")
    (tmp_path / "a.db.key").chmod(0o600)
    await (await opened(tmp_path / "a.db")).close()


async def test_a_locked_database_fails_the_append_and_works_again(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "a.db", lock_timeout=timedelta(milliseconds=20))
    await ledger.append(Commit(entries=[draft(0)]))
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(EngineError, match="locked") as failed:
        await ledger.append(Commit(entries=[draft(1, key="x")]))
    assert failed.value.retryable
    assert await ledger.size() == 1
    other.execute("ROLLBACK")
    other.close()
    assert (await ledger.append(Commit(entries=[draft(1, key="x")]))).first_index == 1
    await ledger.close()
    assert verify_store(tmp_path / "a.db").ok


async def test_a_disk_limit_fails_all_who_wait_and_leaves_a_whole_ledger(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "a.db")
    await ledger.append(Commit(entries=[draft(0, key="k0")], messages=[message("load", 0)]))
    database = ledger._writer._store.database
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages + 4}")
    large = [Commit(entries=[draft(n, key=f"k{n}", body=bytes(9_000))]) for n in range(1, 21)]
    answers = await asyncio.gather(*(ledger.append(commit) for commit in large), return_exceptions=True)
    failed = [answer for answer in answers if isinstance(answer, EngineError)]
    assert failed
    assert all(error.retryable and "disk is full" in error.what for error in failed)
    written = len(answers) - len(failed)
    assert await ledger.size() == 1 + written
    database.execute("PRAGMA max_page_count = 1000000")
    more = await ledger.append(Commit(entries=[draft(90 + n, key=f"k{9000 + n}") for n in range(300)]))
    assert more.first_index == 1 + written
    with pytest.raises(Conflict):
        await ledger.append(Commit(entries=[draft(0, key="k0")]))
    root = await ledger.root()
    await ledger.close()
    again = await opened(tmp_path / "a.db")
    assert await again.root() == root
    await again.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(place)], capture_output=True, check=False
        ).returncode
    )
    if not mounted:
        pytest.skip("a small disk can be mounted by root only")
    yield place
    subprocess.run(["umount", str(place)], check=True)


async def test_a_full_disk_works_again_once_there_is_space(small_disk: Path) -> None:
    path = small_disk / "a.db"
    ledger = await opened(path)
    acknowledged = 0
    failed: EngineError | None = None
    while failed is None:
        try:
            numbers = range(acknowledged, acknowledged + 20)
            await ledger.append(Commit(entries=[draft(n, key=f"k{n}") for n in numbers]))
            acknowledged += 20
        except EngineError as error:
            failed = error
    assert acknowledged > 0
    assert failed.retryable
    assert await ledger.size() == acknowledged
    await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert (await ledger.append(Commit(entries=[draft(0, key="later")]))).first_index == acknowledged
    await ledger.close()
    found = verify_store(path)
    assert (found.breaks, found.entries) == ([], acknowledged + 1)


async def test_a_checkpoint_that_cannot_be_kept_stops_appends(tmp_path: Path) -> None:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    ledger = await SqliteLedger.open(tmp_path / "a.db", clock=clock, checkpoint_every=timedelta(hours=1))
    await ledger.append(Commit(entries=[draft(0)]))
    await ledger.checkpoint()
    (tmp_path / "a.db.checkpoint.new").mkdir()
    clock.advance(timedelta(hours=2))
    await ledger.append(Commit(entries=[draft(1)]))
    with pytest.raises(EngineError, match="cannot be used"):
        await ledger.append(Commit(entries=[draft(2)]))
    (tmp_path / "a.db.checkpoint.new").rmdir()
    assert (await ledger.append(Commit(entries=[draft(2)]))).first_index == 2
    await ledger.close()


async def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder = tmp_path / "fixed"
    folder.mkdir()
    folder.chmod(0o500)
    with pytest.raises(EngineError, match="cannot be used"):
        await opened(folder / "a.db")


async def test_a_cancelled_append_disturbs_nobody(tmp_path: Path) -> None:
    ledger = await opened(tmp_path / "a.db")
    waiting = [asyncio.ensure_future(ledger.append(Commit(entries=[draft(n)]))) for n in range(10)]
    await asyncio.sleep(0)
    waiting[3].cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers[3], asyncio.CancelledError)
    assert sum(isinstance(answer, BaseException) for answer in answers) == 1
    assert await ledger.size() == 10
    await ledger.close()
