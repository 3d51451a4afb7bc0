"""Whole runs by seed: nothing that must hold is ever violated."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from steward.testing import check
from steward.testing.scenarios.small import SMALL
from steward.testing.simulation.scenario import Scenario

DIGESTS = "from steward.testing.scenarios.small import SMALL; print([SMALL.run(seed).digest for seed in range(5)])"


def test_small_150_seeds() -> None:
    report = check(SMALL, range(150))
    assert report.seeds == 150
    # It is only worth something if much goes wrong, and much is done all the same.
    for fault in ("server.killed", "ledger.full", "ledger.answer-lost", "ledger.unreadable", "clock.jumped"):
        assert report.happened[fault] >= 10, fault
    for fault in ("device.down", "device.deaf", "device.hangs", "device.answer-lost", "ledger.power-lost"):
        assert report.happened[fault] >= 2, fault
    assert report.happened["effect"] > 200
    assert report.happened["told answered"] > 50
    assert report.happened["told stopped"] > 15


@pytest.mark.deep
@pytest.mark.parametrize("part", range(10))
def test_small_20_000_seeds(part: int) -> None:
    check(SMALL, range(2000 * part, 2000 * (part + 1)))


def test_the_same_seed_does_the_same_in_every_process() -> None:
    printed = {
        subprocess.run(
            [sys.executable, "-c", DIGESTS],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2", "977")
    }
    assert len(printed) == 1
    assert len(set(printed.pop().split("'"))) > 5


def test_other_seeds_do_other_things() -> None:
    assert len({SMALL.run(seed).digest for seed in range(10)}) == 10


def test_a_seed_does_not_depend_on_those_before_it() -> None:
    first = SMALL.run(4).digest
    Scenario(name="other", decisions=SMALL.decisions, asks=SMALL.asks, requests=9).run(7)
    assert SMALL.run(4).digest == first
