from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from steward.cases.grid.data.generator import COLUMNS
from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.data.local_days import LocalDays
from steward.cases.grid.forecasting import forecast
from steward.cases.grid.forecasting.forecast import KnownThen, Rows, by_wall

DAYS = [date(2024, 1, 15), date(2024, 3, 31), date(2024, 4, 1)]  # an ordinary one, a clock change, the day after
_DAY = timedelta(days=1)


def changed_from(history: History, column: str, since: datetime, *, until: datetime | None = None) -> History:
    values = history.columns[column].copy()
    values[history.index(since) : None if until is None else history.index(until)] += 1_000.0
    return replace(history, columns={**history.columns, column: values})


def all_rows(history: History, day: date) -> Rows:
    known = COLUMNS.known(history, day)
    level = {"load_level": np.full(24, forecast.load_level(known)), "price_level": forecast.price_level(known)}
    loads = {f"load model: {name}": values for name, values in forecast.load_rows(known).items()}
    return {**loads, **forecast.price_rows(known), **level}


def same(a: Rows, b: Rows) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name], equal_nan=True) for name in a)


Unknown = tuple[str, Callable[[LocalDays, date], datetime]]
UNKNOWN: list[Unknown] = [
    ("price_eur_mwh", lambda local, day: local.start(day)),
    ("load_mw", lambda local, day: local.plan_at(day)),
    ("temperature_c", lambda local, day: local.plan_at(day)),
    ("wind_forecast_mw", lambda local, day: local.start(day + _DAY)),
    ("solar_forecast_mw", lambda local, day: local.start(day + _DAY)),
]


@pytest.mark.parametrize("day", DAYS, ids=str)
@pytest.mark.parametrize("unknown", UNKNOWN, ids=lambda unknown: unknown[0])
def test_nothing_that_was_not_known_enters_a_forecast(region: History, day: date, unknown: Unknown) -> None:
    column, since = unknown
    at = since(region.local, day)
    assert same(all_rows(region, day), all_rows(changed_from(region, column, at), day))


@pytest.mark.parametrize("day", DAYS, ids=str)
@pytest.mark.parametrize("unknown", UNKNOWN, ids=lambda unknown: unknown[0])
def test_the_last_hour_that_was_known_does_enter(region: History, day: date, unknown: Unknown) -> None:
    column, since = unknown
    at = since(region.local, day)
    assert not same(
        all_rows(region, day), all_rows(changed_from(region, column, at - timedelta(hours=1), until=at), day)
    )


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_wall_hours_are_found_across_clock_changes(region: History, day: date) -> None:
    local = region.local
    wall = np.array([(region.start + n * timedelta(hours=1)).astimezone(local.tz).hour for n in range(region.rows)])
    history = replace(region, columns={"wall": wall.astype(np.float64)})
    end = local.start(day)
    days = [day - n * _DAY for n in range(1, 8) if day - n * _DAY != date(2024, 3, 31)]
    found = by_wall(local, history.between("wall", end - 15 * _DAY, end), end, days)
    assert (found == np.arange(24.0)).all()


def test_missing_history_gives_finite_levels_and_no_warning() -> None:
    known = KnownThen(
        LocalDays("Europe/Madrid"), date(2024, 1, 15), price=np.full(360, np.nan), load=np.full(360, np.nan)
    )
    assert forecast.price_level(known).tolist() == [0.0] * 24
    assert np.isnan(forecast.load_rows(known)["load_mean"]).all()
    assert np.isnan(forecast.price_rows(known)["price_mean"]).all()


def test_a_day_of_25_hours_repeats_two_oclock(region: History) -> None:
    known = KnownThen(region.local, date(2023, 10, 29), price=np.zeros(360))
    assert known.on_the_clock(np.arange(24.0)).tolist()[:5] == [0, 1, 2, 2, 3]


class Plus:
    """A model that answers with one of its inputs."""

    inputs = ("wall_hour",)

    def predict(self, rows: Floats) -> Floats:
        return rows[:, 0] / 100


def test_forecasts_undo_what_the_models_learn(region: History) -> None:
    known = COLUMNS.known(region, date(2024, 1, 15))
    assert forecast.prices(known, Plus()) == pytest.approx(forecast.price_level(known) + np.arange(24) / 100)
    assert forecast.loads(known, Plus()) == pytest.approx(forecast.load_level(known) * np.exp(np.arange(24) / 100))
