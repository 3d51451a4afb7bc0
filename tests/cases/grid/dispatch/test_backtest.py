from __future__ import annotations

import asyncio
import json
import sqlite3
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars
import pytest
from tests.cases.grid.conftest import exchange_days_and_months, shared_file

from steward.cases.grid.data.history import Floats, History, Source
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.dispatch.backtest import BacktestOptions, backtest, run
from steward.cases.grid.dispatch.ranking import MERIT, SHAPE
from steward.cases.grid.dispatch.scoring import Decided
from steward.cases.grid.dispatch.skills import DispatchPlan
from steward.cases.grid.forecasting.training import LOAD, PRICE
from steward.errors import Conflict, ContractError, EngineError
from steward.ledger.verify import verify_store
from steward.runtime.engines import ledger_path
from steward.runtime.settings import Settings

FIRST, DAYS = date(2024, 3, 30), 3  # the clock changes on the second day
QUICK = tuple(replace(recipe, rounds=40) for recipe in (LOAD, PRICE, SHAPE, MERIT))
MADRID = LocalDays("Europe/Madrid")
decode = msgspec.json.Decoder(Decided).decode


def write(history: History, path: Path, **renamed: str) -> Path:
    times = [(history.start + n * HOUR).isoformat() for n in range(history.rows)]
    columns = {renamed.get(name, name): values for name, values in history.columns.items()}
    polars.DataFrame({"time": times, **columns}).with_columns(polars.selectors.float().fill_nan(None)).write_csv(path)
    return path


def options(path: Path, folder: Path | None = None, **changed: Any) -> BacktestOptions:
    source = Source(
        path=path,
        time_column="time",
        zone="Europe/Madrid",
        price_column="price_eur_mwh",
        load_column="load_mw",
        temperature_column="temperature_c",
        known_day_ahead=("wind_forecast_mw", "solar_forecast_mw"),
    )
    given: dict[str, Any] = {
        "source": source,
        "train_until": FIRST,
        "test_until": FIRST + timedelta(days=DAYS),
        "folder": folder,
        "recipes": QUICK,
        "approve_above_eur": 600.0,
        "say": lambda text: None,
    }
    return BacktestOptions(**{**given, **changed})


def decided_in(folder: Path) -> list[Decided]:
    with sqlite3.connect(folder / ".steward" / "steward.db") as database:
        rows = database.execute("SELECT body FROM entries WHERE kind = 'decided' ORDER BY idx")
        return [decode(body) for (body,) in rows]


def plans_in(folder: Path) -> dict[date, set[DispatchPlan]]:
    plans: dict[date, set[DispatchPlan]] = {}
    for one in decided_in(folder):
        plans.setdefault(one.event.day, set()).add(one.prediction)
    return plans


