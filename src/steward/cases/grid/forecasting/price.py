"""Tomorrow's prices: regression and trees, both fitted anew as time goes by, averaged; and a band around them.

The protocol is that of the case: at noon of D-1, for all of local day D, with the prices up to the end of D-1 (they
were published a day ahead) and the columns published before that noon. :func:`forecast_prices` plays it over a history;
in service the same regression and trees come from the registry (:func:`blended`), put there by a recalibration.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from steward.cases.grid.data.history import Floats, History
from steward.cases.grid.forecasting import forecast
from steward.cases.grid.forecasting.forecast import KnownThen
from steward.cases.grid.forecasting.price_band import PriceBand
from steward.cases.grid.forecasting.price_regression import (
    PriceDays,
    answer,
    day_prices,
    fit,
    regression_rows,
)
from steward.cases.grid.forecasting.price_trees import FIRST_DAY, TreeDays
from steward.cases.grid.forecasting.quantiles import Quantiles
from steward.cases.grid.forecasting.training import PRICE, Columns, Recipe
from steward.clock import Clock
from steward.decision.model import Predictor
from steward.models.manifest import Trained
from steward.models.registration.registering import Weights, register
from steward.models.registry import FolderRegistry, Registered
from steward.models.signing.keys import PrivateKey

REGRESSION_MODEL: Final = "grid-price-regression"
REGRESSION_SHARE: Final = 0.5
"""How much the regression counts beside the trees: chosen on the years before the test years."""
BAND_DAYS: Final = 364
"""How long forecasts are made before the first day that counts, so that the band knows their errors."""


@dataclass(frozen=True)
class Refits:
    """How often the models are fitted anew.

    Attributes:
        regression_days: Every so many days.
        trees_days: Every so many days.
        trees: How they are trained; ``None``: there are none.

    Example:
        >>> Refits().regression_days
        7
    """

    regression_days: int = 7
    trees_days: int = 182
    trees: Recipe | None = PRICE


@dataclass(frozen=True, eq=False)
class PriceForecasts:
    """Forecasts of consecutive days by wall hour; every number was known at noon of the day before.

    Attributes:
        days: The local days.
        point: EUR/MWh by day and wall hour: what a plan is made at.
        bands: The quantiles of each day's wall hours.
        actual: What came true; NaN where it is not known.

    Example:
        >>> made = PriceForecasts((date(2018, 1, 1),), np.full((1, 24), 50.0), (), np.full((1, 24), 53.0))
        >>> made.mae_eur_mwh
        3.0
    """

    days: tuple[date, ...]
    point: Floats
    bands: tuple[Quantiles, ...]
    actual: Floats

    @property
    def mae_eur_mwh(self) -> float:
        """The mean absolute error of the points."""
        return float(np.nanmean(np.abs(self.point - self.actual)))

    def covered(self, share: float = 0.9) -> Floats:
        """Return, by wall hour, the share of days whose price lay inside the middle interval."""
        low, high = (np.array(each) for each in zip(*(band.interval(share) for band in self.bands), strict=True))
        inside = np.where(np.isfinite(self.actual), (low <= self.actual) & (self.actual <= high), np.nan)
        return np.asarray(np.nanmean(inside, axis=0))

    def on_day(self, day: date) -> Floats:
        """Return the points of a day by wall hour."""
        return np.asarray(self.point[(day - self.days[0]).days])


def forecast_prices(
    history: History,
    columns: Columns,
    first: date,
    until: date,
    *,
    refits: Refits = Refits(),
    band_days: int = BAND_DAYS,
) -> PriceForecasts:
    """Forecast each day from ``first`` to before ``until``, as it would have been at noon of the day before.

    Args:
        history: Hourly.
        columns: What is known; no load is needed.
        first: The first day.
        until: The day after the last.
        refits: How often the models are fitted anew.
        band_days: How many days before ``first`` are forecast too, so that the band knows its errors.

    Raises:
        ContractError: There are less than 60 days before the first that is forecast.
        EngineError: LightGBM is not installed, and trees are wanted.
    """
    days = PriceDays.of(history, columns)
    start, end = days.row(first) - band_days, min(days.row(until), len(days.days))
    point = _regression(days, start, end, refits.regression_days)
    if refits.trees is not None:
        seen = slice(FIRST_DAY, end)
        tree_days = TreeDays.of(history, columns, days.days[seen], days.prices[seen])
        trees = tree_days.predicted(start - FIRST_DAY, end - FIRST_DAY, refits.trees_days, refits.trees)
        point = REGRESSION_SHARE * point + (1.0 - REGRESSION_SHARE) * trees
    actual = days.prices[start:end]
    bands = PriceBand.played(point, actual, band_days)
    return PriceForecasts(days.days[start + band_days : end], point[band_days:], bands, actual[band_days:])


def blended(known: KnownThen, regression: Predictor, trees: Predictor) -> Floats:
    """Return the forecast price (EUR/MWh) of each of the day's hours, from models of the registry."""
    regressed = regression.predict(forecast.matrix(regression_rows(known), regression.inputs))
    share = REGRESSION_SHARE
    return share * known.on_the_clock(np.asarray(regressed)) + (1.0 - share) * forecast.prices(known, trees)


def train_regression(
    history: History,
    columns: Columns,
    *,
    until: date,
    registry: FolderRegistry,
    clock: Clock,
    key: PrivateKey | None = None,
) -> Registered:
    """Fit the regression on the local days before ``until``, and register it, signed if there is a key.

    Raises:
        ContractError: There are less than 60 days to learn from.
    """
    days = PriceDays.of(history, columns)
    tensors = fit(days, until)
    last = days.row(until)
    learned, truth = days.inputs[:last], days.prices[:last]
    sample = np.column_stack((np.arange(24.0), np.tile(learned[-1], (24, 1))))
    return register(
        Weights(answer, tensors),
        name=REGRESSION_MODEL,
        registry=registry,
        inputs=("wall_hour", *(f"day_{number}" for number in range(learned.shape[1]))),
        task="regression",
        sample=sample,
        trained=Trained(
            since=history.local.start(days.days[0]),
            until=history.local.start(until),
            rows=truth.size,
            data="sha256:" + hashlib.sha256(learned.tobytes() + truth.tobytes()).hexdigest(),
        ),
        key=key,
        clock=clock,
    )


def _regression(days: PriceDays, start: int, end: int, every: int) -> Floats:
    made = []
    for row in range(start, end, every):
        tensors = fit(days, days.days[max(row, 0)])
        made.append(day_prices(tensors, days.inputs[row : min(row + every, end)]))
    return np.concatenate(made)
