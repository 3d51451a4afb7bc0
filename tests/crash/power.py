"""A disk that loses power: from the log of ``storage.c`` to what would be on the disk afterwards."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).with_name("storage.c")
SECTOR_BYTES = 512
"""What a disk writes whole or not at all."""
_HEAD = struct.Struct("<BHHQQ")


class What(IntEnum):
    CREATED = 1
    WRITTEN = 2
    SYNCED = 3
    TRUNCATED = 4
    RENAMED = 5
    REMOVED = 6
    NOT_SYNCED = 7


class Happened(NamedTuple):
    what: What
    path: Path
    other: Path
    offset: int
    data: bytes


def build(folder: Path) -> Path:
    """Compile the library that is preloaded; skip where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: the disk that loses power cannot be built (apt-get install gcc libc6-dev)")
    library = folder / "storage.so"
    command = [compiler, "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    subprocess.run([*command, "-lpthread"], check=True)
    return library


def read_log(path: Path) -> Iterator[Happened]:
    """Return what happened, in order; the last line may have been cut off by the kill."""
    log, at = path.read_bytes(), 0
    while at + _HEAD.size <= len(log):
        what, path_bytes, other_bytes, offset, size = _HEAD.unpack_from(log, at)
        at += _HEAD.size
        data_bytes = size if what == What.WRITTEN else 0
        if at + path_bytes + other_bytes + data_bytes > len(log):
            return
        name, at = log[at : at + path_bytes], at + path_bytes
        other, at = log[at : at + other_bytes], at + other_bytes
        data, at = log[at : at + data_bytes], at + data_bytes
        yield Happened(What(what), Path(name.decode()), Path(other.decode()), offset, data)


@dataclass(eq=False)
class File:
    """One file: what is safe on the disk, and what was written since."""

    safe: bytearray
    since: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        for offset, data in self.since:
            self._apply(offset, data)
        self.since.clear()

    def lose(self, chance: random.Random) -> None:
        """Keep of what was not synced nothing, all, or whatever sectors a disk may have written by then."""
        kept = chance.choice((0.0, 0.5, 1.0))
        for offset, data in self.since:
            if data is None:
                if chance.random() < kept:
                    self._apply(offset, None)
                continue
            ends = range(offset - offset % SECTOR_BYTES + SECTOR_BYTES, offset + len(data), SECTOR_BYTES)
            for start, end in pairwise((offset, *ends, offset + len(data))):
                if chance.random() < kept:
                    self._apply(start, data[start - offset : end - offset])
        self.since.clear()

    def _apply(self, offset: int, data: bytes | None) -> None:
        if data is None:
            del self.safe[offset:]
            self.safe.extend(bytes(offset - len(self.safe)))
            return
        self.safe.extend(bytes(max(0, offset - len(self.safe))))
        self.safe[offset : offset + len(data)] = data


class Disk:
    """A folder's files as a disk has them: names, too, are safe only once their folder is synced.

    Args:
        folder: Where the files are before anything happens; all of it is safe.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        files = {path: File(bytearray(path.read_bytes())) for path in folder.rglob("*") if path.is_file()}
        self._now, self._safe = dict(files), dict(files)
        self._moves: list[Happened] = []
        self._made: dict[int, File] = {}

    def happen(self, each: Happened) -> None:
        """Take the next thing that a process did."""
        if each.what in (What.CREATED, What.RENAMED, What.REMOVED):
            self._moves.append(each)
            self._made[len(self._moves) - 1] = File(bytearray())
            self._move(self._now, each, self._made[len(self._moves) - 1])
        elif each.path not in self._now:
            if each.what is What.SYNCED:  # the folder
                self._settle(len(self._moves))
        elif each.what is What.WRITTEN:
            self._now[each.path].since.append((each.offset, each.data))
        elif each.what is What.TRUNCATED:
            self._now[each.path].since.append((each.offset, None))
        elif each.what is What.SYNCED:
            self._now[each.path].sync()
        else:
            # The pages count as clean now, although they never reached the disk: a later sync does not write them.
            self._now[each.path].since.clear()

    def lose_power(self, seed: int) -> None:
        """Put into the folder what is found when the power is back."""
        chance = random.Random(seed)
        self._settle(chance.randint(0, len(self._moves)))
        for path in [path for path in self._folder.rglob("*") if path.is_file()]:
            path.unlink()
        for path, file in self._safe.items():
            file.lose(chance)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(file.safe)

    def _settle(self, count: int) -> None:
        for number in range(count):
            self._move(self._safe, self._moves[number], self._made[number])
        self._moves = self._moves[count:]
        self._made = {number - count: file for number, file in self._made.items() if number >= count}

    @staticmethod
    def _move(names: dict[Path, File], each: Happened, made: File) -> None:
        if each.what is What.CREATED:
            names[each.path] = made
        elif each.what is What.REMOVED:
            names.pop(each.path, None)
        elif each.path in names:
            names[each.other] = names.pop(each.path)
