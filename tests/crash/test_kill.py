"""Killed at any moment: nothing acknowledged is lost, nothing is decided twice, and the ledger still proves itself."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.crash.worker import decision, run_of, settings, store

from steward.entries import decode_body
from steward.ledger.port import Entry
from steward.ledger.verify import verify_store
from steward.records import Record
from steward.runtime.runtime import Runtime

ROOT = Path(__file__).parents[2]


def run_and_kill(folder: Path, turn: int, after_s: float, environ: Mapping[str, str] | None = None) -> list[str]:
    """Start a worker, kill it some time after it is ready, and return the lines that it had told."""
    command = [sys.executable, "-m", "tests.crash.worker", str(folder), str(turn)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(environ or {})}
    ) as worker:
        assert worker.stdout is not None
        assert worker.stderr is not None
        assert worker.stdout.readline() == b"ready\n", worker.stderr.read().decode()
        # The pipe holds far more than a worker can tell in this time; it never waits for us.
        time.sleep(after_s)
        worker.send_signal(signal.SIGKILL)
        told, errors = worker.communicate()
    assert errors == b""
    return told.decode().rsplit("\n", 1)[0].split("\n")


async def reopened(folder: Path) -> list[Entry]:
    """Open the store once more, finish what was begun, and return every entry."""
    async with await Runtime.open([decision(folder / "effects")], settings=settings(folder)) as runtime:
        await runtime.advance()
        entries: list[Entry] = []
        while page := await runtime.ledger.read(len(entries), 5000):
            entries += page
        return entries


def check(folder: Path, told: list[str]) -> None:
    report = verify_store(store(folder))
    assert report.breaks == []
    entries = asyncio.run(reopened(folder))
    records = [body for entry in entries if isinstance(body := decode_body(entry.body), Record)]
    by_id = {str(record.decision_id): record for record in records}
    assert len(by_id) == len(records), "a decision is there twice"
    acted = Counter(str(entry.run_id) for entry in entries if entry.kind == "acted")
    effects = Counter((folder / "effects").read_text().splitlines())
    from_bus = Counter(record.provenance.event_id for record in records if record.provenance.source == "till")
    keys = {entry.key: str(entry.run_id) for entry in entries if entry.key and entry.key.startswith("once:")}
    for line in told:
        what, name, *rest = line.split(" ")
        if what == "decided":
            assert keys[f"once:cards.pay:{name}"] == rest[0], f"acknowledged, then lost: {line}"
        else:
            assert from_bus[name] == 1, f"decided {from_bus[name]} times: {line}"
    assert set(from_bus.values()) <= {1}
    # Every decision acted in the end, was written down once, and always under its own key.
    assert acted == dict.fromkeys(by_id, 1)
    steps = Counter(str(entry.run_id) for entry in entries if entry.kind == "stepped")
    assert steps == dict.fromkeys(by_id, 2)
    # Every step took effect once, also where the process died before it could write that down.
    assert set(effects.values()) <= {1}
    assert Counter(str(run_of(key)) for key in effects) == dict.fromkeys(by_id, 2)
    check_counts(records)


def check_counts(records: list[Record]) -> None:
    """Each decision saw all events of its card before it, each once, however often the process had died."""
    seen: Counter[str] = Counter()
    # Where a disk fails, an event of the bus is seen long before its own decision can be written.
    to_come = Counter(card_of(record) for record in records if record.provenance.source == "till")
    for record in sorted(records, key=lambda record: record.decision_id):
        card, from_bus = card_of(record), record.provenance.source == "till"
        seen[card] += 1
        to_come[card] -= from_bus
        counted = record.features["cards_payments_count_1h"]
        assert isinstance(counted, int)
        # An event of the bus is read at its own time; a direct one sees everything until then.
        assert from_bus or 0 <= counted - seen[card] <= to_come[card]


def card_of(record: Record) -> str:
    """Return the card of a payment."""
    assert isinstance(record.event, dict)
    return str(record.event["card"])


def kill_often(folder: Path, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    told: list[str] = []
    for turn in range(rounds):
        told += run_and_kill(folder, turn, chance.uniform(0.0, 0.25))
        assert verify_store(store(folder)).breaks == []
    assert len(told) > rounds
    check(folder, [line for line in told if line])


def test_killed_under_load(tmp_path: Path) -> None:
    kill_often(tmp_path, rounds=8, seed=1)


@pytest.mark.deep
def test_killed_under_load_very_often(tmp_path: Path) -> None:
    for seed in range(10):
        folder = tmp_path / str(seed)
        folder.mkdir()
        kill_often(folder, rounds=20, seed=100 + seed)
