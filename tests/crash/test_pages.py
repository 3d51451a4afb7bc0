"""Pages rot and tear: whatever changes an entry is found, and nothing but a clear error comes of it."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import pytest
from tests.crash.test_store_faults import decided
from tests.crash.worker import decision, settings, store

from steward.errors import StewardError
from steward.ledger.port import Entry
from steward.ledger.verify import verify_store
from steward.runtime.reader import LedgerReader
from steward.runtime.runtime import Runtime

PAGE_BYTES = 8192


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of 200 decisions, closed in order."""
    folder = tmp_path_factory.mktemp("whole")
    asyncio.run(decided(folder, 200))
    return folder


async def entries(folder: Path) -> list[Entry]:
    reader = LedgerReader(store(folder))
    try:
        return list(await reader.read(0, 1_000_000))
    finally:
        await reader.close()


def damaged(database: bytes, seed: int) -> bytes:
    """Flip a bit, lose the end of a page as it was written, or put an older page into its place."""
    chance = random.Random(seed)
    spoilt, place = bytearray(database), chance.randrange(len(database))
    page = place - place % PAGE_BYTES
    kind = seed % 3
    if kind == 0:
        spoilt[place] ^= 1 << chance.randrange(8)
    elif kind == 1:
        torn = chance.randrange(0, PAGE_BYTES, 512)
        spoilt[page + torn : page + PAGE_BYTES] = bytes(PAGE_BYTES - torn)
    else:
        other = chance.randrange(0, len(database) - PAGE_BYTES, PAGE_BYTES)
        spoilt[page : page + PAGE_BYTES] = database[other : other + PAGE_BYTES]
    return bytes(spoilt)


def spoil(whole: Path, folder: Path, seed: int) -> bool:
    """Damage a copy; return whether the damage was found."""
    shutil.copytree(whole, folder)
    database = store(folder)
    database.write_bytes(damaged(database.read_bytes(), seed))
    try:
        found = not verify_store(database).ok
    except StewardError:
        found = True
    if not found:  # the damage lies where nothing is kept, or where it can be computed again
        assert asyncio.run(entries(folder)) == asyncio.run(entries(whole)), f"seed {seed}: an entry changed unseen"
    try:
        asyncio.run(open_again(folder))
    except StewardError:
        return found  # it says what is wrong, instead of going on
    return found


async def open_again(folder: Path) -> None:
    async with await Runtime.open([decision(folder / "effects")], settings=settings(folder)) as runtime:
        await runtime.advance()


def spoil_often(whole: Path, folder: Path, seeds: range) -> None:
    found = 0
    for seed in seeds:
        found += spoil(whole, folder / str(seed), seed)
        shutil.rmtree(folder / str(seed))
    assert found > len(seeds) / 2


def test_damaged_pages_are_found(whole: Path, tmp_path: Path) -> None:
    spoil_often(whole, tmp_path, range(36))


@pytest.mark.deep
def test_damaged_pages_are_found_very_often(whole: Path, tmp_path: Path) -> None:
    spoil_often(whole, tmp_path, range(1000, 3000))
