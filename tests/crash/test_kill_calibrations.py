"""Killed at any moment, what was learnt from outcomes is what a ledger that is read from its beginning teaches."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.crash.gauging import settings
from tests.runtime.gauge import GAUGE, state

from steward.models.calibration.conformal import Tracker
from steward.runtime.calibrations import Calibrations
from steward.runtime.runtime import Runtime

ROOT = Path(__file__).parents[2]


def kill(folder: Path, turn: int, after_s: float) -> int:
    """Start a worker, kill it some time after it is ready, and return how many outcomes it had told."""
    command = [sys.executable, "-m", "tests.crash.gauging", str(folder), str(turn)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stderr is not None
        assert worker.stdout.readline() == b"ready\n", worker.stderr.read().decode()
        time.sleep(after_s)
        worker.send_signal(signal.SIGKILL)
        told, errors = worker.communicate()
    assert errors == b""
    return told.count(b"\n")


async def from_the_beginning(runtime: Runtime) -> dict[str, Tracker]:
    """Return what the ledger teaches whoever reads it from its first entry."""
    fresh = Calibrations(None)
    fresh.find(GAUGE)
    await fresh.open(runtime.ledger)
    return {row.group or "*": row.tracker for row in fresh.rows("grid.gauge")}


async def check(folder: Path) -> int:
    """Start once more; return of how many runs was learnt."""
    async with await Runtime.open([GAUGE], settings=settings(folder)) as runtime:
        assert state(runtime) == await from_the_beginning(runtime)
        await runtime.advance()  # joins outcomes that had come before their decision
        assert state(runtime) == await from_the_beginning(runtime)
        runs = {entry.run_id for entry in await runtime.ledger.read(0, 1_000_000, kind="observed")}
        assert state(runtime)["*"].n == len(runs)
        return len(runs)


def kill_often(folder: Path, rounds: int, seed: int) -> None:
    drawn, told, shortcuts = random.Random(seed), 0, 0
    for turn in range(rounds):
        told += kill(folder, turn, drawn.uniform(0.1, 0.5))
        shortcuts += (folder / "steward.db.calibrations").exists()
        assert asyncio.run(check(folder)) >= told
    assert shortcuts > 0
    assert told > rounds


def test_killed_while_it_learns(tmp_path: Path) -> None:
    kill_often(tmp_path, rounds=2, seed=1)


@pytest.mark.deep
def test_killed_while_it_learns_very_often(tmp_path: Path) -> None:
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        kill_often(folder, rounds=8, seed=100 + seed)
