from __future__ import annotations

import pytest
from tests.access.pki import Pki
from tests.access.world import World, make_world


@pytest.fixture
async def world() -> World:
    return await make_world()


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))
