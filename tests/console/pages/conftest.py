from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.console.approving import opened
from tests.console.world import Company


@pytest.fixture
async def firm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Company]:
    """Nobody is enrolled; choices may be changed."""
    made = await opened(tmp_path, monkeypatch)
    async with made.runtime:
        yield made


@pytest.fixture
async def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Company]:
    """The staff is enrolled; choices may be changed."""
    made = await opened(tmp_path, monkeypatch)
    async with made.runtime:
        await made.enrol()
        yield made


@pytest.fixture
async def strict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Company]:
    """Above 3,000 EUR the sign-in must be at most a minute old."""
    made = await opened(tmp_path, monkeypatch, reauth_above=3_000.0, reauth_within_s=60.0)
    async with made.runtime:
        await made.enrol()
        yield made
