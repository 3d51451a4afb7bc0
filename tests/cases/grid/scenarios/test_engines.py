"""Every engine that runs paths keeps the port's promises; processes are started in the long run only."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from steward import Lane
from steward.cases.grid.scenarios.engine import Engine, engine_of
from steward.cases.grid.scenarios.job import Folder
from steward.errors import DeclarationError, EngineError, StewardError

ENGINES = ["inline://", pytest.param("processes://1", marks=pytest.mark.deep),
           pytest.param("processes://2", marks=pytest.mark.deep)]  # fmt: skip


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_of(request.param)


async def test_each_path_is_run_once_with_the_result_it_has_everywhere(
    engine: Engine, finished: tuple[Path, dict[str, Any]]
) -> None:
    folder = finished[0]
    expected = {one.number: one for one in Folder(folder).finished()}
    found = [one async for one in engine.run(folder, [2, 0], lane=Lane.BATCH)]
    assert {one.number: one for one in found} == {number: expected[number] for number in (0, 2)}
    assert len(found) == 2


async def test_nothing_to_run_is_fine(engine: Engine, finished: tuple[Path, dict[str, Any]]) -> None:
    assert [one async for one in engine.run(finished[0], [], lane=Lane.BATCH)] == []


async def test_a_path_that_cannot_be_run_is_told(
    engine: Engine, finished: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished[0], tmp_path / "batch"))
    shutil.rmtree(folder / "models")
    with pytest.raises(StewardError):
        async for _ in engine.run(folder, [0], lane=Lane.BATCH):
            pass


async def test_a_folder_without_a_batch_is_told(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(StewardError):
        async for _ in engine.run(tmp_path, [0], lane=Lane.BATCH):
            pass


def test_engines_are_named_by_url() -> None:
    with pytest.raises(EngineError, match="Ray"):
        engine_of("ray://head:10001")
    for url in ("processes://0", "processes://x", "threads://2"):
        with pytest.raises(DeclarationError, match="no engine"):
            engine_of(url)


@pytest.mark.deep
async def test_a_path_over_which_processes_die_is_to_blame(
    finished: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steward.cases.grid.scenarios.processes._WORKER", "steward.nothing_of_this_name")
    with pytest.raises(EngineError, match="path 0 cannot be run: 2 processes died"):
        async for _ in engine_of("processes://1").run(finished[0], [0], lane=Lane.BATCH):
            pass
