"""Prices: nothing that was unknown moves a forecast, the registered model answers as the fitted one, the band keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from steward.cases.grid.data.generator import COLUMNS
from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.forecasting.forecast import matrix
from steward.cases.grid.forecasting.price import Refits, forecast_prices, train_regression
from steward.cases.grid.forecasting.price_band import PriceBand
from steward.cases.grid.forecasting.price_regression import PriceDays, day_inputs, day_prices, fit, regression_rows
from steward.cases.grid.forecasting.training import PRICE
from steward.clock import SystemClock
from steward.errors import ContractError
from steward.models.registry import FolderRegistry

FIRST, UNTIL = date(2024, 3, 25), date(2024, 4, 4)  # the clock changes on 31 March
QUICK = Refits(trees=replace(PRICE, rounds=20))


def changed_from(history: History, day: date) -> History:
    """Return the history with other prices from a day on, and other published columns from the day after on."""
    columns = dict(history.columns)
    for name, first in ((COLUMNS.price, day), *((name, day + timedelta(days=1)) for name in COLUMNS.ahead)):
        values: Floats = columns[name].copy()
        values[history.index(history.local.start(first)) :] += 1_000.0
        columns[name] = values
    return replace(history, columns=columns)


def test_what_was_not_known_at_noon_of_the_day_before_changes_no_bit(region: History) -> None:
    before = forecast_prices(region, COLUMNS, FIRST, UNTIL, refits=QUICK, band_days=20)
    day = date(2024, 3, 31)
    after = forecast_prices(changed_from(region, day), COLUMNS, FIRST, UNTIL, refits=QUICK, band_days=20)
    known = (day - FIRST).days + 1
    assert before.point[:known].tobytes() == after.point[:known].tobytes()
    for one, other in zip(before.bands[:known], after.bands[:known], strict=True):
        assert one.values.tobytes() == other.values.tobytes()
    assert not np.array_equal(before.point[known], after.point[known])  # the day after does look at it


def test_it_is_better_than_the_week_before(region: History) -> None:
    made = forecast_prices(region, COLUMNS, FIRST, UNTIL, refits=replace(QUICK, trees=None), band_days=20)
    days = PriceDays.of(region, COLUMNS)
    row = days.row(FIRST)
    week_before = days.prices[row - 7 : days.row(UNTIL) - 7]
    assert made.mae_eur_mwh < 0.8 * float(np.abs(week_before - made.actual).mean())


def test_the_registered_model_answers_as_the_fitted_one(region: History, tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path)
    train_regression(region, COLUMNS, until=FIRST, registry=registry, clock=SystemClock())
    model, days = registry.load("grid-price-regression"), PriceDays.of(region, COLUMNS)
    rows = regression_rows(COLUMNS.known(region, FIRST))
    served = np.asarray(model.predict(matrix(rows, model.inputs)))
    row = days.row(FIRST)
    assert served == pytest.approx(day_prices(fit(days, FIRST), days.inputs[row : row + 1])[0], rel=1e-9)


def test_a_day_has_the_same_inputs_in_service_as_in_training(region: History) -> None:
    days = PriceDays.of(region, COLUMNS)
    for day in (FIRST, date(2024, 3, 31), date(2024, 4, 1)):
        assert np.array_equal(day_inputs(COLUMNS.known(region, day)), days.inputs[days.row(day)], equal_nan=True)


def test_a_missing_input_is_answered_as_usual_and_too_short_a_history_is_refused(region: History) -> None:
    days = PriceDays.of(region, COLUMNS)
    tensors, row = fit(days, FIRST), days.row(FIRST)
    broken = days.inputs[row : row + 1].copy()
    broken[0, 100] = np.nan
    assert np.isfinite(day_prices(tensors, broken)).all()
    with pytest.raises(ContractError, match="too few"):
        fit(days, days.days[30])


def test_the_band_keeps_its_promise_when_errors_grow() -> None:
    chance = np.random.default_rng(3)
    width = np.repeat([2.0, 8.0], 300)[:, None]
    actual = chance.normal(0.0, 1.0, (600, 24)) * width
    bands = PriceBand.played(np.zeros_like(actual), actual, 100)
    low, high = (np.array(each) for each in zip(*(band.interval(0.9) for band in bands), strict=True))
    inside = (low <= actual[100:]) & (actual[100:] <= high)
    assert 0.87 < inside.mean() < 0.93
    assert inside.mean(axis=0).min() > 0.85
