from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from steward.cases.grid.data.generator import COLUMNS, synthetic_region
from steward.cases.grid.data.history import History, Source, read_history
from steward.cases.grid.forecasting.training import LOAD, PRICE, train
from steward.clock import SystemClock
from steward.models.registry import FolderRegistry

SHARED = Path(__file__).parents[4] / "shared" / "data"
FILES = {
    "es_load_price_2015_2018_hourly": ("time_utc", "Europe/Madrid"),
    "es_weather_2015_2018_3hourly": ("time_local", "Europe/Madrid"),
    "vic_load_temp_2012_2014_30min": ("time_utc", "Australia/Melbourne"),
    "epf_de_hourly": ("time_local", "Europe/Berlin"),
    "epf_fr_hourly": ("time_local", "Europe/Paris"),
    "epf_be_hourly": ("time_local", "Europe/Brussels"),
}


def shared_file(name: str) -> Path:
    path = SHARED / f"{name}.csv.gz"
    if not path.is_file():
        pytest.skip(f"the real data is not here: {path}")
    return path


@pytest.fixture(scope="session")
def spain() -> History:
    source = Source(
        path=shared_file("es_load_price_2015_2018_hourly"),
        time_column="time_utc",
        zone="Europe/Madrid",
        price_column="price_day_ahead_eur_mwh",
        load_column="load_mw",
        known_day_ahead=("wind_forecast_mw", "solar_forecast_mw"),
    )
    return read_history(source)


@pytest.fixture(scope="session")
def region() -> History:
    return synthetic_region("Europe/Madrid", date(2023, 10, 1), 200)


@pytest.fixture(scope="session")
def trained_folder(region: History) -> Iterator[Path]:
    """Make a folder with small models of the synthetic region, trained before 2024-03-01."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registry = FolderRegistry(folder / ".steward" / "models")
        for recipe in (LOAD, PRICE):
            train(
                replace(recipe, rounds=60),
                region,
                COLUMNS,
                until=date(2024, 3, 1),
                registry=registry,
                clock=SystemClock(),
            )
        yield folder


def exchange_days_and_months(history: History) -> History:
    """Return the history with day and month exchanged in its time column, by the local clock, where that is a date."""
    moments = [
        (history.start + n * history.step).astimezone(history.local.tz).replace(tzinfo=None)
        for n in range(history.rows)
    ]
    places = {moment: n for n, moment in reversed(list(enumerate(moments)))}
    order = np.arange(history.rows)
    for n, moment in enumerate(moments):
        if moment.day <= 12:
            order[n] = places.get(moment.replace(month=moment.day, day=moment.month), n)
    return replace(history, columns={name: values[order] for name, values in history.columns.items()})
