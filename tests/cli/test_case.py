"""The commands of the worked cases hand over what was typed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.local_days import LocalDays
from steward.cases.grid.dispatch import backtest
from steward.cases.grid.dispatch.decision import make_decision
from steward.cases.grid.dispatch.plant import SimulatedPlant
from steward.cases.grid.live import demo
from steward.cli.case import cases_of, duration
from steward.cli.main import app
from steward.cli.running import ServerFacts

BACKTEST = ("case", "grid", "backtest", "--time-column", "t", "--zone", "Europe/Madrid", "--price-column", "eur")
DATES = ("--train-until", "2018-01-01", "--test-until", "2019-01-01")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "es.csv"
    path.write_text("t,eur\n")
    return str(path)


def test_a_backtest_gets_every_option_and_prints_one_object(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[backtest.BacktestOptions] = []

    def run(options: backtest.BacktestOptions) -> dict[str, object]:
        taken.append(options)
        options.progress("simulating", 1, 2)
        options.say("alert: something is odd")
        return {"decisions": 8760, "value_eur": 1.5, "ledger": {"size": 3, "verified": True}}

    monkeypatch.setattr(backtest, "run", run)
    more = ("--load-column", "mw", "--known-day-ahead", "wind", "--known-day-ahead", "sun", "--approve-above", "5")
    result = CliRunner().invoke(app, [*BACKTEST, "--data", file, *DATES, *more, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"decisions": 8760, "value_eur": 1.5, "ledger": {"size": 3, "verified": True}}
    assert result.stderr == "alert: something is odd\n"
    (options,) = taken
    assert (options.source.columns, options.source.known_day_ahead) == (("eur", "mw", "wind", "sun"), ("wind", "sun"))
    assert (options.train_until, options.test_until) == (date(2018, 1, 1), date(2019, 1, 1))
    assert (options.approve_above_eur, options.source.zone) == (5.0, "Europe/Madrid")
    plain = CliRunner().invoke(app, [*BACKTEST, "--data", file, *DATES])
    assert "8,760" in plain.stdout


def test_a_backtest_whose_ledger_does_not_verify_says_so(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtest, "run", lambda options: {"ledger": {"size": 3, "verified": False}})
    result = CliRunner().invoke(app, [*BACKTEST, "--data", file, *DATES, "--json"])
    assert (result.exit_code, "does not verify" in result.stderr) == (6, True)


def test_a_missing_file_and_a_wrong_date_are_told(file: str) -> None:
    missing = CliRunner().invoke(app, [*BACKTEST, "--data", "nowhere.csv", *DATES])
    assert (missing.exit_code, "there is no file nowhere.csv" in missing.stderr) == (1, True)
    assert CliRunner().invoke(app, [*BACKTEST, "--data", file, "--train-until", "soon"]).exit_code == 2


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


def test_durations_are_read_or_refused() -> None:
    assert [duration(text).total_seconds() for text in ("20s", "1.5m", "2 h", "7", "250ms")] == [20, 90, 7200, 7, 0.25]
    for wrong in ("", "soon", "-5s", "5y", "s"):
        with pytest.raises(typer.BadParameter):
            duration(wrong)


def test_a_project_with_the_grid_decision_gets_its_page() -> None:
    decision = make_decision(SimulatedPlant("es", LocalDays("Europe/Madrid"), Battery()))
    assert [case.path for case in cases_of([decision])] == ["/grid"]
    assert cases_of([replace(decision, name="grid.other")]) == []
