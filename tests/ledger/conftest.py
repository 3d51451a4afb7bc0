"""A signed ledger and a proof bundle beside it, made once for each file of tests, copied for each test."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from tests.ledger.signed import made


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("verify") / "ledger.db"
    path.with_name("bundle.json").write_bytes(asyncio.run(made(path)))
    return path


@pytest.fixture
def path(original: Path, tmp_path: Path) -> Path:
    for file in original.parent.iterdir():
        shutil.copy2(file, tmp_path / file.name)
    return tmp_path / original.name
