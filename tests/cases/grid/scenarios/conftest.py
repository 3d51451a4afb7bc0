from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from steward.cases.grid.forecasting.training import PRICE
from steward.cases.grid.scenarios.batch import ScenarioOptions, Scenarios, run

DAYS = 2
Batch = Callable[..., dict[str, Any]]


def batch_in(folder: Path, count: int, **changes: object) -> dict[str, Any]:
    """Run a batch of short paths in a folder; small models, so that it is quick."""
    options = ScenarioOptions(
        scenarios=Scenarios(count=count, seed=5, days=DAYS),
        folder=folder,
        engine="inline://",
        recipes=(replace(PRICE, rounds=10),),
    )
    result: dict[str, Any] = run(replace(options, **changes))  # type: ignore[arg-type] # fields of the options
    return result


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """Return the folder of a finished batch of three paths, which nobody changes, and its result."""
    folder = tmp_path_factory.mktemp("batch")
    result = batch_in(folder, 3)
    return folder, json.loads(json.dumps(result))
