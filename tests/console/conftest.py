from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.console.world import Company


@pytest.fixture
async def company(tmp_path: Path) -> AsyncIterator[Company]:
    """Everybody at the machine may do everything, as nobody is enrolled."""
    made = await Company.open(tmp_path)
    async with made.runtime:
        yield made


@pytest.fixture
async def staffed(tmp_path: Path) -> AsyncIterator[Company]:
    """Ada administers, and there is somebody of each role."""
    made = await Company.open(tmp_path)
    async with made.runtime:
        await made.enrol()
        yield made
