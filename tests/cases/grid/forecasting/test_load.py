"""Load ahead of time: nothing of what comes later is looked at, and bands hold what they promise."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import pytest

from steward.cases.grid.data.generator import synthetic_region
from steward.cases.grid.data.history import History
from steward.cases.grid.data.local_days import DAY, HOUR, LocalDays
from steward.cases.grid.forecasting.load import LoadForecasts, forecast_loads
from steward.cases.grid.forecasting.load_inputs import LoadTask
from steward.cases.grid.forecasting.load_intraday import load_quantiles
from steward.errors import ContractError

BLIND = LoadTask(temperature="temperature_c")
SEEING = LoadTask(temperature="temperature_c", weather_ahead=True)
CORRECTING = LoadTask(operator="operator_mw", published=("wind_forecast_mw",), ridge=100.0)
DAYS = [date(2024, 3, 20), date(2024, 3, 31), date(2024, 4, 10)]  # the clock changes on the second


@cache
def region() -> History:
    made = synthetic_region("Europe/Madrid", date(2023, 10, 1), 200)
    chance = np.random.default_rng(5)
    told = made.columns["load_mw"] * (1.01 + 0.01 * chance.standard_normal(made.rows))
    return replace(made, columns={**made.columns, "operator_mw": told})


@cache
def april(task: LoadTask) -> LoadForecasts:
    return forecast_loads(region(), task, date(2024, 2, 20), date(2024, 4, 18))


def scrambled(history: History, first: int, name: str) -> History:
    changed = history.columns[name].copy()
    changed[first:] = np.random.default_rng(11).uniform(1.0, 60_000.0, changed.size - first)
    return replace(history, columns={**history.columns, name: changed})


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("task", [BLIND, SEEING, CORRECTING], ids=["blind", "seeing", "correcting"])
def test_nothing_that_comes_later_changes_a_forecast_by_a_bit(task: LoadTask, day: date) -> None:
    history, noon = region(), region().local.plan_at(day)
    other, after = history, history.index(history.local.start(day + DAY))
    for name in task.columns:
        other = scrambled(other, after if name in task.ahead else history.index(noon), name)
    truly = load_quantiles(history, noon, day, task)
    assert len(truly) == history.local.hours(day)
    assert load_quantiles(other, noon, day, task).values.tobytes() == truly.values.tobytes()


def test_what_was_known_does_change_it() -> None:
    history, day = region(), DAYS[0]
    noon = history.local.plan_at(day)
    other = scrambled(history, history.index(noon - HOUR), "load_mw")
    assert not np.allclose(
        load_quantiles(other, noon, day, BLIND).values, load_quantiles(history, noon, day, BLIND).values
    )


def test_walking_through_days_leaks_nothing_either() -> None:
    last = date(2024, 4, 10)
    after = region().index(region().local.plan_at(last))
    other = forecast_loads(scrambled(region(), after, "load_mw"), BLIND, date(2024, 2, 20), date(2024, 4, 18))
    for day in (date(2024, 3, 1), last):
        assert other.quantiles(day).values.tobytes() == april(BLIND).quantiles(day).values.tobytes()
    assert not np.allclose(other.expected, april(BLIND).expected, equal_nan=True)


@pytest.mark.parametrize(("task", "limit_pct"), [(BLIND, 2.7), (SEEING, 2.0), (CORRECTING, 1.2)])
def test_the_error_is_small_and_the_interval_holds_its_share(task: LoadTask, limit_pct: float) -> None:
    made, (first, until) = april(task), (date(2024, 2, 20), date(2024, 4, 18))
    assert made.mape_pct(first, until) < limit_pct
    held = []
    for n in range((until - first).days):
        day = first + n * DAY
        start = made.local.start(day)
        held.append(made.quantiles(day).covered(region().between("load_mw", start, made.local.start(day + DAY))))
    assert np.mean(held) == pytest.approx(0.9, abs=0.04)


def test_half_hours_and_their_short_and_long_days() -> None:
    hourly = synthetic_region("Australia/Melbourne", date(2013, 12, 1), 135)
    history = replace(hourly, step=HOUR / 2, columns={n: np.repeat(v, 2) for n, v in hourly.columns.items()})
    made = forecast_loads(history, BLIND, date(2014, 4, 5), date(2014, 4, 8))
    assert [len(made.quantiles(date(2014, 4, day))) for day in (5, 6, 7)] == [48, 50, 48]


def test_gaps_are_bridged_and_a_short_history_is_refused() -> None:
    history, day = region(), DAYS[0]
    holed = history.columns["load_mw"].copy()
    holed[2_000:2_030] = np.nan
    patched = replace(history, columns={**history.columns, "load_mw": holed})
    assert len(load_quantiles(patched, history.local.plan_at(day), day, BLIND)) == 24
    with pytest.raises(ContractError, match="too few"):
        load_quantiles(history, history.local.plan_at(date(2023, 11, 20)), date(2023, 11, 20), BLIND)
    with pytest.raises(ContractError, match="outside"):
        forecast_loads(history, BLIND, date(2025, 1, 1), date(2025, 1, 2))
    with pytest.raises(ContractError, match="no column"):
        forecast_loads(history, LoadTask(load="mw"), day, day + timedelta(days=1))


def test_the_zone_without_a_country_has_no_holidays() -> None:
    history = replace(region(), local=LocalDays("UTC"))
    assert len(load_quantiles(history, LocalDays("UTC").plan_at(DAYS[0]), DAYS[0], LoadTask())) == 24
