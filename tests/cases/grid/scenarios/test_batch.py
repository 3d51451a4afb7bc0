"""A batch: deterministic by path, resumable after a kill, and no day is drawn that the models have seen."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from tests.cases.grid.scenarios.conftest import batch_in

from steward import Lane
from steward.cases.grid.battery import Battery
from steward.cases.grid.scenarios.batch import Scenarios
from steward.cases.grid.scenarios.job import Folder
from steward.cases.grid.scenarios.path import PathResult
from steward.errors import Conflict, DeclarationError, IntegrityError

Finished = tuple[Path, dict[str, Any]]


@pytest.fixture
def folder(finished: Finished, tmp_path: Path) -> Path:
    """Return a copy of the finished batch."""
    return Path(shutil.copytree(finished[0], tmp_path / "batch"))


def paths_of(folder: Path) -> dict[int, PathResult]:
    return {one.number: one for one in Folder(folder).finished()}


def test_says_what_was_saved_and_how_sure_that_is(finished: Finished) -> None:
    result = finished[1]
    assert (result["paths"], result["decisions"], result["kept_paths"]) == (3, 3 * 48, 0)
    saved, limit = result["saved_eur_mw_year"], result["limit_eur_mw_year"]
    assert saved["p01"] <= saved["p50"] <= saved["p99"] <= limit["p99"]
    assert result["worst_years"][0]["saved_eur_mw_year"] <= result["worst_years"][-1]["saved_eur_mw_year"]
    assert result["protocol"]["file"] == "made up"


def test_goes_on_where_it_was_killed(finished: Finished, folder: Path) -> None:
    before, file = paths_of(folder), folder / "paths.jsonl"
    first, second, _ = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + second[:40])  # killed in the middle of a line
    told: list[tuple[int, int]] = []
    result = batch_in(folder, 3, progress=lambda done, of: told.append((done, of)))
    assert (result["kept_paths"], told) == (1, [(1, 3), (2, 3), (3, 3)])
    assert paths_of(folder) == before
    again = {name: value for name, value in result.items() if name.endswith(("year", "pct", "years"))}
    assert again == {name: finished[1][name] for name in again}


def test_a_bigger_batch_keeps_the_paths_of_a_smaller_one(folder: Path) -> None:
    before = paths_of(folder)
    result = batch_in(folder, 4)
    assert (result["paths"], result["kept_paths"]) == (4, 3)
    assert {number: paths_of(folder)[number] for number in before} == before


def test_another_batch_does_not_mix_with_it(folder: Path) -> None:
    with pytest.raises(Conflict, match="another batch"):
        batch_in(folder, 3, battery=Battery(power_mw=5.0))
    with pytest.raises(Conflict, match="another batch"):
        batch_in(folder, 3, scenarios=Scenarios(count=3, seed=6, days=2))


def test_a_line_that_somebody_changed_is_told(folder: Path) -> None:
    file = folder / "paths.jsonl"
    file.write_bytes(b"{}\n" + file.read_bytes())
    with pytest.raises(IntegrityError, match="line 1"):
        batch_in(folder, 3)


def test_no_day_is_drawn_that_the_models_have_seen(finished: Finished) -> None:
    paths = Folder(finished[0]).paths()
    until = paths.history.local.day_of(paths.history.end)
    allowed = paths.history.days(paths.train_until, until)
    seen = paths.history.index(paths.history.local.start(paths.train_until))
    changed = {name: values.copy() for name, values in paths.history.columns.items()}
    for values in changed.values():
        values[:seen] += 1_000.0
    other = replace(paths, history=replace(paths.history, columns=changed))
    for number in range(3):
        drawn, again = paths.drawn(number), other.drawn(number)
        assert all((again.columns[name] == values).all() for name, values in drawn.columns.items())
    assert (allowed[0], len(allowed)) == (paths.train_until, 730)


def test_paths_differ_and_depend_on_the_seed(finished: Finished) -> None:
    paths = Folder(finished[0]).paths()
    price = {
        (seed, number): tuple(replace(paths, seed=seed).drawn(number).columns["price_eur_mwh"])
        for seed in (1, 2)
        for number in (1, 2)
    }
    assert len(set(price.values())) == 4


@pytest.mark.parametrize("name", ["paths.parquet", "paths.csv"])
def test_exports_a_table(folder: Path, name: str) -> None:
    file = folder / name
    batch_in(folder, 3, export=file)
    table = pl.read_csv(file) if file.suffix == ".csv" else pl.read_parquet(file)
    assert table["number"].to_list() == [0, 1, 2]
    assert table["value_eur"].to_list() == [paths_of(folder)[number].value_eur for number in range(3)]


def test_a_batch_is_declared() -> None:
    assert Scenarios(count=10).lane is Lane.BATCH
    with pytest.raises(DeclarationError, match="a path and a day"):
        Scenarios(count=0)


def test_a_job_is_plain_data(finished: Finished) -> None:
    stored = msgspec.json.decode((finished[0] / "job.json").read_bytes())
    assert stored["train_until"] == date(2017, 1, 1).isoformat()
    assert stored["first"] == (date(2019, 1, 1) - timedelta(days=2)).isoformat()
