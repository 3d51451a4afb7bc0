"""Load forecasts at noon of the day before: their error and their band, in Spain and Victoria."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import numpy as np
from benchmarks.report import Figure, report

from steward.cases.grid.data.history import History, Source, read_history
from steward.cases.grid.data.local_days import DAY
from steward.cases.grid.forecasting.load import LoadForecasts, forecast_loads
from steward.cases.grid.forecasting.load_inputs import LoadTask

DATA = Path(__file__).parents[3] / "shared" / "data"
SPAIN = Source(
    path=DATA / "es_load_price_2015_2018_hourly.csv.gz",
    time_column="time_utc",
    zone="Europe/Madrid",
    load_column="load_mw",
    known_day_ahead=("load_forecast_tso_mw",),
)
VICTORIA = Source(
    path=DATA / "vic_load_temp_2012_2014_30min.csv.gz",
    time_column="time_utc",
    zone="Australia/Melbourne",
    load_column="load_mw",
    temperature_column="temperature_c",
)
TASKS = (
    ("spain_mape_no_operator_no_weather", SPAIN, LoadTask(), 2018, 2.13, 1.9),
    ("spain_mape_correcting_the_operator", SPAIN, LoadTask(operator="load_forecast_tso_mw"), 2018, 0.926, 0.88),
    ("victoria_mape_no_weather_of_the_day", VICTORIA, LoadTask(temperature="temperature_c"), 2014, 5.06, 4.8),
    (
        "victoria_mape_measured_temperature_as_forecast",
        VICTORIA,
        LoadTask(temperature="temperature_c", weather_ahead=True),
        2014,
        3.28,
        2.9,
    ),
)


def covered(history: History, forecasts: LoadForecasts, first: date, until: date) -> list[list[bool]]:
    """Return, day by day, which of its intervals lay inside the band of 90 %."""
    found = []
    for day in history.days(first, until):
        actual = history.between("load_mw", history.local.start(day), history.local.start(day + DAY))
        low, high = forecasts.quantiles(day).interval(0.9)
        found.append(((low <= actual) & (actual <= high)).tolist())
    return found


def figures(*, quick: bool = False) -> list[Figure]:
    """Return error and coverage over the test years."""
    if missing := [each.path for each in (SPAIN, VICTORIA) if not each.path.is_file()]:
        print(f"load: the real data is not here: {missing[0]}", file=sys.stderr)
        return []
    found = []
    for name, source, task, year, must, good in TASKS[:2] if quick else TASKS:
        history = read_history(source)
        first, until = date(year, 1, 1), date(year + 1, 1, 1)
        forecasts = forecast_loads(history, task, first, until)
        mape = forecasts.mape_pct(first, until)
        inside = covered(history, forecasts, first, until)
        usual = len(inside[len(inside) // 2])
        by_slot = np.mean([day for day in inside if len(day) == usual], axis=0) * 100
        found += [
            Figure(name, mape, "%", goal=must, below=True),
            Figure(f"{name}_good", mape, "%", goal=good, below=True),
            Figure(f"{name}_coverage", float(np.mean([each for day in inside for each in day])) * 100, "%", goal=88.0),
            Figure(f"{name}_coverage_least_slot", float(by_slot.min()), "%"),
            Figure(f"{name}_coverage_most_slot", float(by_slot.max()), "%"),
        ]
    return found


if __name__ == "__main__":
    report("grid.load", figures(quick="--quick" in sys.argv))
