"""Lock, key and outside checkpoint: the files beside the database."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from steward.errors import EngineError, IntegrityError
from steward.ledger.sqlite_files import WriterLock, load_key, make_key, read_note, write_note

HOLD = "import sys, time; from pathlib import Path; from steward.ledger.sqlite_files import WriterLock; \
lock = WriterLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


def test_a_second_holder_is_told_who_holds_it(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "lock")
    with pytest.raises(EngineError, match=f"process {os.getpid()}") as refused:
        WriterLock(tmp_path / "lock")
    assert refused.value.retryable
    lock.release()
    lock.release()
    WriterLock(tmp_path / "lock").release()


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(EngineError, match=f"process {holder.pid}"):
            WriterLock(tmp_path / "lock")
        holder.kill()
        holder.wait()
    WriterLock(tmp_path / "lock").release()


def test_a_key_is_made_for_its_owner_only(tmp_path: Path) -> None:
    made = make_key(tmp_path / "key", "steward.example/a")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    found = load_key(tmp_path / "key")
    assert found is not None
    assert found.vkey == made.vkey
    with pytest.raises(EngineError, match="cannot be used"):
        make_key(tmp_path / "key", "steward.example/a")
    assert load_key(tmp_path / "none") is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    make_key(tmp_path / "key", "steward.example/a")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(EngineError, match="open to others") as refused:
        load_key(tmp_path / "key")
    assert "chmod 600" in refused.value.fix


@pytest.mark.parametrize("content", [b"", b"no key", b"\xff\xfe"])
def test_a_file_that_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(IntegrityError):
        load_key(tmp_path / "key")


def test_notes_replace_each_other(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    assert read_note(path) is None
    write_note(path, "one — \n")
    write_note(path, "two — \n")
    assert read_note(path) == "two — \n"
    assert list(tmp_path.iterdir()) == [path]
    path.write_bytes(b"\xff")
    with pytest.raises(IntegrityError):
        read_note(path)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    for use in (WriterLock, lambda path: write_note(path, "n"), lambda path: make_key(path, "a")):
        with pytest.raises(EngineError, match="cannot be used"):
            use(tmp_path / "none" / "file")
    for read in (load_key, read_note):
        with pytest.raises(EngineError, match="cannot be used"):
            read(tmp_path)
