"""The grid's commands: options reach what they are for, and what is wrong is told."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from steward.cases.grid.dispatch import backtest
from steward.cases.grid.field import serve
from steward.cases.grid.report import study
from steward.cli.grid import duration
from steward.cli.main import app

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


def test_durations_are_read_or_refused() -> None:
    assert [duration(text).total_seconds() for text in ("20s", "1.5m", "2 h", "7", "250ms")] == [20, 90, 7200, 7, 0.25]
    for wrong in ("", "soon", "-5s", "5y", "s"):
        with pytest.raises(typer.BadParameter):
            duration(wrong)


def test_a_plant_gets_every_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[serve.PlantOptions] = []
    monkeypatch.setattr(serve, "run", asked.append)
    told = ["--mqtt", "0", "--opcua", "4841", "--feeders", "5", "--for", "2m", "--speed", "3600", "--seed", "9"]
    result = CliRunner().invoke(app, ["case", "grid", "plant", "--folder", str(tmp_path), *told])
    assert result.exit_code == 0, result.output
    [options] = asked
    assert (options.opcua_port, options.mqtt_port, options.modbus_port) == (4841, 0, None)
    assert (options.feeders, options.speed, options.seed, options.run_for) == (5, 3600.0, 9, timedelta(minutes=2))
    assert (options.host, options.folder) == ("127.0.0.1", tmp_path)


def test_a_report_is_written_where_it_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[study.StudyOptions] = []

    def made(options: study.StudyOptions) -> study.Study:
        asked.append(options)
        day = date(2024, 2, 5)
        return real(study.StudyOptions(first=day, until=day + timedelta(days=1)))

    real = study.study
    monkeypatch.setattr(study, "study", made)
    out = tmp_path / "grid.html"
    runner = CliRunner()
    result = runner.invoke(app, ["case", "grid", "report", "--out", str(out), "--first", "2024-02-05", "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["file"] == str(out)
    assert out.read_text(encoding="utf-8").count("<h2>") == 4
    assert (asked[0].source, asked[0].first, asked[0].until) == (None, date(2024, 2, 5), None)
    nowhere = runner.invoke(app, ["case", "grid", "report", "--out", str(tmp_path / "no" / "where.html")])
    assert nowhere.exit_code == 1
    assert "cannot be written" in nowhere.stderr


def test_a_report_on_nothing_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("t\n")
    result = CliRunner().invoke(app, ["case", "grid", "report", "--data", str(file)])
    assert result.exit_code == 1
    assert "nothing is to be studied" in result.stderr
