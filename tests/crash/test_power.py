"""Power is lost at any moment, and disks fail: nothing acknowledged is lost, and what is left proves itself."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.crash.power import Disk, File, Happened, What, build, read_log
from tests.crash.test_kill import ROOT, check, run_and_kill
from tests.crash.worker import store

from steward.ledger.verify import verify_store


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("storage"))


def environment(folder: Path, library: Path, **more: str) -> Mapping[str, str]:
    log = folder / "log"
    log.unlink(missing_ok=True)
    disk = store(folder).parent
    disk.mkdir(exist_ok=True)
    return {"LD_PRELOAD": str(library), "STORAGE_ROOT": str(disk), "STORAGE_LOG": str(log), **more}


def lose_power(folder: Path, before: Path, seed: int) -> None:
    """Put the disk into a state that a loss of power at this moment could have left."""
    disk = store(folder).parent
    shutil.rmtree(disk)
    shutil.copytree(before, disk)
    lost = Disk(disk)
    for each in read_log(folder / "log"):
        lost.happen(each)
    lost.lose_power(seed)


def lose_power_often(folder: Path, library: Path, rounds: int, seed: int) -> None:
    chance, told = random.Random(seed), list[str]()
    for turn in range(rounds):
        environ = environment(folder, library)
        before = folder / "before"
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(store(folder).parent, before)
        told += run_and_kill(folder, turn, chance.uniform(0.0, 0.25), environ)
        lose_power(folder, before, seed=chance.getrandbits(32))
    assert len(told) > rounds
    assert verify_store(store(folder)).breaks == []
    check(folder, [line for line in told if line])


def test_power_is_lost_under_load(tmp_path: Path, library: Path) -> None:
    lose_power_often(tmp_path, library, rounds=6, seed=1)


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(10))
def test_power_is_lost_under_load_very_often(tmp_path: Path, library: Path, seed: int) -> None:
    lose_power_often(tmp_path, library, rounds=20, seed=100 + seed)


def run_until_it_ends(folder: Path, environ: Mapping[str, str], for_s: float) -> list[str]:
    """Run a worker whose disk fails, until it gives up or time is over; return what it had told."""
    command = [sys.executable, "-m", "tests.crash.worker", str(folder), "0"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **environ}
    ) as worker:
        try:
            told, errors = worker.communicate(timeout=for_s)
        except subprocess.TimeoutExpired:
            worker.kill()
            told, errors = worker.communicate()
    if worker.returncode not in (0, -9):
        assert b"steward.errors." in errors, errors.decode()
    return told.decode().rsplit("\n", 1)[0].split("\n")


def fail_once(folder: Path, library: Path, fail: str, *, then_lose_power: bool) -> bool:
    """Let one call fail in a run of its own; return whether it came so far as to acknowledge anything."""
    environ = environment(folder, library, STORAGE_FAIL=fail)
    before = folder / "before"
    shutil.copytree(store(folder).parent, before)
    told = run_until_it_ends(folder, environ, for_s=1.5)
    if then_lose_power:
        lose_power(folder, before, seed=1)
    lines = [line for line in told if line and line != "ready"]
    if "ready" in told or lines:
        (folder / "effects").touch()
        check(folder, lines)
    return bool(lines)


def kinds_of_failure(first: int) -> list[str]:
    """Every kind of call fails for the ``first``-th time: with an error, with a full disk, or half done."""
    return [
        f"write:{first}:1:{errno.EIO}",
        f"write:{first}:1:{errno.ENOSPC}",
        f"write:{first}:1:0",
        f"sync:{first}:1:{errno.EIO}",
        f"sync:{first}:1000000:{errno.EIO}",
        f"truncate:{first}:1:{errno.EIO}",
        f"rename:{first}:1:{errno.EIO}",
    ]


@pytest.mark.parametrize("fail", [*kinds_of_failure(40)[:5], kinds_of_failure(1)[0], kinds_of_failure(9)[3]])
def test_a_call_fails_and_nothing_acknowledged_is_lost(tmp_path: Path, library: Path, fail: str) -> None:
    fail_once(tmp_path, library, fail, then_lose_power=True)


@pytest.mark.deep
def test_each_of_the_first_calls_fails(tmp_path: Path, library: Path) -> None:
    acknowledged = 0
    for first in [*range(1, 40), *range(40, 400, 20)]:
        for fail in kinds_of_failure(first):
            folder = tmp_path / fail.replace(":", "-")
            folder.mkdir()
            acknowledged += fail_once(folder, library, fail, then_lose_power=first % 2 == 0)
            shutil.rmtree(folder)
    assert acknowledged > 100


def test_a_disk_forgets_what_was_not_synced(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old.")
    disk = Disk(tmp_path)
    for each in (
        Happened(What.WRITTEN, path, Path(), 0, b"new!"),
        Happened(What.SYNCED, path, Path(), 0, b""),
        Happened(What.WRITTEN, path, Path(), 4, bytes(4096)),
        Happened(What.CREATED, tmp_path / "b", Path(), 0, b""),
    ):
        disk.happen(each)
    disk.lose_power(seed=2)
    assert path.read_bytes()[:4] == b"new!"
    lost = []
    for seed in range(20):
        file = File(bytearray(b"x"), [(0, b"y" * 2048)])
        file.lose(random.Random(seed))
        lost.append(bytes(file.safe).count(b"y"))
    assert {0, 2048} < set(lost)
    assert all(count % 512 == 0 for count in lost)


def test_a_new_name_is_safe_once_its_folder_is_synced(tmp_path: Path) -> None:
    fresh, final = tmp_path / "a.new", tmp_path / "a"
    for synced in (False, True):
        found = set()
        for seed in range(20):
            disk = Disk(tmp_path)
            disk.happen(Happened(What.CREATED, fresh, Path(), 0, b""))
            disk.happen(Happened(What.WRITTEN, fresh, Path(), 0, b"1"))
            disk.happen(Happened(What.SYNCED, fresh, Path(), 0, b""))
            disk.happen(Happened(What.RENAMED, fresh, final, 0, b""))
            if synced:
                disk.happen(Happened(What.SYNCED, tmp_path, Path(), 0, b""))
            disk.lose_power(seed)
            found.add((fresh.exists(), final.exists()))
            for path in (fresh, final):
                path.unlink(missing_ok=True)
        assert found == ({(False, True)} if synced else {(False, False), (True, False), (False, True)})
