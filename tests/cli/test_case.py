"""The commands of the worked cases hand over what was typed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer import BadParameter
from typer.testing import CliRunner

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.local_days import LocalDays
from steward.cases.grid.dispatch.decision import make_decision
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.live import demo
from steward.cli.case import cases_of, hours_per_s
from steward.cli.main import app
from steward.cli.running import ServerFacts

BACKTEST = ("case", "grid", "backtest", "--time-column", "t", "--zone", "Europe/Madrid", "--price-column", "eur")
DATES = ("--train-until", "2018-01-01", "--test-until", "2019-01-01")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "es.csv"
    path.write_text("t,eur\n")
    return str(path)


def test_the_demo_announces_its_server_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def run(options: demo.DemoOptions) -> dict[str, object]:
        options.ready(8711)
        seen.append((options.run_for, options.hours_per_s, options.folder))
        seen.append(ServerFacts(**json.loads((tmp_path / ".steward" / "server.json").read_text())).url)
        return {}

    monkeypatch.setattr(demo, "run", run)
    result = CliRunner().invoke(app, ["demo", "--for", "20s", "--speed", "24", "--folder", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert seen == [(timedelta(seconds=20), 24.0, tmp_path), "http://127.0.0.1:8711"]
    assert not (tmp_path / ".steward" / "server.json").exists()


@pytest.mark.parametrize(("speed", "hours"), [("6", 6.0), ("60x", 1 / 60), ("1x", 1 / 3600), ("0.5", 0.5)])
def test_a_speed_is_hours_a_second_or_times_a_clocks(speed: str, hours: float) -> None:
    assert hours_per_s(speed) == pytest.approx(hours)


@pytest.mark.parametrize("speed", ["fast", "0", "-6", "0.5x", "nan", "inf", "x"])
def test_what_is_no_speed_is_refused(speed: str) -> None:
    with pytest.raises(BadParameter, match="is not a speed"):
        hours_per_s(speed)


def test_the_case_and_the_plant_of_a_demo_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[demo.DemoOptions] = []
    monkeypatch.setattr(demo, "run", seen.append)
    here = ("demo", "--folder", str(tmp_path), "--case", "grid")
    for given in ((), ("--plant", "here"), ("--plant", "opcua")):
        assert CliRunner().invoke(app, [*here, *given]).exit_code == 0
    assert [options.by_wire for options in seen] == [None, False, True]
    assert CliRunner().invoke(app, ["demo", "--case", "water"]).exit_code == 2


def test_a_project_with_the_grid_decision_gets_its_page() -> None:
    decision = make_decision(SimulatedPlant("es", LocalDays("Europe/Madrid"), Battery()))
    assert [case.path for case in cases_of([decision])] == ["/grid"]
    assert cases_of([replace(decision, name="grid.other")]) == []
