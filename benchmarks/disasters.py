"""The tests' own disasters, run as often as one likes and counted: crashes, power, disks, events, simulation, access.

A scenario of the tests fails by an ``AssertionError`` that says what did not hold; here each such failure is counted.
"""

from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report import Figure
from tests.crash import test_kill, test_pages, test_power
from tests.crash.power import build
from tests.crash.test_store_faults import decided
from tests.runtime.test_rough_events import rough

from steward.testing import simulate
from steward.testing.scenarios.small import SMALL

ROUNDS_AT_ONCE = 20
"""After how many crashes a store is looked through and a new one begun."""


@contextmanager
def on_disk() -> Iterator[Path]:
    """Give an empty folder beside the repository's own files, as a temporary one may lie in memory."""
    with tempfile.TemporaryDirectory(dir=test_kill.ROOT, prefix=".bench-") as folder:
        yield Path(folder)


def broken(scenario: Callable[..., object], *given: object, **more: object) -> int:
    """Run a scenario; return 1 if something that must hold did not."""
    try:
        scenario(*given, **more)
    except AssertionError:
        traceback.print_exc()
        return 1
    return 0


def crashes(*, rounds: int) -> list[Figure]:
    """Kill a process under load, and cut its power, so many times each."""
    at_once = min(rounds, ROUNDS_AT_ONCE)
    turns = rounds // at_once
    killed = powerless = 0
    with on_disk() as folder:
        library = build(folder)
        for turn in range(turns):
            kill, power = folder / f"kill{turn}", folder / f"power{turn}"
            for each in (kill, power):
                each.mkdir()
            killed += broken(test_kill.kill_often, kill, at_once, seed=turn)
            powerless += broken(test_power.lose_power_often, power, library, at_once, seed=turn)
    return [
        Figure("rounds of kill -9 under load", turns * at_once, "rounds"),
        Figure("lost or doubled by kill -9", killed, "stores", 0, below=True),
        Figure("rounds of power loss under load", turns * at_once, "rounds"),
        Figure("lost or doubled by power loss", powerless, "stores", 0, below=True),
    ]


def disks(*, deep: bool) -> list[Figure]:
    """Let calls of the disk fail, fill it, and spoil pages."""
    firsts = [*range(1, 40, 1 if deep else 19), *range(40, 400, 20 if deep else 180)]
    fails = [(first, fail) for first in firsts for fail in test_power.kinds_of_failure(first)]
    pages = range(300 if deep else 30)
    wrong = unseen = 0
    with on_disk() as folder:
        library = build(folder)
        for first, fail in fails:
            place = folder / fail.replace(":", "-")
            place.mkdir()
            wrong += broken(test_power.fail_once, place, library, fail, then_lose_power=first % 2 == 0)
        whole = folder / "whole"
        whole.mkdir()
        asyncio.run(decided(whole, 200))
        for seed in pages:
            unseen += broken(test_pages.spoil, whole, folder / f"page{seed}", seed)
    held, tried = tests_of("tests/crash/test_store_faults.py")
    return [
        Figure("calls of the disk that failed (EIO, full, half done)", len(fails), "calls"),
        Figure("lost or doubled by a failing call", wrong, "runs", 0, below=True),
        Figure("lost or doubled on a full or locked disk", tried - held, "tests", 0, below=True),
        Figure("pages torn, flipped or put back", len(pages), "pages"),
        Figure("changes of an entry that were not seen", unseen, "pages", 0, below=True),
    ]


def events(*, rounds: int, count: int) -> list[Figure]:
    """Send events doubled (20 %), out of order (30 %) and poisoned (2 %), while clocks jump and processes die."""
    with tempfile.TemporaryDirectory() as folder:
        found = [asyncio.run(rough(Path(folder), seed, count)) for seed in range(rounds)]
    return [
        Figure("events sent the rough way", sum(sum(each.sent) for each in found), "events"),
        Figure("lost", sum(each.lost for each in found), "events", 0, below=True),
        Figure("doubled", sum(each.doubled for each in found), "events", 0, below=True),
        Figure("miscounted by features", sum(each.miscounted for each in found), "decisions", 0, below=True),
    ]


def simulated(*, seeds: int) -> list[Figure]:
    """Live through the small scenario once for each seed, on one core."""
    logging.disable()  # what goes wrong on purpose
    simulate(SMALL, range(5))  # what is made once for all does not count
    start_s, start_cpu_s = time.perf_counter(), time.process_time()
    found = simulate(SMALL, range(seeds))
    took_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    logging.disable(logging.NOTSET)
    return [
        Figure("seeds", found.seeds, "seeds"),
        Figure("violations", len(found.failed), "seeds", 0, below=True),
        Figure("seeds a second of a core", found.seeds / cpu_s, "seeds/s", 150),
        Figure("seeds a second of the clock", found.seeds / took_s, "seeds/s"),
    ]


def tests_of(*what: str) -> tuple[int, int]:
    """Run tests in a process of their own; return how many passed and how many there were."""
    options = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-m", "not deep", "--tb=line"]
    command = [sys.executable, "-m", "pytest", *options, *what]
    done = subprocess.run(command, cwd=test_kill.ROOT, capture_output=True, text=True, check=False)
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    passed = counts.get("passed", 0)
    if passed < (total := sum(counts.values())) or not total:
        print(done.stdout[-2_000:], file=sys.stderr)
    return passed, max(total, 1)


def planted() -> list[Figure]:
    """Plant faults into the real code and count those that the simulator finds."""
    caught, all_of_them = tests_of("tests/sim/test_planted.py", "-k", "a_planted_fault_is_found")
    return [
        Figure("faults planted", all_of_them, "faults", 10),
        Figure("of them caught", 100 * caught / all_of_them, "%", 90),
    ]


def whose() -> list[Figure]:
    """Ask every route as every role of every team; and hold answers against the description, once per role."""
    right, asked = tests_of("tests/api/test_doors.py", "tests/api/test_hidden.py")
    described, operations = tests_of("tests/api/test_openapi.py")
    return [
        Figure("violations in all routes x roles x teams", asked - right, "tests", 0, below=True),
        Figure("schemathesis: wrong or server errors", operations - described, "tests", 0, below=True),
        Figure("schemathesis: tests", operations, "tests", 1),
    ]
