"""A writer killed in the middle of group commits loses nothing that it acknowledged."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from steward.clock import SystemClock
from steward.ledger.sqlite import SqliteLedger
from steward.ledger.verify import verify_store

WRITER = """
import asyncio, sys
from datetime import timedelta
from steward.clock import SystemClock
from steward.ledger import Commit
from steward.ledger.sqlite import SqliteLedger
from steward.testing.conformance.ledger import draft, message

async def main(path, name):
    ledger = await SqliteLedger.open(path, clock=SystemClock(), checkpoint_every=timedelta(milliseconds=5))

    async def caller(first):
        for number in range(first, 1_000_000, 40):
            key = f"{name}-{number}"
            event = message("load", number, source=name)
            await ledger.append(Commit(entries=[draft(number, key=key)], messages=[event], cursors={name: number}))
            print(key, flush=True)

    await asyncio.gather(*(caller(first) for first in range(40)))

asyncio.run(main(*sys.argv[1:]))
"""


def killed(path: Path, name: str, after: int) -> list[str]:
    """Run a writer, kill it after some acknowledgements, and return all that it gave."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [line for line, _ in zip(acknowledged(writer.stdout), range(after), strict=False)]
        writer.kill()
        return lines + list(acknowledged(writer.stdout))


def acknowledged(lines: Iterator[str]) -> Iterator[str]:
    return (line.strip() for line in lines if line.endswith("\n"))


async def rounds(path: Path, count: int) -> None:
    known: list[str] = []
    for number in range(count):
        known += await asyncio.to_thread(killed, path, f"round-{number}", 30 + 97 * number % 400)
        report = await asyncio.to_thread(verify_store, path)
        assert report.breaks == []
        ledger = await SqliteLedger.open(path, clock=SystemClock())
        for key in known:
            entry = await ledger.by_key(key)
            assert entry is not None, f"{key} was acknowledged and is lost"
        assert report.messages == report.entries == await ledger.size() >= len(known)
        await ledger.close()
    assert len(known) == len(set(known)) >= 30 * count


async def test_kill_minus_nine(tmp_path: Path) -> None:
    await rounds(tmp_path / "ledger.db", 4)


@pytest.mark.deep
async def test_kill_minus_nine_often(tmp_path: Path) -> None:
    await rounds(tmp_path / "ledger.db", 60)
