from __future__ import annotations

from datetime import date

import numpy as np

from steward.cases.grid.data.generator import COLUMNS, synthetic_region
from steward.cases.grid.data.history import Floats, History


def by_wall_hour(history: History, name: str) -> Floats:
    """Return the mean of each hour of the day; the zone is UTC."""
    return np.asarray(history.columns[name].reshape(-1, 24).mean(axis=0))


def test_the_same_seed_makes_the_same_region() -> None:
    a, b, c = (synthetic_region("UTC", date(2024, 1, 1), 5, seed=seed) for seed in (1, 1, 2))
    assert all((a.columns[name] == b.columns[name]).all() for name in a.columns)
    assert (a.columns["price_eur_mwh"] != c.columns["price_eur_mwh"]).any()


def test_it_has_the_shape_of_a_real_region() -> None:
    year = synthetic_region("UTC", date(2024, 1, 1), 366)
    load = by_wall_hour(year, "load_mw")
    assert load.argmin() in range(2, 6)
    assert load.argmax() in range(18, 22)
    days = year.columns["load_mw"].reshape(-1, 24).mean(axis=1)
    sundays, tuesdays = days[6::7], days[1::7]  # 2024 began on a Monday
    assert sundays.mean() < 0.9 * tuesdays.mean()
    summer, winter = slice(152 * 24, 244 * 24), slice(0, 60 * 24)
    assert year.columns["temperature_c"][summer].mean() > year.columns["temperature_c"][winter].mean() + 10
    assert by_wall_hour(year, "solar_forecast_mw")[0] == 0
    prices = year.columns["price_eur_mwh"]
    assert np.percentile(prices, 99) > 1.7 * np.median(prices)
    assert prices.min() < 10


def test_every_column_is_there_and_whole() -> None:
    region = synthetic_region("Europe/Madrid", date(2024, 3, 30), 3)
    named = {COLUMNS.price, COLUMNS.load, COLUMNS.temperature, *COLUMNS.ahead}
    assert set(region.columns) == named
    assert region.rows == 71  # one of the days has 23 hours
    assert all(np.isfinite(values).all() for values in region.columns.values())
