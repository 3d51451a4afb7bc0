from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.cases.grid.battery import Battery
from steward.cases.grid.data.history import Floats
from steward.cases.grid.data.local_days import LocalDays
from steward.cases.grid.dispatch.ranking import MERIT, SHAPE, merit_for, planning_prices
from steward.cases.grid.forecasting.forecast import KnownThen

KNOWN = KnownThen(LocalDays("Europe/Madrid"), date(2018, 1, 2), price=np.full(360, 50.0))
PRICES = np.array([20.0] * 6 + [40.0] * 12 + [90.0] * 6)
values = st.lists(st.floats(-100, 300), min_size=24, max_size=24).map(np.array)
merits = st.lists(st.floats(-1, 1), min_size=24, max_size=24).map(np.array)


def test_the_shape_knows_no_level() -> None:
    assert SHAPE.target(KNOWN, PRICES) == pytest.approx(SHAPE.target(KNOWN, PRICES + 70.0))
    assert SHAPE.target(KNOWN, PRICES).mean() == pytest.approx(0.0)


def test_the_merit_is_what_the_best_plan_does_in_shares_of_full_power() -> None:
    merit = MERIT.target(KNOWN, PRICES)
    assert merit.min() == pytest.approx(-1.0)
    assert merit.max() == pytest.approx(1.0)
    assert merit[6:18] == pytest.approx(np.zeros(12))
    slow = merit_for(Battery(power_mw=5.0)).target(KNOWN, PRICES)
    assert np.abs(slow).sum() > np.abs(merit).sum()  # half the power needs twice as many hours


def test_missing_prices_are_bridged_and_a_day_without_any_teaches_nothing() -> None:
    holed = PRICES.copy()
    holed[3] = np.nan
    assert MERIT.target(KNOWN, holed).tolist() == MERIT.target(KNOWN, PRICES).tolist()
    assert np.isnan(MERIT.target(KNOWN, np.full(24, np.nan))).all()


@given(values, values, merits)
def test_the_level_is_the_forecasts_and_the_spread_is_not_the_merits(
    prices: Floats, shape: Floats, merit: Floats
) -> None:
    plain, moved = planning_prices(prices, shape, np.zeros(24)), planning_prices(prices, shape, merit)
    assert moved.mean() == pytest.approx(prices.mean(), abs=1e-6)
    if plain.std() > 1e-6 and moved.std() > 1e-6:
        assert moved.std() == pytest.approx(plain.std(), rel=1e-6)


@given(values)
def test_models_that_agree_with_the_forecast_change_nothing(prices: Floats) -> None:
    assert planning_prices(prices, prices - prices.mean(), np.zeros(24)) == pytest.approx(prices, abs=1e-6)


def test_of_two_hours_at_one_price_the_one_with_merit_is_dearer() -> None:
    merit = np.zeros(24)
    merit[20] = 0.5
    planned = planning_prices(PRICES, PRICES - PRICES.mean(), merit)
    assert planned[20] > planned[21]