@pytest.fixture(scope="module")
def played(region: History, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("played")
    return run(options(write(region, folder / "region.csv"), folder)), folder


def test_every_hour_is_decided_acted_metered_and_valued(played: tuple[dict[str, Any], Path]) -> None:
    result, folder = played
    assert result["decisions"] == result["details"]["valued"] == 71
    with sqlite3.connect(folder / ".steward" / "steward.db") as database:
        kinds = dict(database.execute("SELECT kind, count(*) FROM entries GROUP BY kind"))
    assert kinds.pop("published") == 1
    asked = result["asked"]
    assert kinds.pop("stepped") == 4 * 71
    assert kinds == {"decided": 71, "acted": 71, "observed": 71, "valued": 71, "asked": asked, "approved": asked}
    assert asked > 0
    assert result["ledger"] == {"size": 1 + 8 * 71 + 2 * asked, "verified": True}


def test_the_figures_fit_each_other_and_are_json(played: tuple[dict[str, Any], Path]) -> None:
    result, _ = played
    assert json.loads(json.dumps(result)) == result
    assert result["clock_capture_pct"] == pytest.approx(100 * result["clock_eur"] / result["limit_eur"], abs=0.01)
    assert result["capture_pct"] == pytest.approx(100 * result["value_eur"] / result["limit_eur"], abs=0.01)
    assert 50 < result["capture_pct"] <= 100
    assert 0 < result["load_mape_pct"] < 6
    assert 0 < result["price_mae_eur_mwh"] < 20
    assert result["naive_load_mape_pct"] > 0
    assert result["protocol"]["tested"] == {"first": "2024-03-30", "last": "2024-04-01", "days": 3}


def test_value_is_the_planned_power_at_true_prices(played: tuple[dict[str, Any], Path], region: History) -> None:
    result, folder = played
    prices = region.columns["price_eur_mwh"]
    earned = sum(one.choice.power_mw * prices[region.index(one.event.at)] for one in decided_in(folder))
    assert result["value_eur"] == pytest.approx(earned, abs=0.01 * 71)


def test_a_day_has_one_plan_followed_hour_by_hour(played: tuple[dict[str, Any], Path]) -> None:
    plans = plans_in(played[1])
    assert {day: len(made) for day, made in plans.items()} == dict.fromkeys(plans, 1)
    assert [len(next(iter(made)).power_mw) for made in plans.values()] == [24, 23, 24]


def spoiled(region: History, day: date) -> History:
    """Return the region with everything changed that was not known when the plan of ``day`` was fixed."""
    since = {
        "price_eur_mwh": MADRID.start(day),
        "load_mw": MADRID.plan_at(day),
        "temperature_c": MADRID.plan_at(day),
        "wind_forecast_mw": MADRID.start(day + timedelta(days=1)),
        "solar_forecast_mw": MADRID.start(day + timedelta(days=1)),
    }
    return replace(region, columns={name: _changed(region, name, at) for name, at in since.items()})


def _changed(region: History, name: str, since: datetime) -> Floats:
    values = region.columns[name].copy()
    values[region.index(since) :] = np.abs(values[region.index(since) :][::-1]) % 50
    return values


@pytest.mark.parametrize("number", [0, 1])
def test_no_plan_knows_what_was_not_known(
    played: tuple[dict[str, Any], Path], region: History, tmp_path: Path, number: int
) -> None:
    day = FIRST + timedelta(days=number)
    run(options(write(spoiled(region, day), tmp_path / "spoiled.csv"), tmp_path))
    honest, other = plans_in(played[1]), plans_in(tmp_path)
    for n in range(number + 1):
        assert other[FIRST + timedelta(days=n)] == honest[FIRST + timedelta(days=n)]
    assert other[day + timedelta(days=1)] != honest[day + timedelta(days=1)]


def test_without_load_it_dispatches_on_price_alone(region: History, tmp_path: Path) -> None:
    path = write(region, tmp_path / "region.csv", wind_forecast_mw="Wind, forecast [MW]")
    source = Source(
        path=path,
        time_column="time",
        zone="Europe/Madrid",
        price_column="price_eur_mwh",
        known_day_ahead=("Wind, forecast [MW]",),
    )
    result: Any = run(options(path, source=source, test_until=FIRST + timedelta(days=1)))
    assert result["decisions"] == 24
    assert result["load_mape_pct"] is result["naive_load_mape_pct"] is None
    assert list(result["models"]) == ["grid-price", "grid-price-shape", "grid-battery-merit"]


def test_missing_values_stop_nothing(region: History, tmp_path: Path) -> None:
    columns = {name: values.copy() for name, values in region.columns.items()}
    start = region.index(MADRID.start(FIRST))
    for name, values in columns.items():
        values[start - 30 : start - 20] = np.nan
        if name == "price_eur_mwh":
            values[start + 5] = np.nan
    heard: list[str] = []
    path = write(replace(region, columns=columns), tmp_path / "holes.csv")
    result: Any = run(options(path, test_until=FIRST + timedelta(days=1), say=heard.append))
    assert result["decisions"] == 24
    assert result["alerts"] == []
    assert [note["code"] for note in result["notes"]] == ["missing"] * 5
    assert len(heard) == 5


def test_exchanged_days_and_months_are_in_the_alerts_and_told(tmp_path: Path, spain: History) -> None:
    broken = exchange_days_and_months(spain)
    columns = {name: broken.columns[name] for name in ("price_day_ahead_eur_mwh", "load_mw")}
    path = write(replace(broken, columns=columns), tmp_path / "broken.csv")
    source = Source(
        path=path,
        time_column="time",
        zone="Europe/Madrid",
        price_column="price_day_ahead_eur_mwh",
        load_column="load_mw",
    )
    heard: list[str] = []
    one_day: dict[str, Any] = {"train_until": date(2015, 6, 1), "test_until": date(2015, 6, 2)}
    result: Any = run(options(path, source=source, say=heard.append, **one_day))
    assert [alert["code"] for alert in result["alerts"]] == ["seasonality-break"] * 2
    assert [text for text in heard if text.startswith("alert: seasonality-break: load_mw is 2.")]


def test_days_outside_the_file_are_refused(region: History, tmp_path: Path) -> None:
    path = write(region, tmp_path / "region.csv")
    with pytest.raises(ContractError, match="no whole local day"):
        run(options(path, train_until=date(2025, 1, 1), test_until=date(2025, 2, 1)))


def test_a_kept_folder_is_a_project_that_commands_can_read(played: tuple[dict[str, Any], Path]) -> None:
    settings = Settings.load(file=played[1] / "steward.toml")
    path = ledger_path(settings)
    assert path is not None
    assert verify_store(path).entries == played[0]["ledger"]["size"]


def test_a_folder_with_a_ledger_is_refused(played: tuple[dict[str, Any], Path]) -> None:
    folder = played[1]
    with pytest.raises(Conflict, match="already holds a ledger"):
        run(options(folder / "region.csv", folder))


def test_an_hour_that_fails_ends_the_backtest(region: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no plan today")

    monkeypatch.setattr("steward.cases.grid.dispatch.skills.program_for", fail)
    path = write(region, tmp_path / "region.csv")
    with pytest.raises(EngineError, match=r"24 of 24 hours were not decided.*no plan today"):
        run(options(path, test_until=FIRST + timedelta(days=1)))


@pytest.mark.deep
def test_some_weeks_of_spain_beat_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "spain.csv"
    whole = polars.read_csv(shared_file("es_load_price_2015_2018_hourly"))
    whole.filter(polars.col("time_utc").is_between(polars.lit("2017-10-01"), polars.lit("2018-02-01"))).write_csv(path)
    source = Source(
        path=path,
        time_column="time_utc",
        zone="Europe/Madrid",
        price_column="price_day_ahead_eur_mwh",
        load_column="load_mw",
        known_day_ahead=("wind_forecast_mw", "solar_forecast_mw"),
    )
    tested = options(path, source=source, train_until=date(2018, 1, 8), test_until=date(2018, 1, 22))
    heard: list[tuple[str, int, int]] = []
    quick = tuple(replace(recipe, rounds=200) for recipe in (LOAD, PRICE))
    progress = lambda what, done, of: heard.append((what, done, of))  # noqa: E731 - three words
    result: Any = asyncio.run(backtest(replace(tested, recipes=quick, progress=progress)))
    assert result["capture_pct"] > result["clock_capture_pct"]
    assert result["load_mape_pct"] < 0.8 * result["naive_load_mape_pct"]
    assert result["alerts"] == []
    assert ("backtest", 335, 336) in heard
