"""A store that cannot be used says so, and keeps what it has acknowledged."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.worker import Payment, decision, settings, store

from steward.errors import EngineError
from steward.ledger.verify import verify_store
from steward.runtime.runtime import Runtime

PAYMENT = Payment(card="c1", amount_eur=1.0)


async def decided(folder: Path, count: int = 1) -> list[str]:
    async with await Runtime.open([decision(folder / "effects")], settings=settings(folder)) as runtime:
        return [str((await runtime.decide("cards.pay", PAYMENT)).record.decision_id) for _ in range(count)]


async def test_a_second_process_is_refused(tmp_path: Path) -> None:
    async with await Runtime.open([decision(tmp_path / "effects")], settings=settings(tmp_path)) as runtime:
        code = (
            "import asyncio, sys; from pathlib import Path; from tests.crash.test_store_faults import decided;"
            f"asyncio.run(decided(Path({str(tmp_path)!r})))"
        )
        other = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert other.returncode != 0
        assert "EngineError" in other.stderr
        assert "stop that process" in other.stderr
        await runtime.decide("cards.pay", PAYMENT)
    assert verify_store(store(tmp_path)).ok


async def test_a_locked_database_refuses_and_goes_on_later(tmp_path: Path) -> None:
    async with await Runtime.open([decision(tmp_path / "effects")], settings=settings(tmp_path)) as runtime:
        before = (await runtime.decide("cards.pay", PAYMENT)).index
        with sqlite3.connect(store(tmp_path), isolation_level=None) as intruder:
            intruder.execute("BEGIN IMMEDIATE")
            deciding = asyncio.ensure_future(runtime.decide("cards.pay", PAYMENT))
            with pytest.raises(EngineError) as raised:
                await deciding
            assert raised.value.retryable
            intruder.execute("ROLLBACK")
        intruder.close()
        after = await runtime.decide("cards.pay", PAYMENT)
        assert after.index == before + 1
        assert after.record.features["cards_payments_count_1h"] == 2
    assert verify_store(store(tmp_path)).ok


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a tiny file system")
    folder = tmp_path / "tiny"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def decide_until_refused(runtime: Runtime, kept: list[str]) -> None:
    for _ in range(200):
        answers = await asyncio.gather(*(runtime.decide("cards.pay", PAYMENT) for _ in range(20)))
        kept += [str(answer.record.decision_id) for answer in answers]


async def test_a_full_disk_refuses_loses_nothing_and_recovers(tiny_disk: Path) -> None:
    kept: list[str] = []
    effects = tiny_disk.parent / "effects"
    runtime = await Runtime.open([decision(effects)], settings=settings(tiny_disk))
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(400_000))
    with pytest.raises(EngineError) as raised:
        await decide_until_refused(runtime, kept)
    assert raised.value.actor == "operator"
    assert "disk" in str(raised.value).lower() or "full" in str(raised.value).lower()
    ballast.unlink()
    kept.append(str((await runtime.decide("cards.pay", PAYMENT)).record.decision_id))
    stored = {str(entry.run_id) for entry in await runtime.ledger.read(0, 100_000, kind="decided")}
    assert set(kept) <= stored
    await runtime.ledger.close()
    assert verify_store(store(tiny_disk)).breaks == []
