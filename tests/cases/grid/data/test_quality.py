from __future__ import annotations

import csv
import gzip
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.cases.grid.conftest import FILES, exchange_days_and_months, shared_file

from steward.cases.grid.data.history import History, Source, read_history
from steward.cases.grid.data.local_days import HOUR, LocalDays
from steward.cases.grid.data.quality import BREAK_RATIO, check, exchange_ratio

JUDGED = {
    "es_load_price_2015_2018_hourly": ("load_mw", "price_day_ahead_eur_mwh"),
    "vic_load_temp_2012_2014_30min": ("load_mw", "temperature_c"),
    "epf_de_hourly": ("price", "load_forecast_amprion_mw"),
    "epf_fr_hourly": ("price", "load_forecast_mw"),
    "epf_be_hourly": ("price", "load_forecast_fr_mw"),
}


def whole_file(name: str) -> tuple[History, Source]:
    path, (time_column, zone) = shared_file(name), FILES[name]
    with gzip.open(path, "rt") as file:
        columns = [column for column in next(csv.reader(file)) if column != time_column]
    source = Source(
        path=path, time_column=time_column, zone=zone, price_column=columns[0], known_day_ahead=tuple(columns[1:])
    )
    return read_history(source), source


@pytest.mark.parametrize("name", FILES)
def test_no_false_alarm_on_real_files(name: str) -> None:
    history, source = whole_file(name)
    breaks = [found for found in check(history, source) if found.code == "seasonality-break"]
    assert breaks == []


@pytest.mark.parametrize("name", JUDGED)
def test_exchanged_days_and_months_raise_an_alert_by_themselves(name: str) -> None:
    history, source = whole_file(name)
    broken = replace(history, columns={column: history.columns[column] for column in JUDGED[name]})
    found = check(exchange_days_and_months(broken), source_of(source, JUDGED[name][0]))
    named = [one.message.split(" ")[0] for one in found if one.code == "seasonality-break"]
    assert named == list(JUDGED[name])
    assert all(one.level == "alert" for one in found if one.code == "seasonality-break")


def source_of(source: Source, price: str) -> Source:
    return replace(source, price_column=price, known_day_ahead=())


def test_an_exchanged_file_on_disk_raises_the_alert(tmp_path: Path) -> None:
    path = tmp_path / "exchanged.csv"
    with gzip.open(shared_file("es_load_price_2015_2018_hourly"), "rt") as file, path.open("w") as out:
        out.write(file.readline())
        for line in file:
            year, month, day = line[:4], line[5:7], line[8:10]
            out.write(f"{year}-{day}-{month}{line[10:]}" if int(day) <= 12 else line)
    source = Source(
        path=path,
        time_column="time_utc",
        zone="Europe/Madrid",
        price_column="price_day_ahead_eur_mwh",
        load_column="load_mw",
    )
    alerts = {found.code for found in check(read_history(source), source) if found.level == "alert"}
    assert alerts == {"unordered", "seasonality-break"}


def test_each_year_alone_is_told_apart(spain: History) -> None:
    broken = exchange_days_and_months(spain)
    for year in range(2015, 2019):
        good, bad = (exchange_ratio(year_of(one, year), "load_mw") for one in (spain, broken))
        assert good is not None
        assert bad is not None
        assert good < BREAK_RATIO < bad


def year_of(history: History, year: int) -> History:
    first = history.index(datetime(year, 1, 1, tzinfo=UTC))
    columns = {name: values[first : first + 8760] for name, values in history.columns.items()}
    return replace(history, start=history.start + first * HOUR, columns=columns)


def flat(**columns: float) -> History:
    values = {name: np.full(24 * 300, value) for name, value in columns.items()}
    return History(LocalDays("UTC"), datetime(2018, 1, 1, tzinfo=UTC), HOUR, values)


SOURCE = Source(
    path=Path("x.csv"), time_column="t", zone="UTC", price_column="p", load_column="l", temperature_column="c"
)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"p": 52_000.0, "l": 24_000.0, "c": 15.0}, "p is 52000"),
        ({"p": 52.0, "l": 2.4e10, "c": 15.0}, "l is 2.4e"),
        ({"p": 52.0, "l": 24_000.0, "c": 288.0}, "c is 288"),
    ],
)
def test_wrong_units_are_suspected(columns: dict[str, float], says: str) -> None:
    found = check(flat(**columns), SOURCE)
    assert [one.code for one in found] == ["unit"]
    assert says in found[0].message


def test_right_units_and_constant_columns_raise_nothing() -> None:
    assert check(flat(p=52.0, l=24_000.0, c=15.0), SOURCE) == ()


def test_an_empty_column_is_an_alert() -> None:
    assert [one.code for one in check(flat(p=float("nan"), l=1000.0, c=15.0), SOURCE)] == ["empty"]
