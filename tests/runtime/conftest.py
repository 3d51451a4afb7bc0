from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.runtime.world import Till, World


@pytest.fixture(params=["memory", "sqlite"])
async def world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """A runtime over each ledger."""
    made = World(request.param, tmp_path, monkeypatch)
    yield made
    await made.close()


@pytest.fixture
async def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A runtime over a ledger in memory."""
    made = World("memory", tmp_path, monkeypatch)
    yield made
    await made.close()


@pytest.fixture
async def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A runtime over a ledger in a file."""
    made = World("sqlite", tmp_path, monkeypatch)
    yield made
    await made.close()


@pytest.fixture
def till() -> Till:
    return Till()
